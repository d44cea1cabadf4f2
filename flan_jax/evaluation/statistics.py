"""Bootstrap intervals over rows, for means, paired differences, averages over templates and over datasets.

Every statistic here is a mean of column means over a matrix [units, columns]: a unit is what is drawn anew (a question,
with everything that was asked about it), a column is one way of asking (a template, or one half of a pair). Resampling
units rather than cells keeps the answers to the same question together, as a paired analysis must (Efron & Tibshirani
1993, chapters 8 and 13). Intervals are percentile intervals, and the same seed gives the same interval.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

SAMPLES = 2000
LEVEL = 0.95
_CELLS_AT_ONCE = 4_000_000  # bounds the memory of the resampling weights


class Estimate(NamedTuple):
  """A number with its bootstrap interval.

  Attributes:
    value: the estimate itself, from all units.
    low: lower end of the interval; None for a statistic that is no mean over units (BLEU).
    high: upper end of the interval; None likewise.
    n: how many units it rests on.
  """

  value: float
  low: float | None
  high: float | None
  n: int

  def __str__(self) -> str:
    if self.low is None or self.high is None:
      return f'{self.value:.1f}'
    return f'{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]'


def mean(
  values: Float[np.ndarray, 'units'], *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL
) -> Estimate:
  """Returns the mean of one value per unit with its interval."""
  return mean_of_columns(np.asarray(values, np.float64)[:, None], samples=samples, seed=seed, level=level)


def paired_difference(
  first: Float[np.ndarray, 'units'],
  second: Float[np.ndarray, 'units'],
  *,
  samples: int = SAMPLES,
  seed: int = 0,
  level: float = LEVEL,
) -> Estimate:
  """Returns the mean of first - second over the same units, units drawn in pairs."""
  first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
  if first.shape != second.shape:
    raise ValueError(f'paired values must have one shape, got {first.shape} and {second.shape}')
  return mean(first - second, samples=samples, seed=seed, level=level)


def mean_of_columns(
  values: Float[np.ndarray, 'units columns'], *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL
) -> Estimate:
  """Returns the mean over columns of the mean over units, whole units drawn anew.

  Args:
    values: one number per unit and column; NaN where a unit lacks a column.
    samples: how many resamples.
    seed: of the resampling.
    level: coverage of the interval.

  Returns:
    The estimate; n counts the units.

  Raises:
    ValueError: without units, or with a column that no unit has.
  """
  return macro_average([values], samples=samples, seed=seed, level=level)


def macro_average(
  groups: Sequence[Float[np.ndarray, 'units columns']],
  *,
  samples: int = SAMPLES,
  seed: int = 0,
  level: float = LEVEL,
) -> Estimate:
  """Returns the unweighted mean over groups (datasets) of `mean_of_columns`, each group drawn anew on its own.

  Args:
    groups: a matrix for each dataset, as in `mean_of_columns`.
    samples: how many resamples.
    seed: of the resampling.
    level: coverage of the interval.

  Returns:
    The estimate; n counts the units of all groups.
  """
  if not groups:
    raise ValueError('an average over no groups is not a number')
  tables = [_checked(group) for group in groups]
  value = float(np.mean([np.nanmean(table, axis=0).mean() for table in tables]))
  draws = np.mean([_resample(table, samples, [seed, index]) for index, table in enumerate(tables)], axis=0)
  low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
  return Estimate(value, float(low), float(high), sum(len(table) for table in tables))


def align(columns: Sequence[Mapping[str, float]]) -> Float[np.ndarray, 'units columns']:
  """Puts the values of named units side by side: one row per unit in any column, NaN where a column lacks it."""
  units = list(dict.fromkeys(unit for column in columns for unit in column))
  cells = [[column.get(unit, np.nan) for column in columns] for unit in units]
  return np.array(cells, np.float64).reshape(len(units), len(columns))


def _checked(values: Float[np.ndarray, 'units columns']) -> Float[np.ndarray, 'units columns']:
  table = np.asarray(values, np.float64)
  if table.ndim != 2 or not table.size:
    raise ValueError(f'expected a non-empty [units, columns] matrix, got shape {table.shape}')
  if np.isnan(table).all(axis=0).any():
    raise ValueError('a column has no value at all, so that it has no mean')
  return table


def _resample(table: np.ndarray, samples: int, seed: Sequence[int]) -> Float[np.ndarray, 'samples']:
  """Returns the mean of column means in each resample; where a resample misses a column, the column is left out."""
  rng = np.random.default_rng(seed)
  units = len(table)
  present = ~np.isnan(table)
  stacked = np.concatenate([np.where(present, table, 0.0), present], axis=1)
  chunk = max(1, _CELLS_AT_ONCE // units)
  means = []
  for start in range(0, samples, chunk):
    totals = _draw_weights(rng, min(chunk, samples - start), units) @ stacked
    sums, counts = np.split(totals, 2, axis=1)
    drawn = counts > 0
    columns = np.divide(sums, counts, out=np.zeros_like(sums), where=drawn)
    means.append(columns.sum(axis=1) / np.maximum(drawn.sum(axis=1), 1))
  return np.concatenate(means)


def _draw_weights(rng: np.random.Generator, samples: int, units: int) -> Float[np.ndarray, 'samples units']:
  """Returns how often each unit occurs in each resample of `units` draws with replacement."""
  draws = rng.integers(units, size=(samples, units)) + units * np.arange(samples)[:, None]
  return np.bincount(draws.ravel(), minlength=samples * units).reshape(samples, units).astype(np.float64)
