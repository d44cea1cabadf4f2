"""Linear equations: the answers solve them."""

import re
from fractions import Fraction

import pytest
import tensorflow_datasets as tfds

from flan_jax.data.splits import resolve
from tasks.flan2021.arithmetic import MATH_DATASET
from tasks.flan2021.clusters import MATH

EQUATION = re.compile(r'Solve (?P<left>.+) = (?P<right>.+) for (?P<letter>[a-z])\.')
TERM = re.compile(r'(?P<sign>[+-]?)(?P<number>\d*)\*?(?P<letter>[a-z]?)')


def _value(side: str, letter: str, number: Fraction) -> Fraction:
  """Adds up terms such as 24*y, -y and 5031."""
  terms = [match for match in TERM.finditer(side.replace(' ', '')) if match[0]]
  assert ''.join(match[0] for match in terms) == side.replace(' ', '')
  assert {match['letter'] for match in terms} <= {letter, ''}
  return sum(
    (
      Fraction(match['sign'] + '1') * Fraction(match['number'] or 1) * (number if match['letter'] else 1)
      for match in terms
    ),
    Fraction(0),
  )


@pytest.mark.parametrize('split', ['train', 'test'])
def test_answers_solve_their_equations(split, real_data):
  rows = tfds.builder(MATH_DATASET.source, data_dir=str(real_data / 'tfds_tiny')).as_dataset(split=split)
  examples = list(rows.map(MATH_DATASET.example).as_numpy_iterator())
  assert len(examples) == 6
  for example in examples:
    equation = EQUATION.fullmatch(example['question'].decode())
    left, right = (
      _value(equation[side], equation['letter'], Fraction(example['answer'].decode())) for side in ('left', 'right')
    )
    assert left == right


def test_roles_are_those_of_flan_and_the_cluster_is_not_the_name_of_the_module():
  ranges = resolve(MATH_DATASET.splits, {'train': 1_999_998, 'test': 10_000}, MATH_DATASET.name)
  assert {role: str(rows) for role, rows in ranges.items()} == {
    'train': 'train[0:30000]',
    'validation': 'train[1999798:1999998]',
    'test': 'test[0:10000]',
  }
  assert MATH_DATASET.cluster == MATH
