"""Bootstrap intervals over rows, for means, paired differences, averages over templates, over datasets and over runs.

Most statistics here are a mean of column means over a matrix [units, columns]: a unit is what is drawn anew (a
question, with everything that was asked about it), a column is one way of asking (a template, or one half of a pair).
Resampling units rather than cells keeps the answers to the same question together, as a paired analysis must (Efron &
Tibshirani 1993, chapters 8 and 13). Others, such as F1 or a correlation, are functions of sums over units (`Sums`).
Intervals are percentile intervals, and the same seed gives the same interval.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

SAMPLES = 2000
LEVEL = 0.95
_CELLS_AT_ONCE = 4_000_000  # bounds the memory of the resampling weights


class Estimate(NamedTuple):
  """A number with its bootstrap interval.

  Attributes:
    value: the estimate itself, from all units.
    low: lower end of the interval; None for a statistic of which none is drawn (BLEU).
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
  groups: Sequence[Float[np.ndarray, 'rows columns']],
  *,
  units: Sequence[Int[np.ndarray, 'rows']] | None = None,
  samples: int = SAMPLES,
  seed: int = 0,
  level: float = LEVEL,
) -> Estimate:
  """Returns the unweighted mean over groups (datasets) of `mean_of_columns`, each group drawn anew on its own.

  Args:
    groups: a matrix for each dataset, as in `mean_of_columns`.
    units: for each dataset the number of the unit that each row belongs to; rows of a unit are drawn together. None
      draws every row on its own.
    samples: how many resamples.
    seed: of the resampling.
    level: coverage of the interval.

  Returns:
    The estimate; n counts the rows of all groups.
  """
  return over_runs([groups], units=units, samples=samples, seed=seed, level=level)


def over_runs(
  runs: Sequence[Sequence[Float[np.ndarray, 'rows columns']]],
  *,
  units: Sequence[Int[np.ndarray, 'rows']] | None = None,
  samples: int = SAMPLES,
  seed: int = 0,
  level: float = LEVEL,
) -> Estimate:
  """Returns the mean over runs of `macro_average`, with an interval that draws runs and questions anew.

  Questions and runs are crossed: a resample draws units of each dataset, the same for all runs, and runs, the same for
  all datasets, both with replacement. Of k runs drawn so, the spread between runs comes out too small by the factor
  (k - 1) / k of its variance, as with any bootstrap of few; one run has none.

  Args:
    runs: for each run the datasets' matrices, of the same rows in the same order.
    units: as in `macro_average`.
    samples: how many resamples.
    seed: of the resampling.
    level: coverage of the interval.

  Returns:
    The estimate; n counts the rows of all datasets.
  """
  if not runs or not runs[0]:
    raise ValueError('an average over no groups is not a number')
  tables = [[_checked(group) for group in groups] for groups in runs]
  shapes = [[table.shape for table in groups] for groups in tables]
  if any(shape != shapes[0] for shape in shapes):
    raise ValueError(f'runs must have tables of the same shapes, got {shapes}')
  together = [None] * len(tables[0]) if units is None else units
  value = float(np.mean([np.nanmean(table, axis=0).mean() for groups in tables for table in groups]))
  draws = np.stack([
    np.mean([_resample(table, samples, [seed, index], together[index]) for index, table in enumerate(groups)], axis=0)
    for groups in tables
  ])  # fmt: skip
  drawn = np.random.default_rng([seed, len(tables[0])]).integers(len(runs), size=(len(runs), samples))
  averages = np.take_along_axis(draws, drawn, axis=0).mean(axis=0)
  return Estimate(value, *_ends(averages, level), sum(len(table) for table in tables[0]))


@dataclasses.dataclass(frozen=True)
class Sums:
  """A statistic that is a function of sums over units, whatever it is: F1 of counts, a correlation of moments.

  Attributes:
    units: what each unit adds, [units, features], dense or sparse.
    function: from sums [samples, features] to values [samples].
    n: how many rows the statistic rests on.
  """

  units: Any
  function: Callable[[Float[np.ndarray, 'samples features']], Float[np.ndarray, 'samples']]
  n: int

  @property
  def value(self) -> float:
    """The statistic of all units."""
    return float(self.function(np.asarray(self.units.sum(axis=0), np.float64).reshape(1, -1))[0])

  def estimate(self, *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL) -> Estimate:
    """Returns the value with its interval, whole units drawn anew: the same ones as by `mean` for the same seed."""
    rng = np.random.default_rng([seed, 0])
    sizes = _chunks(samples, self.units.shape[0])
    draws = [self.function(_draw_weights(rng, size, self.units.shape[0]) @ self.units) for size in sizes]
    return Estimate(self.value, *_ends(np.concatenate(draws), level), self.n)


def align(columns: Sequence[Mapping[str, float]]) -> Float[np.ndarray, 'units columns']:
  """Puts the values of named units side by side: one row per unit in any column, NaN where a column lacks it."""
  units = list(dict.fromkeys(unit for column in columns for unit in column))
  cells = [[column.get(unit, np.nan) for column in columns] for unit in units]
  return np.array(cells, np.float64).reshape(len(units), len(columns))


def membership(unit: Int[np.ndarray, 'rows']) -> scipy.sparse.csr_array:
  """Returns the matrix [units, rows] that sums rows by their units, which are numbered from 0."""
  rows = np.arange(len(unit))
  return scipy.sparse.csr_array((np.ones(len(unit)), (unit, rows)), shape=(int(unit.max()) + 1, len(unit)))


def numbered(names: Sequence[Any]) -> Int[np.ndarray, 'rows']:
  """Returns the number of each name, counted in the order in which names first occur."""
  numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
  return np.array([numbers[name] for name in names], np.int64)


def _checked(values: Float[np.ndarray, 'units columns']) -> Float[np.ndarray, 'units columns']:
  table = np.asarray(values, np.float64)
  if table.ndim != 2 or not table.size:
    raise ValueError(f'expected a non-empty [units, columns] matrix, got shape {table.shape}')
  if np.isnan(table).all(axis=0).any():
    raise ValueError('a column has no value at all, so that it has no mean')
  return table


def _resample(
  table: np.ndarray, samples: int, seed: Sequence[int], unit: Int[np.ndarray, 'rows'] | None = None
) -> Float[np.ndarray, 'samples']:
  """Returns the mean of column means in each resample; where a resample misses a column, the column is left out."""
  rng = np.random.default_rng(seed)
  present = ~np.isnan(table)
  stacked = np.concatenate([np.where(present, table, 0.0), present], axis=1)
  if unit is not None:
    stacked = membership(unit) @ stacked
  means = []
  for size in _chunks(samples, len(stacked)):
    totals = _draw_weights(rng, size, len(stacked)) @ stacked
    sums, counts = np.split(totals, 2, axis=1)
    drawn = counts > 0
    columns = np.divide(sums, counts, out=np.zeros_like(sums), where=drawn)
    means.append(columns.sum(axis=1) / np.maximum(drawn.sum(axis=1), 1))
  return np.concatenate(means)


def _chunks(samples: int, units: int) -> list[int]:
  """Returns how many resamples to draw at once, so that their weights have room."""
  chunk = max(1, _CELLS_AT_ONCE // units)
  return [min(chunk, samples - start) for start in range(0, samples, chunk)]


def _ends(draws: Float[np.ndarray, 'samples'], level: float) -> tuple[float, float]:
  low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
  return float(low), float(high)


def _draw_weights(rng: np.random.Generator, samples: int, units: int) -> Float[np.ndarray, 'samples units']:
  """Returns how often each unit occurs in each resample of `units` draws with replacement."""
  draws = rng.integers(units, size=(samples, units)) + units * np.arange(samples)[:, None]
  return np.bincount(draws.ravel(), minlength=samples * units).reshape(samples, units).astype(np.float64)
