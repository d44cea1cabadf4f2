"""Closed-book question answering: what a model knows by itself. ARC-Easy, school science (Clark et al. 2018)."""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, OPTIONS, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tasks.flan2021.clusters import CLOSED_BOOK_QA

_CHOICES = 4


def _question_and_choices(row: Row) -> Fields:
  # Choices are looked up by their letter: nothing promises that the key is a choice's position.
  return {
    'question': row['question'],
    OPTIONS: row['choices']['text'],
    LABEL: tf.argmax(tf.equal(row['choices']['label'], row['answerKey'])),
  }


def _has_four_choices_and_its_key(row: Row) -> tf.Tensor:
  letters = row['choices']['label']
  return tf.logical_and(tf.equal(tf.size(letters), _CHOICES), tf.reduce_any(tf.equal(letters, row['answerKey'])))


ARC_EASY = Dataset(
  name='arc_easy',
  cluster=CLOSED_BOOK_QA,
  source='ai2_arc/ARC-Easy:1.0.0',
  fields=_question_and_choices,
  keep=_has_four_choices_and_its_key,
  splits=Splits(test='test'),
  templates=(
    Template('{question}\n\n{options}'),
    Template(
      'Answer this question from a science test.\n\nQuestion: {question}\n{options}\nAnswer:', option_style='letters'
    ),
    Template(
      'A pupil in primary school asks for help with homework. Which of the answers should they tick?\n\n'
      '{question}\n\n{options}',
    ),
    Template('Possible answers come first, then the question.\n\n{options}\n\n{question}'),
    Template(
      'Complete the sentence or answer the question correctly, using what you know about nature and '
      'technology: {question}\n\n{options}',
      option_style='numbers',
    ),
    Template('Quiz time! "{question}" Four suggestions, one of them right:\n{options}\nThe right one is'),
    Template('{question}\nThink of what you learned in science class and reply in a few words.'),
    Template('You have no books at hand. {question}'),
    Template(
      'Set a multiple-choice question on elementary science. The correct choice must be "{answer}", and these are '
      'all the choices:\n\n{options}',
      targets='{question}',
    ),
    Template('To which question would a science teacher expect the answer "{answer}"?', targets='{question}'),
  ),
)

DATASETS: tuple[Dataset, ...] = (ARC_EASY,)
