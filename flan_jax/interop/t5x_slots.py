"""The slots that T5X's Adafactor keeps for each array: which are in use, and along which axes they are means.

T5X factors second moments where both axes of a matrix are 128 or more, the shorter axis making `v_row`, just as optax
does. Of stacked arrays it goes by axis names instead: the residual stream's width makes `v_row`, whatever the sizes,
all other axes but the layers' make `v_col`, and norms and biases are not factored.
"""

from typing import NamedTuple

import numpy as np

from flan_jax.interop.t5x_names import STACK_AXIS, Stored

NAMES = ('m', 'v', 'v_col', 'v_row')
UNUSED = (1,)  # the shape of a slot that is not in use
SMALLEST = 128


class Factors(NamedTuple):
  """How the second moments of an array are factored.

  Attributes:
    row: the shape of `v_row`.
    col: the shape of `v_col`.
    row_axis: which axis of our matrix `v_row` runs along; `v_col` runs along the other.
    row_layers: the axis of `v_row` that counts layers, where they are stacked.
    col_layers: likewise of `v_col`.
  """

  row: tuple[int, ...]
  col: tuple[int, ...]
  row_axis: int
  row_layers: int
  col_layers: int


def factored_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
  """The axes that `v_row` and `v_col` of an array that is not stacked run along; None where it is not factored."""
  if len(shape) != 2 or min(shape) < SMALLEST:
    return None
  return (1, 0) if shape[0] > shape[1] else (0, 1)


def factors(stored: Stored) -> Factors | None:
  """How T5X factors an array; None where it keeps the whole second moment."""
  shape = stored.shape
  if not stored.stacked:
    axes = factored_axes(shape)
    return Factors((shape[axes[0]],), (shape[axes[1]],), axes[0], 0, 0) if axes else None
  if len(stored.ours) < 2 or stored.name.endswith('/rel_embedding'):
    return None
  if stored.model_axis_first:
    return Factors(shape[:2], shape[1:], 0, STACK_AXIS, 0)
  return Factors((shape[STACK_AXIS], shape[-1]), shape[:-1], 1, 0, STACK_AXIS)


def shapes(stored: Stored) -> dict[str, tuple[int, ...]]:
  """The shapes of an array's slots, without momentum."""
  found = factors(stored)
  used = {'v_row': found.row, 'v_col': found.col} if found else {'v': stored.shape}
  return {name: used.get(name, UNUSED) for name in NAMES}


def fresh(stored: Stored) -> dict[str, np.ndarray]:
  """The slots of an array before the first step."""
  return {name: np.zeros(shape, np.float32) for name, shape in shapes(stored).items()}
