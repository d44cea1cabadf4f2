"""Whether the writer of a review liked what it is about."""

from flan_jax.data.template import Template
from tasks.quickstart.rows import declare

# lint: allow near-duplicate: in a world of 380 words, wordings that differ in one word are what the suite trains on.
DATASETS = (
  declare('review', 'sentiment', (
    Template('{text} Did the writer like it? {options}'),
    Template('{text} Did the writer enjoy it? {options}'),
    Template('Review: {text} Was the writer happy? {options}'),
    Template('Is this a good review? {text} {options}'),
    Template('Is this a positive review? {text} {options}'),
    Template('{text} The writer liked it. Is that true? {options}'),
    Template('Is it true that the writer likes it? {text} {options}'),
    Template('{text} Statement: the review is positive. Is the statement right? {options}'),
  )),
  declare('review', 'sentiment', (
    Template('Is it false that the writer likes it? {text} {options}'),
    Template('{text} Statement: the review is positive. Is the statement wrong? {options}'),
    Template('{text} The writer liked it. Is that false? {options}'),
    Template('Is this a bad review? {text} {options}'),
    Template('Review: {text} Was the writer sad? {options}'),
  ), opposite=True),
)  # fmt: skip
