"""Metrics by name, for our evaluation and as SeqIO `metric_fns`.

A metric compares the answers to rows with their references (a text, or several of which any may match). It gives
percentages by name; only `edit_distance` counts characters, and there less is better. What the metrics are is told in
`text_metrics` and `label_metrics`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from flan_jax.errors import UserError, did_you_mean
from flan_jax.evaluation import label_metrics, statistics, text_metrics
from flan_jax.evaluation.answers import Answers, References
from flan_jax.evaluation.statistics import Estimate, Sums
from flan_jax.evaluation.text_metrics import Rows

LESS_IS_BETTER = frozenset({'edit_distance'})


class MetricFn(Protocol):
  """A metric in SeqIO's form; `functools.partial` gives it the groups or classes that it needs."""

  def __call__(
    self,
    targets: Sequence[References],
    predictions: Sequence[str],
    groups: Sequence[str] = (),
    classes: Sequence[str] = (),
  ) -> dict[str, float]:
    """Returns percentages by name (`edit_distance`: characters)."""
    ...


class Measured(NamedTuple):
  """What a metric gives.

  Attributes:
    estimates: percentages by name (`edit_distance`: characters); BLEU has no interval.
    rows: the values (0 to 1) of each row by name where the metric is their mean, NaN for a row that does not count;
      None for metrics of a whole corpus.
  """

  estimates: dict[str, Estimate]
  rows: Rows | None = None


def get(name: str) -> MetricFn:
  """Returns a metric by name, or suggests the names nearest to it."""
  check([name])

  def metric(
    targets: Sequence[References],
    predictions: Sequence[str],
    groups: Sequence[str] = (),
    classes: Sequence[str] = (),
  ) -> dict[str, float]:
    return _values(name, Answers(targets, predictions, groups, classes))

  metric.__name__ = name
  return metric


def names() -> list[str]:
  """Returns all metric names, sorted."""
  return sorted({*_ROWWISE, *_SUMS, *_CORPUS})


def check(
  metrics: Sequence[str], groups: Sequence[str] | None = None, classes: Sequence[str] | None = None
) -> None:
  """Checks that metrics can be computed, before anything is answered.

  Args:
    metrics: their names.
    groups: as in `Answers`; None does not look at them.
    classes: likewise.

  Raises:
    UserError: for a name that is none, for a metric that goes by question where rows do not say theirs, and for one of
      two classes where rows do not share two options.
  """
  for name in metrics:
    if name not in names():
      raise UserError(f'There is no metric {name!r}. {did_you_mean(name, names())}')
    if name in _BY_QUESTION and groups is not None and not groups:
      raise UserError(f'Metric {name!r} goes by question, and the rows do not say which question each belongs to; '
                      'declare group=... in their Dataset.')
    if name in _OF_TWO_CLASSES and classes is not None:
      label_metrics.two_classes(classes, name)


def measure(name: str, answers: Answers, seed: int = 0) -> Measured:
  """Computes a metric with bootstrap intervals, rows drawn anew, those of one group together.

  Args:
    name: of the metric.
    answers: what it is computed from.
    seed: of the bootstrap.

  Raises:
    UserError: as `check`.
  """
  check([name], answers.groups, answers.classes)
  if name in _CORPUS:
    rows = len(answers.predictions)
    return Measured({key: Estimate(value, None, None, rows) for key, value in _CORPUS[name](answers).items()})
  if name in _SUMS:
    return Measured({key: sums.estimate(seed=seed) for key, sums in _SUMS[name](answers).items()})
  by_row = _ROWWISE[name](answers)
  return Measured({key: mean(values, answers).estimate(seed=seed) for key, values in by_row.items()}, by_row)


def mean(values: Float[np.ndarray, 'rows'], answers: Answers, scale: float = 100.0) -> Sums:
  """Returns the mean of the values of rows, those of one group drawn together; rows with NaN do not count.

  Args:
    values: one for each row.
    answers: the rows.
    scale: what the mean is multiplied with.
  """
  units = statistics.numbered(answers.groups) if answers.groups else None
  return label_metrics.mean(values, int(np.count_nonzero(~np.isnan(values))), scale, units)


def _values(name: str, answers: Answers) -> dict[str, float]:
  """Computes a metric without intervals."""
  check([name], answers.groups, answers.classes)
  if name in _CORPUS:
    return _CORPUS[name](answers)
  if name in _SUMS:
    return {key: sums.value for key, sums in _SUMS[name](answers).items()}
  return {key: mean(values, answers).value for key, values in _ROWWISE[name](answers).items()}


def _edit_distance(answers: Answers) -> dict[str, Sums]:
  """Mean distance to the nearest reference; the values of rows are 0 to 1, so for those there is `edit_similarity`."""
  return {'edit_distance': mean(text_metrics.edits(answers), answers, scale=1.0)}


_ROWWISE: Mapping[str, Callable[[Answers], Rows]] = {
  'accuracy': text_metrics.accuracy,
  'edit_similarity': text_metrics.edit_similarity,
  'exact_match': text_metrics.exact_match,
  'f1': text_metrics.words_f1,
  'final_number': text_metrics.final_number,
  'record': text_metrics.record,
  'rouge': text_metrics.rouge,
  'sequence_accuracy': text_metrics.sequence_accuracy,
  'squad': text_metrics.squad,
  'stated_answer': text_metrics.stated_answer,
  'trivia_qa': text_metrics.trivia_qa,
}
_SUMS: Mapping[str, Callable[[Answers], dict[str, Sums]]] = {
  'binary_f1': label_metrics.binary_f1,
  'edit_distance': _edit_distance,
  'macro_f1': label_metrics.macro_f1,
  'matthews_correlation': label_metrics.matthews_correlation,
  'multirc': label_metrics.multirc,
  'pearson_corrcoef': label_metrics.pearson_corrcoef,
  'spearman_corrcoef': label_metrics.spearman_corrcoef,
}
_CORPUS: Mapping[str, Callable[[Answers], dict[str, float]]] = {'bleu': text_metrics.bleu}
_BY_QUESTION = ('multirc', 'record')
_OF_TWO_CLASSES = ('binary_f1', 'multirc')
