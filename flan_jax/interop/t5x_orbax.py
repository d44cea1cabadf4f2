"""T5X's Orbax layout, read: zarr arrays in an OCDBT database under `state/`.

The database has checksums of its index but not of the arrays, and zstd as Orbax sets it has none either: a byte that
has changed inside an array may arrive as another number. The format cannot tell, and so neither can we.
"""

import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import tensorstore as ts
from etils import epath

from flan_jax.errors import UserError
from flan_jax.interop.t5x_weights import STACK_AXIS, data_state, kvstore, sentence

STATE = 'state'
MANIFEST = 'manifest.ocdbt'
COMMITTED = 'commit_success.txt'
_META = '.zarray'


class OrbaxStore:
  """See `t5x_weights.Store`."""

  def __init__(self, folder: epath.Path):
    """Reads the index and the description of every array.

    Raises:
      UserError: if the checkpoint is not whole, or its index cannot be read.
    """
    self.folder = folder
    _refuse_unfinished(folder)
    self._context = ts.Context()
    self._database = {'driver': 'ocdbt', 'base': kvstore(folder / STATE)}
    self._metadata = self._describe()
    self.arrays: Mapping[str, jax.ShapeDtypeStruct] = {n: self._shape(n) for n in self._metadata}
    data = folder / 'dataset'
    self.notes = data_state([path.name for path in data.iterdir() if path.name != COMMITTED] if data.is_dir() else [])

  def read(self, name: str, layer: int | None = None) -> np.ndarray:
    """See `t5x_weights.Store`."""
    spec = {
      'driver': 'zarr',
      'kvstore': {**self._database, 'path': f'{name.replace("/", ".")}/'},
      # Without this, a chunk that is not there would be read as zeros.
      'fill_missing_data_reads': False,
    }
    try:
      array = ts.open(spec, open=True, context=self._context).result()
      return (array if layer is None else array[:, layer]).read().result()
    except Exception as error:  # TensorStore raises whatever fits
      raise UserError(f'{self.folder / STATE} is damaged, {name} cannot be read: {sentence(error)}') from error

  def reads_layers(self, name: str) -> bool:
    """See `t5x_weights.Store`."""
    return self._metadata[name]['chunks'][STACK_AXIS] == 1

  def _describe(self) -> dict[str, dict[str, Any]]:
    """The zarr descriptions by name; parts of a name are joined by dots there, and have none themselves."""
    place = self.folder / STATE / MANIFEST
    if not place.is_file():
      raise UserError(f'{place} is missing: the checkpoint is not whole')
    try:
      store = ts.KvStore.open(self._database, context=self._context).result()
      keys = [key for key in store.list().result() if key.endswith(b'/' + _META.encode())]
      contents = [store.read(key) for key in keys]
      return {_name(key): json.loads(content.result().value) for key, content in zip(keys, contents, strict=True)}
    except Exception as error:  # TensorStore raises whatever fits
      raise UserError(f'{self.folder / STATE} is damaged: {sentence(error)}') from error

  def _shape(self, name: str) -> jax.ShapeDtypeStruct:
    try:
      meta = self._metadata[name]
      return jax.ShapeDtypeStruct(tuple(meta['shape']), _dtype(meta['dtype']))
    except (KeyError, TypeError, ValueError) as error:
      raise UserError(f'{self.folder / STATE} is damaged: the description of {name} cannot be read') from error


def _name(key: bytes) -> str:
  return key.decode().removesuffix(f'/{_META}').replace('.', '/')


def _dtype(text: str) -> np.dtype:
  """zarr's name of a dtype: numpy's, and bfloat16."""
  return ts.dtype('bfloat16').numpy_dtype if text == 'bfloat16' else np.dtype(text)


def _refuse_unfinished(folder: epath.Path) -> None:
  """Refuses what Orbax has not finished: it writes in place, with this file last, where a rename is not atomic."""
  marks_end = (folder / '_CHECKPOINT_METADATA').exists() or '://' in str(folder)
  if marks_end and not (folder / COMMITTED).exists() and not _renamed(folder):
    raise UserError(f'{folder} has no {COMMITTED}: T5X has not finished writing it')


def _renamed(folder: epath.Path) -> bool:
  """Whether the description that Orbax writes at the end is there."""
  try:
    return bool(json.loads((folder / '_CHECKPOINT_METADATA').read_text()).get('commit_timestamp_nsecs'))
  except (OSError, ValueError, AttributeError):
    return False
