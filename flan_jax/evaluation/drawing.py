"""What all plots share: the paper, the colours, an axis of percentages, and two files of each. No pyplot."""

from __future__ import annotations  # matplotlib is imported where something is drawn: half a second of a start

import pathlib
from typing import TYPE_CHECKING

from flan_jax.evaluation.statistics import Estimate

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers; its yellow is left out, being too pale on white.
COLORS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#595959')
INK, FAINT = '#222222', '#DDDDDD'
DASHES = (0, (4, 3))
WIDTH, HEIGHT, DPI = 7.2, 4.2, 160
_WIDEST = 16.0


def canvas(title: str, ylabel: str, *, width: float = WIDTH, height: float = HEIGHT) -> tuple[Figure, Axes]:
  """Returns a figure of this size in inches, with one pair of axes whose grid shows heights."""
  import matplotlib.ticker
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  figure = Figure(figsize=(min(width, _WIDEST), height), dpi=DPI, layout='constrained')
  FigureCanvasAgg(figure)
  axes = figure.subplots()
  axes.set_title(title, loc='left', color=INK, fontsize=12, pad=12)
  axes.set_ylabel(ylabel, color=INK)
  axes.yaxis.set_major_locator(matplotlib.ticker.MultipleLocator(20))
  axes.grid(axis='y', color=FAINT, linewidth=0.8)
  axes.set_axisbelow(True)
  for side in ('top', 'right', 'left'):
    axes.spines[side].set_visible(False)
  axes.tick_params(colors=INK)
  return figure, axes


def rows_canvas(title: str, xlabel: str, rows: list[str], *, inches: float = 0.28) -> tuple[Figure, Axes]:
  """Returns a figure with a named row for each entry, the first on top, whose grid shows widths."""
  figure, axes = canvas(title, '', width=WIDTH, height=1.5 + inches * len(rows))
  axes.grid(visible=False)
  axes.grid(axis='x', color=FAINT, linewidth=0.8)
  axes.set_yticks(range(len(rows)), rows)
  axes.tick_params(axis='y', length=0)
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.set_xlabel(xlabel, color=INK)
  return figure, axes


def percentages(axes: Axes, estimates: list[Estimate]) -> None:
  """Shows 0 to 100 on the vertical axis, and what is below: correlations can be negative."""
  lowest = min(value for estimate in estimates for value in (estimate.value, estimate.low) if value is not None)
  axes.set_ylim(lowest - 5.0 if lowest < 0.0 else 0.0, 105)
  if lowest < 0.0:
    axes.axhline(0.0, color=INK, linewidth=0.8)


def wrapped(name: str, length: int = 14) -> str:
  """Breaks a long name at underscores and spaces, so that ticks do not run into each other."""
  lines = ['']
  for word in name.replace('_', ' ').split(' '):
    if lines[-1] and len(lines[-1]) + len(word) >= length:
      lines.append('')
    lines[-1] = f'{lines[-1]} {word}'.strip()
  return '\n'.join(lines)


def save(figure: Figure, axes: Axes, path: str | pathlib.Path) -> pathlib.Path:
  """Writes a PNG, and an SVG of the same name beside it whose text is text; the same figure gives the same bytes.

  Args:
    figure: what is drawn; a legend at its foot is added where there is more than one thing to name.
    axes: what the legend names.
    path: the PNG; its folder is made where it is missing.

  Returns:
    The path of the PNG.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  handles, labels = axes.get_legend_handles_labels()
  if len(labels) > 1:
    figure.legend(handles, labels, loc='outside lower center', ncols=min(len(labels), 3), frameon=False)
  figure.savefig(path)
  import matplotlib

  with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': path.stem}):
    figure.savefig(path.with_suffix('.svg'), metadata=dict.fromkeys(('Creator', 'Date', 'Format', 'Type')))
  return path
