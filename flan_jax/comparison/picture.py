"""The picture of a comparison: what is learned against what trains, and beside it what is forgotten."""

from __future__ import annotations  # matplotlib is imported where something is drawn: half a second of a start

import math
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flan_jax.comparison.lines import Line, size
from flan_jax.evaluation.plots import COLORS
from flan_jax.evaluation.statistics import Estimate

if TYPE_CHECKING:
  from matplotlib.axes import Axes

_INK, _FAINT = '#222222', '#DDDDDD'
_LARGEST = 240.0  # the area of the largest marker, in square points
_APART = 11.0  # points between the middles of two numbers, at least
_SIDES = [(radius * math.cos(turn), radius * math.sin(turn)) for radius in (15, 21, 28, 36, 45)
          for turn in [math.pi * (0.25 + part / 6) for part in range(12)]]  # no whisker stands to the upper right


def draw(path: pathlib.Path, lines: Sequence[Line], title: str = '') -> pathlib.Path:
  """Draws the picture; methods are numbered, and the bars beside the points name them.

  Args:
    path: the PNG to write.
    lines: at least one.
    title: one line over the picture.

  Returns:
    The path.

  Raises:
    ValueError: without lines.
  """
  if not lines:
    raise ValueError('there is no method to draw')
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  figure = Figure(figsize=(11.0, max(4.2, 1.4 + 0.3 * len(lines))), dpi=160, layout='constrained')
  FigureCanvasAgg(figure)
  left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
  figure.suptitle(title, x=0.01, ha='left', color=_INK, fontsize=12)
  for axes in (left, right):
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK)
    for side in ('top', 'right'):
      axes.spines[side].set_visible(False)
  _learned(left, lines)
  _forgotten(right, lines)
  figure.draw_without_rendering()  # the layout first: numbers are placed by distances on the page
  _numbers(left, lines)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f'{path.name}.{os.getpid()}.partial')  # several processes may draw the same comparison
  figure.savefig(partial, format='png')
  partial.replace(path)
  return path


def _color(place: int) -> str:
  return COLORS[place % len(COLORS)]


def _learned(axes: Axes, lines: Sequence[Line]) -> None:
  """Accuracy on the new task over the parameters that train; a marker's area is the memory of the training step."""
  most = max(line.step_bytes for line in lines)
  for place, line in enumerate(lines):
    axes.scatter([line.trainable], [line.new.value], s=_LARGEST * line.step_bytes / most, color=_color(place),
                 alpha=0.55, edgecolors=_INK, linewidths=0.8, zorder=3)
    _whisker(axes, line.trainable, line.new)
  base = lines[0].before.value
  axes.axhline(base, color=_INK, linestyle=(0, (4, 3)), linewidth=1.2)
  axes.annotate('untouched base', (0.01, base), (0, 3), xycoords=('axes fraction', 'data'), textcoords='offset points',
                fontsize=8, color=_INK)
  axes.set_xscale('log')
  axes.margins(x=0.12)
  lowest = min(value for line in lines for value in (line.new.value, line.new.low, base) if value is not None)
  axes.set_ylim(max(0.0, 10.0 * math.floor(lowest / 10.0 - 0.5)), 106)
  axes.grid(color=_FAINT, linewidth=0.8)
  axes.set_xlabel(f'parameters that train (area: memory of a training step, at most {size(most)})', color=_INK)
  axes.set_ylabel('accuracy on the new task (%)', color=_INK)


def _whisker(axes: Axes, x: float, estimate: Estimate) -> None:
  if estimate.low is not None and estimate.high is not None:
    below, above = max(estimate.value - estimate.low, 0.0), max(estimate.high - estimate.value, 0.0)
    axes.errorbar(x, estimate.value, [[below], [above]], color=_INK, linewidth=1.0, capsize=2, zorder=4)


def _numbers(axes: Axes, lines: Sequence[Line]) -> None:
  """Writes the number of each method beside its point, where no other number and no point is."""
  scale = 72.0 / axes.figure.dpi
  points = [axes.transData.transform((line.trainable, line.new.value)) * scale for line in lines]
  taken = [(float(x), float(y)) for x, y in points]
  for place, (line, (x, y)) in enumerate(zip(lines, points, strict=True)):
    shift = next(_free(x, y, taken), _SIDES[0])
    taken.append((x + shift[0], y + shift[1]))
    axes.annotate(str(place + 1), (line.trainable, line.new.value), shift, textcoords='offset points', ha='center',
                  va='center', fontsize=8, color=_INK, zorder=5,
                  arrowprops={'arrowstyle': '-', 'color': _INK, 'linewidth': 0.5, 'shrinkA': 4, 'shrinkB': 6})


def _free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
  """The places around a point that are free, the nearest first."""
  for side in _SIDES:
    if all(math.hypot(x + side[0] - other[0], y + side[1] - other[1]) >= _APART for other in taken):
      yield side


def _forgotten(axes: Axes, lines: Sequence[Line]) -> None:
  """The change of the old tasks as bars, the first method on top."""
  for place, line in enumerate(lines):
    axes.barh(place, line.forgetting.value, 0.7, color=_color(place))
    low, high = line.forgetting.low, line.forgetting.high
    if low is not None and high is not None:
      axes.plot([low, high], [place, place], color=_INK, linewidth=1.2, marker='|', markersize=5)
    axes.annotate(f'{line.forgetting.value:+.1f}', (1.0, place), (3, 0), xycoords=('axes fraction', 'data'),
                  textcoords='offset points', va='center', fontsize=8, color=_INK)
  axes.set_yticks(range(len(lines)), [f'{line.name}  {place + 1}' for place, line in enumerate(lines)])
  axes.tick_params(axis='y', length=0)
  axes.set_ylim(len(lines) - 0.4, -0.6)
  axes.spines['left'].set_visible(False)
  axes.axvline(0.0, color=_INK, linewidth=0.8)
  axes.grid(axis='x', color=_FAINT, linewidth=0.8)
  axes.set_xlabel('change on the old tasks against the untouched base (points)', color=_INK)
