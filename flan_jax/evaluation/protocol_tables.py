"""The tables of the held-out protocol's report; what they share with other reports is in `tables.py`."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.evaluation.protocol_run import Arm, Run, reference
from flan_jax.evaluation.results import DatasetResult
from flan_jax.evaluation.run_logs import Learning, Watched
from flan_jax.evaluation.statistics import Estimate
from flan_jax.evaluation.summary import against_chance, signed
from flan_jax.evaluation.tables import NOTHING, Table, interval, number

_PAIRED = 'Differences draw each question anew with the answers of both arms.'


def cluster_table(run: Run) -> Table:
  """Returns one row for each held-out cluster and arm: the mean over datasets, chance, and the paired difference."""
  rows = []
  for held_out in run.held_out:
    arms = run.of(held_out)
    first = reference(arms)
    for cluster in dict.fromkeys(result.cluster for arm in arms for result in arm.evaluation.clusters):
      for arm in arms:
        for result in (one for one in arm.evaluation.clusters if one.cluster == cluster):
          above = first.above(arm, list(result.datasets)) if arm is not first else None
          rows.append((
            held_out, cluster, arm.name, number(result.mean.value), interval(result.mean.low, result.mean.high),
            number(result.chance), against_chance(result.mean, result.chance) or NOTHING,
            signed(above) if above else NOTHING, str(len(result.datasets)), str(result.mean.n),
          ))  # fmt: skip
  columns = ('held out', 'cluster', 'arm', 'mean', '95 % interval', 'chance', 'verdict', _minus(run), 'datasets',
             'questions')  # fmt: skip
  note = f'Percent; unweighted mean over datasets, each the mean over its templates. {_PAIRED}'
  return _without_repeats(Table('By cluster', columns, rows, note, texts=3))


def dataset_table(run: Run) -> Table:
  """Returns one row for each dataset and arm, with the template that another split chose where that was asked."""
  rows = []
  for arm in run.arms:
    others = run.of(arm.held_out)
    first = reference(others)
    for result in arm.evaluation.datasets:
      above = first.above(arm, [result.dataset]) if arm is not first else None
      rows.append((
        arm.held_out, result.cluster, result.dataset, arm.name, number(result.mean.value),
        interval(result.mean.low, result.mean.high), number(result.chance), number(result.majority),
        signed(above) if above else NOTHING, number(result.worst), number(result.best), number(result.std),
        *_chosen(result), str(len(result.by_template)), str(result.mean.n), result.metric,
      ))  # fmt: skip
  order = [row[:3] for row in rows]
  columns = (
    'held out', 'cluster', 'dataset', 'arm', 'mean', '95 % interval', 'chance', 'majority', _minus(run), 'worst',
    'best', 'std', 'chosen', 'its interval', 'templates', 'questions', 'metric',
  )  # fmt: skip
  note = ('Percent; mean, worst, best and standard deviation over templates. Chosen: the template that did best on '
          f'the split named in the table of templates, as it does here. {_PAIRED}')  # fmt: skip
  rows.sort(key=lambda row: order.index(row[:3]))
  return _without_repeats(Table('By dataset', columns, rows, note, texts=4))


def template_table(run: Run) -> Table:
  """Returns one row for each task of each arm, excluded ones too."""
  rows = []
  for arm in run.arms:
    chosen = {result.chosen.task: result.chosen for result in arm.evaluation.datasets if result.chosen}
    for result in arm.evaluation.templates:
      excluded = result.method == 'excluded'
      rows.append((
        arm.held_out or NOTHING, result.task, arm.name, 'excluded: inverted template' if excluded else result.metric,
        NOTHING if excluded else number(result.score.value),
        NOTHING if excluded else interval(result.score.low, result.score.high), number(result.chance),
        str(result.rows), str(result.unanswerable + result.inverted), str(result.truncated), str(result.ties),
        f'by {chosen[result.task].chosen_on}' if result.task in chosen else '',
      ))  # fmt: skip
  columns = ('held out', 'task', 'arm', 'metric', 'score', '95 % interval', 'chance', 'rows', 'left out', 'cut', 'ties',
             'chosen')  # fmt: skip
  note = 'Left out: rows without their answer among the options, rows of inverted templates. Cut: too long a prompt.'
  return Table('By template', columns, rows, note, texts=4)


def arm_table(run: Run) -> Table:
  """Returns one row for each arm and held-out cluster: what trained it and how much of it did."""
  rows = []
  for arm in [*run.arms, *run.points]:
    origin = arm.evaluation.origin
    if origin is not None:
      rows.append((
        arm.held_out, arm.name, arm.evaluation.model, _method(origin.method), f'{origin.parameters:,}',
        f'{origin.trainable:,}', _share(origin.trainable, origin.parameters), f'{origin.steps:,}', str(origin.seed),
        origin.digest[:12],
      ))  # fmt: skip
  columns = ('held out', 'arm', 'what it is', 'method', 'parameters', 'trainable', 'share', 'steps', 'seed', 'digest')
  note = 'Updates over all stages. The digest is of everything that decides the numbers.'
  return Table('Arms', columns, rows, note, texts=4)


def training_table(run: Run) -> Table:
  """Returns one row for each set of training datasets and the arms that it trained."""
  trained: dict[tuple[str, tuple[str, ...]], list[str]] = {}
  for arm in [*run.arms, *run.points]:
    if arm.evaluation.origin is not None:
      trained.setdefault((arm.held_out, tuple(arm.evaluation.origin.trained_on)), []).append(arm.name)
  rows = [(held_out, ', '.join(names), ', '.join(datasets) or 'nothing', str(len(datasets)))
          for (held_out, datasets), names in trained.items()]  # fmt: skip
  return Table('What trained what', ('held out', 'arms', 'training datasets', 'number'), rows, texts=3)


def curve_table(curve: str, points: Sequence[Arm]) -> Table:
  """Returns one row for each point of a curve."""
  rows = [
    (arm.held_out, arm.evaluation.origin.point.series or NOTHING, _place(arm.evaluation.origin.point.x), arm.name,
     number(result.mean.value), interval(result.mean.low, result.mean.high), number(result.chance),
     against_chance(result.mean, result.chance) or NOTHING)
    for arm in points if arm.evaluation.origin is not None and arm.evaluation.origin.point is not None
    for result in arm.evaluation.clusters if result.cluster == arm.held_out
  ]  # fmt: skip
  columns = ('held out', 'series', curve, 'arm', 'mean', '95 % interval', 'chance', 'verdict')
  return Table(f'Over the number of {curve}' if curve != 'parameters' else 'Over parameters', columns, rows, texts=2)


def learning_table(runs: Mapping[str, Learning]) -> Table:
  """Returns one row for each training run: where its loss ended."""
  rows = [
    (name, f'{one.train[-1][0]:,.0f}', f'{one.train[0][1]:.3f}', f'{one.train[-1][1]:.3f}',
     f'{one.held_back[-1][1]:.3f}' if one.held_back else NOTHING,
     NOTHING if one.accuracy is None else number(100.0 * one.accuracy))
    for name, one in runs.items()
  ]  # fmt: skip
  columns = ('training run', 'steps', 'first loss', 'last loss', 'last held-back loss', 'token accuracy')
  return Table('Where training ended', columns, rows, 'Loss in nats per token; accuracy of tokens in percent.')


def forgetting_table(runs: Mapping[str, Sequence[Watched]]) -> Table:
  """Returns one row for each watched task and step: the score and its paired change against step 0."""
  rows = [
    (name, ' '.join(filter(None, [one.stage, f'{one.step:,}'])), one.task, one.metric, number(one.score.value),
     interval(one.score.low, one.score.high), *_change(one.change))
    for name, watched in runs.items() for one in watched
  ]  # fmt: skip
  columns = ('training run', 'step', 'task', 'metric', 'score', '95 % interval', 'change', 'its interval')
  return Table('Watched during training', columns, rows, 'Percent; the change in points against step 0, rows paired.',
               texts=4)


def contamination_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
  """Returns one row for each dataset that was asked: how many of its rows the training mixture held."""
  rows = []
  for held_out, one in found.items():
    for dataset in one['datasets']:
      touched = dataset['exact'] + dataset['overlapping']
      by_dataset = sorted(dataset['by_training_dataset'].items(), key=lambda item: -item[1])
      rows.append((
        held_out, dataset['dataset'], one['split'], ', '.join(f'{name} ({count})' for name, count in by_dataset),
        str(dataset['rows']), str(dataset['exact']), str(dataset['overlapping']), _share(touched, dataset['rows']),
        str(dataset['training_rows']), 'yes' if one['removed'] else 'no',
      ))  # fmt: skip
  columns = ('held out', 'dataset', 'split', 'found in', 'rows', 'exact', 'overlapping', 'share', 'training rows',
             'removed')  # fmt: skip
  lengths = ' or '.join(str(n) for n in dict.fromkeys(one['n'] for one in found.values()))
  note = (f'Exact: the same text. Overlapping: a run of {lengths} words in common. Removed: whether those training '
          'rows were taken out before training.')  # fmt: skip
  return Table('Rows asked that training has seen', columns, rows, note, texts=4)


def _minus(run: Run) -> str:
  return f'{reference(run.arms).name} minus this'


def _without_repeats(table: Table) -> Table:
  """Leaves out the first column, the held-out cluster, where it only repeats the second one or says nothing."""
  if any(row[0] not in ('', row[1]) for row in table.rows):
    return table
  rows = [row[1:] for row in table.rows]
  return dataclasses.replace(table, columns=table.columns[1:], rows=rows, texts=table.texts - 1)


def _place(x: float) -> str:
  return f'{x:,.0f}' if x == int(x) else f'{x:g}'


def _chosen(result: DatasetResult) -> tuple[str, str]:
  if result.chosen is None:
    return NOTHING, NOTHING
  return number(result.chosen.score.value), interval(result.chosen.score.low, result.chosen.score.high)


def _change(change: Estimate | None) -> tuple[str, str]:
  return (NOTHING, NOTHING) if change is None else (f'{change.value:+.1f}', interval(change.low, change.high))


def _method(method: Mapping[str, Any]) -> str:
  """Returns a method with its hyperparameters."""
  rest = ', '.join(f'{name} {value}' for name, value in method.items() if name != 'method')
  name = str(method.get('method', 'nothing' if not method else ''))
  return f'{name}: {rest}' if name and rest else name or rest


def _share(part: int, whole: int) -> str:
  return f'{100.0 * part / whole:.2f} %' if whole else NOTHING
