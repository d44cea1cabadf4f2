"""Commonsense: which of two everyday events caused, or followed from, a third? COPA (Roemmele et al. 2011)."""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, OPTIONS, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tasks.flan2021.clusters import COMMONSENSE


def _premise_and_choices(row: Row) -> Fields:
  return {
    'premise': tf.strings.strip(row['premise']),
    'relation': row['question'],  # 'cause' or 'effect'
    OPTIONS: tf.strings.strip(tf.stack([row['choice1'], row['choice2']])),
    LABEL: row['label'],
  }


COPA = Dataset(
  name='copa',
  cluster=COMMONSENSE,
  source='super_glue/copa:1.0.2',
  fields=_premise_and_choices,
  splits=Splits(train='train[:-50]', validation='train[-50:]'),
  templates=(
    Template('{premise}\n\nWhat was the {relation} of this?\n\n{options}'),
    Template(
      'Use your knowledge of everyday life to pick the likelier {relation}.\n\nEvent: {premise}\n\n{options}',
      option_style='letters',
    ),
    Template(
      '{options}\n\nOne of the sentences above is the {relation} of what is described here. Which one?\n\n{premise}'
    ),
    Template('Here is something that happened: "{premise}" Choose its most plausible {relation}.\n{options}\nChoice:'),
    Template(
      'A story contains the sentence below, and next to it there is a gap for its {relation}. '
      'Fill the gap with one of the sentences on offer.\n\nSentence: {premise}\n\n{options}',
      option_style='numbers',
    ),
    Template('Known: {premise}\nSought: its {relation}\n{options}'),
    Template(
      'Most people would agree on how these events hang together.\n\nThe event: {premise}\n'
      'Two candidates for its {relation}:\n\n{options}\n\nWhich candidate would most people choose?'
    ),
    Template('Consider this: {premise} Now name a {relation} that makes sense.'),
    Template(
      '{answer}\n\nThis is the {relation} of another event. Describe that other event in one short sentence.',
      targets='{premise}',
    ),
    Template(
      'Of the two sentences listed, only "{answer}" could well be the {relation} of a certain event.\n\n{options}\n\n'
      'What might the event be?',
      targets='{premise}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (COPA,)
