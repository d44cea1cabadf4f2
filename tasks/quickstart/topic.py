"""What a sentence is about."""

from flan_jax.data.template import Template
from tasks.quickstart.rows import declare

# lint: allow near-duplicate: in a world of 380 words, wordings that differ in one word are what the suite trains on.
DATASETS = (
  declare('topic', 'topic', (
    Template('{text} Is this text about {topic}? {options}'),
    Template('Does this text talk about {topic}? {text} {options}'),
    Template('Does this text tell us about {topic}? {text} {options}'),
    Template('{text} Statement: the text is about {topic}. Is the statement true? {options}'),
    Template('Based on the text, is it right that the topic is {topic}? {text} {options}'),
    Template('Can we say that this text is about {topic}? {text} {options}'),
    Template('{text} Given this text, the topic is {topic}. Is that true? {options}'),
  )),
  declare('topic', 'topic', (
    Template('{text} Statement: the text is about {topic}. Is the statement false? {options}'),
    Template('Based on the text, is it wrong that the topic is {topic}? {text} {options}'),
    Template('{text} Given this text, the topic is {topic}. Is that false? {options}'),
    Template('Is it false that this text is about {topic}? {text} {options}'),
    Template('Text: {text} Topic: {topic}. Is that wrong? {options}'),
  ), opposite=True),
)  # fmt: skip
