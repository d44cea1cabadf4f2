"""Starting from another run's weights: INITIAL_CHECKPOINT_PATH, and any later use of trained weights."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array

from flan_jax.errors import UserError
from flan_jax.peft.base import from_config
from flan_jax.peft.io import load_adapter
from flan_jax.peft.partition import make_blueprint
from flan_jax.training import checkpoints
from flan_jax.training.state import MakeModel, build_model


def find_checkpoint(path: str | pathlib.Path) -> pathlib.Path:
  """The checkpoint that a path means: itself, or the newest one of a run folder.

  Raises:
    UserError: if there is no checkpoint; the message lists what is there.
  """
  folder = pathlib.Path(path).expanduser().resolve()
  if not folder.is_dir():
    raise UserError(f'there is no checkpoint at {folder}: no such folder')
  if (folder / 'meta').is_dir() and (folder / 'state').is_dir():
    return folder
  found = checkpoints.checkpoint_folders(folder)
  if not found:
    raise UserError(f'there is no checkpoint in {folder}: expected a run folder with checkpoint_<step> folders, '
                    'or one of those')
  return found[-1]


def _saved_params(names: Mapping[str, Any]) -> dict[str, str]:
  """Parameter name -> array name, over both partitions of a saved state."""
  return {name.split('/', 1)[1]: name for name in names if name.startswith(('trainable/', 'frozen/'))}


def saved_names(path: str | pathlib.Path) -> set[str]:
  """The names of a checkpoint's parameters, adapters among them.

  Raises:
    UserError: if there is no checkpoint, or it is damaged.
  """
  folder = find_checkpoint(path)
  try:
    return set(_saved_params(checkpoints.read_meta(folder)['arrays']))
  except checkpoints.CorruptCheckpoint as error:
    raise UserError(f'the checkpoint {folder} is damaged: {error}') from error


def check_params(path: str | pathlib.Path,
                 wanted: Mapping[str, Any]) -> tuple[pathlib.Path, Mapping[str, Any]]:
  """Checks names and shapes of a checkpoint's parameters without reading one; arguments as for `load_params`.

  Returns:
    The checkpoint's folder, and the shape and dtype of every array in it.

  Raises:
    UserError: if the checkpoint lacks a parameter, has one too many, has another shape, or cannot be read.
  """
  folder = find_checkpoint(path)
  try:
    names = checkpoints.read_meta(folder)['arrays']
  except checkpoints.CorruptCheckpoint as error:
    raise UserError(f'the checkpoint {folder} is damaged: {error}') from error
  saved = _saved_params(names)
  _check_names(folder, saved, wanted)
  for name, array in saved.items():
    shape = tuple(names[array][0])
    if shape != tuple(wanted[name].shape):
      raise UserError(f'{folder}: the shape of {name} is {list(shape)} there and '
                      f'{list(wanted[name].shape)} in this model')
  return folder, names


def load_params(path: str | pathlib.Path, wanted: Mapping[str, Any]) -> dict[str, Array]:
  """Reads parameters by name from a checkpoint, without optimizer state or data position.

  Args:
    path: a run folder (its newest checkpoint) or a checkpoint folder.
    wanted: name -> shape, dtype and, if set, sharding.

  Returns:
    name -> array, for all wanted names.

  Raises:
    UserError: if the checkpoint lacks a parameter, has one too many, has another shape, or is damaged.
  """
  folder, names = check_params(path, wanted)
  saved = _saved_params(names)
  try:
    arrays = checkpoints.read_arrays(folder, {array: wanted[name] for name, array in saved.items()}, names)
  except checkpoints.CorruptCheckpoint as error:
    raise UserError(f'the checkpoint {folder} is damaged: {error}') from error
  return {name: arrays[array] for name, array in saved.items()}


def _check_names(folder: pathlib.Path, saved: Mapping[str, str], wanted: Mapping[str, Any]) -> None:
  missing = sorted(set(wanted) - set(saved))
  if missing:
    raise UserError(f'{folder} lacks {len(missing)} parameters of this model, the first is {missing[0]}')
  extra = sorted(set(saved) - set(wanted))
  if extra:
    hint = ' (merge the adapter first, or use the same method)' if '/adapters/' in extra[0] else ''
    raise UserError(f'{folder} holds {len(extra)} parameters that this model has not, the first is {extra[0]}{hint}')


def restore_model(path: str | pathlib.Path, make_model: MakeModel, adapter_path: str | None = None) -> Any:
  """Builds the model of a checkpoint, adapters attached, for evaluation and inference.

  Args:
    path: a run folder (its newest checkpoint) or a checkpoint folder.
    make_model: builds the base model; the fine-tuning method is read from the checkpoint.
    adapter_path: what `save_adapter` wrote, to be attached to that model; None for the checkpoint as it is.

  Returns:
    The module with its trained parameters.

  Raises:
    UserError: if the checkpoint or the adapter does not fit the model or is damaged.
  """
  folder = find_checkpoint(path)
  try:
    method = from_config(checkpoints.read_meta(folder)['metadata'].get('method', {'method': 'full'}))
  except checkpoints.CorruptCheckpoint as error:
    raise UserError(f'the checkpoint {folder} is damaged: {error}') from error
  abstract = nnx.eval_shape(lambda: build_model(make_model, method, 0))
  blueprint = make_blueprint(abstract, method.trainable_filter())
  device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  wanted = {name: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=device)
            for name, shape in blueprint.shapes().items()}
  model = blueprint.merge(load_params(folder, wanted))
  if adapter_path is not None:
    load_adapter(model, adapter_path)
  return model
