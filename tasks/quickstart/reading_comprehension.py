"""Open questions whose answer stands in a short text."""

from flan_jax.data.template import Template
from tasks.quickstart.rows import declare

# lint: allow near-duplicate: in a world of 380 words, wordings that differ in one word are what the suite trains on.
# lint: allow options-not-rendered: two rows in five are asked without options.
DATASETS = (
  declare('reading', 'reading_comprehension', (
    Template('{text} Question: {question}? {options}'),
    Template('Read the text and answer the question. {text} {question}? {options}'),
    Template('Answer the question about the text. {text} {question}? {options}'),
    Template('Story: {text} Question: {question}? Answer: {options}'),
    Template('Passage: {text} Question: {question}? Answer: {options}'),
    Template('{text} Based on the passage, {question}? {options}'),
    Template('Here is a question: {question}? Find the answer in this text: {text} {options}'),
    Template('{question}? {text} {options}'),
    Template('Use the story to answer. {text} {question}? {options}'),
    Template('Tell me, {question}? {options} Text: {text}'),
  )),
)  # fmt: skip
