"""The file that predictions go to: T5X's names, written window by window, continued after a kill, whole or not there.

While a file is being written there are `<name>-predict.jsonl-00000-of-00001.partial` with the windows that are done,
and beside it a `.partial.json` that says what they were made from and how much of the file counts. When all is done the
file gets its name, and `<name>-predict.jsonl.COMPLETED` keeps what it was made from.
"""

import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from flan_jax.errors import UserError
from flan_jax.training.run_folder import write_text

COUNTED = ('inputs_truncated', 'prediction_truncated')  # marks of records that are counted


class PredictionsFile:
  """Predictions of one set of prompts by one model; used as a context.

  Attributes:
    path: of the finished file.
    complete: whether it was there already, made from the same.
    rows: how many records are written.
    counts: how many of them have each mark of `COUNTED`.
  """

  def __init__(
    self,
    folder: pathlib.Path,
    name: str,
    identity: Mapping[str, Any],
    total: int,
    report: Callable[[str], None] = print,
  ):
    """Finds out what there is.

    Args:
      folder: where the files are.
      name: of the prompts.
      identity: everything that decides what is predicted, by name, as JSON holds it.
      total: how many records there will be.
      report: takes a sentence about what is continued, left or begun anew.
    """
    self.path = folder / f'{name}-predict.jsonl-00000-of-00001'
    self._mark = folder / f'{name}-predict.jsonl.COMPLETED'
    self._partial = self.path.with_name(self.path.name + '.partial')
    self._state = self.path.with_name(self.path.name + '.partial.json')
    self._identity, self._total, self._report = json.loads(json.dumps(identity)), total, report
    self._file: Any = None
    self.rows, self._size, self._hash = 0, 0, hashlib.sha256()
    self.counts: dict[str, int] = dict.fromkeys(COUNTED, 0)
    self.complete = self._is_complete()

  def __enter__(self) -> 'PredictionsFile':
    """Opens the partial file behind what counts of it, unless all is there.

    Raises:
      UserError: if another process writes it, or it cannot be written.
    """
    if self.complete:
      return self
    try:
      self._file = os.fdopen(os.open(self._partial, os.O_RDWR | os.O_CREAT, 0o666), 'r+b')
      fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      self._resume()
      self._file.truncate(self._size)
      self._file.seek(self._size)
    except BlockingIOError as error:
      self._file.close()
      raise UserError(f'another process is writing {self._partial}: wait for it, or choose another '
                      'INFER_OUTPUT_DIR.') from error
    except OSError as error:
      raise UserError(f'cannot write {self._partial}: {error.strerror or error}.') from error
    return self

  def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
               trace: TracebackType | None) -> None:
    if self._file is not None:
      self._file.close()

  def append(self, records: Sequence[Mapping[str, Any]]) -> None:
    """Writes a window of records; from here on no kill can lose it."""
    text = ''.join(json.dumps(record, ensure_ascii=False) + '\n' for record in records).encode()
    self._file.write(text)
    self._file.flush()
    os.fsync(self._file.fileno())
    self._hash.update(text)
    self.rows, self._size = self.rows + len(records), self._size + len(text)
    for mark in COUNTED:
      self.counts[mark] += sum(mark in record for record in records)
    self._write(self._state)

  def finish(self) -> None:
    """Gives the file its name and marks it as complete.

    Raises:
      ValueError: if there are not as many records as there were to be.
    """
    if self.rows != self._total:
      raise ValueError(f'{self.rows} records are written, expected {self._total}')
    self._partial.replace(self.path)
    self._write(self._mark)
    self._state.unlink()

  def _is_complete(self) -> bool:
    """Whether the finished file is there and says what was written; does what a kill in `finish` left undone."""
    mark, state = _read(self._mark), _read(self._state)
    if mark is not None and self._matches(mark, self.path):
      if state is not None and state == mark:
        self._state.unlink()
      return True
    if state is None or self._partial.exists() or state['rows'] != self._total or not self._matches(state, self.path):
      return False
    self._write(self._mark)
    self._state.unlink()
    return True

  def _resume(self) -> None:
    """Takes up what a process that was stopped has left, or clears the way to begin."""
    state, old = _read(self._state), _read(self._mark)
    if state is not None and self._matches(state, self._partial, part=True):
      if self.rows:
        self._report(f'{self._partial.name}: {self.rows:,} of {self._total:,} rows are there, continuing behind them')
      return
    if state is not None or self._mark.exists():
      self._report(f'{self.path.name}: starting anew, because {self._difference(state or old)}')
    self._mark.unlink(missing_ok=True)  # until this is done, what has the final name was made from something else
    self._write(self._state)

  def _matches(self, state: Mapping[str, Any], path: pathlib.Path, part: bool = False) -> bool:
    """Takes over a state that was made from the same, if a file (or its first part) holds what the state says."""
    if state['identity'] != self._identity or not path.exists():
      return False
    size = path.stat().st_size
    if size < state['bytes'] or (size > state['bytes'] and not part):
      return False
    found, left = hashlib.sha256(), state['bytes']
    with path.open('rb') as file:
      while left and (block := file.read(min(left, 1 << 20))):
        found.update(block)
        left -= len(block)
    if found.hexdigest() != state['sha256']:
      return False
    self.rows, self.counts, self._size, self._hash = state['rows'], dict(state['counts']), state['bytes'], found
    return True

  def _difference(self, state: Mapping[str, Any] | None) -> str:
    """Why what lies there is of no use, in words."""
    if state is None:
      return 'the predictions there do not say what they were made from'
    there = state['identity']
    changed = [name for name in {**there, **self._identity} if there.get(name) != self._identity.get(name)]
    if not changed:
      return 'the predictions there are not those that were written'
    return f'the predictions there were made with other {", ".join(changed)}'

  def _write(self, path: pathlib.Path) -> None:
    """Writes what was made from what into a file, whole or not at all."""
    state = {'identity': self._identity, 'rows': self.rows, 'bytes': self._size, 'sha256': self._hash.hexdigest(),
             'counts': self.counts}
    write_text(path, json.dumps(state) + '\n')


def _read(path: pathlib.Path) -> dict[str, Any] | None:
  """Reads what `_write` wrote; None where there is nothing of the kind."""
  try:
    state = json.loads(path.read_text(encoding='utf-8'))
    return state if {'identity', 'rows', 'bytes', 'sha256', 'counts'} <= state.keys() else None
  except (OSError, ValueError, AttributeError):
    return None
