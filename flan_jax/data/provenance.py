"""Where an example came from, as five integers that survive tokenization, mixing and packing."""

import dataclasses
import zlib

import numpy as np
import tensorflow as tf

FEATURE = 'provenance'
WIDTH = 5  # task, template, shard, row in the shard, flags
INPUTS_TRUNCATED = 1
TARGETS_TRUNCATED = 2

# SeqIO's packing takes a zero for padding wherever it stands, so every number is stored shifted (a template may be -1).
_SHIFT = 2


@dataclasses.dataclass(frozen=True)
class Provenance:
  """One example's origin: its task, which template, which row of which TFDS shard, and what was cut."""

  task: str
  template: int
  shard: int
  row: int
  flags: int

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


def encode(task: str, template: tf.Tensor, tfds_id: tf.Tensor) -> tf.Tensor:
  """Returns the int32 [5] record of one example, with no flag set."""
  numbers = tf.strings.regex_replace(tfds_id, r'^.*-(\d+)-of-\d+\D*__(\d+)$', r'\1 \2')
  shard_row = tf.strings.to_number(tf.strings.split(numbers), tf.int32)
  head = tf.stack([tf.constant(task_id(task), tf.int32), tf.cast(template, tf.int32)])
  return tf.concat([head, shard_row, [0]], axis=0) + tf.constant([0] + [_SHIFT] * 4, tf.int32)


def flag(record: tf.Tensor, bit: int, condition: tf.Tensor) -> tf.Tensor:
  """Sets a flag of a record where the condition holds."""
  return record + tf.cast(condition, tf.int32) * tf.constant([0, 0, 0, 0, bit], tf.int32)


def decode(packed: np.ndarray, tasks: list[str]) -> list[Provenance]:
  """Reads the records of a batch.

  Args:
    packed: int32 [..., n * 5]; zeros are padding.
    tasks: the names of the tasks that may occur.

  Returns:
    One `Provenance` per example, in order.
  """
  names = {task_id(name): name for name in tasks}
  records = np.asarray(packed).reshape(-1, WIDTH)
  return [
    Provenance(names.get(int(task), f'task #{task}'), *(int(number) - _SHIFT for number in rest))
    for task, *rest in records[records[:, 0] != 0]
  ]


def count_truncated(packed: np.ndarray) -> int:
  """Returns how many examples of a batch had their inputs or targets cut."""
  records = np.asarray(packed).reshape(-1, WIDTH)
  return int(np.count_nonzero(records[:, 4] > _SHIFT))
