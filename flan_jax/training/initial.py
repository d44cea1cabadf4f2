"""Starting from other weights: INITIAL_CHECKPOINT_PATH, and any later use of trained weights.

A path may be a run of ours, one of its checkpoints, or what another program wrote (see `interop.sources`). Weights
reach the devices one array at a time, in their sharding.
"""

import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array

from flan_jax.errors import UserError
from flan_jax.interop.fit import check_arrays
from flan_jax.interop.sources import open_foreign
from flan_jax.interop.weights import Weights
from flan_jax.models.config import T5Config
from flan_jax.peft.base import Method, from_config
from flan_jax.peft.io import load_adapter
from flan_jax.peft.partition import make_blueprint
from flan_jax.training import checkpoints, hosts
from flan_jax.training.initial_rules import Rules, sort_by_rule
from flan_jax.training.state import MakeModel, build_model

Wanted = Mapping[str, jax.ShapeDtypeStruct]


def find_checkpoint(path: str | pathlib.Path) -> pathlib.Path:
  """The checkpoint of ours that a path means: itself, or the newest one of a run folder.

  Raises:
    UserError: if there is none.
  """
  folder = pathlib.Path(path).expanduser().resolve()
  if not folder.is_dir():
    raise UserError(f'there is no checkpoint at {folder}: no such folder')
  found = _of_ours(folder)
  if found is None:
    raise UserError(f'there is no checkpoint in {folder}: expected a run folder with checkpoint_<step> folders, one of '
                    'those, a model folder of transformers, or a checkpoint of T5X')  # fmt: skip
  return found


def _of_ours(folder: pathlib.Path) -> pathlib.Path | None:
  for candidate in (folder, *reversed(checkpoints.checkpoint_folders(folder))):
    if (candidate / 'meta').is_dir() and (candidate / 'state').is_dir():
      return candidate
  return None


class RunWeights:
  """The parameters of a checkpoint of ours, adapters among them; see `Weights`.

  Attributes:
    where: the checkpoint's folder.
    kind: 'flan_jax'.
    shapes: by path.
    method: what was attached and trained.
  """

  kind = 'flan_jax'
  notes: tuple[str, ...] = ()

  def __init__(self, folder: pathlib.Path):
    """Opens a checkpoint, reading its description only.

    Raises:
      UserError: if it is damaged.
    """
    self._folder, self.where = folder, str(folder)
    try:
      meta = checkpoints.read_meta(folder)
    except checkpoints.CorruptCheckpoint as error:
      raise self._damaged(error) from error
    self._arrays, self._metadata = meta['arrays'], meta['metadata']
    self._saved = {name.split('/', 1)[1]: name for name in self._arrays if name.startswith(('trainable/', 'frozen/'))}
    self.shapes: Wanted = {name: jax.ShapeDtypeStruct(tuple(self._arrays[array][0]), np.dtype(self._arrays[array][1]))
                   for name, array in self._saved.items()}  # fmt: skip
    self.method: Method = from_config(self._metadata.get('method', {'method': 'full'}))

  @property
  def config(self) -> T5Config:
    """The model's shape.

    Raises:
      UserError: if the run was made before checkpoints said it.
    """
    if 'model' not in self._metadata:
      raise UserError(f'{self.where} does not say the shape of its model: name a models/ file')
    return T5Config(**self._metadata['model'])

  def check(self) -> None:
    """Does nothing: every array is checked against its digest when it is read."""

  def read(self, path: str) -> np.ndarray:
    """Returns one parameter; see `Weights.read`."""
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    shape = self.shapes[path]
    wanted = jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=device)
    return np.asarray(self.read_all({path: wanted})[path])

  def read_all(self, wanted: Wanted) -> dict[str, Array]:
    """Returns several parameters on their devices.

    Raises:
      UserError: if the checkpoint is damaged.
    """
    try:
      arrays = checkpoints.read_arrays(
        self._folder, {self._saved[name]: shape for name, shape in wanted.items()}, self._arrays)
    except checkpoints.CorruptCheckpoint as error:
      raise self._damaged(error) from error
    return {name: arrays[self._saved[name]] for name in wanted}

  def _damaged(self, error: Exception) -> UserError:
    return UserError(f'the checkpoint {self.where} is damaged: {error}')


def open_weights(path: str | pathlib.Path) -> Weights:
  """Opens what a path means, ours or another program's.

  Raises:
    UserError: if there is nothing, or it is damaged.
  """
  ours = _of_ours(pathlib.Path(path).expanduser().resolve())
  if ours is not None:
    return RunWeights(ours)
  return open_foreign(path) or RunWeights(find_checkpoint(path))


def check_params(weights: Weights, wanted: Mapping[str, Any], rules: Rules | None = None) -> None:
  """Checks names and shapes of a checkpoint's parameters without reading one; arguments as for `load_params`.

  Raises:
    UserError: with all that does not fit.
  """
  sorted_ = sort_by_rule(weights.where, wanted, weights.shapes, rules or {})
  hint = _hint({name for name in weights.shapes if name not in wanted})
  check_arrays(weights.where, sorted_.as_is(wanted), sorted_.as_is(weights.shapes), hint)


def _hint(extra: Collection[str]) -> str:
  if any('/adapters/' in name for name in extra):
    return 'merge its adapter first by scripts.convert_checkpoint, or use the same method'
  if any(name.endswith('/bias') for name in extra):
    return 'set models.T5Config.projection_biases to the targets that the biases were trained with'
  return ''


def load_params(weights: Weights, wanted: Wanted, rules: Rules | None = None,
                fresh: Callable[[], Mapping[str, Array]] | None = None) -> dict[str, Array]:
  """Reads parameters by name from a checkpoint, without optimizer state or data position.

  Args:
    weights: the open checkpoint.
    wanted: name -> shape, dtype and, if set, sharding.
    rules: what may differ, see `initial_rules`; nothing where None.
    fresh: gives the values that parameters have without the checkpoint, for the rules that need them.

  Returns:
    name -> array, for all wanted names.

  Raises:
    UserError: if the checkpoint lacks a parameter, has one too many, has another shape, or is damaged.
  """
  rules = rules or {}
  check_params(weights, wanted, rules)
  weights.check()
  sorted_ = sort_by_rule(weights.where, wanted, weights.shapes, rules)
  as_is = sorted_.as_is(wanted)
  if isinstance(weights, RunWeights):
    loaded = weights.read_all(as_is)
  else:
    loaded = {name: place(weights.read(name), shape) for name, shape in as_is.items()}
  if sorted_.fresh or sorted_.grown:
    assert fresh is not None, 'rules need the fresh values'
    values = fresh()
    loaded.update({name: values[name] for name in sorted_.fresh})
    loaded.update({name: _grown(weights.read(name), values[name], wanted[name]) for name in sorted_.grown})
  return {name: loaded[name] for name in wanted}


def place(value: np.ndarray, wanted: jax.ShapeDtypeStruct) -> Array:
  """Puts an array on its devices, in the dtype and sharding that are wanted; each device gets its own part only."""
  value = value.astype(wanted.dtype, copy=False)
  if wanted.sharding is None:
    return jax.numpy.asarray(value)
  return jax.make_array_from_callback(value.shape, wanted.sharding, lambda index: value[index])


def _grown(value: np.ndarray, fresh: Array, wanted: jax.ShapeDtypeStruct) -> Array:
  whole = np.array(hosts.fetch(fresh))
  whole[tuple(slice(length) for length in value.shape)] = value.astype(whole.dtype)
  return place(whole, wanted)


def restore_model(path: str | pathlib.Path, make_model: MakeModel, adapter_path: str | None = None, *,
                  force_adapter: bool = False) -> Any:
  """Builds the model of a checkpoint, adapters attached, for evaluation and inference.

  Args:
    path: as for `open_weights`.
    make_model: builds the base model; the fine-tuning method is read from the checkpoint.
    adapter_path: what `save_adapter` wrote, to be attached to that model; None for the checkpoint as it is.
    force_adapter: put it on a base that it was not trained on, too.

  Returns:
    The module with its trained parameters.

  Raises:
    UserError: if the checkpoint or the adapter does not fit the model or is damaged.
  """
  weights = open_weights(path)
  method = weights.method if isinstance(weights, RunWeights) else from_config({'method': 'full'})
  abstract = nnx.eval_shape(lambda: build_model(make_model, method, 0))
  blueprint = make_blueprint(abstract, method.trainable_filter())
  device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  wanted = {name: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=device)
            for name, shape in blueprint.shapes().items()}
  model = blueprint.merge(load_params(weights, wanted))
  if adapter_path is not None:
    load_adapter(model, adapter_path, force=force_adapter)
  return model
