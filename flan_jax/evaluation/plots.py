"""Plots of results: grouped bars with intervals and chance, and curves. Each is a PNG, and an SVG beside it."""

from __future__ import annotations  # matplotlib is imported where something is drawn: half a second of a start

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flan_jax.evaluation.drawing import COLORS, DASHES, INK, WIDTH, canvas, percentages, save, wrapped
from flan_jax.evaluation.results import Evaluation
from flan_jax.evaluation.statistics import Estimate

if TYPE_CHECKING:
  from matplotlib.axes import Axes

_NUMBERED = 48  # more bars than this are too narrow for a number each
# An open circle and a filled one, so small that the ring shows where both are the same.
_MARKS: tuple[dict[str, Any], ...] = (
  {'marker': 'o', 'markersize': 7.5, 'markerfacecolor': 'white'},
  {'marker': 'o', 'markersize': 4.5, 'markerfacecolor': INK},
)

Bars = Mapping[str, Sequence[Estimate | None]]
Marks = Mapping[str, Mapping[str, Sequence[float | None]]]


def grouped_bars(
  path: str | pathlib.Path,
  groups: Sequence[str],
  series: Bars,
  *,
  chance: Sequence[float | None] | None = None,
  marks: Marks | None = None,
  title: str = '',
  ylabel: str = 'accuracy (%)',
) -> pathlib.Path:
  """Draws a bar for each series in each group, with its interval as a whisker and chance as a dashed line.

  The value of each bar stands under it, where it meets neither whisker nor mark.

  Args:
    path: the PNG to write; its folder is made where it is missing.
    groups: names along the axis, such as clusters.
    series: for each legend entry (a model) one estimate per group; None where there is none.
    chance: the chance level of each group.
    marks: up to two kinds of value that a bar is the mean of, for each series one per group: the first is drawn as
      an open circle beside the whisker, the second as a filled one.
    title: one line over the plot.
    ylabel: what is measured, in percent.

  Returns:
    The path.

  Raises:
    ValueError: without bars, where a series, a mark or chance has another number of groups, or a value is no number.
  """
  marks = marks or {}
  _check_bars(groups, series, chance, marks)
  figure, axes = canvas(title, ylabel, width=max(WIDTH, 0.42 * len(groups) * (len(series) + 1)))
  width = 0.8 / len(series)
  for place, (label, values) in enumerate(series.items()):
    offset = (place - (len(series) - 1) / 2) * width
    _bars(axes, label, values, offset, width, COLORS[place % len(COLORS)], shift=0.18 * width if marks else 0.0)
    if len(groups) * len(series) <= _NUMBERED:
      _numbers(axes, values, offset)
    _circles(axes, [kind[label] for kind in marks.values()], offset + 0.18 * width)
  _chance_lines(axes, chance or [])
  for kind, style in zip(marks, _MARKS, strict=False):
    axes.plot([], [], color=INK, linestyle='none', label=kind, **style)
  axes.set_xticks(range(len(groups)), [wrapped(group) for group in groups])
  axes.tick_params(axis='x', length=0, pad=16)
  axes.set_xlim(-0.55, len(groups) - 0.45)
  percentages(axes, [estimate for values in series.values() for estimate in values if estimate is not None])
  return save(figure, axes, path)


def curves(
  path: str | pathlib.Path,
  series: Mapping[str, Sequence[tuple[float, Estimate]]],
  *,
  chance: float | None = None,
  title: str = '',
  xlabel: str = '',
  ylabel: str = 'accuracy (%)',
  log: bool = False,
) -> pathlib.Path:
  """Draws a line for each series over (x, estimate) points, its intervals as a band, and chance as a dashed line.

  Args:
    path: the PNG to write.
    series: points of each legend entry, such as accuracy over the number of training clusters.
    chance: the common chance level.
    title: one line over the plot.
    xlabel: what runs along the axis.
    ylabel: what is measured, in percent.
    log: whether the axis goes up by factors, as for parameters.

  Returns:
    The path.

  Raises:
    ValueError: without points, or where a value is not a number.
  """
  estimates = [estimate for points in series.values() for _, estimate in points]
  if not series or not all(series.values()):
    raise ValueError('a plot of curves needs at least one point in each series')
  _check_finite(estimates)
  figure, axes = canvas(title, ylabel, width=WIDTH)
  for place, (label, points) in enumerate(series.items()):
    color = COLORS[place % len(COLORS)]
    x = [point for point, _ in points]
    axes.plot(x, [estimate.value for _, estimate in points], marker='o', color=color, label=label)
    if all(estimate.low is not None and estimate.high is not None for _, estimate in points):
      low, high = [estimate.low for _, estimate in points], [estimate.high for _, estimate in points]
      axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)  # type: ignore[arg-type]
  if chance is not None:
    axes.axhline(chance, color=INK, linestyle=DASHES, linewidth=1.2, label='chance')
  axes.set_xlabel(xlabel)
  if log:
    axes.set_xscale('log')
  elif all(float(x).is_integer() for points in series.values() for x, _ in points):
    import matplotlib.ticker

    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
  percentages(axes, estimates)
  return save(figure, axes, path)


def cluster_bars(path: str | pathlib.Path, evaluations: Sequence[Evaluation], title: str = '') -> pathlib.Path:
  """Draws the macro average of every cluster, one bar per model."""
  groups = list(dict.fromkeys(result.cluster for evaluation in evaluations for result in evaluation.clusters))
  found = [{result.cluster: result for result in evaluation.clusters} for evaluation in evaluations]
  series = {
    evaluation.model: [results[group].mean if group in results else None for group in groups]
    for evaluation, results in zip(evaluations, found, strict=True)
  }
  chance = [next((results[group].chance for results in found if group in results), None) for group in groups]
  return grouped_bars(path, groups, series, chance=chance, title=title, ylabel='mean over datasets (%)')


def paired_bars(path: str | pathlib.Path, evaluations: Sequence[Evaluation], title: str = '') -> pathlib.Path:
  """Draws the mean of plain and opposite questions for every paired task, one bar per model, both halves as circles."""
  groups = list(dict.fromkeys(result.dataset for evaluation in evaluations for result in evaluation.paired))
  found = [{result.dataset: result for result in evaluation.paired} for evaluation in evaluations]
  series = {
    evaluation.model: [
      Estimate(results[group].mean, *results[group].interval, results[group].n) if group in results else None
      for group in groups
    ]
    for evaluation, results in zip(evaluations, found, strict=True)
  }
  marks = {
    half: {
      evaluation.model: [getattr(results[group], half) if group in results else None for group in groups]
      for evaluation, results in zip(evaluations, found, strict=True)
    }
    for half in ('plain', 'opposite')
  }
  chance = [next((results[group].chance for results in found if group in results), None) for group in groups]
  ylabel = 'mean of plain and opposite (%)'
  return grouped_bars(path, groups, series, chance=chance, marks=marks, title=title, ylabel=ylabel)



def _check_bars(
  groups: Sequence[str], series: Bars, chance: Sequence[float | None] | None, marks: Marks
) -> None:
  rows = [*series.values(), *(values for kind in marks.values() for values in kind.values())]
  lengths = {len(groups), *map(len, rows), len(groups if chance is None else chance)}
  if len(lengths) > 1 or not groups or not series:
    raise ValueError(f'{len(groups)} groups need at least one series, and as many values in each series and in chance')
  if len(marks) > len(_MARKS) or any(kind.keys() != series.keys() for kind in marks.values()):
    raise ValueError(f'marks are of at most {len(_MARKS)} kinds, each with the series {list(series)}')
  drawn = [estimate for values in series.values() for estimate in values if estimate is not None]
  if not drawn:
    raise ValueError('there is no bar to draw')
  _check_finite(drawn)


def _check_finite(estimates: Sequence[Estimate]) -> None:
  for estimate in estimates:
    if not all(math.isfinite(value) for value in estimate if value is not None):
      raise ValueError(f'{estimate!r} cannot be drawn: it is not a number')


def _bars(
  axes: Axes, label: str, values: Sequence[Estimate | None], offset: float, width: float, color: str, *, shift: float
) -> None:
  """Draws the bars of one series; their whiskers stand `shift` left of the middle."""
  found = [(place + offset, value) for place, value in enumerate(values) if value is not None]
  axes.bar([x for x, _ in found], [value.value for _, value in found], 0.92 * width, color=color, label=label)
  for x, estimate in found:
    if estimate.low is not None and estimate.high is not None:
      below, above = max(estimate.value - estimate.low, 0.0), max(estimate.high - estimate.value, 0.0)
      axes.errorbar(x - shift, estimate.value, [[below], [above]], color=INK, linewidth=1.2, capsize=3)


def _numbers(axes: Axes, values: Sequence[Estimate | None], offset: float) -> None:
  """Writes the value of each bar of one series under the axis."""
  for place, estimate in enumerate(values):
    if estimate is not None:
      axes.annotate(
        f'{estimate.value:.0f}', (place + offset, 0), (0, -4), xycoords=('data', 'axes fraction'),
        textcoords='offset points', ha='center', va='top', fontsize=8, color=INK,
      )  # fmt: skip


def _circles(axes: Axes, kinds: Sequence[Sequence[float | None]], offset: float) -> None:
  """Draws the marks of one series, joined by a line so that their distance shows."""
  for place, pair in enumerate(zip(*kinds, strict=True)):
    ends = [value for value in pair if value is not None]
    axes.plot([place + offset] * len(ends), ends, color=INK, linewidth=1.0)
  for values, style in zip(kinds, _MARKS, strict=False):
    found = [(place + offset, value) for place, value in enumerate(values) if value is not None]
    heights = [value for _, value in found]
    axes.plot([x for x, _ in found], heights, color=INK, linestyle='none', zorder=4, **style)



def _chance_lines(axes: Axes, chance: Sequence[float | None]) -> None:
  label: str | None = 'chance'
  for place, level in enumerate(chance):
    if level is not None:
      axes.plot(
        [place - 0.46, place + 0.46], [level, level], color=INK, linestyle=DASHES, linewidth=1.4, label=label
      )
      label = None
