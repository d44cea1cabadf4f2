"""The state of T5X's Adafactor as the state of ours, so that a run goes on where T5X stopped.

Both keep means of squared gradients along the two axes of a matrix, or all of them where it is not factored, and both
decay them by 1 - (step + 1)^-0.8; the estimate is the same whichever of the two means is called the row. So of arrays
that are not stacked the slots are copied, of stacked ones a layer is taken and the axes are told by name, and second
moments that only we factor are averaged, which is exact, since a mean of decayed averages is the decayed average of
means. The other way round, factored there and whole here, nothing that is known would give the whole.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax

from flan_jax.errors import UserError
from flan_jax.interop import t5x_names, t5x_slots
from flan_jax.interop.t5x_names import Stored
from flan_jax.interop.t5x_weights import SLOTS, T5XWeights

OFFSET = 'Adafactor.step_offset'


def resume(weights: T5XWeights, opt_state: Any) -> tuple[Any, tuple[str, ...]]:
  """Returns an optimizer state with the second moments and the count of T5X's.

  The count is that of the decay alone; that of our learning rate's schedule stays, as our runs count their own steps.

  Args:
    weights: of a checkpoint whose optimizer was T5X's Adafactor.
    opt_state: of our `optimizers.adafactor` over the parameters of the same model, as arrays or as shapes.

  Returns:
    The state, its new arrays as numpy arrays, and sentences on what was not taken over.

  Raises:
    UserError: if a parameter has no slots there, or slots of which ours cannot be made; the message lists all of them.
  """
  states = [s for s in jax.tree.leaves(opt_state, is_leaf=_is_factored) if _is_factored(s)]
  if len(states) != 1:
    raise UserError(f"{weights.where}: the state of T5X's Adafactor can go on only in our adafactor, and the optimizer "
                    f'of this run has {len(states)} states of its kind')  # fmt: skip
  state = states[0]
  problems: list[str] = []
  moments = {path: _moments(weights, path, state, problems) for path in state.v}
  if problems:
    raise UserError(f"{weights.where}: the state of T5X's Adafactor does not fit this run, "
                    f'{t5x_names.listed(problems)}')  # fmt: skip
  slots = {slot: {path: found[slot] for path, found in moments.items()} for slot in ('v_row', 'v_col', 'v')}
  new = optax.FactoredState(count=np.asarray(_count(weights), np.int32), **slots)
  return jax.tree.map(lambda s: new if _is_factored(s) else s, opt_state, is_leaf=_is_factored), _notes(weights)


def _is_factored(value: Any) -> bool:
  return isinstance(value, optax.FactoredState)


def _count(weights: T5XWeights) -> int:
  offset = weights.gin.values.get(OFFSET, 0)
  if not isinstance(offset, int) or offset > weights.step:
    raise UserError(f'{weights.where}: config.gin has {OFFSET}={offset!r}, which is no step up to {weights.step}')
  return weights.step - offset


def _notes(weights: T5XWeights) -> tuple[str, ...]:
  momenta = [name for name, a in weights.store.arrays.items()
             if name.startswith(SLOTS) and name.endswith('/m') and tuple(a.shape) != t5x_slots.UNUSED]  # fmt: skip
  return (f"momentum of T5X's Adafactor is not read: {len(momenta)} arrays",) if momenta else ()


def _moments(weights: T5XWeights, path: str, state: Any, problems: list[str]) -> Mapping[str, np.ndarray]:
  """One parameter's v_row, v_col and v for optax; adds to the problems where there is none."""
  wanted = {slot: getattr(state, slot)[path] for slot in ('v_row', 'v_col', 'v')}
  if path not in weights.stored:
    problems.append(f'{path} is no parameter there')
    return {}
  stored, layer = weights.stored[path]
  found = _read(weights, stored, layer, problems)
  if found is None:
    return {}
  axes = t5x_slots.factored_axes(stored.ours)
  if tuple(wanted['v'].shape) != t5x_slots.UNUSED:
    axes = None
  values = _as_ours(found, axes)
  if values is None:
    problems.append(f'{path} has factored second moments there and whole ones here')
    return {}
  for slot, value in values.items():
    if value.shape != tuple(wanted[slot].shape):
      problems.append(f'{slot} of {path} is {list(value.shape)} and should be {list(wanted[slot].shape)}')
  return {slot: value.astype(wanted[slot].dtype) for slot, value in values.items()}


def _as_ours(found: Mapping[int | str, np.ndarray], axes: tuple[int, int] | None) -> dict[str, np.ndarray] | None:
  """Orders means by axis, or makes them of a whole second moment, as optax wants them."""
  unused = np.zeros(t5x_slots.UNUSED, np.float32)
  if 'v' not in found:
    return {'v_row': found[axes[0]], 'v_col': found[axes[1]], 'v': unused} if axes else None
  whole = found['v']
  if axes is None:
    return {'v_row': unused, 'v_col': unused, 'v': whole}
  return {'v_row': whole.mean(axis=axes[1]), 'v_col': whole.mean(axis=axes[0]), 'v': unused}


def _read(weights: T5XWeights, stored: Stored, layer: int, problems: list[str]) -> dict[int | str, np.ndarray] | None:
  """T5X's second moment of one of our parameters: whole as 'v', or its means by the axis that they run along."""
  arrays, prefix = weights.store.arrays, f'{SLOTS}{stored.name}/'
  missing = [f'{stored.name} has no {slot} there' for slot in ('v_row', 'v_col', 'v') if prefix + slot not in arrays]
  if missing:
    problems.extend(missing)
    return None
  if tuple(arrays[f'{prefix}v'].shape) == stored.shape:
    return {'v': weights.layer(f'{prefix}v', stored, layer).reshape(stored.ours)}
  factors = t5x_slots.factors(stored)
  shapes = [tuple(arrays[prefix + slot].shape) for slot in ('v_row', 'v_col')]
  if factors is None or shapes != [factors.row, factors.col]:
    problems.append(f'the slots of {stored.name} are {" and ".join(str(list(shape)) for shape in shapes)} there, '
                    "which is not how T5X's Adafactor factors it")  # fmt: skip
    return None
  row, col = weights.store.read(f'{prefix}v_row'), weights.store.read(f'{prefix}v_col')
  if stored.stacked:
    row, col = np.take(row, layer, factors.row_layers), np.take(col, layer, factors.col_layers)
  return {factors.row_axis: row.reshape(-1), 1 - factors.row_axis: col.reshape(-1)}
