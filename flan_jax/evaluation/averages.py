"""From templates to datasets to clusters: unweighted means, with intervals that draw questions anew.

A question is asked under several templates, and its answers are not independent of each other: an interval here draws
the question with all its answers, and the rows of a group (`Dataset.group`) together. The interval of a cluster holds
its datasets fixed.
"""

import collections
from collections.abc import Iterable, Sequence

import numpy as np

from flan_jax.errors import UserError
from flan_jax.evaluation import credits, statistics
from flan_jax.evaluation.results import ClusterResult, DatasetResult, TemplateResult
from flan_jax.evaluation.statistics import Estimate


def over_templates(results: Sequence[TemplateResult], seed: int = 0) -> list[DatasetResult]:
  """Returns one result per dataset: mean over its templates, spread, best and worst. Excluded tasks are only named.

  Raises:
    UserError: where the templates of a dataset were measured by different metrics, whose mean says nothing.
  """
  datasets = []
  for group in _grouped(results, 'dataset').values():
    scored = [result for result in group if result.method != 'excluded']
    if scored:
      excluded = [result.task for result in group if result.method == 'excluded']
      datasets.append(_dataset(scored, excluded, seed))
  return datasets


def over_datasets(results: Sequence[TemplateResult], seed: int = 0) -> list[ClusterResult]:
  """Returns one result per cluster: the unweighted mean over its datasets, each the mean over its templates."""
  clusters = []
  scored = [result for result in results if result.method != 'excluded']
  for cluster, group in _grouped(scored, 'cluster').items():
    by_dataset = _grouped(group, 'dataset')
    datasets = over_templates(group, seed)
    chances = [dataset.chance for dataset in datasets if dataset.chance is not None]
    clusters.append(ClusterResult(
      cluster=cluster,
      split=group[0].split,
      mean=_average(list(by_dataset.values()), seed),
      # With free text among them the mean has no chance level that it could be held against.
      chance=float(np.mean(chances)) if len(chances) == len(datasets) else None,
      datasets={dataset.dataset: dataset.mean.value for dataset in datasets},
      metric='+'.join(dict.fromkeys(dataset.metric for dataset in datasets)),
      seed=seed,
    ))  # fmt: skip
  return clusters


def overall(results: Sequence[TemplateResult], seed: int = 0) -> Estimate:
  """Returns the unweighted mean over all datasets, each the mean over its templates, whatever their clusters."""
  scored = [result for result in results if result.method != 'excluded']
  return _average(list(_grouped(scored, 'dataset').values()), seed)


def _dataset(results: Sequence[TemplateResult], excluded: list[str], seed: int) -> DatasetResult:
  measured = {(result.metric, *sorted(result.metrics)) for result in results}
  if len(measured) > 1:
    tasks = ', '.join(f'{result.task} by {"+".join(result.metrics)}' for result in results)
    raise UserError(f'The tasks of {results[0].dataset!r} have no common mean: {tasks}. Evaluate them apart.')
  scores = [result.score.value for result in results]
  return DatasetResult(
    dataset=results[0].dataset,
    cluster=results[0].cluster,
    split=results[0].split,
    metric=results[0].metric,
    mean=_average([results], seed),
    std=float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
    best=max(scores),
    worst=min(scores),
    metrics={name: float(np.mean([result.metrics[name].value for result in results])) for name in results[0].metrics},
    by_template={result.task: result.score.value for result in results},
    chance=_mean_or_none([result.chance for result in results]),
    majority=_mean_or_none([result.majority for result in results]),
    unanswerable=sum(result.unanswerable for result in results),
    excluded=excluded,
    seed=seed,
  )


def _average(groups: Sequence[Sequence[TemplateResult]], seed: int) -> Estimate:
  """Returns the mean over groups of the mean over templates, with an interval where all metrics are means of rows."""
  tables = [credits.table(group) for group in groups]
  if all(table.complete for table in tables):
    values, units = [100.0 * table.values for table in tables], [table.units for table in tables]
    return statistics.macro_average(values, units=units, seed=seed)
  value = float(np.mean([np.mean([result.score.value for result in group]) for group in groups]))
  return Estimate(value, None, None, sum(group[0].rows for group in groups))


def _mean_or_none(values: Sequence[float | None]) -> float | None:
  known = [value for value in values if value is not None]
  return float(np.mean(known)) if known else None


def _grouped(results: Iterable[TemplateResult], attribute: str) -> dict[str, list[TemplateResult]]:
  groups: dict[str, list[TemplateResult]] = collections.defaultdict(list)
  for result in results:
    groups[getattr(result, attribute)].append(result)
  return dict(groups)
