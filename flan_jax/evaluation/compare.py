"""How far one set of answers is above another on the same questions, when the ways of asking differ.

`change` compares two models on the same tasks. Here one side may have asked a question under ten templates and the
other under one (a model that was never given instructions): each side is first averaged over its own templates, and a
question is drawn anew with the answers of both sides, the rows of a group together.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from flan_jax.evaluation import credits, statistics
from flan_jax.evaluation.credits import Table
from flan_jax.evaluation.statistics import Estimate

Credits = Mapping[str, float]
Columns = Sequence[Credits]  # the credit of each row, for each template of a dataset


def difference(
  pairs: Sequence[tuple[Columns, Columns]], seed: int = 0, groups: Mapping[str, str] = MappingProxyType({})
) -> Estimate | None:
  """Returns how many points the first sides are above the second ones: unweighted mean over datasets.

  Args:
    pairs: both sides of each dataset, a mapping from row to credit for each template; only rows of both sides count.
    seed: of the bootstrap.
    groups: of rows by id; rows that are not named have none.

  Returns:
    The difference, its interval and the number of questions; None where a dataset has no row with credits on both
    sides, as where a metric judges a whole corpus.
  """
  return _macro_average([_side_by_side(*pair, groups) for pair in pairs], seed)


def mean(
  datasets: Sequence[Columns], seed: int = 0, groups: Mapping[str, str] = MappingProxyType({})
) -> Estimate | None:
  """Returns the unweighted mean over datasets of one side, in percent; groups and None as in `difference`."""
  return _macro_average([_scaled(credits.side_by_side(columns, groups), 100.0) for columns in datasets], seed)


def _macro_average(tables: Sequence[Table], seed: int) -> Estimate | None:
  if not tables or not all(table.complete for table in tables):
    return None
  return statistics.macro_average([table.values for table in tables], units=[table.units for table in tables],
                                  seed=seed)  # fmt: skip


def _scaled(table: Table, factors: float | Float[np.ndarray, 'columns']) -> Table:
  return table._replace(values=table.values * factors)


def _side_by_side(first: Columns, second: Columns, groups: Mapping[str, str]) -> Table:
  """Returns a table whose mean of column means is the mean over the first side's less that over the second's."""
  if not first or not second:
    return Table(np.empty((0, 0)), np.empty(0, np.int64))
  shared = {row for column in first for row in column} & {row for column in second for row in column}
  sides = [[{row: credit for row, credit in column.items() if row in shared} for column in side]
           for side in (first, second)]  # fmt: skip
  count = len(first) + len(second)
  factors = np.repeat([100.0 * count / len(first), -100.0 * count / len(second)], [len(first), len(second)])
  return _scaled(credits.side_by_side([*sides[0], *sides[1]], groups), factors)
