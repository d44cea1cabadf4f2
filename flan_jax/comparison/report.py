"""What a comparison leaves: comparison.json, comparison.md and comparison.png, from the rows that are done."""

import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.comparison import picture
from flan_jax.comparison.costs import Costs
from flan_jax.comparison.entries import Setting
from flan_jax.comparison.lines import Line, lines, table
from flan_jax.comparison.rows import Row, plain
from flan_jax.evaluation.tables import Table
from flan_jax.training.run_folder import write_text
from flan_jax.versions import package_versions

FORMAT = 1


def write(folder: pathlib.Path, setting: Setting, names: Sequence[str], done: Sequence[Row], costs: Costs | None,
          missing: Sequence[str], about: Mapping[str, Any]) -> Table:
  """Writes all three files.

  Args:
    folder: gets them.
    setting: of the comparison.
    names: of the entries, in their order.
    done: the rows, at least one.
    costs: speed; None where it is not measured.
    missing: names of the rows that are not done.
    about: where the base lies, and more for the record.

  Returns:
    The table.
  """
  found = lines(names, done, costs)
  shown = table(found, done[0], costs)
  record = {
    'format': FORMAT, 'command': sys.argv, 'versions': package_versions(), **about, 'setting': setting,
    'lines': found, 'costs': costs, 'rows': done, 'missing': missing,
  }  # fmt: skip
  write_text(folder / 'comparison.json', json.dumps(plain(record), indent=2, allow_nan=False) + '\n')
  write_text(folder / 'comparison.md', _markdown(setting, found, shown, missing))
  picture.draw(folder / 'comparison.png', found, title=f'{setting.new_task}, {setting.train_steps} steps')
  return shown


def _markdown(setting: Setting, found: Sequence[Line], shown: Table, missing: Sequence[str]) -> str:
  rows = 'all rows' if setting.train_rows is None else f'{setting.train_rows} rows'
  begin = (f'New task: {setting.new_task} ({rows}), {setting.train_steps} steps of {setting.batch_size} packed rows. '
           f'Old tasks: {", ".join(setting.old_tasks)}.')
  tasks = list(found[0].old_tasks)
  changes = Table('Change of each old task, in points', ('method', *tasks), [
    (line.name, *(f'{line.old_tasks[task].value:+.1f}' for task in tasks)) for line in found
  ])  # fmt: skip
  end = [f'Not done yet: {", ".join(missing)}.', ''] if missing else []
  return '\n'.join([begin, '', shown.to_markdown(), changes.to_markdown(), *end])
