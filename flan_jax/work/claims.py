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
    who = f'claimed by process {self.pid} on {self.host} since {self.since}'
    if self.gone:
      return f'{who}, which has ended without letting go: rm {self.path}'
    return f'{who}; if that has ended: rm {self.path}'


@contextlib.contextmanager
def claimed(path: pathlib.Path) -> Iterator[Holder | None]:
  """Claims something for as long as the block runs.

  Args:
    path: the claim's file; its folder is made where it is missing.

  Yields:
    None where the claim is ours, and otherwise who holds it.

  Raises:
    UserError: where the file cannot be written.
  """
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
  except FileExistsError:
    yield read(path)
    return
  except OSError as error:
    raise UserError(f'cannot write {path}: {error.strerror or error}') from error
  now = datetime.datetime.now().astimezone().isoformat(timespec='seconds')
  with os.fdopen(handle, 'w', encoding='utf-8') as file:
    json.dump({'host': socket.gethostname(), 'pid': os.getpid(), 'since': now}, file)
  try:
    yield None
  finally:
    path.unlink(missing_ok=True)


def read(path: pathlib.Path) -> Holder:
  """Who made a claim; the file of one that was made this moment may still be empty, or be gone again."""
  try:
    found = json.loads(path.read_text(encoding='utf-8'))
    return Holder(path, str(found['host']), int(found['pid']), str(found['since']))
  except (OSError, ValueError, KeyError, TypeError):
    return Holder(path, 'an unknown machine', 0, 'just now')
