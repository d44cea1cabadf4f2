"""What an export is: a folder of ArrayRecord files, and an index that says all that a reader needs to know of them.

A record is one row of a batch: the row's features one after the other in the index's order, each as many little-endian
int32 as the index says. ArrayRecord compresses each record alone, so that any row is read without its neighbours.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flan_jax.errors import UserError

INDEX = 'index.json'  # written last: a folder without it is no export
FORMAT = 1
_INT = np.dtype('<i4')


@dataclasses.dataclass(frozen=True)
class Shard:
  """One file of rows.

  Attributes:
    name: in the folder.
    rows: how many.
    bytes: the file's size.
  """

  name: str
  rows: int
  bytes: int


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """Which vocabulary the tokens are of.

  Attributes:
    kind: the class.
    size: the number of ids.
    identity: a digest of how it turns text into ids.
  """

  kind: str
  size: int
  identity: str


@dataclasses.dataclass(frozen=True)
class Index:
  """All that is known of an export.

  Attributes:
    features: the length of each feature of a row, in the order in which a record holds them.
    shards: the files, in the order of their rows.
    lengths: of inputs and targets in tokens, as they were asked for; rows with room for prompts are longer.
    packed: several examples to a row.
    prompts: positions left for soft prompts before each example, by feature.
    mixture: the task or mixture.
    tasks: its tasks, whose names the provenance stands for.
    split: which rows.
    seed: of templates and of the order that examples were packed in.
    vocabulary: of the tokens.
    counts: examples, truncated, and `<task>/<what>` (see `training.example_counts`).
    padding: the share of padding among the positions of inputs and targets.
    versions: of the packages that wrote it.
    format: of records and index.
  """

  features: Mapping[str, int]
  shards: Sequence[Shard]
  lengths: Mapping[str, int]
  packed: bool
  prompts: Mapping[str, int]
  mixture: str
  tasks: Sequence[str]
  split: str
  seed: int
  vocabulary: Vocabulary
  counts: Mapping[str, int]
  padding: Mapping[str, float]
  versions: Mapping[str, str]
  format: int = FORMAT

  @property
  def rows(self) -> int:
    """The number of rows."""
    return sum(shard.rows for shard in self.shards)

  @property
  def digest(self) -> str:
    """A word for this export: positions in the rows of another one mean nothing in it."""
    return hashlib.sha256(self.text().encode()).hexdigest()[:16]

  def text(self) -> str:
    """The index as it is written."""
    return json.dumps(dataclasses.asdict(self), indent=2) + '\n'


def encode(row: Mapping[str, np.ndarray], features: Mapping[str, int]) -> bytes:
  """Returns the record of a row.

  Raises:
    ValueError: where the row's features are not vectors of integers of these lengths.
  """
  shapes = {name: value.shape for name, value in row.items()}
  if shapes != {name: (length,) for name, length in features.items()}:
    raise ValueError(f'a row of features {dict(features)} cannot hold {shapes}')
  if any(value.dtype != np.int32 for value in row.values()):
    raise ValueError(f'rows are int32, not { {name: str(value.dtype) for name, value in row.items()} }')
  return b''.join(row[name].astype(_INT, copy=False).tobytes() for name in features)


def decode(records: Sequence[bytes], features: Mapping[str, int]) -> dict[str, np.ndarray]:
  """Returns the batch of some records: int32 [rows, length] by feature.

  Raises:
    ValueError: where a record is not as long as the features say.
  """
  width = sum(features.values())
  wrong = next((record for record in records if len(record) != width * _INT.itemsize), None)
  if wrong is not None:
    raise ValueError(f'a record of {len(wrong)} bytes where the features need {width * _INT.itemsize}')
  table = np.frombuffer(b''.join(records), _INT).reshape(len(records), width)
  ends = np.cumsum(list(features.values()))
  return {name: np.ascontiguousarray(table[:, end - length : end], np.int32)
          for (name, length), end in zip(features.items(), ends, strict=True)}


def read_index(folder: str | pathlib.Path) -> Index:
  """Reads the index of an export.

  Raises:
    UserError: where there is none, it cannot be read, or is of another format.
  """
  path = pathlib.Path(folder) / INDEX
  try:
    content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
  except FileNotFoundError:
    raise UserError(f'{folder} is no export of batches: it has no {INDEX}, which scripts.export_batches writes last.'
                    ) from None
  except (OSError, ValueError) as error:
    raise UserError(f'cannot read {path} ({error}): export the batches again.') from error
  if content.get('format') != FORMAT:
    raise UserError(f'{path} is of format {content.get("format")!r}, and this version of flan_jax reads {FORMAT}: '
                    'export the batches again.')
  try:
    shards = [Shard(**shard) for shard in content.pop('shards')]
    return Index(shards=shards, vocabulary=Vocabulary(**content.pop('vocabulary')), **content)
  except (KeyError, TypeError) as error:
    raise UserError(f'{path} is not a whole index ({error}): export the batches again.') from error
