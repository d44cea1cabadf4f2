"""Checkpoints of T5X: which layout a folder has, and its weights under our names."""

import os
import re
from typing import Literal

from etils import epath

from flan_jax.errors import UserError
from flan_jax.interop import t5x_native, t5x_orbax
from flan_jax.interop.t5x_weights import Store, T5XWeights

Layout = Literal['native', 'orbax']
_STEP = re.compile(r'checkpoint_(\d+)')


def detect(folder: str | os.PathLike[str]) -> Layout | None:
  """Returns the layout of a T5X checkpoint, or of the newest one in a run's folder; None where there is none.

  Args:
    folder: a folder on this machine or an address such as gs://bucket/folder.
  """
  found = _find(epath.Path(folder))
  return found[1] if found else None


def open_t5x(path: str | os.PathLike[str]) -> T5XWeights:
  """Opens a T5X checkpoint for reading.

  Args:
    path: a checkpoint, its file `checkpoint`, or a run's folder, whose newest `checkpoint_<step>` is meant; on this
      machine or at an address such as gs://bucket/folder.

  Returns:
    Its weights; `notes` says what else is there and is not read.

  Raises:
    UserError: if there is none, or it is damaged, or it holds no T5 that we know; the message lists all that differs.
  """
  try:
    found = _find(epath.Path(path))
  except (ImportError, OSError) as error:  # an address needs a package that reads it
    raise UserError(f'{path} cannot be looked at: {error}') from error
  if found is None:
    raise UserError(f'there is no checkpoint of T5X at {path}: expected a folder with the file '
                    f'{t5x_native.FILE} or with {t5x_orbax.STATE}/{t5x_orbax.MANIFEST}, or a run folder with '
                    'checkpoint_<step> folders of that kind')  # fmt: skip
  folder, layout = found
  store: Store = t5x_native.NativeStore(folder) if layout == 'native' else t5x_orbax.OrbaxStore(folder)
  return T5XWeights(store)


def _find(path: epath.Path) -> tuple[epath.Path, Layout] | None:
  path = path.expanduser() if '://' in str(path) else path.expanduser().absolute()
  if path.name == t5x_native.FILE and path.is_file():
    path = path.parent
  if not path.is_dir():
    return None
  layout = _layout(path)
  if layout:
    return path, layout
  steps = {int(found[1]): child for child in path.iterdir() if (found := _STEP.fullmatch(child.name))}
  newest = steps[max(steps)] if steps else None
  layout = _layout(newest) if newest else None
  return (newest, layout) if newest and layout else None


def _layout(folder: epath.Path) -> Layout | None:
  if (folder / t5x_native.FILE).is_file():
    return 'native'
  # Our own checkpoints have a database in the same place, and `meta` beside it.
  if (folder / t5x_orbax.STATE).is_dir() and not (folder / 'meta').is_dir():
    return 'orbax'
  return None
