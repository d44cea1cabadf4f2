"""Plots of the held-out protocol's report: templates as dots, loss over steps, differences with intervals."""

from __future__ import annotations  # matplotlib is imported where something is drawn: half a second of a start

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flan_jax.evaluation.drawing import COLORS, DASHES, INK, canvas, rows_canvas, save
from flan_jax.evaluation.protocol_run import Arm
from flan_jax.evaluation.results import DatasetResult
from flan_jax.evaluation.run_logs import Learning, Watched
from flan_jax.evaluation.statistics import Estimate

if TYPE_CHECKING:
  from matplotlib.axes import Axes

Change = tuple[str, str, Estimate]  # the name of its row, the series whose colour it has, the change


def template_spread(path: str | pathlib.Path, arms: Sequence[Arm], title: str = '') -> pathlib.Path:
  """Draws every template as a dot in the row of its dataset and arm, with mean, chance and the chosen template.

  Args:
    path: the PNG to write; an SVG goes beside it.
    arms: judged on the same cluster.
    title: one line over the plot.

  Raises:
    ValueError: without a dataset.
  """
  names = list(dict.fromkeys(result.dataset for arm in arms for result in arm.evaluation.datasets))
  if not names:
    raise ValueError('there is no dataset to draw')
  labels: list[str] = []
  drawn: list[tuple[int, str, DatasetResult]] = []
  for name in names:
    labels.append(name)  # a row of its own, as a heading
    for place, arm in enumerate(arms):
      for result in (one for one in arm.evaluation.datasets if one.dataset == name):
        drawn.append((len(labels), COLORS[place % len(COLORS)], result))
        labels.append(arm.name)
  results = [result for *_, result in drawn]
  metrics = '+'.join(dict.fromkeys(result.metric for result in results))
  figure, axes = rows_canvas(title, f'{metrics} (%)', labels)
  for row, label in enumerate(axes.get_yticklabels()):
    label.set_fontweight('normal' if row in {one for one, *_ in drawn} else 'bold')
  for row, color, result in drawn:
    _spread(axes, row, result, color)
  axes.plot([], [], 'o', color='#777777', alpha=0.6, markersize=5, label='a template')
  axes.plot([], [], '|', color=INK, markersize=13, markeredgewidth=2.2, label='mean over templates')
  axes.plot([], [], color=INK, linestyle=DASHES, linewidth=1.2, label='chance')
  if any(result.chosen for result in results):
    axes.plot([], [], 'D', markerfacecolor='none', color=INK, markersize=8, label='chosen template')
  lowest = min(0.0, *(value for result in results for value in result.by_template.values()))
  axes.set_xlim(lowest - 3.0 if lowest < 0.0 else -1.0, 101.0)
  return save(figure, axes, path)


def losses(path: str | pathlib.Path, runs: Mapping[str, Learning], title: str = '') -> pathlib.Path:
  """Draws loss over steps: a line for training, and a dashed one for held-back rows where these were measured.

  Args:
    path: the PNG to write; an SVG goes beside it.
    runs: by the name that the legend gives them.
    title: one line over the plot.

  Raises:
    ValueError: without a run.
  """
  if not runs:
    raise ValueError('there is no training run to draw')
  import matplotlib.ticker

  figure, axes = canvas(title, 'loss (nats per token)')
  axes.yaxis.set_major_locator(matplotlib.ticker.AutoLocator())
  for place, (name, run) in enumerate(runs.items()):
    color = COLORS[place % len(COLORS)]
    axes.plot(*zip(*run.train, strict=True), color=color, linewidth=1.4, label=name)
    if run.held_back:
      held_back = zip(*run.held_back, strict=True)
      axes.plot(*held_back, color=color, linestyle=DASHES, marker='o', markersize=3.5, label=f'{name}, held back')
  axes.set_xlabel('updates', color=INK)
  axes.set_ylim(bottom=0.0)
  return save(figure, axes, path)


def changes(path: str | pathlib.Path, rows: Sequence[Change], xlabel: str, title: str = '') -> pathlib.Path:
  """Draws differences with their intervals, one in a row, nought as an upright line.

  Args:
    path: the PNG to write; an SVG goes beside it.
    rows: what to draw, the first on top.
    xlabel: what the points are.
    title: one line over the plot.

  Raises:
    ValueError: without a row.
  """
  if not rows:
    raise ValueError('there is no change to draw')
  figure, axes = rows_canvas(title, xlabel, [label for label, *_ in rows])
  axes.axvline(0.0, color=INK, linewidth=1.0)
  colors = {series: COLORS[place % len(COLORS)] for place, series in enumerate(dict.fromkeys(row[1] for row in rows))}
  for place, (_, series, change) in enumerate(rows):
    if change.low is not None and change.high is not None:
      axes.plot([change.low, change.high], [place, place], color=colors[series], linewidth=2.0)
    axes.plot([change.value], [place], 'o', color=colors[series], markersize=7)
  for series, color in colors.items():
    axes.plot([], [], 'o', color=color, label=series)
  return save(figure, axes, path)


def watched(runs: Mapping[str, Sequence[Watched]]) -> list[Change]:
  """Returns the rows of `changes` for what was watched in training runs: each task's last change."""
  return [(one.task, name, one.change) for name, lines in runs.items()
          for one in {one.task: one for one in lines if one.change}.values() if one.change]


def _spread(axes: Axes, row: int, result: DatasetResult, color: str) -> None:
  """Draws one row of dots."""
  scores = list(result.by_template.values())
  axes.plot(scores, [row] * len(scores), 'o', color=color, alpha=0.6, markersize=5, markeredgewidth=0)
  axes.plot([result.mean.value], [row], '|', color=INK, markersize=13, markeredgewidth=2.2)
  if result.chance is not None:
    axes.plot([result.chance, result.chance], [row - 0.5, row + 0.5], color=INK, linestyle=DASHES, linewidth=1.2)
  if result.chosen is not None:
    axes.plot([result.chosen.score.value], [row], 'D', markerfacecolor='none', color=INK, markersize=8)
