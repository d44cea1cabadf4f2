"""Tables of results, once as data, shown in a terminal (rich) and in a report (HTML)."""

import dataclasses
import html
from collections.abc import Sequence

import rich.box
import rich.table
import rich.text

from flan_jax.evaluation.results import Evaluation, PairedResult

NOTHING = '-'


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows of text under a title; every column but the first is set right.

  Attributes:
    title: what it shows.
    columns: headings.
    rows: one text per column each.
    note: what a reader must know to read the numbers.
  """

  title: str
  columns: tuple[str, ...]
  rows: Sequence[tuple[str, ...]]
  note: str = ''

  def __post_init__(self) -> None:
    for row in self.rows:
      if len(row) != len(self.columns):
        raise ValueError(f'table {self.title!r}: row {row} does not have the {len(self.columns)} columns')

  def to_rich(self) -> rich.table.Table:
    """Returns the table for `rich.console.Console.print`; text in brackets stays text."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, title_justify='left', caption_justify='left')
    table.title = rich.text.Text(self.title)
    table.caption = rich.text.Text(self.note) if self.note else None
    for place, column in enumerate(self.columns):
      table.add_column(rich.text.Text(column), justify='right' if place else 'left', overflow='fold')
    for row in self.rows:
      table.add_row(*(rich.text.Text(cell) for cell in row))
    return table

  def to_html(self) -> str:
    """Returns the table as an HTML figure, all text escaped."""
    head = ''.join(f'<th scope="col">{html.escape(column)}</th>' for column in self.columns)
    body = ''.join(f'<tr>{"".join(f"<td>{html.escape(cell)}</td>" for cell in row)}</tr>\n' for row in self.rows)
    caption = html.escape(self.title) + (f'<span class="note">{html.escape(self.note)}</span>' if self.note else '')
    return (
      f'<div class="scroll"><table><caption>{caption}</caption>\n'
      f'<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'
    )


def template_table(evaluation: Evaluation) -> Table:
  """Returns one row per task, excluded ones too, so that nothing disappears."""
  rows = []
  for result in evaluation.templates:
    if result.method == 'excluded':
      rows.append((result.task, 'excluded (inverted template)', *[NOTHING] * 4, '0'))
      continue
    left_out = f' ({result.unanswerable + result.inverted} left out)' if result.unanswerable + result.inverted else ''
    score = result.score
    rows.append((
      result.task, result.metric, number(score.value), interval(score.low, score.high), number(result.chance),
      number(result.majority), f'{result.rows}{left_out}',
    ))  # fmt: skip
  columns = ('task', 'metric', 'score', '95 % interval', 'chance', 'majority', 'rows')
  return Table(f'{evaluation.model}: by template', columns, rows, 'Percent. The interval draws rows anew.')


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
  return Table('By dataset', columns, rows, note)


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
  return Table('By cluster', columns, rows, 'Percent; unweighted mean over datasets, each the mean over its templates.')


def paired_table(evaluations: Sequence[Evaluation], title: str = 'Asked plainly and asked the opposite') -> Table:
  """Returns one row per model and pair: the mean of both halves first, both halves beside it."""
  rows = [
    (result.dataset, evaluation.model, *_paired_cells(result))
    for evaluation in evaluations for result in evaluation.paired
  ]  # fmt: skip
  columns = ('task', 'model', 'mean of the pair', '95 % interval', 'plain', 'opposite', 'both right', 'chance', 'pairs')
  note = 'Percent. A model that does not read the instruction stays at chance in the mean of the pair.'
  return Table(title, columns, rows, note)


def number(value: float | None) -> str:
  """Returns a percentage with one decimal, or a dash."""
  return NOTHING if value is None else f'{value:.1f}'


def interval(low: float | None, high: float | None) -> str:
  """Returns both ends of an interval, or a dash."""
  return NOTHING if low is None or high is None else f'{low:.1f} to {high:.1f}'


def _paired_cells(result: PairedResult) -> tuple[str, ...]:
  shares = (result.plain, result.opposite, result.both, result.chance)
  return (number(result.mean), interval(*result.interval), *(number(share) for share in shares), str(result.n))
