"""Word sense disambiguation: is a word used in one sense or in two? WiC (Pilehvar and Camacho-Collados 2019)."""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.template import Template
from tasks.flan2021.clusters import WORD_DISAMBIGUATION


def _word_and_sentences(row: Row) -> Fields:
  return {
    'word': row['word'],
    'first': tf.strings.strip(row['sentence1']),
    'second': tf.strings.strip(row['sentence2']),
    LABEL: row['label'],
  }


WIC = Dataset(
  name='wic',
  cluster=WORD_DISAMBIGUATION,
  source='super_glue/wic:1.0.2',
  fields=_word_and_sentences,
  options=('different meanings', 'the same meaning'),
  templates=(
    Template('{first}\n{second}\n\nCompare the two uses of "{word}". Which is it?\n\n{options}'),
    Template(
      'The maker of a dictionary files examples of "{word}" under numbered senses. Two examples that go under one '
      'number have the same meaning, and two that need a number each have different meanings.\n\n'
      'Example: {first}\nExample: {second}\n\n{options}',
      option_style='letters',
    ),
    Template(
      '{options}\n\nWhat do you find when you look at "{word}" in the following sentences?\n\n1. {first}\n2. {second}'
    ),
    Template('Vocabulary quiz\n\nWord: {word}\nHere: {first}\nThere: {second}\n\n{options}\n\nSolution:'),
    Template(
      'An interpreter wonders if "{word}" has to be rendered in one way or in two.\n\n'
      'In the morning she hears: {first}\nIn the evening she hears: {second}\n\nWhat can you tell her about the word?\n'
      '{options}',
      option_style='numbers',
    ),
    Template(
      'First "{first}" and then "{second}" - so what about "{word}"? {options}',
      option_style='inline',
    ),
    Template(
      'Many words are ambiguous. You have just come across a form of "{word}" in this line:\n\n{first}\n\n'
      'Now read on:\n\n{second}\n\nDid you have to think of something else the second time?\n\n{options}'
    ),
    Template(
      'A: {first}\nB: {second}\n\nReply with "the same meaning" or "different meanings", whichever is true of "{word}" '
      'in A and B.'
    ),
    Template(
      'Here is a sentence with the word "{word}": {first}\n\nWrite another one, such that the two sentences give it '
      '{answer}.',
      targets='{second}',
    ),
    Template(
      '{second}\n\nThis needs a companion for a lesson on word senses. Both should contain "{word}", with {answer}.',
      targets='{first}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (WIC,)
