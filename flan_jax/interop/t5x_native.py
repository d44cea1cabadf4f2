"""T5X's own layout, read: a msgpack file `checkpoint` with small arrays, and with descriptions of zarr folders.

Nothing in the file is run. Of a description only what says where and what the array is counts: its driver must be zarr,
its folder inside the checkpoint; chunks and compressor are the folder's own business, as they are to T5X.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import tensorstore as ts
from etils import epath
from flax import serialization

from flan_jax.errors import UserError
from flan_jax.interop import t5x_names
from flan_jax.interop.digests import Digests
from flan_jax.interop.t5x_weights import STACK_AXIS, data_state, kvstore, sentence

FILE = 'checkpoint'
VERSIONS = (2, 3)  # 3 differs in bfloat16 alone, which 2 wrote as uint16
DATA_STATE = 'train_ds-'


class NativeStore:
  """See `t5x_weights.Store`."""

  def __init__(self, folder: epath.Path):
    """Reads the msgpack file, and no zarr folder.

    Raises:
      UserError: if it cannot be read, or holds something else than a T5X checkpoint.
    """
    self.folder = folder
    self._digests = Digests(folder)
    for name in sorted({FILE, *self._digests.loose}):
      self._digests.check(name)
    self._leaves = _leaves(folder / FILE)
    self.arrays: Mapping[str, jax.ShapeDtypeStruct] = {n: _shape(v, n, folder) for n, v in self._leaves.items()}
    self.notes = data_state([path.name for path in folder.iterdir() if path.name.startswith(DATA_STATE)])
    self._context = ts.Context()

  def read(self, name: str, layer: int | None = None) -> np.ndarray:
    """See `t5x_weights.Store`."""
    leaf = self._leaves[name]
    if not isinstance(leaf, dict):
      array = np.asarray(leaf)
      return array if layer is None else np.take(array, layer, axis=STACK_AXIS)
    inside = _path_inside(leaf, name, self.folder)
    self._digests.check(f'{inside}/')
    try:
      array = self._open(name)
      return (array if layer is None else array[:, layer]).read().result()
    except Exception as error:  # TensorStore raises whatever fits
      raise UserError(f'{self.folder / inside} is damaged, {name} cannot be read: {sentence(error)}') from error

  def reads_layers(self, name: str) -> bool:
    """See `t5x_weights.Store`."""
    if not isinstance(self._leaves[name], dict):
      return True
    try:
      return self._open(name).chunk_layout.read_chunk.shape[STACK_AXIS] == 1
    except Exception as error:
      inside = _path_inside(self._leaves[name], name, self.folder)
      raise UserError(f'{self.folder / inside} is damaged, {name} cannot be read: {sentence(error)}') from error

  def _open(self, name: str) -> Any:
    leaf, wanted = self._leaves[name], self.arrays[name]
    spec = {
      'driver': 'zarr',
      'kvstore': kvstore(self.folder / _path_inside(leaf, name, self.folder)),
      'dtype': np.dtype(wanted.dtype).name,
      'metadata': {'shape': list(wanted.shape)},
      # Without this, a chunk that is not there would be read as zeros.
      'fill_missing_data_reads': False,
    }
    if 'transform' in leaf:
      spec['transform'] = leaf['transform']
    return ts.open(spec, open=True, context=self._context).result()


def _leaves(path: epath.Path) -> dict[str, Any]:
  """The leaves of the msgpack file: arrays, and descriptions of zarr folders."""
  try:
    content = serialization.msgpack_restore(path.read_bytes())
  except OSError as error:
    raise UserError(f'{path} cannot be read: {error.strerror or error}') from error
  except Exception as error:  # msgpack and numpy raise whatever fits a byte that has changed
    raise UserError(f'{path} is damaged or no msgpack file of T5X: {sentence(error)}') from error
  if not isinstance(content, dict) or not isinstance(content.get('optimizer'), dict):
    raise UserError(f'{path} is damaged or no checkpoint of T5X: it has no tree named optimizer')
  if content.get('version') not in VERSIONS:
    raise UserError(f'{path} has version {content.get("version")!r}; versions {VERSIONS} can be read')
  # None stands where an optimizer of several has no slot.
  return {name: leaf for name, leaf in t5x_names.flatten(content['optimizer']).items() if leaf is not None}


def _shape(leaf: Any, name: str, folder: epath.Path) -> jax.ShapeDtypeStruct:
  if not isinstance(leaf, dict):
    if not isinstance(leaf, (np.ndarray, np.generic, int)):
      raise UserError(f'{folder / FILE} is damaged: {name} is not an array')
    return jax.ShapeDtypeStruct(np.shape(leaf), np.asarray(leaf).dtype)
  _path_inside(leaf, name, folder)
  try:
    shape, dtype = tuple(int(size) for size in leaf['metadata']['shape']), leaf['dtype']
    if dtype == 'uint16':
      raise UserError(f'{folder}: {name} is uint16, which is how version 2 wrote bfloat16 and nobody reads any more')
    return jax.ShapeDtypeStruct(shape, ts.dtype(dtype).numpy_dtype)
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(f'{folder / FILE} is damaged: the description of {name} cannot be read') from error


def _path_inside(leaf: Mapping[str, Any], name: str, folder: epath.Path) -> str:
  """The folder that a description names; TensorStore before 0.1.14 had the path one level further up."""
  store = leaf.get('kvstore')
  path = store.get('path', leaf.get('path')) if isinstance(store, dict) else None
  parts = pathlib.PurePosixPath(path).parts if isinstance(path, str) else ()
  if leaf.get('driver') != 'zarr' or not parts or parts[0] == '/' or '..' in parts:
    raise UserError(f'{folder / FILE} is damaged: the description of {name} names no zarr folder in the checkpoint')
  return '/'.join(parts)
