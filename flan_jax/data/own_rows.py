"""Rows of one's own as a SeqIO data source: by role, shuffled by seed, sharded, with ids like TFDS's."""

import dataclasses
from collections.abc import Mapping

import seqio
import tensorflow as tf

from flan_jax.data.blocks import as_written
from flan_jax.data.columns import Table
from flan_jax.data.files import TRAIN, OwnData
from flan_jax.data.records import drawn
from flan_jax.data.roles import ROW_ID, RowsByRole
from flan_jax.data.splits import HELD_BACK, RowRange, Splits, resolve
from flan_jax.errors import UserError


class OwnRows(RowsByRole, seqio.DataSource):
  """The rows of an `OwnData`, by role (train, validation, test); reads nothing until it is used."""

  def __init__(self, owner: str, data: OwnData, splits: Splits):
    """Names the rows; reading waits.

    Args:
      owner: the dataset's name, for messages and row ids.
      data: where the rows are.
      splits: the declared slices; `Splits()`, whatever its cap, stands for those of `default_splits`.
    """
    self._owner = owner
    self._data = data
    self._declared = splits
    super().__init__(splits=[role for role, _ in self._slices(dict.fromkeys(data.splits, 0)).items()])

  @property
  def origin(self) -> str:
    """The files."""
    return self._data.origin

  @property
  def supports_arbitrary_sharding(self) -> bool:
    """True: any number of shards, by row."""
    return True

  @property
  def tables(self) -> dict[str, Table]:
    """The rows of every split of the files, with the dataset's name before whatever is wrong with them."""
    try:
      return self._data.tables
    except UserError as error:
      raise UserError(f'Dataset {self._owner!r}: {error}') from error

  @property
  def element_spec(self) -> dict[str, tf.TypeSpec]:
    """The names and types of a row's values, `tfds_id` included."""
    columns = next(iter(self.tables.values())).columns
    return {name: column.spec for name, column in columns.items()} | {ROW_ID: tf.TensorSpec([], tf.string)}

  @property
  def ranges(self) -> dict[str, RowRange]:
    """The rows of each role."""
    sizes = {split: len(table) for split, table in self.tables.items()}
    return resolve(self._slices(sizes), sizes, self._owner)

  def rows(self, split: str) -> RowRange:
    """The rows of one role.

    Raises:
      UserError: where there are none.
    """
    sizes = {name: len(table) for name, table in self.tables.items()}
    found = self.ranges.get(split)
    if not found:
      held = ', '.join(f'{name} ({size:,} rows)' for name, size in sizes.items())
      declared = dict(self._slices(sizes).items()).get(split)
      raise UserError(f'Dataset {self._owner!r} has no {split!r} rows: {self.origin} holds {held}, and {split!r} is '
                      f'declared as {declared!r}.')
    return found

  def numbers(self, split: str) -> dict[str, range]:
    """The rows of a role under the name that stands for their file."""
    rows = self.rows(split)
    return {self._shard(rows.split): range(rows.start, rows.stop)}

  def get_dataset(
    self,
    split: str = TRAIN,
    shuffle: bool = True,
    seed: int | None = None,
    shard_info: seqio.ShardInfo | None = None,
    **_: object,
  ) -> tf.data.Dataset:
    """Returns the rows of a role as a `tf.data.Dataset`, each with its `tfds_id`; see `seqio.DataSource`."""
    rows = self.rows(split)
    # Numbers are shuffled, not rows: the buffer is saved with every position of a run.
    numbers = drawn(tf.data.Dataset.range(rows.start, rows.stop), len(rows), shuffle, seed, shard_info)
    return self._numbered(rows.split, numbers)

  def split_rows(self, split: str) -> tf.data.Dataset:
    """Returns all rows of a split of the files, in order, whatever their roles."""
    return self._numbered(split, tf.data.Dataset.range(len(self.tables[split])))

  def list_shards(self, split: str) -> list[str]:
    """One name: the rows are in memory, and any of them can be read alone."""
    return [self._shard(self.rows(split).split)]

  def _shard(self, split: str) -> str:
    return f'{self._owner}-{split}.{self._data.extension}-00000-of-00001'

  def _numbered(self, split: str, numbers: tf.data.Dataset) -> tf.data.Dataset:
    table, shard = self.tables[split], self._shard(split)

    @as_written
    def row(number: tf.Tensor) -> dict[str, tf.Tensor]:
      return table.row(number) | {ROW_ID: tf.strings.join([f'{shard}__', tf.strings.as_string(number)])}

    return numbers.map(row)

  def _slices(self, sizes: Mapping[str, int]) -> Splits:
    cap = self._declared.train_cap
    if self._declared == Splits(train_cap=cap):
      return dataclasses.replace(default_splits(sizes), train_cap=cap)
    return self._declared


def default_splits(sizes: Mapping[str, int]) -> Splits:
  """Returns slices that give every role rows, where the declaration says nothing.

  Splits that are called as their roles play them, 'validation' standing in for a missing 'test' as in FLAN. What is
  missing then is taken from the end of 'train': for each role a tenth of it, `HELD_BACK` rows at most.

  Args:
    sizes: the number of rows of each split.
  """
  test = next((name for name in ('test', 'validation') if name in sizes), None)
  own_validation = test == 'test' and 'validation' in sizes
  if TRAIN not in sizes:
    return Splits(train=None, validation='validation' if own_validation else None, test=test)
  held = min(HELD_BACK, max(sizes[TRAIN] // 10, 1))
  if own_validation:
    return Splits(train=TRAIN, validation=f'validation[:{HELD_BACK}]', test=test)
  if test:
    return Splits(train=f'{TRAIN}[:-{held}]', validation=f'{TRAIN}[-{held}:]', test=test)
  return Splits(f'{TRAIN}[:-{2 * held}]', f'{TRAIN}[-{2 * held}:-{held}]', f'{TRAIN}[-{held}:]')
