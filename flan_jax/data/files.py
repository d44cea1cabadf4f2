"""Rows of one's own: JSONL, CSV, TSV and Parquet files, or whatever Python can give a row at a time."""

import abc
import csv
import dataclasses
import functools
import gzip
import io
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import tensorflow as tf

from flan_jax.data.columns import Records, Table, Value, tables
from flan_jax.errors import UserError, did_you_mean

TRAIN = 'train'  # the name of the only split
Path = str | os.PathLike[str]
PythonRows = Iterable[Mapping[str, Value | None]]
PythonSource = PythonRows | Callable[[], PythonRows]

_GZIP = b'\x1f\x8b'
_BOOLS = {'true': True, 'false': False}


class OwnData(abc.ABC):
  """A declared source of rows: read when it is first asked for them, once, and kept in memory as tensors."""

  extension: ClassVar[str]
  nulls: Mapping[str, Value]

  @property
  @abc.abstractmethod
  def splits(self) -> tuple[str, ...]:
    """The names of the splits; known without reading."""

  @property
  @abc.abstractmethod
  def origin(self) -> str:
    """What the rows are read from, for people."""

  @abc.abstractmethod
  def records(self, split: str) -> Records:
    """Reads the rows of a split."""

  @functools.cached_property
  def tables(self) -> dict[str, Table]:
    """The rows of every split; read at the first look.

    Raises:
      UserError: where they cannot be read, or not every row has the same fields and types.
    """
    return tables({split: self.records(split) for split in self.splits}, self.nulls)


@dataclasses.dataclass(frozen=True, eq=False)
class _File(OwnData):
  """Rows in files, one a split.

  Attributes:
    path: the file, which is then the split 'train', or a mapping from splits to files. A relative path starts at the
      working folder.
    nulls: by field, the value that a null stands for; other nulls are errors.
  """

  path: Path | Mapping[str, Path]
  nulls: Mapping[str, Value] = dataclasses.field(default_factory=dict, kw_only=True)

  @property
  def _paths(self) -> dict[str, str]:
    files = self.path if isinstance(self.path, Mapping) else {TRAIN: self.path}
    return {split: os.fspath(path) for split, path in files.items()}

  @property
  def splits(self) -> tuple[str, ...]:
    """The keys of the mapping, or 'train'."""
    return tuple(self._paths)

  @property
  def origin(self) -> str:
    """The files' paths."""
    return ', '.join(self._paths.values())

  def records(self, split: str) -> Records:
    """Reads the file of a split."""
    path = self._paths[split]
    return self._parse(_read(path), path)

  @abc.abstractmethod
  def _parse(self, content: bytes, path: str) -> Records:
    """Finds the rows in the content of a file."""


@dataclasses.dataclass(frozen=True, eq=False)
class Jsonl(_File):
  """A JSON object a line, UTF-8, gzip'd or not: `Jsonl('tickets.jsonl')`, `Jsonl({'train': ..., 'test': ...})`."""

  extension: ClassVar[str] = 'jsonl'

  def _parse(self, content: bytes, path: str) -> Records:
    lines = _text(content, path).rstrip().split('\n')  # not splitlines: it also splits within a text, at U+2028
    rows = [_object(line, f'{path}:{number}') for number, line in enumerate(lines, 1)] if lines != [''] else []
    return Records(path, rows, range(1, len(rows) + 1))


@dataclasses.dataclass(frozen=True, eq=False)
class Csv(_File):
  """Values separated by commas or the like, the names of the fields in the first line, UTF-8, gzip'd or not.

  Every value is a string, an empty one the empty string, unless `types` says otherwise.

  Attributes:
    delimiter: what stands between two values.
    types: by field, `int`, `float` or `bool` (true or false); an empty value of these is a null.
    columns: the names of the fields of a file whose first line is a row already.
  """

  extension: ClassVar[str] = 'csv'
  _quoted: ClassVar[bool] = True

  delimiter: str = ','
  types: Mapping[str, type] = dataclasses.field(default_factory=dict, kw_only=True)
  columns: tuple[str, ...] | None = dataclasses.field(default=None, kw_only=True)

  def _parse(self, content: bytes, path: str) -> Records:
    found = self._cells(_text(content, path), path)
    header = self.columns or next((cells for _, cells in found), ())
    if len(set(header)) < len(header):
      raise UserError(f'{path}:1: two columns have the same name; the columns are {", ".join(header)}.')
    for name, kind in self.types.items():
      if name not in header or kind not in (int, float, bool, str):
        raise UserError(f'{path}: types says that {name!r} is {kind!r}; it names a column ({", ".join(header)}) and '
                        'int, float, bool or str.')
    rows, lines = [], []
    for number, cells in found:
      if len(cells) != len(header):
        raise UserError(f'{path}:{number} has {len(cells)} values for the {len(header)} columns {", ".join(header)}.')
      values = zip(header, cells, strict=True)
      rows.append({name: _typed(cell, self.types.get(name, str), name, f'{path}:{number}') for name, cell in values})
      lines.append(number)
    return Records(path, rows, lines)

  def _cells(self, text: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """Gives (the line that it ends on, the values) of each row of the file."""
    reader = csv.reader(io.StringIO(text.rstrip('\r\n'), newline=''), delimiter=self.delimiter, strict=True,
                        quoting=csv.QUOTE_MINIMAL if self._quoted else csv.QUOTE_NONE)
    limit = csv.field_size_limit(sys.maxsize)  # an article may be longer than the module's 131,072 characters
    try:
      for cells in reader:
        yield reader.line_num, cells
    except csv.Error as error:
      raise UserError(f'{path}:{reader.line_num} cannot be read ({error}).') from error
    finally:
      csv.field_size_limit(limit)


@dataclasses.dataclass(frozen=True, eq=False)
class Tsv(Csv):
  """Values separated by tabs, where a quotation mark is only a character; `Csv(path, delimiter='\\t')` reads quotes."""

  extension: ClassVar[str] = 'tsv'
  _quoted: ClassVar[bool] = False

  delimiter: str = dataclasses.field(default='\t', init=False)


@dataclasses.dataclass(frozen=True, eq=False)
class Parquet(_File):
  """A Parquet file; columns of strings, numbers, truth values, and lists of one of these."""

  extension: ClassVar[str] = 'parquet'

  def _parse(self, content: bytes, path: str) -> Records:
    import pyarrow  # seconds that only Parquet's readers should wait
    import pyarrow.parquet

    try:
      return Records(path, pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist())
    except (pyarrow.ArrowException, OSError) as error:
      raise UserError(f'{path} is no Parquet file ({str(error).splitlines()[0]}).') from error


@dataclasses.dataclass(frozen=True, eq=False)
class Rows(OwnData):
  """Rows that Python gives: dictionaries in an iterable, or in what a function without arguments returns.

  Attributes:
    rows: the rows, which are then the split 'train', or a mapping from splits to such rows. A run that continues
      needs the same rows in the same order.
    nulls: by field, the value that None stands for; other Nones are errors.
  """

  extension: ClassVar[str] = 'rows'

  rows: PythonSource | Mapping[str, PythonSource]
  nulls: Mapping[str, Value] = dataclasses.field(default_factory=dict, kw_only=True)

  @property
  def splits(self) -> tuple[str, ...]:
    """The keys of the mapping, or 'train'."""
    return tuple(self.rows) if isinstance(self.rows, Mapping) else (TRAIN,)

  @property
  def origin(self) -> str:
    """Says that there is no file."""
    return 'Rows(...)'

  def records(self, split: str) -> Records:
    """Takes all rows of a split."""
    given = self.rows[split] if isinstance(self.rows, Mapping) else self.rows
    records = Records(f'Rows(...), split {split!r}', list(given() if callable(given) else given))
    for index, row in enumerate(records.rows):
      if not isinstance(row, Mapping):
        raise UserError(f'{records.place(index)} is a {type(row).__name__}; a row is a dictionary from field names to '
                        'values.')
    return records


BY_EXTENSION: Mapping[str, type[_File]] = {kind.extension: kind for kind in (Jsonl, Csv, Tsv, Parquet)}


def hint(source: str) -> str | None:
  """Returns what a string that looks like a file should have been, e.g. `Jsonl('tickets.jsonl')`; None otherwise."""
  suffixes = [suffix[1:] for suffix in pathlib.PurePath(source).suffixes]
  kind = next((BY_EXTENSION[suffix] for suffix in suffixes if suffix in BY_EXTENSION), None)
  return f'{kind.__name__}({source!r})' if kind else None


def read_text(path: str) -> str:
  """Returns the text of a file here or on cloud storage, UTF-8, gzip'd or not.

  Raises:
    UserError: where there is no such file, or it is something else.
  """
  return _text(_read(path), path)


def _read(path: str) -> bytes:
  """The content of a file here or on cloud storage, unpacked where it is gzip'd."""
  if not tf.io.gfile.exists(path):
    folder = pathlib.Path(path).absolute().parent
    near = did_you_mean(pathlib.Path(path).name, (p.name for p in folder.iterdir())) if folder.is_dir() else ''
    raise UserError(f'there is no file {path} (working folder {pathlib.Path.cwd()}). {near}'.strip())
  if tf.io.gfile.isdir(path):
    raise UserError(f'{path} is a folder; name a file, or a mapping from splits to files.')
  with tf.io.gfile.GFile(path, 'rb') as file:
    content = file.read()
  if not content.startswith(_GZIP):
    return content
  try:
    return gzip.decompress(content)
  except (OSError, EOFError) as error:
    raise UserError(f'{path} is damaged ({error}).') from error


def _text(content: bytes, path: str) -> str:
  try:
    return content.decode('utf-8-sig')
  except UnicodeDecodeError as error:
    line = content.count(b'\n', 0, error.start) + 1
    raise UserError(f'{path}:{line} is not UTF-8 (byte 0x{content[error.start]:02x}).') from error


def _object(line: str, place: str) -> dict[str, Any]:
  if not line.strip():
    raise UserError(f'{place} is empty; every line holds a JSON object.')
  try:
    found = json.loads(line, object_pairs_hook=lambda pairs: _once(pairs, place))
  except json.JSONDecodeError as error:
    raise UserError(f'{place} is not JSON ({error.msg}, column {error.colno}).') from error
  if not isinstance(found, dict):
    raise UserError(f'{place} is not a JSON object such as {{"text": "..."}}.')
  return found


def _once(pairs: list[tuple[str, Any]], place: str) -> dict[str, Any]:
  found = dict(pairs)
  if len(found) < len(pairs):
    raise UserError(f'{place} names a field twice; the fields are {", ".join(name for name, _ in pairs)}.')
  return found


def _typed(cell: str, kind: type, name: str, place: str) -> Value | None:
  if kind is str:
    return cell
  if not cell:
    return None
  try:
    return _BOOLS[cell.lower()] if kind is bool else kind(cell)
  except (ValueError, KeyError) as error:
    raise UserError(f'{place}: the field {name!r} is {cell!r}, and types says {kind.__name__}.') from error
