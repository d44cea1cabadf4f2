"""Metrics of labels and numbers over a whole corpus: F1 of classes, Matthews and rank correlations, MultiRC's.

All depend only on how often each pair of a reference and an answer occurs, and are written as functions of these counts
for many resamples at once, so that their bootstrap intervals cost little: scikit-learn and scipy, which the tests hold
them to, compute one at a time. A row has one right label; of several references the first is taken.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float

from flan_jax.errors import UserError
from flan_jax.evaluation import statistics
from flan_jax.evaluation.answers import Answers
from flan_jax.evaluation.statistics import Sums

NO_NUMBER = -1.0  # what T5 takes a text for that is no number; STS-B's scores go from 0 to 5

Counts = Float[np.ndarray, 'samples pairs']


class Pairs(NamedTuple):
  """How often each unit has each pair of a reference and an answer.

  Attributes:
    expected: the reference of each pair.
    given: its answer.
    units: counts [units, pairs]: a unit is a group of rows, or a row.
    rows: how many rows there are.
  """

  expected: np.ndarray
  given: np.ndarray
  units: Any
  rows: int


def macro_f1(answers: Answers) -> dict[str, Sums]:
  """Unweighted mean of F1 over the classes, those of the targets where rows share no options.

  A text that is no class is wrong for its own row's class. A class that neither targets nor answers have counts as 0,
  as in scikit-learn and T5.
  """
  pairs = _pairs(answers)
  classes = [name.strip() for name in answers.classes] or sorted(set(pairs.expected))
  right, called, found = ((pairs.expected == pairs.given) & _is(pairs.given, classes), _is(pairs.expected, classes),
                          _is(pairs.given, classes))  # fmt: skip

  def mean_f1(counts: Counts) -> Float[np.ndarray, 'samples']:
    return 100.0 * _f1(counts @ right.T, counts @ called.T, counts @ found.T).mean(axis=1)

  return {'macro_f1': _sums(pairs, mean_f1)}


def binary_f1(answers: Answers) -> dict[str, Sums]:
  """F1 of the second of two classes; a text that is no class is wrong for its row, so for a negative a false alarm."""
  return {'binary_f1': _positive_f1(answers, 'binary_f1')}


def multirc(answers: Answers) -> dict[str, Sums]:
  """F1 over all answers (F1a), and the share of questions of which all answers are judged right (Khashabi et al. 2018).

  Each row asks about one answer, its group is the question, and the second of its two options says that it is right.
  TFDS has the rows shuffled: of part of them, few questions have all their answers, and the share comes out too high.
  """
  f1 = _positive_f1(answers, 'multirc')
  right = np.array([label == text.strip() for label, text in zip(answers.labels, answers.predictions, strict=True)])
  members = statistics.membership(statistics.numbered(answers.groups))
  complete = (members @ ~right) == 0
  return {'f1a': f1, 'em': mean(complete, len(complete), 100.0)}


def matthews_correlation(answers: Answers) -> dict[str, Sums]:
  """The correlation of any number of classes (Gorodkin 2004), undefined where a side is constant, and taken as 0."""
  pairs = _pairs(answers)
  classes = statistics.membership(statistics.numbered([*pairs.expected, *pairs.given]))
  expected, given = classes[:, : len(pairs.expected)], classes[:, len(pairs.expected) :]
  right = (pairs.expected == pairs.given).astype(float)

  def matthews(counts: Counts) -> Float[np.ndarray, 'samples']:
    true, called, total = counts @ expected.T, counts @ given.T, counts.sum(axis=1)
    covariance = (counts @ right) * total - (true * called).sum(axis=1)
    spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (called**2).sum(axis=1))
    return 100.0 * _ratio(covariance, np.sqrt(spread))

  return {'matthews_correlation': _sums(pairs, matthews)}


def pearson_corrcoef(answers: Answers) -> dict[str, Sums]:
  """Pearson's correlation of numbers, and the percentage of answers that are none: these enter as -1, as in T5.

  Where a side is constant the correlation is undefined, and taken as 0.
  """
  return _correlation(answers, 'pearson_corrcoef', lambda values, _: values)


def spearman_corrcoef(answers: Answers) -> dict[str, Sums]:
  """Spearman's correlation of ranks, equal numbers sharing their mean rank; else as `pearson_corrcoef`."""
  return _correlation(answers, 'spearman_corrcoef', _ranks)


def mean(values: np.ndarray, rows: int, scale: float, units: np.ndarray | None = None) -> Sums:
  """Returns the mean of values as sums; those that are NaN do not count.

  Args:
    values: one for each row, or for each unit.
    rows: how many rows it rests on.
    scale: what the mean is multiplied with, such as 100 for percent.
    units: the number of the unit of each value; None where each is one.
  """
  counted = ~np.isnan(np.asarray(values, np.float64))
  sums = np.stack([np.where(counted, values, 0.0), counted.astype(np.float64)], axis=1)
  if units is not None:
    sums = statistics.membership(units) @ sums
  return Sums(sums, lambda totals: scale * _ratio(totals[:, 0], totals[:, 1]), rows)


def _positive_f1(answers: Answers, name: str) -> Sums:
  negative, positive = two_classes(answers.classes, name)
  pairs = _pairs(answers)
  strange = sorted({*pairs.expected} - {negative, positive})
  if strange:
    raise UserError(f'Metric {name!r} is of {negative!r} and {positive!r}, and a row expects {strange[0]!r}.')
  true = pairs.expected == positive
  called = np.where(true, pairs.given == positive, pairs.given != negative)

  def f1(counts: Counts) -> Float[np.ndarray, 'samples']:
    return 100.0 * _f1(counts @ (true & called), counts @ true, counts @ called)

  return _sums(pairs, f1)


def two_classes(classes: Sequence[str], name: str) -> tuple[str, str]:
  """Returns the two classes of a metric that needs so many, the negative one first.

  Raises:
    UserError: where there are not two.
  """
  if len(classes) != 2:
    told = ', '.join(map(repr, classes)) or 'none'
    raise UserError(f'Metric {name!r} needs two options that all rows share, the second of them the positive class; '
                    f'the options that these rows share: {told}.')
  return classes[0].strip(), classes[1].strip()


def _correlation(
  answers: Answers, name: str, transform: Callable[[Float[np.ndarray, 'pairs'], Counts], np.ndarray]
) -> dict[str, Sums]:
  labels, texts = answers.labels, [text.strip() for text in answers.predictions]
  for label in labels:
    if _number(label) is None:
      raise UserError(f'Metric {name!r} compares numbers, and a row expects {label!r}.')
  numbers = [_number(text) for text in texts]
  pairs = _pairs_of([_number(label) for label in labels], [NO_NUMBER if n is None else n for n in numbers], answers)
  sides = [side.astype(np.float64) for side in (pairs.expected, pairs.given)]
  values = [statistics.membership(statistics.numbered(list(side))) for side in sides]

  def correlation(counts: Counts) -> Float[np.ndarray, 'samples']:
    total = counts.sum(axis=1, keepdims=True)
    ours, theirs = (transform(side, counts) for side in sides)
    ours, theirs = (side - (counts * side).sum(axis=1, keepdims=True) / total for side in (ours, theirs))
    covariance, *variances = ((counts * a * b).sum(axis=1) for a, b in ((ours, theirs), (ours, ours), (theirs, theirs)))
    varied = np.all([((counts @ value.T) > 0).sum(axis=1) > 1 for value in values], axis=0)
    return 100.0 * np.where(varied, _ratio(covariance, np.sqrt(variances[0] * variances[1])), 0.0)

  missing = mean(np.array([n is None for n in numbers]), len(numbers), 100.0, _units(answers))
  return {name: _sums(pairs, correlation), 'no_number': missing}


def _ranks(values: Float[np.ndarray, 'pairs'], counts: Counts) -> Float[np.ndarray, 'samples pairs']:
  """Returns the rank of each pair's value in each resample, the mean one among equals."""
  _, place = np.unique(values, return_inverse=True)
  occurs = counts @ statistics.membership(place).T
  return (np.cumsum(occurs, axis=1) - occurs / 2)[:, place]


def _number(text: str) -> float | None:
  try:
    value = float(text)
  except ValueError:
    return None
  return value if math.isfinite(value) else None


def _pairs(answers: Answers) -> Pairs:
  return _pairs_of(answers.labels, [text.strip() for text in answers.predictions], answers)


def _pairs_of(expected: Sequence[Any], given: Sequence[Any], answers: Answers) -> Pairs:
  numbers = {pair: number for number, pair in enumerate(dict.fromkeys(zip(expected, given, strict=True)))}
  columns = [numbers[pair] for pair in zip(expected, given, strict=True)]
  units = _units(answers)
  rows = np.arange(len(columns)) if units is None else units
  counts = scipy.sparse.coo_array((np.ones(len(columns)), (rows, columns)), shape=(int(rows.max()) + 1, len(numbers)))
  ours, theirs = (np.array([pair[side] for pair in numbers], object) for side in (0, 1))
  return Pairs(ours, theirs, counts.tocsr(), len(columns))


def _units(answers: Answers) -> np.ndarray | None:
  return statistics.numbered(answers.groups) if answers.groups else None


def _sums(pairs: Pairs, function: Callable[[Counts], Float[np.ndarray, 'samples']]) -> Sums:
  return Sums(pairs.units, function, pairs.rows)


def _is(values: np.ndarray, names: Sequence[Any]) -> Bool[np.ndarray, 'names values']:
  return np.array([values == name for name in names], bool)


def _f1(right: np.ndarray, true: np.ndarray, called: np.ndarray) -> np.ndarray:
  return _ratio(2.0 * right, true + called)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
  return np.divide(above, below, out=np.zeros_like(above, np.float64), where=below > 0)
