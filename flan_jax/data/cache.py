"""SeqIO's offline caches of our tasks: what is in them, and how they are written, file by file.

What is cached is what comes before `seqio.CacheDatasetPlaceholder`: the declared fields of a dataset's rows (texts),
with row ids and the number of rows that its filter refused before each. Templates, exemplars and tokens come after it,
anew in every epoch. So one cache serves every variant of a dataset, whatever the vocabulary, lengths and seed.

A cache has a file for each of the source's, with its rows in their order: `cached_rows` can then read them in exactly
the order in which the source gives them, and the same templates fall to the same rows. The layout is SeqIO's, which
reads these caches too (in an order of its own).
"""

import dataclasses
import importlib
import json
import os
import uuid
from collections.abc import Sequence
from typing import Any

import seqio
import tensorflow as tf

from flan_jax.data.records import CYCLE, cycle_of
from flan_jax.data.roles import why_missing
from flan_jax.data.source import TfdsRows
from flan_jax.errors import UserError

COMPLETED = 'COMPLETED'  # SeqIO's mark of a whole cache, written last
PIECES = 'pieces.{split}.json'  # ours, beside SeqIO's info and stats


@dataclasses.dataclass(frozen=True)
class Piece:
  """One file of a cache to be written, by whichever machine: plain values only.

  Attributes:
    task: whose rows.
    split: which of them.
    index: of the source's file.
    count: how many files the source has.
    folder: the task's cache.
    modules: that register the task.
    tfds_data_dir: where the rows are; None where SeqIO looks by itself.
  """

  task: str
  split: str
  index: int
  count: int
  folder: str
  modules: tuple[str, ...]
  tfds_data_dir: str | None

  @property
  def path(self) -> str:
    """The file, as SeqIO names it."""
    prefix = seqio.utils.get_cached_tfrecord_prefix(self.folder, self.split)
    return f'{prefix}-{self.index:05d}-of-{self.count:05d}'

  @property
  def report(self) -> str:
    """What the file holds, as JSON; gone when the cache is whole."""
    return f'{self.path}.json'

  def write(self) -> None:
    """Writes the file and its report; each appears as a whole, so that a machine that failed may be followed."""
    for module in self.modules:
      importlib.import_module(module)
    if self.tfds_data_dir:
      seqio.set_tfds_data_dir_override(self.tfds_data_dir)
    task = seqio.TaskRegistry.get(self.task)
    shard = seqio.ShardInfo(index=self.index, num_shards=self.count)
    rows = task.preprocess_precache(task.source.get_dataset(self.split, shuffle=False, shard_info=shard))
    partial = f'{self.path}.{uuid.uuid4().hex}.partial'
    examples = 0
    with tf.io.TFRecordWriter(partial) as writer:
      for example in rows.prefetch(4):
        writer.write(seqio.utils.dict_to_tfexample({name: _plain(value) for name, value in example.items()})
                     .SerializeToString())
        examples += 1
    tf.io.gfile.rename(partial, self.path, overwrite=True)
    features = {name: {'shape': [None] * spec.shape.rank, 'dtype': spec.dtype.name}
                for name, spec in rows.element_spec.items()}
    _write_json(self.report, {'examples': examples, 'features': features,
                              'rows': len(list(task.source.numbers(self.split).values())[self.index])})


def _plain(value: tf.Tensor | tf.RaggedTensor) -> Any:
  return value.to_tensor().numpy() if isinstance(value, tf.RaggedTensor) else value.numpy()


def pieces(task: str, cache_dir: str, modules: Sequence[str],
           tfds_data_dir: str | None) -> tuple[list[Piece], list[str]]:
  """Returns the files of a task's cache, and a line for each role that has no rows here.

  Raises:
    UserError: where no role has any.
  """
  source = seqio.TaskRegistry.get(task).source
  found: list[Piece] = []
  left_out: list[str] = []
  for split in source.splits:
    reason = why_missing(source, split)
    if reason is None:
      count = len(source.numbers(split))  # files with rows of this role: the source may have more
      found += [Piece(task, split, index, count, folder_of(task, cache_dir), tuple(modules), tfds_data_dir)
                for index in range(count)]
    else:
      left_out.append(reason)
  if not found:
    raise UserError(f'Task {task!r} has no rows to cache. {left_out[0]}')
  return found, left_out


def folder_of(task: str, cache_dir: str) -> str:
  """The folder of a task's cache."""
  return os.path.join(cache_dir, seqio.utils.get_task_dir_from_name(task))  # noqa: PTH118  may be on cloud storage


def is_complete(folder: str) -> bool:
  """Whether a task's cache is whole."""
  return tf.io.gfile.exists(f'{folder}/{COMPLETED}')


def clear(folder: str) -> None:
  """Takes away what there is of a cache; its mark first, so that it never looks whole while files go."""
  if is_complete(folder):
    tf.io.gfile.remove(f'{folder}/{COMPLETED}')
  if tf.io.gfile.exists(folder):
    tf.io.gfile.rmtree(folder)
  tf.io.gfile.makedirs(folder)


def complete(written: Sequence[Piece]) -> dict[str, int]:
  """Writes what SeqIO and we want to know of a task's files, and then the mark; returns the examples by split.

  Args:
    written: all files of one task.

  Raises:
    UserError: where one of them is missing.
  """
  folder = written[0].folder
  source = seqio.TaskRegistry.get(written[0].task).source
  counts: dict[str, int] = {}
  for split in dict.fromkeys(piece.split for piece in written):
    members = [piece for piece in written if piece.split == split]
    reports = [_read_report(piece) for piece in members]
    counts[split] = sum(report['examples'] for report in reports)
    info = {'num_shards': len(members), 'features': reports[0]['features'], 'seqio_version': seqio.__version__}
    ours = {'examples': [report['examples'] for report in reports], 'rows': [report['rows'] for report in reports],
            'cycle': cycle_of(source.builder) if isinstance(source, TfdsRows) else CYCLE}
    _write_json(seqio.utils.get_cached_info_path(folder, split), info)
    _write_json(seqio.utils.get_cached_stats_path(folder, split), {'examples': counts[split]})
    _write_json(f'{folder}/{PIECES.format(split=split)}', ours)
  for piece in written:
    tf.io.gfile.remove(piece.report)
  with tf.io.gfile.GFile(f'{folder}/{COMPLETED}', 'w') as file:
    file.write('')
  return counts


def _read_report(piece: Piece) -> dict[str, Any]:
  try:
    with tf.io.gfile.GFile(piece.report) as file:
      return json.load(file)
  except tf.errors.NotFoundError:
    raise UserError(f'{piece.path} was not written: run the command again.') from None


def _write_json(path: str, content: object) -> None:
  with tf.io.gfile.GFile(path, 'w') as file:
    file.write(json.dumps(content, indent=2) + '\n')
