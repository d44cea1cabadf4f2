"""The credits of answered rows side by side, with the groups that they are drawn in."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from flan_jax.evaluation import statistics
from flan_jax.evaluation.results import TemplateResult


class Table(NamedTuple):
  """Numbers of rows under several templates.

  Attributes:
    values: one row for each row that some template asked about, NaN where one did not.
    units: which rows are drawn together: the number of each row's group, or of the row itself where it has none.
  """

  values: Float[np.ndarray, 'rows templates']
  units: Int[np.ndarray, 'rows']

  @property
  def complete(self) -> bool:
    """Whether every template has some row; False where a metric is no mean over rows, or predictions are not read."""
    return self.values.size > 0 and not bool(np.isnan(self.values).all(axis=0).any())


def by_row(result: TemplateResult) -> dict[str, float]:
  """Returns the credit of each row that was judged, by its id."""
  return {
    prediction.row_id: prediction.credit for prediction in result.predictions if prediction.credit is not None
  }


def table(results: Sequence[TemplateResult]) -> Table:
  """Puts the credits of a dataset's templates side by side."""
  return aligned([by_row(result) for result in results], results)


def aligned(columns: Sequence[Mapping[str, float]], results: Sequence[TemplateResult]) -> Table:
  """Puts numbers by row id side by side.

  Args:
    columns: one mapping for each template.
    results: where the rows' groups are to be found.
  """
  groups = {prediction.row_id: prediction.group for result in results for prediction in result.predictions}
  return side_by_side(columns, groups)


def side_by_side(columns: Sequence[Mapping[str, float]], groups: Mapping[str, str]) -> Table:
  """Puts numbers by row id side by side.

  Args:
    columns: one mapping for each template.
    groups: of rows by id; '' and rows that are not named have none.
  """
  rows = dict.fromkeys(row for column in columns for row in column)
  # A row without a group is one of its own: the pair keeps its id apart from the groups' names.
  units = statistics.numbered([('group', groups[row]) if groups.get(row) else ('row', row) for row in rows])
  return Table(statistics.align(columns), units)
