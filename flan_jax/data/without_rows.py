"""A data source without some of another one's training rows; in all else it is the other one."""

from collections.abc import Collection
from typing import Union

import numpy as np
import seqio
import tensorflow as tf

from flan_jax.data.blocks import as_written
from flan_jax.data.own_rows import OwnRows
from flan_jax.data.records import Undecoded, row_id
from flan_jax.data.roles import ROW_ID, RowsByRole
from flan_jax.data.source import TfdsRows
from flan_jax.data.splits import RowRange
from flan_jax.errors import UserError

TRAIN = 'train'
_BUCKETS = 2**62

Source = Union[TfdsRows, OwnRows, 'WithoutRows']


class WithoutRows(RowsByRole, seqio.DataSource):
  """The rows of a source by role, some of those that train left out; they are no exemplars either."""

  def __init__(self, owner: str, source: Source, rows: Collection[str]):
    """Checks that the rows are there, which opens the source.

    Args:
      owner: the dataset's name, for messages.
      source: whose rows are read.
      rows: the ids of those that leave.

    Raises:
      UserError: for an id that is no training row's, or where no row remains.
    """
    super().__init__(splits=source.splits)
    self._source, self._gone = source, sorted(set(rows))
    numbers = source.numbers(TRAIN)
    for row in self._gone:
      file, _, number = row.rpartition('__')
      if not (number.isdecimal() and int(number) in numbers.get(file, ())):
        raise UserError(f'Dataset {owner!r} cannot train without the row {row!r}: it is none of its {TRAIN!r} rows.')
    if self.num_input_examples(TRAIN) == 0:
      raise UserError(f'Dataset {owner!r} keeps no row to train on without these {len(self._gone):,}: leave it out of '
                      'the mixture.')

  @property
  def origin(self) -> str:
    """Where the rows come from, and how many are left out."""
    return f'{self._source.origin}, {len(self._gone):,} rows left out'

  @property
  def supports_arbitrary_sharding(self) -> bool:
    """As the source."""
    return self._source.supports_arbitrary_sharding

  @property
  def element_spec(self) -> dict[str, tf.TypeSpec]:
    """The source's."""
    return self._source.element_spec

  @property
  def ranges(self) -> dict[str, RowRange]:
    """The source's: the rows between which some are left out."""
    return self._source.ranges

  def rows(self, split: str) -> RowRange:
    """The source's, likewise."""
    return self._source.rows(split)

  def numbers(self, split: str) -> dict[str, range]:
    """The source's, likewise."""
    return self._source.numbers(split)

  def num_input_examples(self, split: str) -> int:
    """The number of rows that remain, before any filter."""
    return self._source.num_input_examples(split) - (len(self._gone) if split == TRAIN else 0)

  def why_missing(self, split: str) -> str | None:
    """As the source."""
    return self._source.why_missing(split)

  def list_shards(self, split: str) -> list[str]:
    """The source's."""
    return self._source.list_shards(split)

  def get_dataset(
    self,
    split: str = TRAIN,
    shuffle: bool = True,
    seed: int | None = None,
    shard_info: seqio.ShardInfo | None = None,
    **_: object,
  ) -> tf.data.Dataset:
    """Returns the rows that remain of a role, in the source's order; see `seqio.DataSource`."""
    rows = self._source.get_dataset(split, shuffle, seed, shard_info)
    if split != TRAIN or not self._gone:
      return rows
    stays = _Stays(self._gone)
    undecoded = Undecoded.of(rows)
    if undecoded is None:
      return rows.filter(as_written(lambda row: stays(row[ROW_ID])))

    @as_written
    def stays_undecoded(*record: tf.Tensor) -> tf.Tensor:
      name, number, serialized = record
      return stays(row_id((name, number, serialized)))

    return Undecoded(undecoded.records.filter(stays_undecoded), undecoded.decode).decoded()


class _Stays:
  """Whether a row is none of those that leave: looked up by a hash, and then by the whole id."""

  def __init__(self, gone: list[str]):
    hashes = tf.strings.to_hash_bucket_fast(gone, _BUCKETS).numpy()
    order = np.argsort(hashes)
    self._hashes, self._ids = hashes[order], np.array(gone)[order]
    if len(np.unique(hashes)) < len(hashes):
      raise ValueError('two row ids have one hash, and only the first would be found')

  def __call__(self, row: tf.Tensor) -> tf.Tensor:
    place = tf.searchsorted(self._hashes, tf.strings.to_hash_bucket_fast([row], _BUCKETS))[0]
    return tf.gather(self._ids, tf.minimum(place, len(self._ids) - 1)) != row
