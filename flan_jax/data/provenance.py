"""Where an example came from, as seven integers that survive tokenization, mixing and packing.

Reading them needs no TensorFlow: there are batches where there is none. `provenance_records` writes them.
"""

import dataclasses
import zlib

import numpy as np

FEATURE = 'provenance'
WIDTH = 7  # task, template, shard, row in the shard, flags, rows filtered before it, exemplars left out
INPUTS_TRUNCATED = 1
TARGETS_TRUNCATED = 2
NO_TEMPLATE = -1

# SeqIO's packing takes a zero for padding wherever it stands, so every number is stored shifted (a template may be -1).
SHIFT = 2


@dataclasses.dataclass(frozen=True)
class Provenance:
  """One example's origin.

  Attributes:
    task: which task.
    template: which template, -1 for none.
    shard: the file of the source's split.
    row: in the file.
    flags: what was cut.
    filtered: rows of the source that the dataset's filter refused just before this one.
    exemplars_left_out: exemplars that the task asks for and that had no room.
  """

  task: str
  template: int
  shard: int
  row: int
  flags: int
  filtered: int = 0
  exemplars_left_out: int = 0

  @property
  def truncated(self) -> bool:
    """True where inputs or targets did not fit."""
    return bool(self.flags)

  def __str__(self) -> str:
    cut = {0: '', 1: ', inputs cut', 2: ', targets cut', 3: ', inputs and targets cut'}[self.flags]
    return f'{self.task} (template {self.template}, shard {self.shard}, row {self.row}{cut})'


def task_id(name: str) -> int:
  """Returns the number of a task's name: positive, 31 bits, the same on every machine."""
  return zlib.crc32(name.encode()) & 0x7FFFFFFF | 1


def decode(packed: np.ndarray, tasks: list[str]) -> list[Provenance]:
  """Reads the records of a batch.

  Args:
    packed: int32 [..., n * 7]; zeros are padding.
    tasks: the names of the tasks that may occur.

  Returns:
    One `Provenance` per example, in order.
  """
  names = {task_id(name): name for name in tasks}
  records = np.asarray(packed).reshape(-1, WIDTH)
  return [
    Provenance(names.get(int(task), f'task #{task}'), *(int(number) - SHIFT for number in rest))
    for task, *rest in records[records[:, 0] != 0]
  ]


@dataclasses.dataclass(frozen=True)
class Counts:
  """What happened to the examples of one task on their way into batches.

  Attributes:
    examples: how many came.
    inputs_cut: of these, how many had inputs that did not fit.
    targets_cut: and targets.
    filtered: rows of the source that the dataset's filter refused between them.
    exemplars_left_out: exemplars that had no room before their questions.
  """

  examples: int = 0
  inputs_cut: int = 0
  targets_cut: int = 0
  filtered: int = 0
  exemplars_left_out: int = 0

  def __add__(self, other: 'Counts') -> 'Counts':
    return Counts(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)))


def count(packed: np.ndarray) -> dict[int, Counts]:
  """Counts the examples of a batch by the number of their task (see `task_id`).

  Args:
    packed: int32 [..., n * 7]; zeros are padding.
  """
  records = np.asarray(packed).reshape(-1, WIDTH)
  records = records[records[:, 0] != 0]
  flags = records[:, 4] - SHIFT
  columns = [np.ones_like(flags), flags & INPUTS_TRUNCATED, (flags & TARGETS_TRUNCATED) // TARGETS_TRUNCATED,
             records[:, 5] - SHIFT, records[:, 6] - SHIFT]
  tasks, places = np.unique(records[:, 0], return_inverse=True)
  sums = np.zeros([len(tasks), len(columns)], np.int64)
  np.add.at(sums, places, np.stack(columns, axis=1))
  return {int(task): Counts(*(int(number) for number in row)) for task, row in zip(tasks, sums, strict=True)}


def count_truncated(packed: np.ndarray) -> int:
  """Returns how many examples of a batch had their inputs or targets cut."""
  records = np.asarray(packed).reshape(-1, WIDTH)
  return int(np.count_nonzero(records[:, 4] > SHIFT))
