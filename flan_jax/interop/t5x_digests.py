"""A file of SHA-256 digests in a checkpoint that we wrote: what T5X's format cannot notice, a reader of ours does."""

import hashlib
import json
import pathlib
from collections.abc import Mapping

from etils import epath

from flan_jax.errors import UserError

FILE = 'flan_jax.digests.json'
FORMAT = 1


def of_files(folder: pathlib.Path) -> dict[str, str]:
  """Returns the digest of every file of a folder, by path inside it."""
  files = sorted(path for path in folder.rglob('*') if path.is_file())
  return {path.relative_to(folder).as_posix(): digest(path.read_bytes()) for path in files}


def digest(content: bytes) -> str:
  """Returns a SHA-256 in hexadecimal."""
  return hashlib.sha256(content).hexdigest()


def encode(digests: Mapping[str, str]) -> str:
  """Returns the text of the file, which has a digest of its own."""
  ordered = dict(sorted(digests.items()))
  return json.dumps({'format': FORMAT, 'sha256': ordered, 'whole': _of_all(ordered)}, indent=0)


def _of_all(digests: Mapping[str, str]) -> str:
  return digest(json.dumps(digests).encode())


class Digests:
  """The digests of a folder, or none: checkpoints that T5X wrote have no such file, and nothing is checked there."""

  def __init__(self, folder: epath.Path):
    """Reads the file, if there is one.

    Raises:
      UserError: if it is damaged.
    """
    self._folder = folder
    self._expected: dict[str, str] | None = None
    self._checked: set[str] = set()
    path = folder / FILE
    if path.exists():
      try:
        content = json.loads(path.read_text())
        if content['format'] != FORMAT:
          raise ValueError(f'format {content["format"]!r}')
        if _of_all(content['sha256']) != content['whole']:
          raise ValueError('it is not what was written')
        self._expected = dict(content['sha256'])
      except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path} is damaged: {error}') from error

  @property
  def loose(self) -> set[str]:
    """The files that lie in the folder itself."""
    return {path for path in self._expected or () if '/' not in path}

  def check(self, name: str) -> None:
    """Checks a file, or all files of a folder in the folder; each once.

    Args:
      name: the path inside the folder; for a folder it ends in a slash.

    Raises:
      UserError: if a file is missing, or is not the one that was written.
    """
    if self._expected is None or name in self._checked:
      return
    listed = [path for path in self._expected if path == name or (name.endswith('/') and path.startswith(name))]
    if not listed:
      raise UserError(f'{self._folder / FILE} has no digest of {name}: one of the two is damaged')
    for path in listed:
      file = self._folder / path
      if not file.is_file():
        raise UserError(f'{file} is missing')
      if digest(file.read_bytes()) != self._expected[path]:
        raise UserError(f'{file} is damaged: it is not what was written (its SHA-256 differs)')
    self._checked.add(name)
