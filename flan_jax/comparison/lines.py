"""One line of a comparison: a method over its seeds, and the table of all of them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from flan_jax.comparison.costs import Cost, Costs
from flan_jax.comparison.rows import Row
from flan_jax.comparison.timing import Spread
from flan_jax.evaluation.statistics import Estimate
from flan_jax.evaluation.tables import NOTHING, Table, interval, number

BASE = 'untouched base'


@dataclasses.dataclass(frozen=True)
class Line:
  """A method over its seeds.

  Attributes:
    name: of the entry.
    seeds: those that are done.
    trainable: parameters that trained.
    share: of the base's parameters, in percent.
    disk_bytes: what has to be kept beside the base.
    step_bytes: peak of the compiled training step.
    optimizer_bytes: of the optimizer's state.
    measured_peak: highest of the seeds; None where it is not known.
    measured_on: 'device' or 'process'.
    examples: in one step of the new task.
    before: accuracy of the base on the new task.
    new: accuracy on the new task.
    old: accuracy on the old tasks.
    forgetting: change on the old tasks against the base.
    old_tasks: the same of each of them.
    cost: speed; None where it is not measured.
  """

  name: str
  seeds: tuple[int, ...]
  trainable: int
  share: float
  disk_bytes: int
  step_bytes: int
  optimizer_bytes: int
  measured_peak: int | None
  measured_on: str
  examples: float
  before: Estimate
  new: Estimate
  old: Estimate
  forgetting: Estimate
  old_tasks: dict[str, Estimate]
  cost: Cost | None


def over_seeds(estimates: Sequence[Estimate]) -> Estimate:
  """One seed's estimate with its interval; of several the mean, with the lowest and the highest in its place."""
  if len(estimates) == 1:
    return estimates[0]
  values = [estimate.value for estimate in estimates]
  return Estimate(float(np.mean(values)), min(values), max(values), estimates[0].n)


def lines(names: Sequence[str], rows: Sequence[Row], costs: Costs | None) -> list[Line]:
  """The lines of the entries of which some row is done, in the order of their names."""
  found = []
  for name in names:
    mine = [row for row in rows if row.entry == name]
    if mine:
      found.append(_line(mine, costs.entries.get(name) if costs else None))
  return found


def _line(rows: Sequence[Row], cost: Cost | None) -> Line:
  first = rows[0]
  peaks = [row.measured_peak for row in rows if row.measured_peak is not None]
  return Line(
    name=first.entry, seeds=tuple(row.seed for row in rows), trainable=first.trainable,
    share=100.0 * first.trainable / first.base, disk_bytes=first.disk_bytes, step_bytes=first.memory['peak'],
    optimizer_bytes=first.optimizer_bytes, measured_peak=max(peaks) if peaks else None, measured_on=first.measured_on,
    examples=first.examples, before=first.new.before, new=over_seeds([row.new.after for row in rows]),
    old=over_seeds([row.old.after for row in rows]), forgetting=over_seeds([row.old.change for row in rows]),
    old_tasks={task: over_seeds([row.old_tasks[task].change for row in rows]) for task in first.old_tasks}, cost=cost,
  )  # fmt: skip


def table(found: Sequence[Line], base: Row, costs: Costs | None) -> Table:
  """The comparison as a table, the base first.

  Args:
    found: the lines.
    base: any row: all hold the base's own numbers.
    costs: speed; None where it is not measured.
  """
  columns = (
    'method', 'trained', '% of base', 'kept', 'step memory', 'optimizer', 'examples/step', 'ms/step', 'range',
    'tokens/s', 'answer ms', 'merged ms', 'new task', 'interval', 'old tasks', 'change', 'change interval',
  )  # fmt: skip
  base_ms = _spread(costs.base_ms if costs else None)[0]
  known = (*_estimate(base.new.before), number(base.old.before.value))
  body = [(BASE, *[NOTHING] * 9, base_ms, NOTHING, *known, NOTHING, NOTHING), *map(_cells, found)]
  several = any(len(line.seeds) > 1 for line in found)
  spread = ('Of several seeds the mean, and as its interval the lowest and the highest.' if several else
            'Intervals are 95 %, by bootstrap over questions.')
  note = (f'Accuracy in percent; the change of the old tasks is against the untouched base on the same rows. {spread} '
          'Step memory is the compiled training step, state and batch included; kept is what lies on disk beside the '
          'base. Milliseconds are medians of rounds in turns.')
  optional = ('optimizer', 'range', 'merged ms', 'kept', '% of base', 'examples/step', 'tokens/s', 'answer ms',
              'interval', 'change interval', 'step memory', 'ms/step', 'trained')
  return Table('Fine-tuning methods side by side', columns, body, note, optional=optional)


def _cells(line: Line) -> tuple[str, ...]:
  cost = line.cost
  step, answer, merged = (_spread(spread) for spread in (
    (cost.step_ms, cost.attached_ms, cost.merged_ms) if cost else (None, None, None)))
  return (
    line.name, f'{line.trainable:,}', f'{line.share:.2f}', size(line.disk_bytes), size(line.step_bytes),
    size(line.optimizer_bytes), f'{line.examples:,.0f}', *step, f'{cost.tokens_per_second:,.0f}' if cost else NOTHING,
    answer[0], merged[0], *_estimate(line.new), number(line.old.value), f'{line.forgetting.value:+.1f}',
    interval(line.forgetting.low, line.forgetting.high),
  )  # fmt: skip


def size(count: int) -> str:
  """Bytes in a person's words."""
  value = float(count)
  for unit in ('B', 'kB', 'MB'):
    if value < 1000:
      return f'{value:.3g} {unit}'
    value /= 1000
  return f'{value:.3g} GB'


def _estimate(estimate: Estimate) -> tuple[str, str]:
  return number(estimate.value), interval(estimate.low, estimate.high)


def _spread(spread: Spread | None) -> tuple[str, str]:
  if spread is None:
    return NOTHING, NOTHING
  return f'{spread.median:.3g}', f'{spread.low:.3g} to {spread.high:.3g}'
