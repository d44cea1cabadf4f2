"""The files of a run folder that say what was run: config.gin, model-info.txt, versions.json, the tokenizer's."""

import json
import os
import pathlib
from collections.abc import Mapping

from flan_jax.errors import UserError
from flan_jax.interop import hub
from flan_jax.training.checkpoints import PREFIX
from flan_jax.versions import package_versions

TOKENIZER = 'tokenizer'


def write_text(path: pathlib.Path, text: str | bytes) -> None:
  """Writes a file at once: a reader finds the old content or the new one, never half of it."""
  partial = path.with_name(f'{path.name}.{os.getpid()}.partial')  # several processes may write the same file
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(text.encode() if isinstance(text, str) else text)
    partial.replace(path)
  except OSError as error:
    raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def describe_run(model_dir: str | pathlib.Path, *, config: str | None, model_info: str,
                 more: Mapping[str, str | bytes] | None = None) -> None:
  """Writes the three files, and others.

  Args:
    model_dir: the run folder.
    config: text of config.gin; None leaves that file to the caller.
    model_info: the parameter table.
    more: the content of other files, by name.
  """
  folder = pathlib.Path(model_dir)
  if config is not None:
    write_text(folder / 'config.gin', config)
  write_text(folder / 'model-info.txt', model_info)
  write_text(folder / 'versions.json', json.dumps(package_versions(), indent=2) + '\n')
  for name, text in (more or {}).items():
    write_text(folder / name, text)


def tokenizer_folder(path: str) -> pathlib.Path | None:
  """The folder with a checkpoint's tokenizer files; None where it has none."""
  folder = hub.fetch(path) if hub.is_hub(path) else pathlib.Path(path).expanduser()
  own = (folder / TOKENIZER, folder.parent / TOKENIZER if folder.name.startswith(PREFIX) else None)
  for candidate in own:
    if candidate is not None and candidate.is_dir():
      return candidate
  files = (folder.glob(pattern) for pattern in hub.TOKENIZER_FILES)
  return folder if any(True for found in files for _ in found) else None
