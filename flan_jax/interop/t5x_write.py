"""T5X's own layout, written: what its trainer, its evaluation and its inference read back.

Every parameter becomes a zarr folder, one at a time, in a folder under another name, which is renamed when all of it is
on disk. The digests that we add, and `config.gin`, are files that T5X does not look at.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorstore as ts
from flax import serialization

from flan_jax.errors import UserError
from flan_jax.interop import t5x_config, t5x_gin, t5x_names, t5x_slots
from flan_jax.interop.digests import write_digests
from flan_jax.interop.t5x_names import STACK_AXIS, Stored
from flan_jax.interop.t5x_native import FILE
from flan_jax.interop.t5x_weights import sentence
from flan_jax.interop.weights import Weights

VERSION = 3
DTYPES = ('float32', 'bfloat16')
CHUNK_BYTES = 64 * 2**20  # T5X's aim too; it reads chunks of any size


def write(folder: str | os.PathLike[str], weights: Weights, *, step: int = 0, dtype: str | None = None,
          scanned: bool | None = None) -> tuple[str, ...]:  # fmt: skip
  """Writes a checkpoint that T5X reads.

  Args:
    folder: the checkpoint, which must not be there yet; T5X finds it in a run's folder as `checkpoint_<step>`.
    weights: what to write, read one parameter at a time in the order of `shapes`.
    step: T5X's step, from which it counts on and whose `TRAIN_STEPS` includes it.
    dtype: 'float32' or 'bfloat16'; None keeps what is stored.
    scanned: for T5X's network with stacked layers, or without; None goes by whether every layer has its own bias.

  Returns:
    Sentences on what T5X finds there that the weights do not hold.

  Raises:
    UserError: if something is missing, not known or of another shape, the message lists all of it; if T5X's network
      would compute something else; or if the folder is there or cannot be written. Nothing is left behind then.
  """
  target = pathlib.Path(folder).expanduser().absolute()
  scanned = weights.config.relative_bias_per_layer if scanned is None else scanned
  plan = _Plan(weights, scanned)
  _check(target, str(folder), weights, plan, step, dtype)
  partial = target.with_name(f'{target.name}.tmp-{os.getpid()}')
  try:
    with _explained(target):
      partial.mkdir(parents=True)
    _Writer(target, partial, plan, dtype).run(step)
    with _explained(target):
      (partial / t5x_gin.FILE).write_text(t5x_gin.to_gin(weights.config, scanned=scanned), encoding='utf-8')
      _seal(partial)
      partial.rename(target)
      _sync(target.parent)
  finally:
    shutil.rmtree(partial, ignore_errors=True)  # a killed process leaves it, but under no checkpoint's name
  return plan.notes


class _Plan:
  """What goes where: T5X's arrays, and for each of our parameters the array and the layers that it fills."""

  def __init__(self, weights: Weights, scanned: bool):
    self.weights = weights
    self.scanned = scanned
    shape = weights.config
    repeats = scanned and not shape.relative_bias_per_layer
    if repeats:
      shape = dataclasses.replace(shape, relative_bias_per_layer=True)
    self.layout = t5x_names.layout(shape, scanned=scanned)
    self.places: dict[str, list[tuple[Stored, int]]] = {}
    for stored in self.layout.values():
      for layer, path in enumerate(stored.paths):
        shared = f'{path.split("/")[0]}/relpos_bias/rel_embedding'
        own = shared if repeats and path.endswith('/relpos_bias/rel_embedding') else path
        self.places.setdefault(own, []).append((stored, layer))
    notes = [f"T5X's Adafactor starts anew: the slots of {len(self.layout)} arrays are zeros"]
    if repeats:
      notes.append("the relative bias that a stack's layers share stands in each of them, where T5X trains them apart")
    self.notes = tuple(notes)


class _Writer:
  """Writes the arrays of a plan, and then the file that names them."""

  def __init__(self, target: pathlib.Path, folder: pathlib.Path, plan: _Plan, dtype: str | None):
    self._target = target
    self._folder = folder
    self._plan = plan
    self._dtype = dtype
    self._open: dict[str, Any] = {}
    self._described: dict[str, Any] = {}

  def run(self, step: int) -> None:
    """Writes everything."""
    for path in self._plan.weights.shapes:
      self._parameter(path)
    with _explained(self._target):
      for stored in self._plan.layout.values():
        self._slots(stored)
      self._described['state/step'] = np.asarray(step, np.int32)
      # In place, or the keys would be sorted, where T5X has them in this order.
      content = {'version': VERSION, 'optimizer': _tree(self._described)}
      (self._folder / FILE).write_bytes(serialization.msgpack_serialize(content, in_place=True))

  def _parameter(self, path: str) -> None:
    """Reads and writes one parameter; nothing of it is held when the next one is read."""
    weights, shape = self._plan.weights, self._plan.weights.shapes[path]
    value = weights.read(path)
    if value.shape != tuple(shape.shape) or value.dtype != shape.dtype:
      raise UserError(f'{weights.where}: {path} was said to be {shape.dtype}{list(shape.shape)} and is '
                      f'{value.dtype}{list(value.shape)}')  # fmt: skip
    value = value.astype(ts.dtype(self._dtype).numpy_dtype) if self._dtype else value
    with _explained(self._target):
      for stored, layer in self._plan.places[path]:
        self._put(f'target/{stored.name}', stored, layer, value)

  def _put(self, name: str, stored: Stored, layer: int, value: np.ndarray) -> None:
    if name not in self._described:
      self._described[name] = _description(name, stored, value.dtype)
    if name not in self._open:
      self._open[name] = _create(self._folder, self._described[name])
    array = self._open[name]
    # A chunk never holds two layers, so that a stacked array is written as its layers come.
    (array[:, layer] if stored.stacked else array).write(value.reshape(stored.layer_shape)).result()
    if layer == len(stored.paths) - 1:
      del self._open[name]

  def _slots(self, stored: Stored) -> None:
    """A second moment that is not factored has its own zarr folder, as T5X partitions it; the rest is in the file."""
    for slot, value in t5x_slots.fresh(stored).items():
      name = f'state/param_states/{stored.name}/{slot}'
      if value.shape == stored.shape:
        self._described[name] = _description(name, stored, value.dtype)
        _create(self._folder, self._described[name]).write(value).result()
      else:
        self._described[name] = value


def _description(name: str, stored: Stored, dtype: np.dtype) -> dict[str, Any]:
  """What the msgpack file has in place of an array, down to the order of its keys."""
  metadata = {'chunks': _chunks(stored, dtype.itemsize), 'compressor': {'id': 'gzip', 'level': 1},
              'shape': list(stored.shape)}  # fmt: skip
  kvstore = {'driver': 'file', 'path': f'{name.replace("/", ".")}/'}
  return {'driver': 'zarr', 'dtype': dtype.name, 'kvstore': kvstore, 'metadata': metadata}


def _chunks(stored: Stored, itemsize: int) -> list[int]:
  """One chunk where that is small enough, else equal parts along the first axis; one layer at most."""
  chunks = list(stored.shape)
  if stored.stacked:
    chunks[STACK_AXIS] = 1
  rest = int(np.prod(chunks[1:])) * itemsize
  divisors = (parts for parts in range(1, chunks[0] + 1) if chunks[0] % parts == 0)
  parts = next((parts for parts in divisors if chunks[0] // parts * rest <= CHUNK_BYTES), chunks[0])
  return [chunks[0] // parts, *chunks[1:]]


def _create(folder: pathlib.Path, description: Mapping[str, Any]) -> Any:
  path = folder / description['kvstore']['path']
  return ts.open({**description, 'kvstore': {'driver': 'file', 'path': f'{path}/'}}, create=True).result()


def _tree(flat: Mapping[str, Any]) -> dict[str, Any]:
  """Nested dicts with sorted keys."""
  tree: dict[str, Any] = {}
  for name in sorted(flat, key=lambda name: name.split('/')):
    *parents, last = name.split('/')
    node = tree
    for part in parents:
      node = node.setdefault(part, {})
    node[last] = flat[name]
  return tree


def _check(target: pathlib.Path, given: str, weights: Weights, plan: _Plan, step: int, dtype: str | None) -> None:
  if '://' in given:
    raise UserError(f'{given} is an address, and a checkpoint can only be written to a folder: copy it from there')
  if target.exists():
    raise UserError(f'{target} is there already; a checkpoint is never written over another')
  if dtype is not None and dtype not in DTYPES:
    raise UserError(f'a checkpoint of T5X can be written as {" or ".join(DTYPES)}, not as {dtype!r}')
  if step < 0:
    raise UserError(f'the step of a checkpoint cannot be {step}')
  wanted = {path: t5x_names.shape_of(path, weights.config) for path in t5x_names.paths(weights.config)}
  problems = t5x_config.inexpressible(weights.config, scanned=plan.scanned)
  problems += t5x_names.differences(weights.shapes, wanted)
  if dtype is None:
    problems += [f'{path} is {shape.dtype}, and T5X writes {" or ".join(DTYPES)}: say which'
                 for path, shape in weights.shapes.items() if str(shape.dtype) not in DTYPES]  # fmt: skip
  if problems:
    raise UserError(f'{weights.where} cannot become a checkpoint of T5X: {t5x_names.listed(problems)}')


@contextlib.contextmanager
def _explained(target: pathlib.Path) -> Iterator[None]:
  """Turns what the system and TensorStore raise while writing into one sentence."""
  try:
    yield
  except OSError as error:
    raise UserError(f'{target} cannot be written: {error.strerror or error}') from error
  except ValueError as error:
    raise UserError(f'{target} cannot be written: {sentence(error)}') from error


def _seal(folder: pathlib.Path) -> None:
  """Adds the digests, and waits until all of it is on disk; TensorStore has waited for what it wrote."""
  write_digests(folder)
  for path in folder.iterdir():
    _sync(path)
  _sync(folder)


def _sync(path: pathlib.Path) -> None:
  number = os.open(path, os.O_RDONLY)
  try:
    os.fsync(number)
  finally:
    os.close(number)
