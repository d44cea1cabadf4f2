"""Reading an export: any rows at once, and batches shuffled over all of it whose position is one number."""

import json
import pathlib
from collections.abc import Iterator, Mapping

import grain
import numpy as np
from array_record.python.array_record_module import ArrayRecordReader

from flan_jax.data import provenance
from flan_jax.errors import UserError
from flan_jax.exported.format import Index, decode, read_index
from flan_jax.training.hosts import OwnRows

_AHEAD = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)  # batches that are read while a step runs


class ExportedRows:
  """The rows of an export by number.

  Attributes:
    folder: where it is.
    index: what it says of itself.
  """

  def __init__(self, folder: str | pathlib.Path):
    """Looks at the index and at every file, without reading a row.

    Raises:
      UserError: where the index is missing, or a file is not as the index says.
    """
    self.folder = pathlib.Path(folder)
    self.index: Index = read_index(folder)
    self._starts = np.cumsum([0, *(shard.rows for shard in self.index.shards)])
    self._readers: dict[int, ArrayRecordReader] = {}
    for shard in self.index.shards:
      path = self.folder / shard.name
      size = path.stat().st_size if path.is_file() else None
      if size != shard.bytes:
        found = 'missing' if size is None else f'{size:,} bytes long'
        raise UserError(f'{path} is {found} where the index says {shard.bytes:,} bytes: copy the export again, or '
                        'export it again.')

  def __len__(self) -> int:
    return self.index.rows

  def read(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Returns some rows as a batch, in the order asked for.

    Args:
      rows: their numbers.

    Raises:
      UserError: where a file is damaged.
    """
    shards = np.searchsorted(self._starts, rows, side='right') - 1
    records: list[bytes] = [b''] * len(rows)
    for shard in np.unique(shards):
      places = np.flatnonzero(shards == shard)
      found = self._read(int(shard), [int(rows[place] - self._starts[shard]) for place in places])
      for place, record in zip(places, found, strict=True):
        records[place] = record
    try:
      return decode(records, self.index.features)
    except ValueError as error:
      raise UserError(f'{self.folder} holds {error}: export the batches again.') from error

  def _read(self, shard: int, places: list[int]) -> list[bytes]:
    path = self.folder / self.index.shards[shard].name
    try:
      reader = self._readers.get(shard)
      if reader is None:
        reader = ArrayRecordReader(str(path))
        if reader.num_records() != self.index.shards[shard].rows:
          raise RuntimeError(f'{reader.num_records():,} rows where the index says {self.index.shards[shard].rows:,}')
        self._readers[shard] = reader
      return reader.read(places)
    except (RuntimeError, ValueError, IndexError) as error:  # array_record has no class of its own
      cause = str(error).partition(';')[0].strip()
      raise UserError(f'{path} is damaged ({cause}): copy the export again, or export it again.') from error


class ExportedBatches(Iterator[dict[str, np.ndarray]]):
  """An endless stream of batches (`training.loop.Batches`): all rows in an order drawn by seed, anew in every epoch.

  The order of the rows is a function of the seed alone, so that the position is the number of batches that were given,
  whatever the number of hosts: each of them reads its own rows of every batch.
  """

  def __init__(self, rows: ExportedRows, batch_size: int, seed: int = 0, *, own: slice | None = None,
               ordered: bool = False):
    """Starts at the beginning.

    Args:
      rows: what to read.
      batch_size: rows of a batch over all hosts.
      seed: of the order.
      own: which rows of each batch this host reads; None for all.
      ordered: once through the rows as they were written, and stop (evaluation); what fills no batch is left out.

    Raises:
      UserError: where the batch has more rows than the export,
    """
    if not 1 <= batch_size <= len(rows):
      raise UserError(f'BATCH_SIZE ({batch_size}) must be between 1 and the {len(rows):,} rows of {rows.folder}.')
    chosen_rows = slice(None) if own is None else own
    self.own_rows = None if own is None else OwnRows(own, batch_size)
    numbers = grain.MapDataset.range(len(rows))
    if not ordered:
      numbers = numbers.seed(seed % 2**32).shuffle().repeat()
    batches = numbers.batch(batch_size, drop_remainder=True).map(lambda chosen: rows.read(chosen[chosen_rows]))
    self._iterator = iter(batches.to_iter_dataset(_AHEAD))
    self._tasks = list(rows.index.tasks)
    self._identity = {'export': rows.index.digest, 'seed': seed, 'batch_size': batch_size}
    self._folder = rows.folder

  def __next__(self) -> dict[str, np.ndarray]:
    return next(self._iterator)

  def origins(self, batch: Mapping[str, np.ndarray]) -> list[provenance.Provenance]:
    """Says where each example of a batch came from."""
    return provenance.decode(batch[provenance.FEATURE], self._tasks)

  def get_state(self) -> bytes:
    """Returns the position."""
    return json.dumps(self._identity | {'position': self._iterator.get_state()}).encode()

  def set_state(self, state: bytes) -> None:
    """Moves to a position that `get_state` gave, of the same export, seed and batch size.

    Raises:
      UserError: where it is a position in something else.
    """
    try:
      found = json.loads(state)
      position = found.pop('position')
    except (ValueError, KeyError, AttributeError, TypeError):
      raise UserError('This run was trained from tasks, not from an export: go on with its own command, or begin '
                      'another MODEL_DIR.') from None
    names = {'export': f'the rows of {self._folder}', 'seed': 'RANDOM_SEED', 'batch_size': 'BATCH_SIZE'}
    for name, word in names.items():
      if found.get(name) != self._identity[name]:
        raise UserError(f'This run stopped at a position in other batches: {word} was {found.get(name)!r} and is '
                        f'{self._identity[name]!r} now; go on with what it was, or begin another MODEL_DIR.')
    self._iterator.set_state(position)
