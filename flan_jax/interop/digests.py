"""A file of SHA-256 digests in a checkpoint that we wrote: what its format cannot notice, a reader of ours does.

Neither safetensors nor T5X's layout carry checksums, and other programs ignore the file. A folder without one, which
another program wrote, can be checked for its structure only.
"""

import hashlib
import json
import pathlib
from collections.abc import Mapping

from etils import epath

from flan_jax.errors import UserError

FILE = 'flan_jax.digests.json'
FORMAT = 1


def write_digests(folder: pathlib.Path) -> None:
  """Adds the file to a folder, with the digests of all that lies in it and a digest of its own."""
  files = sorted(path for path in folder.rglob('*') if path.is_file() and path.name != FILE)
  digests = dict(sorted((path.relative_to(folder).as_posix(), _digest(path)) for path in files))
  content = {'format': FORMAT, 'sha256': digests, 'whole': _of_all(digests)}
  (folder / FILE).write_text(json.dumps(content, indent=0), encoding='utf-8')


def _digest(path: pathlib.Path | epath.Path) -> str:
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def _of_all(digests: Mapping[str, str]) -> str:
  return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


class Digests:
  """The digests of a folder, or none: what another program wrote has no such file, and nothing is checked there."""

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
      if _digest(file) != self._expected[path]:
        raise UserError(f'{file} is damaged: it is not what was written (its SHA-256 differs; if another program wrote '
                        f'it anew, remove {FILE})')
    self._checked.add(name)
