"""A cache of ours as a SeqIO data source: the same examples in the same order as from the rows themselves.

Which file comes when, and how many rows of one are read before the next one has its turn, is counted in rows of the
source. Rows that the dataset's filter refused are not in a cache; here they stand as empty records until the order is
made, and are counted and left out as they are without a cache.
"""

import json
from typing import Any

import numpy as np
import seqio
import tensorflow as tf

from flan_jax.data import records
from flan_jax.data.blocks import BLOCK, as_written, rows_of
from flan_jax.data.cache import PIECES
from flan_jax.data.dataset import Fields
from flan_jax.data.extract import FILTERED, without_refused
from flan_jax.errors import UserError

_REFUSED = ''


def is_ours(folder: str, split: str) -> bool:
  """Whether a cache was written by `cache`; those of SeqIO's own command lack what this source needs."""
  return tf.io.gfile.exists(f'{folder}/{PIECES.format(split=split)}')


class CachedRows(seqio.DataSource):
  """The cached examples of one role of a task."""

  def __init__(self, task: str, source: seqio.DataSource, folder: str, split: str):
    """Reads what the cache says of itself.

    Args:
      task: its name, for messages.
      source: the rows that were cached.
      folder: of the cache.
      split: the role.

    Raises:
      UserError: where the source has other rows by now.
    """
    super().__init__(splits=[split])
    self._source, self._split = source, split
    self._pieces = _read_json(f'{folder}/{PIECES.format(split=split)}')
    self._features = _read_json(seqio.utils.get_cached_info_path(folder, split))['features']
    prefix, count = seqio.utils.get_cached_tfrecord_prefix(folder, split), len(self._pieces['rows'])
    self._files = [f'{prefix}-{index:05d}-of-{count:05d}' for index in range(count)]
    rows = sum(self._pieces['rows'])
    now = source.num_input_examples(split)
    if now != rows:
      raise UserError(f'The cache of {task!r} in {folder} was made of {rows:,} {str(split)!r} rows, and there are '
                      f'{now:,} now: run scripts.cache_tasks with --overwrite.')

  @property
  def supports_arbitrary_sharding(self) -> bool:
    """As the source."""
    return self._source.supports_arbitrary_sharding

  def num_input_examples(self, split: str) -> int:
    """The number of rows, before the filter."""
    return self._source.num_input_examples(split)

  def list_shards(self, split: str) -> list[str]:
    """The source's files, by whose number SeqIO decides how to share them."""
    return self._source.list_shards(split)

  def get_dataset(
    self,
    split: str = 'train',
    shuffle: bool = True,
    seed: int | None = None,
    shard_info: seqio.ShardInfo | None = None,
    **_: object,
  ) -> tf.data.Dataset:
    """Returns the fields of a role's rows; see `seqio.DataSource`."""
    del split
    ordered = self._in_memory if self.supports_arbitrary_sharding else self._from_files
    blocks = ordered(shuffle, seed, shard_info).batch(BLOCK).scan(tf.constant(0), self._block)
    return rows_of(blocks)

  def _from_files(self, shuffle: bool, seed: int | None, shard_info: seqio.ShardInfo | None) -> tf.data.Dataset:
    """The records in the order of `records.read`."""
    pieces = tf.data.Dataset.from_tensor_slices({'path': self._files, 'rows': np.array(self._pieces['rows'], np.int64)})
    pieces = records.drawn(pieces, len(self._files), shuffle, seed, shard_info)
    return records.in_turn(pieces, self._records, self._pieces['cycle'])

  def _in_memory(self, shuffle: bool, seed: int | None, shard_info: seqio.ShardInfo | None) -> tf.data.Dataset:
    """The records in the order of `OwnRows`, which draws every row from all of them."""
    (rows,), (path,) = self._pieces['rows'], self._files
    table = tf.constant(list(self._records({'path': path, 'rows': rows}).as_numpy_iterator()))
    numbers = records.drawn(tf.data.Dataset.range(rows), rows, shuffle, seed, shard_info)
    return numbers.map(as_written(lambda number: tf.gather(table, number)))

  def _records(self, piece: dict[str, Any]) -> tf.data.Dataset:
    """The records of a file, with an empty one for each row that was refused."""
    kept = tf.data.TFRecordDataset(piece['path'])
    if self._pieces['rows'] == self._pieces['examples']:
      return kept
    spread = kept.batch(BLOCK).map(as_written(_with_refused)).unbatch()
    return spread.concatenate(tf.data.Dataset.from_tensors(_REFUSED).repeat()).take(piece['rows'])

  @property
  def _description(self) -> dict[str, Any]:
    """What `tf.io.parse_example` reads; it knows int64, float32 and texts only."""
    return {name: (tf.io.RaggedFeature if feature['shape'] else _scalar)(_stored(feature['dtype']))
            for name, feature in self._features.items()}

  @as_written
  def _block(self, gone: tf.Tensor, block: tf.Tensor) -> tuple[tf.Tensor, Fields]:
    gone, (kept,), filtered = without_refused(gone, (block,), tf.not_equal(block, _REFUSED))
    parsed = tf.io.parse_example(kept, self._description)
    fields = {name: tf.cast(value, self._features[name]['dtype']) for name, value in parsed.items()}
    return gone, fields | {FILTERED: filtered}


def _scalar(dtype: tf.DType) -> tf.io.FixedLenFeature:
  return tf.io.FixedLenFeature([], dtype)


def _stored(dtype: str) -> tf.DType:
  found = tf.as_dtype(dtype)
  if found == tf.string:
    return found
  return tf.float32 if found.is_floating else tf.int64


def _with_refused(kept: tf.Tensor) -> tf.Tensor:
  """Puts an empty record before each for every row that was refused there."""
  before = tf.io.parse_example(kept, {FILTERED: _scalar(tf.int64)})[FILTERED]
  of_row = tf.repeat(tf.range(tf.size(kept)), before + 1)
  last = tf.cumsum(before + 1) - 1
  is_last = tf.equal(tf.gather(last, of_row), tf.range(tf.size(of_row, tf.int64)))
  return tf.where(is_last, tf.gather(kept, of_row), _REFUSED)


def _read_json(path: str) -> Any:
  with tf.io.gfile.GFile(path) as file:
    return json.load(file)
