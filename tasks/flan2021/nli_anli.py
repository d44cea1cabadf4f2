"""Adversarial natural language inference: the three rounds of ANLI (Nie et al. 2020).

In each round people wrote hypotheses until one fooled the best model of the day. The rounds differ in their texts and
in that model, not in the task, hence the same templates for all three.
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.splits import OWN_TEST
from flan_jax.data.template import Template
from tasks.flan2021.clusters import NLI


def _context_and_hypothesis(row: Row) -> Fields:
  return {
    'context': tf.strings.strip(row['context']),
    'hypothesis': tf.strings.strip(row['hypothesis']),
    LABEL: row['label'],
  }


_OPTIONS = ('Yes', "It's impossible to say", 'No')  # e, n, c: entailment, neutral, contradiction
_TEMPLATES = (
  Template('{context}\n\nBy the account just given, is the next sentence right?\n{hypothesis}\n\n{options}'),
  Template(
    'Someone tried to trick a computer with this statement: "{hypothesis}"\n\n'
    'Do not be fooled. Compare it with the text and answer whether it is true.\n\nText: {context}\n\n'
    '{options}\n\nYour answer:'
  ),
  Template(
    '{options}\n\nA quiz card has one of these on its back. Which one, if the source is the text underneath?\n\n'
    'Front of the card: True or not? {hypothesis}\nSource: {context}'
  ),
  Template(
    'READING TEST, part B. Mark "Yes" if the text says or implies what the sentence does, "No" if it rules the '
    'sentence out, and the remaining choice in all other cases.\n\nText: {context}\n\nSentence: {hypothesis}\n\n'
    '{options}',
    option_style='letters',
  ),
  Template('Context: {context}\nAssertion: {hypothesis}\nIs that so? {options}', option_style='inline'),
  Template(
    'Somebody claims: "{hypothesis}"\n\nI have only the lines below to check that with. Tell me Yes or No, or, where '
    "they leave the matter open, It's impossible to say.\n\n{context}"
  ),
  Template(
    'You wrote the following, so nobody knows better what is in it.\n\n{context}\n\n'
    'One of your readers would like you to confirm this:\n{hypothesis}\n\nWhat do you reply?\n{options}',
    option_style='numbers',
  ),
  Template(
    '"{hypothesis}"\n\nWould a person agree with that who has just learned what follows? If there is not enough to '
    'go on, admit it.\n\n{context}\n\n{options}'
  ),
  Template(
    '{context}\n\nA puzzle maker needs a statement about this that is hard to judge at first sight. To the question '
    'whether the statement is true, the solution has to be "{answer}". What could the statement be?',
    targets='{hypothesis}',
  ),
  Template(
    'Provide a short background text for the statement "{hypothesis}"\n\nReaders of your text who have to say whether '
    'the statement is right should come to this verdict: {answer}',
    targets='{context}',
  ),
)


def _round(number: int) -> Dataset:
  return Dataset(
    name=f'anli_r{number}',
    cluster=NLI,
    source=f'anli/r{number}:0.1.0',
    fields=_context_and_hypothesis,
    options=_OPTIONS,
    splits=OWN_TEST,
    templates=_TEMPLATES,
  )


ANLI: tuple[Dataset, ...] = (_round(1), _round(2), _round(3))
