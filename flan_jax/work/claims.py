"""Who works at what, where several processes share a folder: a claim is a file that only one of them can make."""

import contextlib
import datetime
import json
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import NamedTuple

from flan_jax.errors import UserError


class Holder(NamedTuple):
  """The process behind a claim.

  Attributes:
    path: the claim's file.
    host: the machine.
    pid: the process; 0 where the file does not say.
    since: when the claim was made.
  """

  path: pathlib.Path
  host: str
  pid: int
  since: str

  @property
  def gone(self) -> bool:
    """Whether the process is known to have ended: it ran on this machine and is no more."""
    if self.host != socket.gethostname() or not self.pid:
      return False
    try:
      os.kill(self.pid, 0)
    except ProcessLookupError:
      return True
    except PermissionError:
      return False
    return False

  def __str__(self) -> str:
    return (f'claimed by process {self.pid} on {self.host} since {self.since}; if that has ended on another machine: '
            f'rm {self.path}')


@contextlib.contextmanager
def claimed(path: pathlib.Path) -> Iterator[Holder | None]:
  """Claims something for as long as the block runs. A claim whose process was killed on this machine is taken over.

  Args:
    path: the claim's file; its folder is made where it is missing.

  Yields:
    None where the claim is ours, and otherwise who holds it.

  Raises:
    UserError: where the file cannot be written.
  """
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _make(path)
    if handle is None and (holder := read(path)).gone:
      handle = _take_over(path, holder)
  except OSError as error:
    raise UserError(f'cannot write {path}: {error.strerror or error}') from error
  if handle is None:
    yield read(path)
    return
  now = datetime.datetime.now().astimezone().isoformat(timespec='seconds')
  with os.fdopen(handle, 'w', encoding='utf-8') as file:
    json.dump({'host': socket.gethostname(), 'pid': os.getpid(), 'since': now}, file)
  try:
    yield None
  finally:
    path.unlink(missing_ok=True)


def _make(path: pathlib.Path) -> int | None:
  """Opens a file that was not there; None where it was."""
  try:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
  except FileExistsError:
    return None


def _take_over(path: pathlib.Path, holder: Holder) -> int | None:
  """Puts the claim of a process that has ended aside and makes ours; None where another process was faster."""
  aside = path.with_name(f'{path.name}.{os.getpid()}.ended')
  try:
    path.rename(aside)  # of several processes only one can
  except FileNotFoundError:
    return None
  if read(aside) != holder._replace(path=aside):  # what is aside is a new claim, made since we looked: it goes back
    with contextlib.suppress(FileExistsError):
      os.link(aside, path)
    aside.unlink()
    return None
  aside.unlink()
  print(f'process {holder.pid} has ended without letting go of {path}: taken over')
  return _make(path)


def read(path: pathlib.Path) -> Holder:
  """Who made a claim; the file of one that was made this moment may still be empty, or be gone again."""
  try:
    found = json.loads(path.read_text(encoding='utf-8'))
    return Holder(path, str(found['host']), int(found['pid']), str(found['since']))
  except (OSError, ValueError, KeyError, TypeError):
    return Holder(path, 'an unknown machine', 0, 'just now')
