"""Tables of results, once as data, shown in a terminal (rich) and in a report (HTML)."""

import dataclasses
import html
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import rich
import rich.box
import rich.console
import rich.table
import rich.text

from flan_jax.evaluation import terminal
from flan_jax.evaluation.results import DatasetResult, Evaluation, PairedResult
from flan_jax.evaluation.terminal import Column

NOTHING = '-'


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows of text under a title. `rich.print(table)` shows what the terminal has room for, `to_html` and `to_markdown`
  show all of it.

  Attributes:
    title: what it shows.
    columns: headings.
    rows: one text per column each.
    note: what a reader must know to read the numbers.
    texts: how many columns, from the left, hold text: they are set left and may be broken; the others are numbers.
    optional: headings of the columns that a narrow terminal goes without, the first to leave first.
  """

  title: str
  columns: tuple[str, ...]
  rows: Sequence[tuple[str, ...]]
  note: str = ''
  texts: int = 1
  optional: tuple[str, ...] = ()

  def __post_init__(self) -> None:
    for row in self.rows:
      if len(row) != len(self.columns):
        raise ValueError(f'table {self.title!r}: row {row} does not have the {len(self.columns)} columns')
    if unknown := set(self.optional) - set(self.columns):
      raise ValueError(f'table {self.title!r}: optional columns {sorted(unknown)} are not among {self.columns}')

  def to_rich(self, width: int | None = None) -> rich.table.Table:
    """Returns the table for a terminal, with whole words and numbers; text in brackets stays text.

    Args:
      width: characters in a line; None asks the terminal. What has no room is named below the table.
    """
    columns = [
      Column(heading, [row[place] for row in self.rows], text=place < self.texts)
      for place, heading in enumerate(self.columns)
    ]
    widths = terminal.fit(columns, self.optional, rich.get_console().width if width is None else width)
    table = rich.table.Table(
      box=rich.box.SIMPLE_HEAD, title_justify='left', caption_justify='left', show_edge=False, pad_edge=False,
      padding=(0, terminal.GAP - 1, 0, 0),
    )  # fmt: skip
    table.title = rich.text.Text(self.title)
    left = [column for place, column in enumerate(columns) if place not in widths]
    table.caption = rich.text.Text(' '.join(filter(None, [self.note, *_said_below(left)]))) or None
    for place, size in widths.items():
      justify: Literal['left', 'right'] = 'left' if columns[place].text else 'right'
      heading = _lines(columns[place].heading, size)
      table.add_column(heading, justify=justify, overflow='fold', width=size)
    for row in self.rows:
      table.add_row(*(_lines(row[place], size) for place, size in widths.items()))
    return table

  def __rich_console__(self, console: rich.console.Console, options: rich.console.ConsoleOptions) -> Iterator[Any]:
    yield self.to_rich(options.max_width)

  def to_html(self) -> str:
    """Returns the table as an HTML figure, all text escaped."""
    head = self._cells('th scope="col"', self.columns)
    body = ''.join(f'<tr>{self._cells("td", row)}</tr>\n' for row in self.rows)
    caption = html.escape(self.title) + (f'<span class="note">{html.escape(self.note)}</span>' if self.note else '')
    return (
      f'<div class="scroll"><table><caption>{caption}</caption>\n'
      f'<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'
    )

  def to_markdown(self) -> str:
    """Returns the table as Markdown, the note below it."""
    rule = ['---' if place < self.texts else '---:' for place in range(len(self.columns))]
    lines = [[text.replace('|', '\\|') for text in cells] for cells in (self.columns, *self.rows)]
    shown = [f'| {" | ".join(cells)} |' for cells in (lines[0], rule, *lines[1:])]
    return '\n'.join([f'**{self.title}**', '', *shown, *(['', self.note] if self.note else []), ''])

  def _cells(self, tag: str, cells: Sequence[str]) -> str:
    opened = [f'<{tag} class="text">' if place < self.texts else f'<{tag}>' for place in range(len(cells))]
    return ''.join(f'{start}{html.escape(cell)}</{tag[:2]}>' for start, cell in zip(opened, cells, strict=True))


def template_table(evaluation: Evaluation) -> Table:
  """Returns one row per task, excluded ones too, so that nothing disappears."""
  rows = []
  for result in evaluation.templates:
    left_out = str(result.unanswerable + result.inverted)
    if result.method == 'excluded':
      rows.append((result.task, 'excluded (inverted template)', *[NOTHING] * 4, '0', left_out))
      continue
    score = result.score
    rows.append((
      result.task, result.metric, number(score.value), interval(score.low, score.high), number(result.chance),
      number(result.majority), str(result.rows), left_out,
    ))  # fmt: skip
  columns = ('task', 'metric', 'score', '95 % interval', 'chance', 'majority', 'rows', 'left out')
  note = 'Percent. The interval draws rows anew. Left out: rows without their answer among the options, inverted rows.'
  optional = ('metric', 'majority', 'chance', 'rows', 'left out', '95 % interval')
  return Table(f'{evaluation.model}: by template', columns, rows, note, texts=2, optional=optional)


def dataset_table(evaluations: Sequence[Evaluation]) -> Table:
  """Returns one row per model and dataset: mean over templates, spread, best and worst template."""
  rows = [
    (
      result.dataset, result.cluster, evaluation.model, result.metric, number(result.mean.value),
      interval(result.mean.low, result.mean.high), number(result.std), number(result.worst), number(result.best),
      number(result.chance), number(result.majority), str(len(result.by_template)), str(result.mean.n),
    )
    for evaluation in evaluations for result in evaluation.datasets
  ]  # fmt: skip
  columns = (
    'dataset', 'cluster', 'model', 'metric', 'mean', '95 % interval', 'std', 'worst', 'best', 'chance', 'majority',
    'templates', 'rows',
  )  # fmt: skip
  note = 'Percent; mean, standard deviation, worst and best over templates. The interval draws questions anew.'
  left_out = dict.fromkeys(_left_out(result) for evaluation in evaluations for result in evaluation.datasets)
  optional = ('metric', 'cluster', 'templates', 'rows', 'majority', 'best', 'worst', 'std', 'chance', '95 % interval')
  return Table('By dataset', columns, rows, ' '.join(filter(None, [note, *left_out])), texts=4, optional=optional)


def metric_table(evaluations: Sequence[Evaluation]) -> Table:
  """Returns one row per model, dataset and metric, where a dataset is measured by several: means over templates."""
  rows = [
    (result.dataset, evaluation.model, name, number(value), str(len(result.by_template)), str(result.mean.n))
    for evaluation in evaluations for result in evaluation.datasets if len(result.metrics) > 1
    for name, value in result.metrics.items()
  ]  # fmt: skip
  note = 'Percent (edit_distance: characters); means over templates. The first metric of a dataset is the one averaged.'
  columns = ('dataset', 'model', 'metric', 'mean', 'templates', 'rows')
  return Table('By metric', columns, rows, note, texts=3, optional=('rows', 'templates'))


def chosen_table(evaluations: Sequence[Evaluation]) -> Table:
  """Returns one row per model and dataset with a chosen template: its scores, beside the mean and the best."""
  rows = [
    (
      result.dataset, evaluation.model, result.chosen.task, result.metric, number(result.chosen.validation),
      number(result.chosen.score.value), interval(result.chosen.score.low, result.chosen.score.high),
      number(result.mean.value), number(result.best), number(result.chance),
    )
    for evaluation in evaluations for result in evaluation.datasets if result.chosen is not None
  ]  # fmt: skip
  columns = (
    'dataset', 'model', 'template', 'metric', 'to choose by', 'score', '95 % interval', 'mean', 'best', 'chance',
  )  # fmt: skip
  note = 'Percent. The template that was best on other rows; beside it mean and best of all templates.'
  optional = ('metric', 'chance', 'best', 'mean', 'to choose by', '95 % interval')
  return Table('By chosen template', columns, rows, note, texts=4, optional=optional)


def cluster_table(evaluations: Sequence[Evaluation]) -> Table:
  """Returns one row per model and cluster: the macro average over datasets."""
  rows = [
    (
      result.cluster, evaluation.model, result.metric, number(result.mean.value),
      interval(result.mean.low, result.mean.high), number(result.chance), str(len(result.datasets)),
    )
    for evaluation in evaluations for result in evaluation.clusters
  ]  # fmt: skip
  columns = ('cluster', 'model', 'metric', 'mean', '95 % interval', 'chance', 'datasets')
  note = 'Percent; unweighted mean over datasets, each the mean over its templates.'
  optional = ('metric', 'datasets', 'chance', '95 % interval')
  return Table('By cluster', columns, rows, note, texts=3, optional=optional)


def paired_table(evaluations: Sequence[Evaluation], title: str = 'Asked plainly and asked the opposite') -> Table:
  """Returns one row per model and pair: the mean of both halves first, both halves beside it."""
  rows = [
    (result.dataset, evaluation.model, *_paired_cells(result))
    for evaluation in evaluations for result in evaluation.paired
  ]  # fmt: skip
  columns = ('task', 'model', 'mean of the pair', '95 % interval', 'plain', 'opposite', 'both right', 'chance', 'pairs')
  note = 'Percent. A model that does not read the instruction stays at chance in the mean of the pair.'
  optional = ('pairs', 'chance', 'both right', '95 % interval', 'opposite', 'plain')
  return Table(title, columns, rows, note, texts=2, optional=optional)


def number(value: float | None) -> str:
  """Returns a percentage with one decimal, or a dash."""
  return NOTHING if value is None else f'{value:.1f}'


def interval(low: float | None, high: float | None) -> str:
  """Returns both ends of an interval, or a dash."""
  return NOTHING if low is None or high is None else f'{low:.1f} to {high:.1f}'


def _left_out(result: DatasetResult) -> str:
  """Says what of a dataset its numbers do not rest on; empty where that is nothing."""
  rows, templates = result.unanswerable, len(result.excluded)
  parts = [f'{rows} answers not among the options'] if rows else []
  parts += [f'{templates} inverted templates'] if templates else []
  return f'Left out of {result.dataset}: {", ".join(parts)}.' if parts else ''


def _said_below(left: Sequence[Column]) -> list[str]:
  """Returns what is said about the columns that had no room: the value they have everywhere, or their names."""
  same = [f'{column.heading} {column.cells[0]}' for column in left if column.constant]
  others = [column.heading for column in left if not column.constant]
  said = [f'In every row: {", ".join(same)}.'] if same else []
  return [*said, f'No room for: {", ".join(others)}.'] if others else said


def _lines(text: str, width: int) -> rich.text.Text:
  return rich.text.Text('\n'.join(terminal.broken(text, width)))


def _paired_cells(result: PairedResult) -> tuple[str, ...]:
  shares = (result.plain, result.opposite, result.both, result.chance)
  return (number(result.mean), interval(*result.interval), *(number(share) for share in shares), str(result.n))
