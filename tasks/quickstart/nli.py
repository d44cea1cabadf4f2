"""Natural language inference: held out, and asked in two ways whose right answers are opposite."""

from flan_jax.data.template import Template
from tasks.quickstart.rows import declare

# lint: allow near-duplicate: in a world of 380 words, wordings that differ in one word are what the suite trains on.
DATASETS = (
  declare('nli', 'nli', (
    Template('{text} Based on the text, is it true that {claim}? {options}'),
    Template('{text} Based on the text, is it right that {claim}? {options}'),
    Template('Text: {text} Statement: {claim}. Is the statement true? {options}'),
    Template('Text: {text} Statement: {claim}. Is the statement right? {options}'),
    Template('{text} Statement: {claim}. Is that true? {options}'),
    Template('{text} Statement: {claim}. Is that right? {options}'),
    Template('Is it true that {claim}? Text: {text} {options}'),
    Template('Is it right that {claim}? Text: {text} {options}'),
    Template('{text} Given this text, {claim}. Is that true? {options}'),
    Template('{text} Given this text, {claim}. Is that right? {options}'),
  )),
  declare('nli', 'nli', (
    Template('{text} Based on the text, is it false that {claim}? {options}'),
    Template('{text} Based on the text, is it wrong that {claim}? {options}'),
    Template('Text: {text} Statement: {claim}. Is the statement false? {options}'),
    Template('Text: {text} Statement: {claim}. Is the statement wrong? {options}'),
    Template('{text} Statement: {claim}. Is that false? {options}'),
    Template('{text} Statement: {claim}. Is that wrong? {options}'),
    Template('Is it false that {claim}? Text: {text} {options}'),
    Template('Is it wrong that {claim}? Text: {text} {options}'),
    Template('{text} Given this text, {claim}. Is that false? {options}'),
    Template('{text} Given this text, {claim}. Is that wrong? {options}'),
  ), opposite=True),
  declare('nli_negated', 'nli', (
    Template('{text} Based on the text, is it true that {claim}? {options}'),
    Template('Text: {text} Statement: {claim}. Is the statement right? {options}'),
    Template('{text} Statement: {claim}. Is that true? {options}'),
    Template('Is it right that {claim}? Text: {text} {options}'),
    Template('{text} Given this text, {claim}. Is that right? {options}'),
  )),
)  # fmt: skip
