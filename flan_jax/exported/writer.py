"""Writing an export, whole or not at all."""

import collections
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from flan_jax.errors import UserError
from flan_jax.exported.format import INDEX, Index, Shard, encode
from flan_jax.training.example_counts import CountExamples
from flan_jax.work.claims import claimed

Batch = Mapping[str, np.ndarray]
_OPTIONS = 'group_size:1'  # each row is compressed alone, and read alone
_SIDES = {'inputs': ('encoder_segment_ids', 'encoder_input_tokens'),
          'targets': ('decoder_segment_ids', 'decoder_target_tokens')}


class Tally:
  """What went into an export: examples and their fates, and how much of the rows is padding."""

  def __init__(self, count: CountExamples):
    self._count = count
    self._totals: collections.Counter[str] = collections.Counter()
    self._filled: collections.Counter[str] = collections.Counter()
    self._positions: collections.Counter[str] = collections.Counter()

  def add(self, rows: Batch) -> None:
    """Counts some rows."""
    self._totals.update(self._count(rows))
    for side, (segments, tokens) in _SIDES.items():
      values = rows.get(segments, rows[tokens])  # room for a prompt is no padding
      self._filled[side] += int(np.count_nonzero(values))
      self._positions[side] += values.size

  @property
  def counts(self) -> dict[str, int]:
    """See `training.example_counts`."""
    return dict(sorted(self._totals.items()))

  @property
  def padding(self) -> dict[str, float]:
    """The share of padding by side."""
    return {side: 1 - self._filled[side] / max(1, self._positions[side]) for side in _SIDES}


def write(folder: str | pathlib.Path, batches: Iterator[Batch], *, rows_per_shard: int, count: CountExamples,
          facts: Mapping[str, Any], files: Mapping[str, str | bytes]) -> Index:
  """Writes rows, an index and further files into a folder that appears when all of it is there.

  Args:
    folder: must not exist yet.
    batches: what to write, all of it; features by name, each int32 [rows, length].
    rows_per_shard: of a file; the last has what is left.
    count: see `Tally`.
    facts: the fields of `Index` that the rows do not say.
    files: further ones, by name.

  Returns:
    The index.

  Raises:
    UserError: where the folder exists, another process writes it, or it cannot be written.
  """
  target = pathlib.Path(folder)
  partial = target.with_name(f'{target.name}.partial')
  with claimed(target.with_name(f'{target.name}.claim')) as holder:
    if holder is not None:
      raise UserError(f'{target} is being written: {holder}')
    if target.exists():
      raise UserError(f'{target} exists already: choose another EXPORT_DIR, or remove it.')
    try:
      shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
      partial.mkdir(parents=True)
      index = _fill(partial, batches, rows_per_shard, Tally(count), facts)
      for name, content in files.items():
        (partial / name).parent.mkdir(exist_ok=True)
        (partial / name).write_bytes(content.encode() if isinstance(content, str) else content)
      (partial / INDEX).write_text(index.text(), encoding='utf-8')
      partial.rename(target)
    except OSError as error:
      raise UserError(f'cannot write {target}: {error.strerror or error}') from error
    finally:
      shutil.rmtree(partial, ignore_errors=True)
  return index


def _fill(folder: pathlib.Path, batches: Iterator[Batch], rows_per_shard: int, tally: Tally,
          facts: Mapping[str, Any]) -> Index:
  shards: list[Shard] = []
  features: dict[str, int] = {}
  writer: Any = None
  written = 0

  def close() -> None:
    if writer is not None:
      writer.close()
      name = _name(len(shards))
      shards.append(Shard(name, written, (folder / name).stat().st_size))

  for batch in batches:
    features = features or {name: values.shape[1] for name, values in sorted(batch.items())}
    tally.add(batch)
    for row in range(len(next(iter(batch.values())))):
      if writer is None or written == rows_per_shard:
        close()
        writer, written = ArrayRecordWriter(str(folder / _name(len(shards))), _OPTIONS), 0
      writer.write(encode({name: values[row] for name, values in batch.items()}, features))
      written += 1
  close()
  return Index(features=features, shards=shards, counts=tally.counts, padding=tally.padding, **facts)


def _name(shard: int) -> str:
  return f'rows-{shard:05d}.array_record'
