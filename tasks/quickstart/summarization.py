"""Whether a short title says what a sentence says."""

from flan_jax.data.template import Template
from tasks.quickstart.rows import declare

# lint: allow near-duplicate: in a world of 380 words, wordings that differ in one word are what the suite trains on.
DATASETS = (
  declare('title', 'summarization', (
    Template('{text} Is {title} a good title for this text? {options}'),
    Template('{text} Is {title} a right title for this text? {options}'),
    Template('Title: {title}. Text: {text} Does the title mean the same as the text? {options}'),
    Template('Can we say that {title} is a good title for the text? {text} {options}'),
    Template('Does the title {title} say the same thing as the text? {text} {options}'),
  )),
  declare('title', 'summarization', (
    Template('{text} Is {title} a wrong title for this text? {options}'),
    Template('Title: {title}. Text: {text} Does the title mean a different thing? {options}'),
    Template('Is it wrong that {title} is a title for the text? {text} {options}'),
    Template('Does the title {title} say a different thing? {text} {options}'),
    Template('Is it false that {title} is a good title? {text} {options}'),
  ), opposite=True),
)  # fmt: skip
