"""The same conditions trained and evaluated several times with different seeds: how far the runs are apart.

A bootstrap over questions says how sure a number is of one trained model; another seed gives another model, and often
another number than the interval has room for. Here each dataset and cluster has the mean over runs, their spread, and
an interval that draws both runs and questions anew (`statistics.over_runs`).
"""

import dataclasses
import pathlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Literal

import numpy as np

from flan_jax.errors import UserError, did_you_mean
from flan_jax.evaluation import credits, results_file, statistics
from flan_jax.evaluation.results import ClusterResult, DatasetResult, Evaluation, TemplateResult
from flan_jax.evaluation.statistics import Estimate
from flan_jax.evaluation.tables import Table, interval, number

Arm = Hashable


@dataclasses.dataclass(frozen=True)
class OverSeeds:
  """A dataset or a cluster under one condition, over runs that differ in their seeds.

  Attributes:
    arm: the condition: the arm of the held-out protocol with its place on a curve, elsewhere the model's label.
    held_out: the cluster that was held out; '' outside the protocol.
    level: whether it is a dataset or a cluster.
    name: of the dataset or cluster.
    split: which rows.
    metric: the headline metric, of a cluster all of them joined by '+'.
    values: the score of each run, by its seed (outside the protocol by its place).
    mean: over runs; its interval draws runs and questions anew. None of it where a metric is no mean over rows or the
      predictions are not read.
    std: sample standard deviation over runs.
    lowest: the lowest run.
    highest: the highest run.
  """

  arm: str
  held_out: str
  level: Literal['dataset', 'cluster']
  name: str
  split: str
  metric: str
  values: dict[int, float]
  mean: Estimate
  std: float
  lowest: float
  highest: float


def read_runs(folders: Sequence[str | pathlib.Path], arm: str | None = None) -> list[list[Evaluation]]:
  """Reads the evaluations of runs with their predictions.

  Args:
    folders: each with results.json and predictions/.
    arm: only this arm of the held-out protocol, or this model; None takes all.

  Raises:
    UserError: where a file is missing or is not ours, or a run has no such arm.
  """
  found = []
  for folder in map(pathlib.Path, folders):
    evaluations = results_file.read_results(folder / 'results.json')
    names = {evaluation.origin.arm if evaluation.origin else evaluation.model for evaluation in evaluations}
    if arm is not None and arm not in names:
      raise UserError(f'{folder} has no arm {arm!r}. {did_you_mean(arm, names)}')
    kept = [evaluation for evaluation in evaluations
            if arm in (None, evaluation.origin.arm if evaluation.origin else evaluation.model)]
    found.append([results_file.with_predictions(folder / 'predictions', evaluation) for evaluation in kept])
  return found


def over_seeds(runs: Sequence[Sequence[Evaluation]], seed: int = 0) -> list[OverSeeds]:
  """Brings the evaluations of several runs together.

  Args:
    runs: for each run its evaluations, e.g. `record.evaluations` of each `results.json`; each has the same conditions,
      asked the same tasks on the same rows. With predictions (`results_file.with_predictions`) there are intervals.
    seed: of the bootstrap.

  Returns:
    For each condition its datasets, then its clusters, in the order of the first run.

  Raises:
    UserError: for fewer than two runs, a seed that occurs twice, and runs that do not match, with what differs.
  """
  if len(runs) < 2:
    raise UserError(f'A spread over seeds needs at least two runs, not {len(runs)}.')
  arms = [_arms(run, place) for place, run in enumerate(runs)]
  results = []
  for arm, first in arms[0].items():
    for place, others in enumerate(arms):
      if others.keys() != arms[0].keys():
        alone = ', '.join(sorted(_told(others.get(key) or arms[0][key]) for key in others.keys() ^ arms[0].keys()))
        raise UserError(f'Run {place + 1} has other conditions than run 1; only one of them has {alone}.')
    same = [others[arm] for others in arms]
    for place, other in enumerate(same):
      _check_same(first, other, place + 1)
    results += _of_arm(same, _seeds(same), seed)
  return results


def seed_table(results: Sequence[OverSeeds]) -> Table:
  """Returns one row per condition and dataset or cluster: mean over runs, interval, spread, lowest and highest run."""
  rows = [
    (
      result.name, result.level, result.arm, result.held_out, result.metric, number(result.mean.value),
      interval(result.mean.low, result.mean.high), number(result.std), number(result.lowest), number(result.highest),
      str(len(result.values)),
    )
    for result in results
  ]  # fmt: skip
  columns = (
    'name', 'level', 'model', 'held out', 'metric', 'mean', '95 % interval', 'std', 'lowest', 'highest', 'runs',
  )  # fmt: skip
  note = 'Percent; mean, sample standard deviation, lowest and highest over runs with different seeds. '
  note += 'The interval draws runs and questions anew; of few runs it is too narrow.'
  optional = ('metric', 'held out', 'level', 'lowest', 'highest', 'runs', '95 % interval')
  return Table('Over seeds', columns, rows, note, texts=5, optional=optional)


def _arms(run: Sequence[Evaluation], place: int) -> dict[Arm, Evaluation]:
  """Returns the evaluations of a run by their conditions."""
  found: dict[Arm, Evaluation] = {}
  for evaluation in run:
    origin = evaluation.origin
    key: Arm = evaluation.model if origin is None else (origin.held_out, origin.arm, origin.point)
    if key in found:
      raise UserError(f'Run {place + 1} has two evaluations of {_told(evaluation)}.')
    found[key] = evaluation
  return found


def _arm(evaluation: Evaluation) -> str:
  origin = evaluation.origin
  if origin is None or origin.point is None:
    return evaluation.model if origin is None else origin.arm
  return f'{origin.arm} ({origin.point.curve} {origin.point.x:g} {origin.point.series}'.rstrip() + ')'


def _told(evaluation: Evaluation) -> str:
  held_out = f' with {evaluation.origin.held_out!r} held out' if evaluation.origin else ''
  return f'{_arm(evaluation)!r}{held_out}'


def _seeds(runs: Sequence[Evaluation]) -> list[int]:
  if any(run.origin is None for run in runs):
    return list(range(len(runs)))
  seeds = [run.origin.seed for run in runs if run.origin is not None]
  twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
  if twice:
    raise UserError(f'Two runs of {_told(runs[0])} have the seed {twice[0]}: a run that is repeated says nothing about '
                    'the spread between seeds.')
  return seeds


def _check_same(first: Evaluation, other: Evaluation, place: int) -> None:
  """Checks that a run was asked the same as the first one."""
  where = f'Run {place} does not match run 1 in {_told(first)}:'
  ours, theirs = (_scored(evaluation) for evaluation in (first, other))
  if ours.keys() != theirs.keys():
    raise UserError(f'{where} only one of them has the tasks {", ".join(sorted(ours.keys() ^ theirs.keys()))}.')
  for task, result in ours.items():
    for told, of in _COMPARED.items():
      if of(result) != of(theirs[task]):
        raise UserError(f'{where} {task!r} has {told} {of(result)} in run 1 and {of(theirs[task])} in run {place}.')
    if credits.by_row(result).keys() != credits.by_row(theirs[task]).keys():
      raise UserError(f'{where} {task!r} was asked about other rows.')


_COMPARED: Mapping[str, Callable[[TemplateResult], object]] = {
  'the metric': lambda result: result.metric,
  'the split': lambda result: result.split,
  'a number of rows of': lambda result: result.rows,
}


def _scored(evaluation: Evaluation) -> dict[str, TemplateResult]:
  return {result.task: result for result in evaluation.templates if result.method != 'excluded'}


def _of_arm(runs: Sequence[Evaluation], seeds: Sequence[int], seed: int) -> list[OverSeeds]:
  results = []
  datasets = [{result.dataset: result for result in run.datasets} for run in runs]
  clusters = [{result.cluster: result for result in run.clusters} for run in runs]
  for name in datasets[0]:
    results.append(_over('dataset', name, [of_run[name] for of_run in datasets], runs, seeds, seed))
  for name in clusters[0]:
    results.append(_over('cluster', name, [of_run[name] for of_run in clusters], runs, seeds, seed))
  return results


def _over(
  level: Literal['dataset', 'cluster'],
  name: str,
  results: Sequence[DatasetResult] | Sequence[ClusterResult],
  runs: Sequence[Evaluation],
  seeds: Sequence[int],
  seed: int,
) -> OverSeeds:
  scores = [result.mean.value for result in results]
  templates = [[result for result in _scored(run).values() if getattr(result, level) == name] for run in runs]
  return OverSeeds(
    arm=_arm(runs[0]),
    held_out=runs[0].origin.held_out if runs[0].origin else '',
    level=level,
    name=name,
    split=results[0].split,
    metric=results[0].metric,
    values=dict(zip(seeds, scores, strict=True)),
    mean=_mean(templates, scores, seed),
    std=float(np.std(scores, ddof=1)),
    lowest=min(scores),
    highest=max(scores),
  )


def _mean(runs: Sequence[Sequence[TemplateResult]], scores: Sequence[float], seed: int) -> Estimate:
  """Returns the mean over runs, with its interval where the rows of every dataset have credits."""
  tables = [
    # Side by side, so that a row has one place in the tables of all runs, in whatever order these asked.
    credits.table([result for run in runs for result in sorted(run, key=_task) if result.dataset == dataset])
    for dataset in dict.fromkeys(result.dataset for result in runs[0])
  ]
  if all(table.complete for table in tables):
    values = [np.split(100.0 * table.values, len(runs), axis=1) for table in tables]
    by_run = [list(of_run) for of_run in zip(*values, strict=True)]
    return statistics.over_runs(by_run, units=[table.units for table in tables], seed=seed)
  rows = {result.dataset: result.rows for result in runs[0]}
  return Estimate(float(np.mean(scores)), None, None, sum(rows.values()))


def _task(result: TemplateResult) -> str:
  return result.task
