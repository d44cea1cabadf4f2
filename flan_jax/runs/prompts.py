"""Prompts to be answered: lines of a file or of standard input, or rows of a task; checked whole, read in pieces."""

import contextlib
import hashlib
import json
import pathlib
import shutil
import sys
import tempfile
import weakref
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

from flan_jax.errors import UserError, did_you_mean

if TYPE_CHECKING:
  from flan_jax.data.rows import EvalRow

STDIN = '-'
OWN_FIELDS = ('prediction', 'score', 'inputs_truncated', 'prediction_truncated')  # what an answer adds to its prompt
OTHER_FORMATS = ('.csv', '.json', '.gz', '.parquet')  # that would make strange prompts if they were read as lines
Record = dict[str, Any]
Kind = Literal['text', 'jsonl', 'table']


class Prompts(Protocol):
  """Numbered records with a text `inputs` each, that can be read more than once.

  Attributes:
    name: of the predictions.
    count: how many there are.
    digest: a word for all that they say.
  """

  name: str
  count: int
  digest: str

  def records(self, start: int = 0) -> Iterator[Record]:
    """Yields the records from a number on."""
    ...


class TaskPrompts:
  """The rows of a task as prompts, with their targets and row ids."""

  def __init__(self, name: str, rows: Sequence['EvalRow']):
    self.name, self.count = name, len(rows)
    self._records = [{'inputs': row.inputs_pretokenized, 'targets': row.targets_pretokenized, 'row_id': row.row_id}
                     for row in rows]
    self.digest = hashlib.sha256(json.dumps(self._records).encode()).hexdigest()

  def records(self, start: int = 0) -> Iterator[Record]:
    """Yields the records from a number on."""
    return iter(self._records[start:])


class PromptFile:
  """The lines of a file or of standard input.

  A `.jsonl` has an object with a text `inputs` on each line that is not blank, a `.tsv` a header line that names its
  columns, `inputs` among them; other fields and columns go along. In any other file every line is a prompt, a blank one
  too. Standard input is JSON lines where its first character that is not blank is '{', and prompts elsewhere. Lines end
  at line feeds, whatever other separators Unicode has. Nothing is held in memory: the file is read once to be checked,
  and again for the prompts.
  """

  def __init__(self, path: str, adapters: Collection[str] | None = None, examples: int | None = None):
    """Reads the file once and checks every line.

    Args:
      path: of the file; '-' for standard input.
      adapters: names that lines may choose from, by a field or column `adapter` (empty or null for none), or in a .tsv
        without header by its first of two columns; None where there are none to choose from.
      examples: at most this many; what comes after them is not read.

    Raises:
      UserError: where the file cannot be read, holds nothing, or a line is not as above or names no adapter that there
        is; the message says which line.
    """
    self._path, self._adapters, self._limit = path, adapters, examples
    self.name = 'stdin' if path == STDIN else pathlib.Path(path).stem
    self._spooled: IO[bytes] | None = None
    self._spool()
    self._kind = self._find_kind()
    self.count, self.digest = 0, ''
    for _ in self._read():
      self.count += 1
    if not self.count:
      raise UserError(f'INPUT_FILE: {self._shown} is empty.')
    self.digest = self._hash.hexdigest()

  def records(self, start: int = 0) -> Iterator[Record]:
    """Yields the records from a number on.

    Raises:
      UserError: at the end, if the file was changed since it was checked.
    """
    for number, record in enumerate(self._read()):
      if number >= start:
        yield record
    if self._hash.hexdigest() != self.digest:
      raise UserError(f'INPUT_FILE: {self._shown} was changed while it was being answered: start again.')

  @property
  def _shown(self) -> str:
    return 'standard input' if self._path == STDIN else repr(self._path)

  def _spool(self) -> None:
    """Copies to disk what can be read only once."""
    try:
      with contextlib.nullcontext(sys.stdin.buffer) if self._path == STDIN else open(self._path, 'rb') as stream:  # noqa: PTH123
        if self._path == STDIN or not stream.seekable():
          self._spooled = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as this object
          weakref.finalize(self, self._spooled.close)
          shutil.copyfileobj(stream, self._spooled)
    except OSError as error:
      raise UserError(f'INPUT_FILE: cannot read {self._shown} ({error.strerror}).') from error

  def _open(self) -> contextlib.AbstractContextManager[IO[bytes]]:
    if self._spooled is None:
      return pathlib.Path(self._path).open('rb')
    self._spooled.seek(0)
    return contextlib.nullcontext(self._spooled)

  def _find_kind(self) -> Kind:
    suffix = pathlib.Path(self._path).suffix.lower()
    if suffix in OTHER_FORMATS:
      raise UserError(f'INPUT_FILE: {self._shown} must be .jsonl, .tsv with a header line, or a text with one prompt '
                      f'a line, not {suffix}.')
    if suffix in ('.jsonl', '.tsv'):
      return 'jsonl' if suffix == '.jsonl' else 'table'
    if self._path == STDIN:
      with self._open() as file:
        first = next((line.strip() for line in file if line.strip()), b'')
      if first.removeprefix(b'\xef\xbb\xbf').startswith(b'{'):
        return 'jsonl'
    if self._adapters is None:
      return 'text'
    if self._path == STDIN:
      return 'table'
    raise UserError(f'INPUT_FILE: the lines of {self._shown} name no adapter: with ADAPTERS it must be .jsonl or .tsv.')

  def _read(self) -> Iterator[Record]:
    """Yields all records that count, and leaves a digest of the lines read in `_hash`."""
    self._hash = hashlib.sha256(self._kind.encode())
    if self._limit == 0:
      return
    shown = '<stdin>' if self._path == STDIN else self._path
    with self._open() as file:
      for number, record in enumerate(parse(self._lines(file, shown), self._kind, self._adapters), 1):
        yield record
        if number == self._limit:
          return

  def _lines(self, file: Iterable[bytes], shown: str) -> Iterator[tuple[str, str]]:
    """Yields the place and the text of every line."""
    for number, line in enumerate(file, 1):
      self._hash.update(line)
      try:
        text = line.decode('utf-8-sig' if number == 1 else 'utf-8')
      except UnicodeDecodeError as error:
        raise UserError(f'{shown}:{number}: this is not UTF-8 ({error.reason} at byte {error.start}).') from error
      yield f'{shown}:{number}', text.removesuffix('\n').removesuffix('\r')


def parse(lines: Iterable[tuple[str, str]], kind: Kind, adapters: Collection[str] | None) -> Iterator[Record]:
  """Yields the records of lines; see `PromptFile`.

  Args:
    lines: place and text of each.
    kind: how they are written.
    adapters: names that they may choose from, or None.

  Raises:
    UserError: for the first line that is not as it must be.
  """
  records = {'text': _texts, 'jsonl': _objects, 'table': _rows}[kind](lines, adapters is not None)
  for place, record in records:
    name = record.get('adapter')
    if adapters is not None and name is not None and name not in list(adapters):  # JSON may hold what has no hash
      raise UserError(f'{place}: there is no adapter {name!r}. {did_you_mean(str(name), adapters)}'.rstrip())
    yield record


Places = Iterator[tuple[str, Record]]


def _texts(lines: Iterable[tuple[str, str]], names_adapter: bool) -> Places:
  del names_adapter
  return ((place, {'inputs': text}) for place, text in lines)


def _objects(lines: Iterable[tuple[str, str]], names_adapter: bool) -> Places:
  del names_adapter
  for place, line in lines:
    if not line.strip():
      continue
    try:
      record = json.loads(line)
      if not isinstance(record['inputs'], str):
        raise TypeError
      json.dumps(record, ensure_ascii=False).encode()  # fails on escapes that stand for half a character
    except (ValueError, KeyError, TypeError, RecursionError) as error:
      raise UserError(f'{place}: expected a JSON object with a field "inputs" that is a text.') from error
    _check_fields(place, record)
    yield place, record


def _rows(lines: Iterable[tuple[str, str]], names_adapter: bool) -> Places:
  """Rows under a header line, or pairs of adapter and prompt where there is none."""
  columns: list[str] | None = None
  for number, (place, line) in enumerate(lines):
    cells = line.split('\t')
    if number == 0 and 'inputs' in cells and (not names_adapter or 'adapter' in cells):
      columns = cells
      _check_fields(place, columns)
    elif columns is not None:
      if len(cells) != len(columns):
        raise UserError(f'{place}: expected {len(columns)} columns as in the header line, not {len(cells)}.')
      record = dict(zip(columns, cells, strict=True))
      if names_adapter and not record['adapter']:
        del record['adapter']
      yield place, record
    elif not names_adapter:
      raise UserError(f'{place}: expected a header line that names the columns, "inputs" among them, not '
                      f'{line[:60]!r}.')
    else:
      name, tab, text = line.partition('\t')
      if not tab:
        raise UserError(f'{place}: expected an adapter (or nothing), a tab, and the prompt.')
      yield place, {'inputs': text, **({'adapter': name} if name else {})}


def _check_fields(place: str, fields: Collection[str]) -> None:
  taken = [name for name in OWN_FIELDS if name in fields]
  if taken:
    raise UserError(f'{place}: the field {taken[0]!r} is what the answer will be written to: rename it.')
  if len(set(fields)) != len(fields):
    raise UserError(f'{place}: each column needs a name of its own.')
