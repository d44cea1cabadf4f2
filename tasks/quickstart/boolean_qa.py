"""Boolean questions about a short text."""

from flan_jax.data.template import Template
from tasks.quickstart.rows import declare

# lint: allow near-duplicate: in a world of 380 words, wordings that differ in one word are what the suite trains on.
DATASETS = (
  declare('boolean_qa', 'boolean_qa', (
    Template('{text} {question}? {options}'),
    Template('Text: {text} Question: {question}? {options}'),
    Template('Passage: {text} Question: {question}? {options}'),
    Template('Based on the text, {question}? {text} {options}'),
    Template('Based on the story, {question}? {text} {options}'),
    Template('Read the text and answer yes or no. {text} {question}? {options}'),
    Template('{text} Can we say the answer to this? {question}? {options}'),
    Template('{text} Tell me, {question}? {options}'),
    Template('Question: {question}? Use this passage to answer: {text} {options}'),
    Template('{question}? {options} Text: {text}'),
  )),
)  # fmt: skip
