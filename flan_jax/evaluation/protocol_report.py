"""`report.html` of a run of the held-out protocol, and of an evaluation: made from the files of its folder alone."""

import dataclasses
import json
import pathlib
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from flan_jax.errors import UserError
from flan_jax.evaluation import examples, plots, protocol_plots, protocol_tables, run_logs, summary, tables
from flan_jax.evaluation.answers_kept import LIMIT
from flan_jax.evaluation.drawing import COLORS
from flan_jax.evaluation.protocol_run import Arm, Run, load
from flan_jax.evaluation.report import Section, write_report
from flan_jax.evaluation.results import Evaluation
from flan_jax.evaluation.statistics import Estimate

REPORT, PLOTS = 'report.html', 'plots'
_BY_FACTORS = 20.0  # an axis that spans more than this goes up by factors


def write_protocol_report(folder: str | pathlib.Path, limit: int = LIMIT) -> pathlib.Path:
  """Writes a run's report, and its plots as PNG and SVG files into `plots/` beside it.

  Args:
    folder: where results.json lies; predictions/, contamination/ and the folders of training runs are used where they
      are there.
    limit: answers of each kind (right, wrong, most confident wrong) to show of each task and arm, at most.

  Returns:
    The path of report.html.

  Raises:
    UserError: where results.json is missing or has no evaluation, or where a file is not one of ours.
  """
  folder = pathlib.Path(folder)
  run = load(folder, limit)
  if not run.arms:
    raise UserError(f'{str(folder)!r} has no evaluation of an ordinary arm to report.')
  sections = [*_findings(run), *_datasets(run), *_curves(run), *_training(run), *_forgetting(run),
              *_contamination(run), *_examples(run, limit), *_arms(run), *_configuration(run)]  # fmt: skip
  held_out = [name for name in run.held_out if name]
  title = f'Held out: {", ".join(held_out)}' if held_out else 'Evaluation'
  questions = sum(result.rows for arm in run.arms for result in arm.evaluation.templates)
  created = run.record.created[:16].replace('T', ' ')
  subtitle = f'{_counted(len(run.names), "arm")}, {questions:,} answers, {created} UTC'
  return write_report(folder / REPORT, title, sections, subtitle)


def _findings(run: Run) -> Iterator[Section]:
  short, lines = summary.sentences(run)
  drawn = _by_arm(run)
  images = [(plots.cluster_bars(_plot(run, 'clusters'), drawn).with_suffix('.svg'),
             'Means over datasets with 95 % bootstrap intervals; the dashed line is chance.')]  # fmt: skip
  shown = [protocol_tables.cluster_table(run)]
  if any(one.paired for one in drawn):
    images.append((plots.paired_bars(_plot(run, 'opposites'), drawn).with_suffix('.svg'),
                   'The same inputs asked plainly and asked the opposite: a model that does not read the instruction '
                   'stays at chance in the mean of both.'))  # fmt: skip
    shown.append(tables.paired_table([dataclasses.replace(arm.evaluation, model=arm.where) for arm in run.arms]))
  notes = [f'Intervals of {len(run.missing)} tasks are not paired and none of their answers is shown, for '
           f'{run.missing[0]}{" and others are" if len(run.missing) > 1 else " is"} not in the folder.'
           ] if run.missing else []  # fmt: skip
  yield Section('What was found', [*short, *notes], images, shown, lines=lines)


def _datasets(run: Run) -> Iterator[Section]:
  images = [
    (protocol_plots.template_spread(_plot(run, 'templates', held_out), run.of(held_out),
                                    f'Held out: {held_out}' if held_out else '').with_suffix('.svg'),
     'Each dot is a template of a dataset; the upright bar is their mean, the dashed line chance.')
    for held_out in run.held_out if any(arm.evaluation.datasets for arm in run.of(held_out))
  ]  # fmt: skip
  yield Section('Datasets and templates', images=images, tables=[protocol_tables.dataset_table(run)],
                folded=[protocol_tables.template_table(run)])


def _curves(run: Run) -> Iterator[Section]:
  """One section for each curve; one plot for each held-out cluster where each has several lines."""
  curves: dict[str, list[Arm]] = {}
  for arm in run.points:
    curves.setdefault(_point(arm)[0], []).append(arm)
  for curve, points in curves.items():
    clusters = list(dict.fromkeys(arm.held_out for arm in points))
    several = len({_point(arm)[2] for arm in points}) > 1 or len(clusters) > len(COLORS)
    apart = [[cluster] for cluster in clusters] if several else [clusters]
    images = [image for some in apart for image in _curve_plot(run, curve, points, some)]
    yield Section(f'Curve: {curve}', images=images, tables=[protocol_tables.curve_table(curve, points)])


def _curve_plot(run: Run, curve: str, points: Sequence[Arm], clusters: Sequence[str]) -> Iterator[tuple[Any, str]]:
  series: dict[str, list[tuple[float, Estimate]]] = {}
  chances = set()
  for arm in points:
    _, x, line = _point(arm)
    for result in arm.evaluation.clusters:
      if arm.held_out in clusters and result.cluster == arm.held_out:
        name = ', '.join(filter(None, [arm.held_out if len(clusters) > 1 else '', line])) or arm.held_out
        series.setdefault(name, []).append((x, result.mean))
        chances.add(result.chance)
  if series:
    places = [x for found in series.values() for x, _ in found]
    path = plots.curves(
      _plot(run, curve, *(clusters if len(clusters) == 1 else ())),
      {name: sorted(found, key=lambda one: one[0]) for name, found in series.items()},
      chance=chances.pop() if len(chances) == 1 else None, xlabel=curve, ylabel='mean over datasets (%)',
      title=f'Held out: {", ".join(clusters)}', log=min(places) > 0.0 and max(places) > _BY_FACTORS * min(places),
    )  # fmt: skip
    yield path.with_suffix('.svg'), 'Bands are 95 % bootstrap intervals over questions, not over training runs.'


def _training(run: Run) -> Iterator[Section]:
  images, found = [], {}
  for held_out in run.held_out:
    learned = {name: one for name, folder in _runs(run, held_out).items() if (one := run_logs.learning(folder))}
    found.update({_joined(held_out, name): one for name, one in learned.items()})
    if learned:
      path = protocol_plots.losses(_plot(run, 'learning', held_out), learned, f'Held out: {held_out}')
      images.append((path.with_suffix('.svg'), 'Loss in training; dashed on held-back rows of the training tasks.'))
  if found:
    yield Section('Learning curves', images=images, tables=[protocol_tables.learning_table(found)])


def _forgetting(run: Run) -> Iterator[Section]:
  images, found = [], {}
  for held_out in run.held_out:
    watched = {name: one for name, folder in _runs(run, held_out).items() if (one := run_logs.forgetting(folder))}
    found.update({_joined(held_out, name): one for name, one in watched.items()})
    if any(line.change for lines in watched.values() for line in lines):
      path = protocol_plots.changes(_plot(run, 'forgetting', held_out), protocol_plots.watched(watched),
                                    'change against step 0 (points)', f'Held out: {held_out}')
      images.append((path.with_suffix('.svg'), 'Change of watched tasks at their last step, with 95 % intervals.'))
  if found:
    table = protocol_tables.forgetting_table(found)
    yield Section('What training changed elsewhere', images=images, tables=[table])


def _contamination(run: Run) -> Iterator[Section]:
  counted = {held_out: run_logs.contamination(run.folder, held_out) for held_out in run.held_out if held_out}
  found = {held_out: one for held_out, one in counted.items() if one is not None}
  if found:
    left = [held_out for held_out in counted if held_out not in found]
    notes = [f'Not counted for {", ".join(left)}.'] if left else []
    yield Section('Contamination', notes, tables=[protocol_tables.contamination_table(found)])


def _examples(run: Run, limit: int) -> Iterator[Section]:
  found = examples.browse(run.arms)
  if found:
    notes = [
      f'At most {limit} answers of each kind (right, wrong, most confident wrong) of every task and arm, fewer where '
      'the page would get too long; questions are drawn by chance, the same for all arms and templates. Share is the '
      'softmax of the scores of the options shown, score the log-likelihood as the run normalised it.',
    ]  # fmt: skip
    if run.points:
      notes.append(f'Answers of the {len(run.points)} points of curves are not shown; they are under predictions/.')
    yield Section('Answers', notes, examples=found)


def _arms(run: Run) -> Iterator[Section]:
  if any(arm.evaluation.origin for arm in run.arms):
    yield Section('Arms and what trained them',
                  tables=[protocol_tables.arm_table(run), protocol_tables.training_table(run)])


def _configuration(run: Run) -> Iterator[Section]:
  config = dict(run.record.config)
  gin = str(config.pop('gin', ''))
  rest = json.dumps(config, indent=2, ensure_ascii=False) if config else ''
  yield Section('How to get these numbers again', [f'Command: {shlex.join(run.record.command)}'],
                code='\n\n'.join(filter(None, [gin, rest])))


def _plot(run: Run, *names: str) -> pathlib.Path:
  """The PNG of a plot; its SVG stands beside it."""
  slugs = [re.sub(r'[^A-Za-z0-9-]+', '_', name).strip('_') for name in names]
  return run.folder / PLOTS / f'{"_".join(filter(None, slugs))}.png'


def _runs(run: Run, held_out: str) -> dict[str, pathlib.Path]:
  """The folders of the training runs behind a cluster's arms, by the names of the arms that each has trained."""
  names: dict[str, list[str]] = {}
  for arm in run.of(held_out):
    if arm.evaluation.origin is not None and arm.evaluation.origin.folder:
      names.setdefault(arm.evaluation.origin.folder, []).append(arm.name)
  return {', '.join(arms): run.folder / folder for folder, arms in names.items()}


def _point(arm: Arm) -> tuple[str, float, str]:
  """The curve, the place on it and the line of an arm that is a point."""
  if arm.evaluation.origin is None or arm.evaluation.origin.point is None:
    raise ValueError(f'{arm.where} is no point of a curve')
  return dataclasses.astuple(arm.evaluation.origin.point)


def _by_arm(run: Run) -> list[Evaluation]:
  """One evaluation for each arm, with the clusters and pairs of all its held-out clusters, for plots by cluster.

  Clusters that were left out of training only because they are close to the held-out one are drawn where they are all
  there is to draw; the tables have them always.
  """
  merged: dict[str, Evaluation] = {}
  alone = len(run.held_out) == 1
  for arm in run.arms:
    before = merged.get(arm.name, Evaluation(arm.name))
    clusters = [one for one in arm.evaluation.clusters if alone or one.cluster == arm.held_out]
    paired = [one for one in arm.evaluation.paired if alone or one.cluster == arm.held_out]
    merged[arm.name] = dataclasses.replace(before, clusters=[*before.clusters, *clusters],
                                           paired=[*before.paired, *paired])  # fmt: skip
  return list(merged.values())


def _joined(held_out: str, name: str) -> str:
  return f'{held_out} / {name}' if held_out else name


def _counted(count: int, noun: str) -> str:
  return f'{count} {noun}' if count == 1 else f'{count} {noun}s'
