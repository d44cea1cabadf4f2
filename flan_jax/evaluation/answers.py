"""What a metric is computed from: the answers to many rows, and what each should have been."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flan_jax.evaluation.predictions import Prediction

if TYPE_CHECKING:  # data imports TensorFlow, which an evaluation over rows at hand does not need
  from flan_jax.data.rows import EvalRow

References = str | Sequence[str]


@dataclasses.dataclass(frozen=True)
class Answers:
  """Answers beside their references, one of each for every row.

  Attributes:
    references: of each row a text, or several of which any may match.
    predictions: what the model answered.
    groups: which rows belong together, a name for each row; empty where every row stands alone.
    classes: the options that all rows share, in their order; empty where they have none or different ones.
  """

  references: Sequence[References]
  predictions: Sequence[str]
  groups: Sequence[str] = ()
  classes: Sequence[str] = ()

  def __post_init__(self) -> None:
    if len(self.references) != len(self.predictions):
      raise ValueError(f'{len(self.references)} targets but {len(self.predictions)} predictions')
    if not self.references:
      raise ValueError('a metric of no rows is not a number')
    if not all(listed(references) for references in self.references):
      raise ValueError('a row has no references')
    if self.groups and len(self.groups) != len(self.predictions):
      raise ValueError(f'{len(self.predictions)} predictions but {len(self.groups)} groups')

  @property
  def labels(self) -> list[str]:
    """The first reference of each row, outer space taken off."""
    return [listed(references)[0].strip() for references in self.references]


def of_rows(rows: 'Sequence[EvalRow] | Sequence[Prediction]', predictions: Sequence[str]) -> Answers:
  """Returns the answers to rows with what is known about these."""
  return Answers([row.references for row in rows], predictions, groups_of(rows), shared_options(rows))


def groups_of(rows: 'Sequence[EvalRow] | Sequence[Prediction]') -> list[str]:
  """Returns the group of each row; empty where rows have none."""
  return [row.group for row in rows] if all(row.group for row in rows) else []


def shared_options(rows: 'Sequence[EvalRow] | Sequence[Prediction]') -> list[str]:
  """Returns the options that all rows have in one order; empty where there are none such."""
  return list(rows[0].options) if all(row.options == rows[0].options for row in rows) else []


def listed(references: References) -> list[str]:
  """Returns references as a list."""
  return [references] if isinstance(references, str) else list(references)
