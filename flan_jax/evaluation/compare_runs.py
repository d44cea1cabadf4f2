"""Runs side by side: how far each is above the first one, on the same tasks and rows, paired by question."""

import collections
import dataclasses
import difflib
import pathlib
import shlex
from collections.abc import Collection, Iterator, Sequence

from flan_jax.errors import UserError, did_you_mean
from flan_jax.evaluation import compare, protocol_plots
from flan_jax.evaluation.protocol_run import Arm, Run, load
from flan_jax.evaluation.report import Section, write_report
from flan_jax.evaluation.results import DatasetResult
from flan_jax.evaluation.statistics import Estimate
from flan_jax.evaluation.summary import direction, signed
from flan_jax.evaluation.tables import Table

Arms = list[Arm]  # the same arm in every run

LEVELS = ('all', 'cluster', 'dataset')
_NAMED = 3  # tasks or rows that an error names


@dataclasses.dataclass(frozen=True)
class Line:
  """Something that all runs were asked.

  Attributes:
    level: one of LEVELS.
    arm: which arm of the runs, '' where each has one.
    name: of the cluster or dataset; over all, how many datasets there are.
    metric: what is measured.
    scores: of each run.
    differences: of each run but the first: how far it is above the first.
  """

  level: str
  arm: str
  name: str
  metric: str
  scores: list[Estimate]
  differences: list[Estimate]


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Runs and how they differ.

  Attributes:
    labels: a short name for each run.
    runs: the runs.
    lines: datasets first, then clusters, then all, for each arm.
  """

  labels: list[str]
  runs: list[Run]
  lines: list[Line]

  def table(self, level: str) -> Table:
    """Returns the lines of one level: the score of every run, and the differences."""
    lines = [line for line in self.lines if line.level == level]
    arms = any(line.arm for line in lines)
    rows = [
      (line.name, *([line.arm] if arms else []), line.metric, *map(str, line.scores), *map(signed, line.differences))
      for line in lines
    ]
    minus = [f'{label} minus {self.labels[0]}' for label in self.labels[1:]]
    columns = ('datasets' if level == 'all' else level, *(['arm'] if arms else []), 'metric', *self.labels, *minus)
    note = 'Percent, 95 % intervals in brackets; differences in points draw each question anew with both its answers.'
    title = 'Over all datasets' if level == 'all' else f'By {level}'
    return Table(title, columns, rows, note, texts=3 if arms else 2, optional=('metric',))


def compare_runs(folders: Sequence[str | pathlib.Path], arm: str | None = None) -> Comparison:
  """Compares finished runs with the first of them.

  Args:
    folders: two or more, each with results.json and predictions/.
    arm: only this arm of each; None takes all, which must be the same. Runs of one evaluation each need none.

  Raises:
    UserError: where runs differ in arms, tasks, metrics or rows, or lack predictions.
  """
  if len(folders) < 2:
    raise UserError('A comparison needs the folders of at least two runs.')
  runs = [load(folder, limit=0) for folder in folders]
  labels = _labels(folders)
  sides = [_arms(run, label, arm) for run, label in zip(runs, labels, strict=True)]
  if all(len(side) == 1 for side in sides):
    sides = [dict(zip([''], side.values(), strict=True)) for side in sides]
  for label, side in zip(labels, sides, strict=True):
    _same(f'the arms of {labels[0]}', f'those of {label}', sides[0], side, ' --arm NAME compares one arm.')
  groups: dict[str, list[Arms]] = {}
  for name, one in sides[0].items():
    groups.setdefault(one.name if name else '', []).append([side[name] for side in sides])
  lines = [line for name, group in groups.items() for line in _lines(name if len(groups) > 1 else '', group, labels)]
  return Comparison(labels, runs, lines)


def write_comparison(path: str | pathlib.Path, found: Comparison) -> pathlib.Path:
  """Writes a comparison as a page, with its plot as PNG and SVG files beside it."""
  path = pathlib.Path(path)
  rows = [
    (', '.join(filter(None, [line.name, line.arm])), label, difference)
    for line in found.lines if line.level != 'all'
    for label, difference in zip(found.labels[1:], line.differences, strict=True)
  ]  # fmt: skip
  picture = protocol_plots.changes(path.with_name(f'{path.stem}_differences.png'), rows,
                                   f'points above {found.labels[0]}')  # fmt: skip
  caption = f'Difference to {found.labels[0]} with 95 % intervals, questions drawn in pairs.'
  sections = [
    Section('What was found', [_sentence(found, place) for place in range(1, len(found.labels))],
            [(picture.with_suffix('.svg'), caption)],
            [found.table(level) for level in LEVELS]),
    Section('What was compared', tables=[_runs(found)]),
    *_configurations(found),
  ]  # fmt: skip
  return write_report(path, f'{" and ".join(found.labels)} compared', sections)


def _arms(run: Run, label: str, arm: str | None) -> dict[str, Arm]:
  """The arms of a run by the names under which they are looked for in the others."""
  chosen = [one for one in run.arms if arm is None or one.name == arm]
  if not chosen:
    raise UserError(f'{label!r} has no arm {arm!r}. {did_you_mean(arm or "", run.names)}')
  if run.missing and (lacking := [one.files[task] for one in chosen for task in one.files if task not in one.answers]):
    raise UserError(f'{str(run.folder)!r} lacks predictions, without which rows cannot be paired: {_some(lacking)}.')
  return {one.where: one for one in chosen}


def _lines(name: str, group: Sequence[Arms], labels: Sequence[str]) -> Iterator[Line]:
  """Compares one arm of all runs: every dataset, every cluster, then all datasets of all held-out clusters."""
  for arms in group:
    for other, label in zip(arms[1:], labels[1:], strict=True):
      _check(arms[0], other, labels[0], label)
    for dataset in arms[0].evaluation.datasets:
      yield _line('dataset', _shown(name, arms[0], dataset.cluster), dataset.dataset, [(arms, dataset.dataset)])
    for cluster in arms[0].evaluation.clusters:
      asked = [(arms, dataset) for dataset in cluster.datasets]
      yield _line('cluster', _shown(name, arms[0], cluster.cluster), cluster.cluster, asked)
  everything = [(arms, dataset.dataset) for arms in group for dataset in arms[0].evaluation.datasets]
  yield _line('all', name, str(len(everything)), everything)


def _shown(name: str, arm: Arm, cluster: str) -> str:
  """What tells apart the lines of one cluster: the arm, and what was held out where that is another cluster."""
  return name if arm.held_out in ('', cluster) else arm.where


def _line(level: str, arm: str, name: str, asked: Sequence[tuple[Arms, str]]) -> Line:
  """Compares all runs over some datasets."""
  metrics = [_dataset(arms[0], dataset).metric for arms, dataset in asked]
  columns = [[arms[run].columns(dataset) or [] for arms, dataset in asked] for run in range(len(asked[0][0]))]
  means = [[_dataset(arms[run], dataset).mean for arms, dataset in asked] for run in range(len(columns))]
  groups = {row: group for arms, _ in asked for row, group in arms[0].groups.items()}
  scores = [compare.mean(one, groups=groups) or _without_interval(mean)
            for one, mean in zip(columns, means, strict=True)]
  differences = [
    compare.difference(list(zip(one, columns[0], strict=True)), groups=groups)
    or Estimate(score.value - scores[0].value, None, None, score.n)
    for one, score in zip(columns[1:], scores[1:], strict=True)
  ]
  return Line(level, arm, name, '+'.join(dict.fromkeys(metrics)), scores, differences)


def _dataset(arm: Arm, name: str) -> DatasetResult:
  return next(one for one in arm.evaluation.datasets if one.dataset == name)


def _without_interval(means: Sequence[Estimate]) -> Estimate:
  """The mean of what is measured over a whole corpus, whose rows have no credits."""
  return Estimate(sum(one.value for one in means) / len(means), None, None, sum(one.n for one in means))


def _check(first: Arm, other: Arm, label: str, other_label: str) -> None:
  """Refuses arms that were not asked the same, or not measured alike."""
  one, two = ({result.task: result for result in arm.evaluation.templates if result.method != 'excluded'}
              for arm in (first, other))  # fmt: skip
  _same(f'the tasks of {label}', f'those of {other_label}', one, two)
  for task, result in one.items():
    found = two[task]
    if (result.split, result.metric) != (found.split, found.metric):
      raise UserError(f'Task {task!r} was measured by {result.metric} on {result.split} in {label}, by {found.metric} '
                      f'on {found.split} in {other_label}; both must be the same.')  # fmt: skip
    _same(f'the rows of {task!r} in {label}', f'those in {other_label}', first.answers[task].credits,
          other.answers[task].credits)


def _same(one: str, other: str, first: Collection[str], second: Collection[str], advice: str = '') -> None:
  """Refuses two sets of names that are not the same, naming what only one has."""
  lacking, new = [name for name in first if name not in second], [name for name in second if name not in first]
  if lacking or new:
    parts = [f'only {where} have {_some(names)}' for where, names in ((one, lacking), (other, new)) if names]
    raise UserError(f'Only what was asked alike can be compared: {"; ".join(parts)}.{advice}')


def _some(names: Sequence[str]) -> str:
  more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
  return f'{", ".join(map(repr, names[:_NAMED]))}{more}'


def _labels(folders: Sequence[str | pathlib.Path]) -> list[str]:
  """The names of the folders where they tell them apart, or else their paths."""
  names = [pathlib.Path(folder).resolve().name for folder in folders]
  paths = [str(folder) for folder in folders]
  if len(set(paths)) < len(paths):
    raise UserError(f'Each run can be named once: {", ".join(paths)}.')
  return names if len(set(names)) == len(names) else paths


def _runs(found: Comparison) -> Table:
  """Where each run lies and what made it."""
  rows = []
  for label, run in zip(found.labels, found.runs, strict=True):
    checkpoints = list(dict.fromkeys(arm.evaluation.checkpoint for arm in run.arms if arm.evaluation.checkpoint))
    rows.append((label, str(run.folder), run.record.created, _some(checkpoints), shlex.join(run.record.command)))
  return Table('Runs', ('run', 'folder', 'made', 'checkpoints', 'command'), rows, texts=5)


def _sentence(found: Comparison, place: int) -> str:
  """Says in how many datasets a run is above the first, below it, and how far over all."""
  label, counts = found.labels[place], collections.Counter[str]()
  for line in found.lines:
    if line.level == 'dataset':
      counts[direction(line.differences[place - 1]) or 'without an interval against'] += 1
  whole = '; '.join(f'{line.arm + ": " if line.arm else ""}{signed(line.differences[place - 1])} points over '
                    f'{line.name} datasets' for line in found.lines if line.level == 'all')  # fmt: skip
  places = ', '.join(f'{kind} it in {count}' for kind, count in counts.most_common())
  return f'Compared with {found.labels[0]} in {counts.total()} datasets, {label} is {places}. {whole}.'


def _configurations(found: Comparison) -> Iterator[Section]:
  """How the configuration of each run differs from the first one's, line by line."""
  texts = [str(run.record.config.get('gin', '')).splitlines() for run in found.runs]
  for label, text in zip(found.labels[1:], texts[1:], strict=True):
    changed = list(difflib.unified_diff(texts[0], text, found.labels[0], label, n=0, lineterm=''))
    if any(texts):
      note = 'Lines that differ.' if changed else 'Both have the same configuration.'
      yield Section(f'Configuration of {label}', [note], code='\n'.join(changed))
