"""The numbers of one method and seed, and the file that keeps them: a finished row is read and not run again."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from flan_jax.errors import UserError
from flan_jax.evaluation.statistics import Estimate
from flan_jax.training.run_folder import write_text
from flan_jax.work.configuration import read_json

ROW = 'row.json'


@dataclasses.dataclass(frozen=True)
class Change:
  """Accuracy (percent) of the untouched base and of the fine-tuned model on the same rows.

  Attributes:
    before: the base.
    after: the fine-tuned model.
    change: after minus before, its interval from questions drawn in pairs.
  """

  before: Estimate
  after: Estimate
  change: Estimate


@dataclasses.dataclass(frozen=True)
class Row:
  """What one method and seed cost, learned and forgot.

  Attributes:
    entry: name of the line.
    seed: of its training.
    trainable: parameters that trained.
    base: parameters of the base; a quantised one has as many, in fewer bytes.
    disk_bytes: what has to be kept beside the base: the adapter's folder, or all weights where all of them trained.
    memory: bytes of the compiled training step, by kind, and their sum as `peak`; on each device.
    optimizer_bytes: of the optimizer's state.
    measured_peak: the device's peak, or the process's where the device does not tell; None where an earlier row of the
      same process had more.
    measured_on: 'device' or 'process'.
    examples: that one step of the new task holds; soft prompts take room in packed rows.
    seconds: that training took, compilation included.
    new: the new task.
    old: the mean over the old tasks.
    old_tasks: each of them, by dataset.
  """

  entry: str
  seed: int
  trainable: int
  base: int
  disk_bytes: int
  memory: dict[str, int]
  optimizer_bytes: int
  measured_peak: int | None
  measured_on: str
  examples: float
  seconds: float
  new: Change
  old: Change
  old_tasks: dict[str, Change]


def read_row(folder: pathlib.Path) -> Row | None:
  """The row of a folder, or None where it is not finished."""
  if not (folder / ROW).exists():
    return None
  found = read_json(folder / ROW)
  try:
    old_tasks = {name: _change(value) for name, value in found['old_tasks'].items()}
    return Row(**{**found, 'new': _change(found['new']), 'old': _change(found['old']), 'old_tasks': old_tasks})
  except (KeyError, TypeError) as error:
    raise UserError(f'{folder / ROW} is not a row of this version ({error}): remove {folder}.') from error


def write_row(folder: pathlib.Path, row: Row) -> None:
  """Writes a finished row."""
  write_text(folder / ROW, json.dumps(plain(row), indent=2) + '\n')


def plain(value: Any) -> Any:
  """Dataclasses and estimates as what JSON can hold, with their names."""
  if isinstance(value, Estimate):
    return value._asdict()
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
  if isinstance(value, Mapping):
    return {key: plain(item) for key, item in value.items()}
  return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def _change(record: Mapping[str, Any]) -> Change:
  return Change(**{name: Estimate(**record[name]) for name in ('before', 'after', 'change')})
