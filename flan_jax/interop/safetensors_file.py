"""Safetensors one array at a time: the format's library writes a file only from all of its arrays at once.

The format is eight bytes with the length of a JSON header, the header (dtype, shape and place of every array), then the
arrays one after the other: https://github.com/huggingface/safetensors. Reading is the library's.
"""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import ml_dtypes
import numpy as np
import safetensors

from flan_jax.errors import UserError

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
    start, end = end, end + dtype.itemsize * int(np.prod(shape.shape, dtype=np.int64))
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


def read_shapes(path: pathlib.Path) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns what a file holds, reading its header only.

  Raises:
    UserError: where it cannot be read, is cut off or damaged, or has a dtype that is not known.
  """
  try:
    with safetensors.safe_open(path, 'np') as file:
      found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
      described = {name: (tuple(s.get_shape()), s.get_dtype()) for name, s in found.items()}
  except (OSError, safetensors.SafetensorError) as error:
    raise UserError(f'{path} cannot be read, it is damaged or cut off: {error}') from error
  unknown = sorted({dtype for _, dtype in described.values() if dtype not in _DTYPES})
  if unknown:
    raise UserError(f'{path}: arrays of {", ".join(unknown)} cannot be read; known are {", ".join(_DTYPES)}')
  return {name: jax.ShapeDtypeStruct(shape, _DTYPES[dtype]) for name, (shape, dtype) in described.items()}


def read_array(path: pathlib.Path, name: str) -> np.ndarray:
  """Returns one array; the file is closed again, so that its pages do not add up to the whole model.

  Raises:
    UserError: where it cannot be read.
  """
  try:
    with safetensors.safe_open(path, 'np') as file:
      return np.asarray(file.get_tensor(name))
  except (OSError, safetensors.SafetensorError) as error:
    raise UserError(f'{path}: {name} cannot be read: {error}') from error


def read_rows(path: pathlib.Path, name: str, start: int, stop: int) -> np.ndarray:
  """Returns some rows of an array; errors as for `read_array`."""
  try:
    with safetensors.safe_open(path, 'np') as file:
      return np.asarray(file.get_slice(name)[start:stop])
  except (OSError, safetensors.SafetensorError) as error:
    raise UserError(f'{path}: {name} cannot be read: {error}') from error
