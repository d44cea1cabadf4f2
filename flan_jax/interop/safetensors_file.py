"""Safetensors one array at a time: the format's library writes a file only from all of its arrays at once.

The format is eight bytes with the length of a JSON header, the header (dtype, shape and place of every array), then the
arrays one after the other: https://github.com/huggingface/safetensors. Whether a file is sound the library decides; it
maps files into memory, and arrays are read past it, so that a model never takes up more than one of them.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import ml_dtypes
import numpy as np
import safetensors

from flan_jax.errors import UserError
from flan_jax.interop.weights import nbytes

_NAMES = {
  np.dtype(np.float64): 'F64', np.dtype(np.float32): 'F32', np.dtype(np.float16): 'F16',
  np.dtype(ml_dtypes.bfloat16): 'BF16', np.dtype(np.int64): 'I64', np.dtype(np.int32): 'I32', np.dtype(np.int16): 'I16',
  np.dtype(np.int8): 'I8', np.dtype(np.uint8): 'U8', np.dtype(np.bool_): 'BOOL',
}  # fmt: skip
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_ALIGNMENT = 8
Shapes = Mapping[str, jax.ShapeDtypeStruct]


def write_file(path: pathlib.Path, shapes: Shapes, read: Callable[[str], np.ndarray],
               metadata: Mapping[str, str] | None = None) -> None:
  """Writes arrays in the order of their names' mapping, holding one at a time.

  Args:
    path: of the file.
    shapes: by name.
    read: gives an array of that shape and dtype.
    metadata: texts for the header.

  Raises:
    UserError: where an array is not what was announced, or has a dtype that the format lacks.
  """
  header: dict[str, Any] = {'__metadata__': dict(metadata)} if metadata else {}
  end = 0
  for name, shape in shapes.items():
    dtype = np.dtype(shape.dtype)
    if dtype not in _NAMES:
      raise UserError(f'{path}: {name} is of {dtype}, which safetensors does not have')
    start, end = end, end + nbytes(shape)
    header[name] = {'dtype': _NAMES[dtype], 'shape': list(shape.shape), 'data_offsets': [start, end]}
  text = json.dumps(header, separators=(',', ':')).encode()
  text += b' ' * (-len(text) % _ALIGNMENT)
  with path.open('wb') as file:
    file.write(len(text).to_bytes(8, 'little') + text)
    for name, shape in shapes.items():
      array = np.ascontiguousarray(read(name))
      if (array.shape, array.dtype) != (tuple(shape.shape), np.dtype(shape.dtype)):
        raise UserError(f'{path}: {name} should be {shape.dtype}{list(shape.shape)} and is '
                        f'{array.dtype}{list(array.shape)}')
      file.write(array.reshape(-1).view(np.uint8).data)


@dataclasses.dataclass(frozen=True)
class Place:
  """Where an array lies in a file.

  Attributes:
    path: of the file.
    start: its first byte.
    shape: its shape and dtype.
  """

  path: pathlib.Path
  start: int
  shape: jax.ShapeDtypeStruct

  def read(self, first: int = 0, rows: int | None = None) -> np.ndarray:
    """Returns the array, or some of its rows, in memory that nothing else of the file takes up: none of it is mapped.

    Args:
      first: the first row.
      rows: how many; all that follow where None.

    Raises:
      UserError: where the file cannot be read, or has become shorter.
    """
    dtype, shape = np.dtype(self.shape.dtype), tuple(self.shape.shape)
    row = nbytes(jax.ShapeDtypeStruct(shape[1:], dtype))
    if shape:
      shape = (shape[0] - first if rows is None else min(rows, shape[0] - first), *shape[1:])
    size = nbytes(jax.ShapeDtypeStruct(shape, dtype))
    try:
      found = np.fromfile(self.path, np.uint8, size, offset=self.start + first * row)
    except OSError as error:
      raise UserError(f'{self.path} cannot be read: {error.strerror or error}') from error
    if found.size != size:
      raise UserError(f'{self.path} is damaged: it ends within an array')
    return found.view(dtype).reshape(shape)


def read_places(path: pathlib.Path) -> dict[str, Place]:
  """Returns what a file holds and where, reading its header only; the library says whether that is sound.

  Raises:
    UserError: where it cannot be read, is cut off or damaged, or has a dtype that is not known.
  """
  try:
    with safetensors.safe_open(path, 'np'):
      pass
    with path.open('rb') as file:
      length = int.from_bytes(file.read(8), 'little')
      header = json.loads(file.read(length))
  except (OSError, ValueError, safetensors.SafetensorError) as error:
    raise UserError(f'{path} cannot be read, it is damaged or cut off: {error}') from error
  header.pop('__metadata__', None)
  unknown = sorted({entry['dtype'] for entry in header.values()} - set(_DTYPES))
  if unknown:
    raise UserError(f'{path}: arrays of {", ".join(unknown)} cannot be read; known are {", ".join(_DTYPES)}')
  return {
    name: Place(path, 8 + length + entry['data_offsets'][0],
                jax.ShapeDtypeStruct(tuple(entry['shape']), _DTYPES[entry['dtype']]))
    for name, entry in header.items()
  }  # fmt: skip
