"""Declarations with one fault each: `expect: RULE` stands on the line that the linter must name, more than once if so.

The rows are those of the embedded suite's `synonym` and `reading`.
"""

import tensorflow as tf

from flan_jax.data.dataset import Dataset
from flan_jax.data.registry import register_family
from flan_jax.data.template import Template
from tasks.quickstart.rows import SPLITS

SYNONYM = 'flan_quickstart/synonym:1.0.0'
READING = 'flan_quickstart/reading:1.0.0'

FIELDS = Dataset(
  name='faulty_fields',
  cluster='fields',
  source=SYNONYM,
  splits=SPLITS,
  fields=dict,
  templates=(
    Template('Compare {first} with {secnd}.\n{options}'),  # expect: unknown-field
    Template('Of {first}, what do we know?\n{options}', targets='{thrid}'),  # expect: unknown-field
  ),
)

EMPTY = Dataset(
  name='faulty_empty',
  cluster='fields',
  source=SYNONYM,
  splits=SPLITS,
  fields=lambda row: {**row, 'hint': tf.constant(' ')},
  templates=(
    Template('Are {first} and {second} alike?\n{options}'),
    Template('Hint: {hint}. Would you write {first} in place of {second}?\n{options}'),  # expect: empty-field
  ),
)

GIVEN = Dataset(
  name='faulty_given',
  cluster='leaks',
  source=SYNONYM,
  splits=SPLITS,
  fields=lambda row: {
    **row,
    'gold': row['answer'],
    'note': tf.strings.join(['I say ', row['answer'], '.']),
    'log': tf.strings.join(['first=', row['first'], ' label=', row['answer']]),
  },
  templates=(
    Template('The answer is {answer}. Are {first} and {second} alike?\n{options}'),  # expect: answer-in-inputs
    Template('{gold}\nDo {first} and {second} mean one thing?\n{options}'),  # expect: answer-in-inputs
    Template('{note}\nTell me whether {first} could replace {second}.\n{options}'),  # expect: answer-in-inputs
    Template('Record: {log}\nJudge {second} by it.\n{options}'),  # expect: answer-in-inputs
    Template('Think of {first}, whose sense is {gold}, in inverse.', targets='{second}'),
  ),
)

FREE_TEXT = Dataset(
  name='faulty_free_text',
  cluster='leaks',
  source=READING,
  splits=SPLITS,
  fields=lambda row: {'passage': tf.strings.join([row['text'], ' ', row['answer']]), 'answer': row['answer']},
  templates=(Template('What comes to mind? {passage}'),),  # expect: answer-in-inputs
)

UNLISTED = Dataset(
  name='faulty_unlisted',
  cluster='options',
  source=SYNONYM,
  splits=SPLITS,
  fields=lambda row: {'first': row['first'], 'second': row['second'], 'answer': row['answer']},
  templates=(
    Template('Compare {first} with {second}.'),
    Template('Are {first} and {second} alike?\n{options}'),  # expect: options-not-rendered
  ),
)

HIDDEN = Dataset(
  name='faulty_hidden',
  cluster='options',
  source=SYNONYM,
  splits=SPLITS,
  fields=lambda row: {**row, 'options': tf.constant(['yes', 'no', ' '])},
  templates=(
    Template('Compare {first} with {second}.\n{options}', option_style='none'),  # expect: options-not-rendered
    Template('Are {first} and {second} alike?\n{options}'),  # expect: options-not-rendered
  ),
)

OTHER_OPTIONS = Dataset(  # expect: target-not-option
  name='faulty_other_options',
  cluster='options',
  source=SYNONYM,
  splits=SPLITS,
  fields=lambda row: {'first': row['first'], 'second': row['second'], 'answer': row['answer']},
  options=('Yes', 'No'),
  templates=(
    Template('Are {first} and {second} alike?\n{options}'),
    Template('Are {first} and {second} alike, do you think or believe or know?'),  # expect: options-unseen
  ),
)

TWICE = Dataset(  # expect: repeated-option
  name='faulty_twice',
  cluster='options',
  source=SYNONYM,
  splits=SPLITS,
  fields=lambda row: {**row, 'options': tf.constant(['yes', 'no', 'yes'])},
  templates=(Template('Are {first} and {second} alike?\n{options}'),),
)

STRAY = Dataset(
  name='faulty_stray',
  cluster='prose',
  source=SYNONYM,
  splits=SPLITS,
  fields=dict,
  templates=(
    Template('What of {first} and {second}?n{options}'),  # expect: stray-character
    Template('{first}nSecond word: {second}\nDoes it suit?\n{options}'),  # expect: stray-character
    Template(r'Look\nat {first}, then at {second}' '\n{options}'),  # expect: stray-character
    Template('Weigh {first}  against {second} on your scales.\n{options}'),  # expect: stray-character
    Template('Here is {first}. \nThere is {second}: one family?\n{options}'),  # expect: stray-character
    Template('Say "{first} aloud, and {second} after it. Echo?\n{options}'),  # expect: stray-character
    Template('In the dictionary (under {first} we found {second}.\n{options}'),  # expect: stray-character
    Template('Poets rhyme;\u200b do {first} and {second} agree in sense?\n{options}'),  # expect: stray-character
    Template('Tab\tseparated {first} {second}: equal columns?\n{options}'),  # expect: stray-character
    Template('Quiz time! Pair up {first} or drop {second}?\n{options} '),  # expect: stray-character
    Template('1) {first} 2) {second} :) Would a thesaurus have both (on one page)?\n{options}'),
  ),
)

ALIKE = Dataset(
  name='faulty_alike',
  cluster='prose',
  source=SYNONYM,
  splits=SPLITS,
  fields=dict,
  templates=(
    Template('Do the words {first} and {second} mean the same thing?\n{options}'),
    Template('Would a careful translator ever render both by one foreign word?\n{first}, {second}\n{options}'),
    Template('Do the words {second} and {first} mean the very same thing?\n{options}'),  # expect: near-duplicate
  ),
)

INVERTED = Dataset(  # expect: too-many-inverted
  name='faulty_inverted',
  cluster='prose',
  source=SYNONYM,
  splits=SPLITS,
  fields=dict,
  templates=(
    Template('Are {first} and {second} alike?\n{options}'),
    Template('Name a word. Is it a synonym of {second}? {answer}', targets='{first}'),
    Template('Which term could a riddle about {first} ask for, if alike: {answer}', targets='{second}'),
    Template('{answer}, said the judge of {second} and of what?', targets='{first}'),
    Template('Complete this pair for a vocabulary test: {first} ({answer})', targets='{second}'),
  ),
)

BROKEN = Dataset(  # expect: broken-row
  name='faulty_broken',
  cluster='rows',
  source=SYNONYM,
  splits=SPLITS,
  fields=lambda row: {'first': row['first'], 'label': tf.strings.length(row['first']) + 2},
  options=('yes', 'no'),
  templates=(Template('Is {first} a word?\n{options}'),),
)

NOTHING_KEPT = Dataset(  # expect: no-rows
  name='faulty_nothing_kept',
  cluster='rows',
  source=SYNONYM,
  splits=SPLITS,
  fields=dict,
  keep=lambda row: tf.equal(row['first'], ''),
  templates=(Template('Are {first} and {second} alike?\n{options}'),),
)


def _declare(name: str, word: str) -> Dataset:
  return Dataset(
    name=name, cluster='made', source=SYNONYM, splits=SPLITS, fields=dict,
    templates=(Template(f'{word}  {{first}} {{second}}?\n{{options}}'),),
  )  # fmt: skip


MADE = (
  _declare('faulty_made', 'Same'),  # expect: stray-character
)

ALLOWED = Dataset(
  name='faulty_allowed',
  cluster='made',
  source=SYNONYM,
  splits=SPLITS,
  fields=dict,
  templates=(
    # lint: allow stray-character, near-duplicate: a test of such comments
    Template('Same  {first} {second}?\n{options}'),
  ),
)

register_family('faulty', [
  FIELDS, EMPTY, GIVEN, FREE_TEXT, UNLISTED, HIDDEN, OTHER_OPTIONS, TWICE, STRAY, ALIKE, INVERTED, BROKEN,
  NOTHING_KEPT, *MADE, ALLOWED,
], check=False)  # fmt: skip
