"""Does the model read the instruction? The same inputs asked plainly and asked the opposite way.

A held-out task can often be guessed from its inputs and options alone: a model trained without any instruction then
does as well as an instruction-tuned one, and plain accuracy shows nothing. Asking the opposite of the same input ("is
it true that ..." and "is it false that ...") turns every answer round. A model that ignores what is asked gives the
same answer twice, so that the mean of both halves is its chance level however well it does on one of them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from flan_jax.errors import UserError
from flan_jax.evaluation import credits, statistics
from flan_jax.evaluation.results import PairedResult, TemplateResult
from flan_jax.evaluation.statistics import Estimate

Half = TemplateResult | Sequence[TemplateResult]


def paired_accuracy(
  plain: Half, opposite: Half, *, samples: int = statistics.SAMPLES, seed: int = 0, level: float = statistics.LEVEL
) -> PairedResult:
  """Returns the mean accuracy over a question and its opposite, with an interval that keeps pairs together.

  Args:
    plain: the plain task under one template, or a list of its templates, whose mean is taken row by row.
    opposite: the opposite task likewise; rows pair by `row_id`.
    samples: how many resamples.
    seed: of the resampling.
    level: coverage of the intervals.

  Returns:
    All accuracies in percent.

  Raises:
    UserError: where no row of one half has a partner in the other.
  """
  first, second = _results(plain), _results(opposite)
  pairs, units, unpaired = _pairs(first, second)
  if not len(pairs):
    raise UserError(
      f'No row of {first[0].task!r} ({first[0].split}) has a partner in {second[0].task!r} ({second[0].split}): '
      'both must be asked about the same rows.'
    )
  mean, *sides = (
    statistics.macro_average([of], units=[units], samples=samples, seed=seed, level=level)
    for of in (pairs, pairs[:, :1], pairs[:, 1:])
  )
  chances = [result.chance for result in (*first, *second) if result.chance is not None]
  return PairedResult(
    dataset=first[0].dataset,
    opposite_dataset=second[0].dataset,
    cluster=first[0].cluster,
    split=first[0].split,
    mean=mean.value,
    interval=_interval(mean),
    plain=sides[0].value,
    plain_interval=_interval(sides[0]),
    opposite=sides[1].value,
    opposite_interval=_interval(sides[1]),
    both=float(pairs.prod(axis=1).mean() / 100.0),
    n=len(pairs),
    unpaired=unpaired,
    chance=float(np.mean(chances)) if chances else None,
    seed=seed,
  )


def difference(
  first: Half, second: Half, *, samples: int = statistics.SAMPLES, seed: int = 0, level: float = statistics.LEVEL
) -> Estimate:
  """Returns how many points the first result is above the second on the rows that both have, rows drawn in pairs.

  Args:
    first: results of one model (or one way of prompting), one template or several.
    second: results of the other, about the same rows.
    samples: how many resamples.
    seed: of the resampling.
    level: coverage of the interval.

  Raises:
    UserError: where they share no row.
  """
  one, two = _results(first), _results(second)
  pairs, units, _ = _pairs(one, two)
  if not len(pairs):
    raise UserError(f'{one[0].task!r} and {two[0].task!r} share no row to compare.')
  gains = pairs[:, :1] - pairs[:, 1:]
  return statistics.macro_average([gains], units=[units], samples=samples, seed=seed, level=level)


def _results(half: Half) -> list[TemplateResult]:
  results = [half] if isinstance(half, TemplateResult) else list(half)
  scored = [result for result in results if result.method != 'excluded']
  if not scored:
    raise UserError('There is no scored task to pair: all its templates are inverted, or none was evaluated.')
  return scored


def _pairs(
  first: Sequence[TemplateResult], second: Sequence[TemplateResult]
) -> tuple[Float[np.ndarray, 'pairs 2'], Int[np.ndarray, 'pairs'], int]:
  """Returns the percentages of rows that both have, which of them are drawn together, and how many others there are."""
  table = credits.aligned([_credit_by_row(first), _credit_by_row(second)], [*first, *second])
  complete = ~np.isnan(table.values).any(axis=1)
  return 100.0 * table.values[complete], statistics.numbered(list(table.units[complete])), int((~complete).sum())


def _credit_by_row(results: Sequence[TemplateResult]) -> Mapping[str, float]:
  """Returns each row's credit, averaged over the templates that asked about it."""
  found: dict[str, list[float]] = {}
  for result in results:
    for row_id, credit in credits.by_row(result).items():
      found.setdefault(row_id, []).append(credit)
  return {row_id: float(np.mean(values)) for row_id, values in found.items()}


def _interval(estimate: Estimate) -> tuple[float, float]:
  if estimate.low is None or estimate.high is None:
    raise ValueError('a mean over rows has an interval')
  return estimate.low, estimate.high
