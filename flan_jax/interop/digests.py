"""A list of the SHA-256 of every file in a folder that we wrote: a flipped bit is noticed before it becomes a weight.

Neither safetensors nor T5X's layout carry checksums, and other programs ignore the list. A folder without one, which
another program wrote, can be checked for its structure only.
"""

import hashlib
import json
import pathlib

from flan_jax.errors import UserError

FILE = 'flan_jax_digests.json'


def _digest(path: pathlib.Path) -> str:
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def write_digests(folder: pathlib.Path) -> None:
  """Lists the digests of all files under a folder, in that folder."""
  files = sorted(path for path in folder.rglob('*') if path.is_file() and path.name != FILE)
  listed = {str(path.relative_to(folder)): _digest(path) for path in files}
  (folder / FILE).write_text(json.dumps(listed, indent=1) + '\n', encoding='utf-8')


def check_digests(folder: pathlib.Path) -> bool:
  """Checks a folder against its list.

  Returns:
    Whether there is a list.

  Raises:
    UserError: naming all files that are missing or not what was written.
  """
  place = folder / FILE
  if not place.exists():
    return False
  try:
    listed = dict(json.loads(place.read_text(encoding='utf-8')))
  except (OSError, ValueError, TypeError) as error:
    raise UserError(f'{place} cannot be read: {error}') from error
  lost = [name for name in listed if not (folder / name).is_file()]
  changed = [name for name in listed if name not in lost and _digest(folder / name) != listed[name]]
  problems = [f'{what}: {", ".join(names)}' for what, names in (('missing', lost), ('changed', changed)) if names]
  if problems:
    raise UserError(f'{folder} is not what was written and {FILE} lists ({"; ".join(problems)}): convert it anew')
  return True
