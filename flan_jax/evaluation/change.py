"""What a model gained or lost against another one on the same questions, each question drawn with both its answers."""

from collections.abc import Sequence

import numpy as np

from flan_jax.errors import UserError
from flan_jax.evaluation import credits, statistics
from flan_jax.evaluation.results import TemplateResult
from flan_jax.evaluation.statistics import Estimate

Pair = tuple[TemplateResult, TemplateResult]  # of the same task, after and before


def change(after: Sequence[TemplateResult], before: Sequence[TemplateResult], seed: int = 0) -> Estimate:
  """Returns how many points results are above earlier ones: unweighted mean over datasets, each over its templates.

  Args:
    after: results of one model.
    before: results of the other, by the same tasks on the same rows.
    seed: of the bootstrap.

  Returns:
    The difference; its interval draws each dataset's questions anew, with the answers of both models under all
    templates. There is none where a metric is no mean over rows.

  Raises:
    UserError: where the two were not asked the same.
  """
  return _change(_pairs(after, before), seed)


def by_dataset(
  after: Sequence[TemplateResult], before: Sequence[TemplateResult], seed: int = 0
) -> dict[str, Estimate]:
  """Returns the change of each dataset, the mean over its templates; see `change`."""
  return _by('dataset', after, before, seed)


def by_cluster(
  after: Sequence[TemplateResult], before: Sequence[TemplateResult], seed: int = 0
) -> dict[str, Estimate]:
  """Returns the change of each cluster, the unweighted mean over its datasets; see `change`."""
  return _by('cluster', after, before, seed)


def _by(
  attribute: str, after: Sequence[TemplateResult], before: Sequence[TemplateResult], seed: int
) -> dict[str, Estimate]:
  pairs = _pairs(after, before)
  names = dict.fromkeys(getattr(later, attribute) for later, _ in pairs)
  return {name: _change([pair for pair in pairs if getattr(pair[0], attribute) == name], seed) for name in names}


def _pairs(after: Sequence[TemplateResult], before: Sequence[TemplateResult]) -> list[Pair]:
  earlier = {result.task: result for result in before if result.method != 'excluded'}
  later = {result.task: result for result in after if result.method != 'excluded'}
  if not later or earlier.keys() != later.keys():
    raise UserError(f'a change needs the same tasks before and after, not {sorted(earlier)} and {sorted(later)}')
  return [(result, earlier[task]) for task, result in later.items()]


def _change(pairs: Sequence[Pair], seed: int) -> Estimate:
  datasets: dict[str, list[Pair]] = {}
  for pair in pairs:
    datasets.setdefault(pair[0].dataset, []).append(pair)
  tables = [
    credits.aligned([_differences(*pair) for pair in group], [later for later, _ in group])
    for group in datasets.values()
  ]
  if all(table.complete for table in tables):
    return statistics.macro_average([table.values for table in tables], units=[table.units for table in tables],
                                    seed=seed)  # fmt: skip
  means = [np.mean([one.score.value - two.score.value for one, two in group]) for group in datasets.values()]
  return Estimate(float(np.mean(means)), None, None, sum(group[0][0].rows for group in datasets.values()))


def _differences(after: TemplateResult, before: TemplateResult) -> dict[str, float]:
  """The difference of each row's credit, in percent."""
  if after.metric != before.metric:
    raise UserError(f'{after.task!r} was measured by {before.metric} before and by {after.metric} after')
  one, two = credits.by_row(after), credits.by_row(before)
  if one.keys() != two.keys():
    raise UserError(f'{after.task!r} was asked about {len(two)} rows before and {len(one)} others after')
  return {row: 100.0 * (one[row] - two[row]) for row in one}
