"""The rows of a prepared TFDS dataset as a stream, in TFDS's own order.

`tfds.DatasetBuilder.as_dataset` takes three parallel steps for each row: to name it, to parse it, to decode it. For
rows of a sentence or two, starting the steps is most of the work; here one does it all, and who knows of blocks can
have the records as they are.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable

import numpy as np
import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.blocks import as_written
from flan_jax.data.roles import ROW_ID

Record = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # the file's name, the number in it, the serialized row


@dataclasses.dataclass(frozen=True)
class Undecoded:
  """The records behind a stream of rows, for steps that would rather decode many at once.

  Attributes:
    records: the stream, not decoded.
    decode: from a record to a row.
  """

  records: tf.data.Dataset
  decode: Callable[[Record], dict[str, tf.Tensor]]

  @staticmethod
  def of(rows: tf.data.Dataset) -> 'Undecoded | None':
    """What is behind rows as `read` returned them; None where anything was done to them since."""
    return getattr(rows, '_undecoded', None)

  def decoded(self) -> tf.data.Dataset:
    """The rows, which remember what is behind them."""
    rows = self.records.map(lambda *record: self.decode(record))
    rows._undecoded = self
    return rows


def row_id(record: Record) -> tf.Tensor:
  """The `tfds_id` of a record."""
  name, number, _ = record
  return tf.strings.join([name, tf.strings.as_string(number)], separator='__')


CYCLE, STRETCH = 16, 16  # files that are read in turn, and rows that each gives at its turn: TFDS's defaults


def drawn(
  items: tf.data.Dataset, count: int, shuffle: bool, seed: int | None, shard_info: seqio.ShardInfo | None
) -> tf.data.Dataset:
  """Returns a share of so many files or rows in an order drawn by seed, or as they stand where nothing is shuffled."""
  if shard_info is not None:
    items = items.shard(shard_info.num_shards, shard_info.index)
  return items.shuffle(count, seed=seed) if shuffle else items


def in_turn(
  pieces: tf.data.Dataset, records: Callable[[dict[str, tf.Tensor]], tf.data.Dataset], cycle: int
) -> tf.data.Dataset:
  """Returns the records of files, so many of which are read in turn."""
  return pieces.interleave(records, cycle_length=cycle, block_length=STRETCH)


def cycle_of(builder: tfds.core.DatasetBuilder) -> int:
  """How many files of a dataset are read in turn: one after the other where its rows have an order."""
  return 1 if builder.info.disable_shuffling else CYCLE


def read(
  builder: tfds.core.DatasetBuilder,
  instruction: tfds.core.ReadInstruction,
  shuffle: bool = False,
  seed: int | None = None,
  shard_info: seqio.ShardInfo | None = None,
) -> tf.data.Dataset:
  """Reads rows.

  Args:
    builder: a prepared dataset.
    instruction: which rows.
    shuffle: draw the order of the files, anew in every epoch.
    seed: of that order.
    shard_info: read every so manieth file only.

  Returns:
    The decoded rows, each with its `tfds_id`; the same rows in the same order as `builder.as_dataset`.
  """
  if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
    return _as_tfds(builder, instruction, shuffle, seed, shard_info)
  files = builder.info.splits[instruction].file_instructions
  pieces = tf.data.Dataset.from_tensor_slices({
    'path': [os.fspath(file.filename) for file in files],
    'name': [pathlib.PurePath(file.filename).name for file in files],
    'skip': np.array([file.skip for file in files], np.int64),
    'take': np.array([file.take for file in files], np.int64),
  })
  records = in_turn(drawn(pieces, len(files), shuffle, seed, shard_info), _records, cycle_of(builder))
  features = builder.info.features

  def decode(record: Record) -> dict[str, tf.Tensor]:
    return features.deserialize_example(record[2]) | {ROW_ID: row_id(record)}

  return Undecoded(records, decode).decoded()


@as_written
def _records(piece: dict[str, tf.Tensor]) -> tf.data.Dataset:
  """The serialized rows of a piece of a file, each with the file's name and its number in it."""
  records = tf.data.TFRecordDataset(piece['path']).skip(piece['skip']).take(piece['take'])
  numbers = tf.data.Dataset.range(piece['skip'], np.iinfo(np.int64).max)
  return tf.data.Dataset.zip((tf.data.Dataset.from_tensors(piece['name']).repeat(), numbers, records))


def _as_tfds(
  builder: tfds.core.DatasetBuilder,
  instruction: tfds.core.ReadInstruction,
  shuffle: bool,
  seed: int | None,
  shard_info: seqio.ShardInfo | None,
) -> tf.data.Dataset:
  """TFDS's own reader, for the file formats that are not TFRecord."""
  config = tfds.ReadConfig(
    add_tfds_id=True,
    shuffle_seed=seed,
    skip_prefetch=True,
    input_context=tf.distribute.InputContext(shard_info.num_shards, shard_info.index) if shard_info else None,
  )
  return builder.as_dataset(split=instruction, shuffle_files=shuffle, read_config=config)
