"""Mathematics: linear equations in one unknown, of DeepMind's Mathematics Dataset (Saxton et al. 2019).

The module has another name than its cluster, `math`, because that is the name of one of Python's own.
"""

import tensorflow as tf

from flan_jax.data.dataset import Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import MATH


def _question_and_answer(row: Row) -> Fields:
  return {'question': tf.strings.strip(row['question']), ANSWER: tf.strings.strip(row['answer'])}


MATH_DATASET = Dataset(
  name='math_dataset',
  cluster=MATH,
  source='math_dataset/algebra__linear_1d:1.0.0',
  fields=_question_and_answer,
  splits=Splits(test='test'),
  templates=(
    Template('{question}\n\nGive the value of the unknown.'),
    Template('Problem: {question}\nSolution:'),
    Template('Do the algebra in your head and reply with nothing but a number. {question}'),
    Template('A pupil is stuck on this piece of homework:\n\n"{question}"\n\nWhich result should she arrive at?'),
    Template('Here is a linear equation in one variable. {question}\n\nThe variable equals'),
    Template('Mathematics paper, part A. No working needs to be shown, results only.\n\nTask 1. {question}\n\nResult:'),
    Template('Act as a pocket calculator that understands equations.\nInput: {question}\nDisplay:'),
    Template('{question} In other words, what must the letter stand for so that both sides come out the same?'),
    Template(
      'Set an exercise in school algebra: an equation with a single unknown, to be solved for it. Its solution has to '
      'be {answer}.',
      targets='{question}',
    ),
    Template(
      'A teacher has lost the questions of a test but not the answer key. For the equation that was to be solved, the '
      'key says "{answer}". What may the question have been?',
      targets='{question}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (MATH_DATASET,)
