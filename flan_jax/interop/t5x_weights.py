"""A T5X checkpoint as `Weights`, whichever way T5X laid its arrays out on disk."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from etils import epath

from flan_jax.errors import UserError
from flan_jax.interop import t5x_config, t5x_gin, t5x_names, t5x_slots
from flan_jax.interop.t5x_names import STACK_AXIS, Stored

TARGET, STEP = 'target/', 'state/step'
SLOTS = 'state/param_states/'
OPTIMIZER_NOTE = "optimizer state of T5X's Adafactor is not read"


class Store(Protocol):
  """The arrays of a checkpoint under T5X's names, each with its tree before it ('target/...', 'state/...').

  Attributes:
    folder: the checkpoint.
    arrays: shape and dtype of each.
    notes: what else lies there and is not read, in sentences.
  """

  folder: epath.Path
  arrays: Mapping[str, jax.ShapeDtypeStruct]
  notes: tuple[str, ...]

  def read(self, name: str, layer: int | None = None) -> np.ndarray:
    """Returns an array as stored, or index `layer` of its axis 1.

    Raises:
      UserError: if it cannot be read; the message names the file and the array.
    """
    ...

  def reads_layers(self, name: str) -> bool:
    """Whether one layer of a stacked array can be read without the others."""
    ...


class T5XWeights:
  """The weights of a T5X checkpoint; see `Weights` for the protocol.

  Attributes:
    where: the checkpoint's folder.
    kind: 'T5X'.
    config: the shape of the model.
    scanned: whether T5X stacked its layers.
    shapes: by our path, in an order in which stacked arrays are read once.
    stored: by our path, T5X's array and the number of the layer in it.
    store: all arrays, those of the optimizer too.
    step: T5X's, with the steps of pre-training.
    gin: what `config.gin` binds to literals.
    notes: what the checkpoint holds and this does not read, in sentences with numbers.
  """

  kind = 'T5X'

  def __init__(self, store: Store):
    """Checks names, shapes and dtypes of all parameters; reads none.

    Raises:
      UserError: if something is missing, not known, or of another shape or dtype; the message lists all of it.
    """
    self.store = store
    self.where = str(store.folder)
    self.gin = t5x_gin.find_gin(store.folder)
    found = {name.removeprefix(TARGET): a for name, a in store.arrays.items() if name.startswith(TARGET)}
    shape = t5x_config.infer(found, self.gin, self.where)
    self.config, self.scanned = shape.config, shape.scanned
    layout = t5x_names.layout(self.config, scanned=self.scanned)
    problems = [*shape.problems, *t5x_names.differences(found, {n: stored.shape for n, stored in layout.items()})]
    if problems:
      raise UserError(f'{self.where}: {t5x_names.listed(problems)}')
    self.stored: dict[str, tuple[Stored, int]] = {
      path: (stored, layer) for stored in layout.values() for layer, path in enumerate(stored.paths)
    }
    self.shapes: Mapping[str, jax.ShapeDtypeStruct] = {
      path: jax.ShapeDtypeStruct(stored.ours, found[stored.name].dtype) for path, (stored, _) in self.stored.items()
    }
    self._stack: tuple[str, np.ndarray] | None = None
    self.step = self._step()
    self.notes = (*shape.notes, *store.notes, *self._left_out())

  def check(self) -> None:
    """Does nothing: what has a digest is checked when it is read."""

  def read(self, path: str) -> np.ndarray:
    """Returns one parameter in our layout and the dtype as stored; of a stacked array, the last one read is kept.

    Raises:
      UserError: if the files are damaged, or there is no such parameter.
    """
    if path not in self.stored:
      raise UserError(f'{self.where} holds no parameter {path}')
    stored, layer = self.stored[path]
    return self.layer(TARGET + stored.name, stored, layer).reshape(stored.ours)

  def layer(self, name: str, stored: Stored, layer: int) -> np.ndarray:
    """Returns an array of the layout of a parameter, without its axis of layers where it has one."""
    if not stored.stacked:
      return self.store.read(name)
    if self.store.reads_layers(name):
      return self.store.read(name, layer)
    if self._stack is None or self._stack[0] != name:
      self._stack = None  # before the next one is read: two may not fit
      self._stack = (name, self.store.read(name))
    return np.ascontiguousarray(np.take(self._stack[1], layer, axis=STACK_AXIS))

  def _step(self) -> int:
    if STEP not in self.store.arrays:
      raise UserError(f'{self.where} has no {STEP}: it is not whole')
    step = self.store.read(STEP)
    if step.size != 1 or not np.issubdtype(step.dtype, np.integer) or step.item() < 0:
      raise UserError(f'{self.where}: {STEP} is not a number of steps but {step.dtype}{list(step.shape)}')
    return int(step.item())

  def _left_out(self) -> list[str]:
    arrays = self.store.arrays
    slots = [name for name, a in arrays.items() if name.startswith(SLOTS) and tuple(a.shape) != t5x_slots.UNUSED]
    others = [n for n in arrays if not n.startswith((TARGET, SLOTS)) and n != STEP]
    notes = []
    if slots:
      notes.append(f'{OPTIMIZER_NOTE}: {_arrays(len(slots))}')
    if others:
      notes.append(f'neither parameters nor optimizer state and not read: {_arrays(len(others))} such as {others[0]}')
    return notes


def _arrays(count: int) -> str:
  return f'{count} array{"" if count == 1 else "s"}'


def data_state(files: Sequence[str]) -> tuple[str, ...]:
  """Returns the sentence on files in which T5X keeps its position in the data, if there are any."""
  if not files:
    return ()
  return (f"T5X's position in its data is not read: {len(files)} file{'' if len(files) == 1 else 's'}",)


def kvstore(path: epath.Path) -> Any:
  """Returns TensorStore's description of a folder, on this machine or at an address such as gs://bucket/folder."""
  text = str(path)
  if '://' in text:
    return f'{text}/'
  return {'driver': 'file', 'path': f'{text}/'}


def sentence(error: BaseException) -> str:
  """Returns what TensorStore says, without the places in its own source."""
  text = re.sub(r"\s*\[(source locations|tensorstore_spec)=.*", '', str(error), flags=re.DOTALL)
  return ' '.join(text.split())[:300]
