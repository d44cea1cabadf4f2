"""Adapters alone on disk: a few megabytes of safetensors, and a config that knows which base they belong to."""

import json
import logging
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import nnx
from safetensors import SafetensorError

from flan_jax.errors import UserError
from flan_jax.peft.base import Method, from_config, is_adapter
from flan_jax.peft.digest import fingerprint
from flan_jax.peft.partition import named_variables, twin

WEIGHTS = 'adapter.safetensors'
CONFIG = 'adapter_config.json'
_log = logging.getLogger(__name__)
NOT_OPTIONS = ('format', 'base_fingerprint', 'base_model', 'parameters')


def adapter_variables(model: nnx.Module) -> dict[str, nnx.Variable]:
  """The variables that a method attached, by name."""
  return {name: v for name, (_, v) in named_variables(model).items() if is_adapter(v)}


def saved_variables(model: nnx.Module, method: Method) -> dict[str, nnx.Variable]:
  """What an adapter on disk holds: what the method attached, and the base parameters that it trains."""
  trains = nnx.filterlib.to_predicate(method.trainable_filter())
  return {name: v for name, (path, v) in named_variables(model).items() if is_adapter(v) or trains(path, v)}


def base_fingerprint(model: nnx.Module, method: Method) -> str:
  """A word for the values of all parameters that a method leaves alone; the same with and without its adapters."""
  saved = saved_variables(model, method)
  return fingerprint({name: v.get_value() for name, (_, v) in named_variables(model).items() if name not in saved})


def method_of(config: Mapping[str, Any]) -> Method:
  """The method that an adapter_config.json describes.

  Raises:
    UserError: for an unknown method or hyperparameter.
  """
  return from_config({name: value for name, value in config.items() if name not in NOT_OPTIONS})


def attached(model: nnx.Module, method: Method, seed: int = 0) -> nnx.Module:
  """A twin of a base model with a method attached, at the values that training starts from."""
  result = twin(model)
  method.attach(result, nnx.Rngs(params=seed))
  return result


def save_adapter(model: nnx.Module, directory: str | pathlib.Path, method: Method) -> None:
  """Writes what a method trained, and nothing else of its base.

  The folder appears whole or not at all; an older one of the same name is replaced.

  Args:
    model: with the method's adapters attached.
    directory: gets adapter.safetensors and adapter_config.json.
    method: the method that attached them.

  Raises:
    UserError: if there is nothing to save, or nothing but the whole model; or the folder cannot be written.
  """
  found = saved_variables(model, method)
  if not found:
    raise UserError(f'there is no adapter to save: the method {method.name!r} attached none')
  if method.name == 'full':
    raise UserError('full fine-tuning has no adapter to save: its checkpoint is the model')
  arrays = {name: np.asarray(variable.get_value()) for name, variable in found.items()}
  write_adapter(directory, adapter_config(method, base_fingerprint(model, method), arrays), arrays)


def adapter_config(method: Method, base: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """What stands in adapter_config.json: the method, the base it belongs to by fingerprint, and its size."""
  return {'format': 1, **method.config, 'base_fingerprint': base,
          'parameters': int(sum(a.size for a in arrays.values()))}


def write_adapter(directory: str | pathlib.Path, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray], *,
                  weights: str = WEIGHTS, metadata: Mapping[str, str] | None = None) -> None:
  """Writes an adapter's two files in one go; see `save_adapter`.

  Args:
    directory: gets them.
    config: what becomes adapter_config.json.
    arrays: by name.
    weights: the name of the file of arrays; other programs have their own.
    metadata: what its header says beside names and shapes.

  Raises:
    UserError: if the folder cannot be written.
  """
  target = pathlib.Path(directory)
  partial, old = target.with_name(target.name + '.partial'), target.with_name(target.name + '.old')
  try:
    for leftover in (partial, old):
      shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    safetensors.numpy.save_file(dict(arrays), partial / weights, dict(metadata) if metadata else None)
    (partial / CONFIG).write_text(json.dumps(config, indent=2) + '\n', encoding='utf-8')
    if target.exists():
      target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
  except (OSError, SafetensorError) as error:
    raise UserError(f'cannot write the adapter to {target}: {error}') from error


def read_adapter(directory: str | pathlib.Path, *, weights: str = WEIGHTS) -> tuple[
    dict[str, Any], dict[str, np.ndarray]]:
  """Reads an adapter's config and arrays.

  Args:
    directory: holds them.
    weights: the name of the file of arrays.

  Raises:
    UserError: if a file is missing or damaged.
  """
  folder = pathlib.Path(directory)
  try:
    config = json.loads((folder / CONFIG).read_text(encoding='utf-8'))
    return config, safetensors.numpy.load_file(folder / weights)
  except FileNotFoundError as error:
    raise UserError(f'there is no adapter in {folder}: {pathlib.Path(error.filename or weights).name} is missing, '
                    f'expected {weights} and {CONFIG}') from error
  except (OSError, ValueError, SafetensorError) as error:
    raise UserError(f'the adapter in {folder} cannot be read: {error}') from error


def load_adapter(model: nnx.Module, directory: str | pathlib.Path, *, force: bool = False) -> Method:
  """Attaches a saved adapter to its base model, in place.

  An adapter that was converted from another program has no fingerprint of its base: it is attached unchecked, and a
  warning says so.

  Args:
    model: the base model, without adapters.
    directory: what `save_adapter` wrote.
    force: attach even if the base weights are not those the adapter was trained on.

  Returns:
    The method, with the hyperparameters it was trained with.

  Raises:
    UserError: if the base is another one, has adapters already, or the arrays do not fit it.
  """
  if adapter_variables(model):
    raise UserError('the model has adapters already: detach or merge them before another is loaded')
  method, arrays = read_fitting(model, directory, force=force)
  method.attach(model, nnx.Rngs(params=0))
  put_arrays(model, method, arrays)
  return method


def read_fitting(
  model: nnx.Module, directory: str | pathlib.Path, *, force: bool = False
) -> tuple[Method, dict[str, np.ndarray]]:
  """Reads an adapter that fits a base model, which is left as it is; arguments and errors as for `load_adapter`."""
  config, arrays = read_adapter(directory)
  method = method_of(config)
  trial = attached(model, method)
  there = config.get('base_fingerprint')
  if there is None and 'base_fingerprint' in config:
    _log.warning('the adapter in %s comes from another program and has no fingerprint of its base%s: whether these are '
                 'the weights it was trained on cannot be checked', directory,
                 f' ({config["base_model"]})' if config.get('base_model') else '')
  elif not force and (here := base_fingerprint(trial, method)) != there:
    raise UserError(f'the adapter in {directory} was trained on base weights {there}, these are {here}; '
                    'load the right base, or force it (--force, FORCE_ADAPTER)')
  check_arrays(trial, method, arrays, f'the adapter in {directory}')
  return method, arrays


def check_arrays(model: nnx.Module, method: Method, arrays: Mapping[str, Any], adapter: str) -> None:
  """Raises UserError if arrays are not those that a method saves of a model, by name and shape."""
  slots = saved_variables(model, method)
  wrong = sorted(n for n in {*slots, *arrays} if n not in slots or n not in arrays or slots[n].shape != arrays[n].shape)
  if wrong:
    raise UserError(f'{adapter} does not fit this model: {len(wrong)} parameters differ in name or '
                    f'shape, the first is {wrong[0]}')


def put_arrays(model: nnx.Module, method: Method, arrays: Mapping[str, Any]) -> None:
  """Puts the arrays of an adapter into a model that has the method attached, in place."""
  for name, variable in saved_variables(model, method).items():
    variable.set_value(jnp.asarray(arrays[name]))


def merge_adapter(model: nnx.Module, method: Method) -> None:
  """Folds the adapters into the base kernels in place: the same function with no adapter to compute.

  Raises:
    UserError: where the method cannot be merged, or nothing is attached.
  """
  if not saved_variables(model, method):
    raise UserError(f'there is no adapter of the method {method.name!r} to merge')
  method.merge(model)
