"""How far one set of answers is above another on the same questions, when the ways of asking differ.

`change` compares two models on the same tasks. Here one side may have asked a question under ten templates and the
other under one (a model that was never given instructions): each side is first averaged over its own templates, and a
question is drawn anew with the answers of both sides.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from flan_jax.evaluation import statistics
from flan_jax.evaluation.statistics import Estimate

Credits = Mapping[str, float]
Columns = Sequence[Credits]  # the credit of each row, for each template of a dataset


def difference(pairs: Sequence[tuple[Columns, Columns]], seed: int = 0) -> Estimate | None:
  """Returns how many points the first sides are above the second ones: unweighted mean over datasets.

  Args:
    pairs: both sides of each dataset, a mapping from row to credit for each template; only rows of both sides count.
    seed: of the bootstrap.

  Returns:
    The difference, its interval and the number of questions; None where a dataset has no row with credits on both
    sides, as where a metric judges a whole corpus.
  """
  return _macro_average([_side_by_side(*pair) for pair in pairs], seed)


def mean(datasets: Sequence[Columns], seed: int = 0) -> Estimate | None:
  """Returns the unweighted mean over datasets of one side, in percent; None as in `difference`."""
  return _macro_average([100.0 * statistics.align(columns) for columns in datasets], seed)


def _macro_average(tables: Sequence[Float[np.ndarray, 'rows columns']], seed: int) -> Estimate | None:
  if not tables or not all(table.size and not np.isnan(table).all(axis=0).any() for table in tables):
    return None
  return statistics.macro_average(tables, seed=seed)


def _side_by_side(first: Columns, second: Columns) -> Float[np.ndarray, 'rows columns']:
  """Returns a table whose mean of column means is the mean over the first side's less that over the second's."""
  if not first or not second:
    return np.empty((0, 0))
  shared = {row for column in first for row in column} & {row for column in second for row in column}
  sides = [[{row: credit for row, credit in column.items() if row in shared} for column in side]
           for side in (first, second)]  # fmt: skip
  table = 100.0 * statistics.align([*sides[0], *sides[1]])
  count = len(first) + len(second)
  return table * np.repeat([count / len(first), -count / len(second)], [len(first), len(second)])
