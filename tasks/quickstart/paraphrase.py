"""Whether two sentences mean the same: held out together with NLI, and asked in two opposite ways."""

from flan_jax.data.template import Template
from tasks.quickstart.rows import declare

# lint: allow near-duplicate: in a world of 380 words, wordings that differ in one word are what the suite trains on.
DATASETS = (
  declare('paraphrase', 'paraphrase', (
    Template('First: {first}. Second: {second}. Do the two sentences mean the same thing? {options}'),
    Template('{first}. {second}. Do these two sentences mean the same thing? {options}'),
    Template('Do these mean the same thing? {first}. {second}. {options}'),
    Template('{first}. {second}. Is the meaning the same? {options}'),
    Template('Is it true that {first} means the same as {second}? {options}'),
    Template('Is it right that {first} means the same as {second}? {options}'),
  )),
  declare('paraphrase', 'paraphrase', (
    Template('First: {first}. Second: {second}. Do the two sentences mean different things? {options}'),
    Template('{first}. {second}. Do these two sentences mean different things? {options}'),
    Template('Do these mean different things? {first}. {second}. {options}'),
    Template('{first}. {second}. Is the meaning different? {options}'),
    Template('Is it false that {first} means the same as {second}? {options}'),
    Template('Is it wrong that {first} means the same as {second}? {options}'),
  ), opposite=True),
)  # fmt: skip
