"""The texts of a run folder that say what was run: config.gin, model-info.txt, versions.json."""

import json
import pathlib

from flan_jax.errors import UserError
from flan_jax.versions import package_versions


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a file at once: a reader finds the old text or the new one, never half of it."""
  partial = path.with_name(path.name + '.partial')
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text, encoding='utf-8')
    partial.replace(path)
  except OSError as error:
    raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def describe_run(model_dir: str | pathlib.Path, *, config: str | None, model_info: str) -> None:
  """Writes the three files.

  Args:
    model_dir: the run folder.
    config: text of config.gin; None leaves that file to the caller.
    model_info: the parameter table.
  """
  folder = pathlib.Path(model_dir)
  if config is not None:
    write_text(folder / 'config.gin', config)
  write_text(folder / 'model-info.txt', model_info)
  write_text(folder / 'versions.json', json.dumps(package_versions(), indent=2) + '\n')
