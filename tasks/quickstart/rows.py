"""How the suite's datasets are declared over the rows of its TFDS builder."""

import tensorflow as tf

from flan_jax.data.dataset import Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import ANSWER, OPTIONS, Template

NAME = 'flan_quickstart'  # of the TFDS builder
VERSION = '1.0.0'
OPPOSITE = '_opposite'

SPLITS = Splits(train='train[:-40]', validation='train[-40:]', test='test')


def declare(config: str, cluster: str, templates: tuple[Template, ...], opposite: bool = False) -> Dataset:
  """Declares a dataset over one config of the builder.

  Args:
    config: the builder's config, and the stem of the dataset's name.
    cluster: its cluster.
    templates: its instructions.
    opposite: they ask the opposite, so that the right answer is the other one of the row's two options. The rows are
      the same: the two datasets are a pair that no model passes which ignores the instruction.

  Returns:
    The declaration, named `quickstart_<config>` (and `_opposite`).
  """
  return Dataset(
    name=f'quickstart_{config}{OPPOSITE if opposite else ""}',
    cluster=cluster,
    source=f'{NAME}/{config}:{VERSION}',
    fields=_other_answer if opposite else dict,
    templates=templates,
    splits=SPLITS,
  )


def _other_answer(row: Row) -> Fields:
  """Makes the option that was wrong the answer."""
  others = tf.boolean_mask(row[OPTIONS], row[OPTIONS] != row[ANSWER])
  return {**row, ANSWER: others[0]}
