"""Adapters alone on disk: a few megabytes of safetensors, and a config that knows which base they belong to."""

import json
import pathlib
import shutil
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import nnx
from safetensors import SafetensorError

from flan_jax.errors import UserError
from flan_jax.peft.base import AdapterParam, Method, from_config
from flan_jax.peft.digest import fingerprint
from flan_jax.peft.partition import named_variables

WEIGHTS = 'adapter.safetensors'
CONFIG = 'adapter_config.json'
SLOTS = ('adapters', 'sublayer_adapters', 'key_value_prompts', 'prompts')


def adapter_variables(model: nnx.Module) -> dict[str, nnx.Variable]:
  """The parameters that a method attached, by name."""
  return {name: v for name, (_, v) in named_variables(model).items() if isinstance(v, AdapterParam)}


def base_fingerprint(model: nnx.Module) -> str:
  """A word for the values of all base parameters; the same with and without adapters."""
  return fingerprint({name: v.get_value() for name, (_, v) in named_variables(model).items()
                      if not isinstance(v, AdapterParam)})


def save_adapter(model: nnx.Module, directory: str | pathlib.Path, method: Method) -> None:
  """Writes the adapters of a model, and nothing of its base.

  The folder appears whole or not at all; an older one of the same name is replaced.

  Args:
    model: with the method's adapters attached.
    directory: gets adapter.safetensors and adapter_config.json.
    method: the method that attached them.

  Raises:
    UserError: if the model has no adapters, or the folder cannot be written.
  """
  found = adapter_variables(model)
  if not found:
    raise UserError(f'there is no adapter to save: the method {method.name!r} attached none')
  arrays = {name: np.asarray(variable.get_value()) for name, variable in found.items()}
  config = {'format': 1, **method.config, 'base_fingerprint': base_fingerprint(model),
            'parameters': int(sum(a.size for a in arrays.values()))}
  target = pathlib.Path(directory)
  partial, old = target.with_name(target.name + '.partial'), target.with_name(target.name + '.old')
  try:
    for leftover in (partial, old):
      shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    safetensors.numpy.save_file(arrays, partial / WEIGHTS)
    (partial / CONFIG).write_text(json.dumps(config, indent=2) + '\n', encoding='utf-8')
    if target.exists():
      target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
  except (OSError, SafetensorError) as error:
    raise UserError(f'cannot write the adapter to {target}: {error}') from error


def read_adapter(directory: str | pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """Reads an adapter's config and arrays.

  Raises:
    UserError: if a file is missing or damaged.
  """
  folder = pathlib.Path(directory)
  try:
    config = json.loads((folder / CONFIG).read_text(encoding='utf-8'))
    return config, safetensors.numpy.load_file(folder / WEIGHTS)
  except FileNotFoundError as error:
    raise UserError(f'there is no adapter in {folder}: {pathlib.Path(error.filename or WEIGHTS).name} is missing, '
                    'expected adapter.safetensors and adapter_config.json') from error
  except (OSError, ValueError, SafetensorError) as error:
    raise UserError(f'the adapter in {folder} cannot be read: {error}') from error


def load_adapter(model: nnx.Module, directory: str | pathlib.Path, *, force: bool = False) -> Method:
  """Attaches a saved adapter to its base model, in place.

  Args:
    model: the base model, without adapters.
    directory: what `save_adapter` wrote.
    force: attach even if the base weights are not those the adapter was trained on.

  Returns:
    The method, with the hyperparameters it was trained with.

  Raises:
    UserError: if the base is another one, has adapters already, or the arrays do not fit it.
  """
  config, arrays = read_adapter(directory)
  if adapter_variables(model):
    raise UserError('the model has adapters already: detach or merge them before another is loaded')
  here, there = base_fingerprint(model), config.get('base_fingerprint')
  if here != there and not force:
    raise UserError(f'the adapter in {directory} was trained on base weights {there}, these are {here}; '
                    'load the right base, or force it')
  options = {k: v for k, v in config.items() if k not in ('format', 'base_fingerprint', 'parameters')}
  method = from_config(options)
  method.attach(model, nnx.Rngs(params=0))
  slots = adapter_variables(model)
  wrong = sorted(n for n in {*slots, *arrays} if n not in slots or n not in arrays or slots[n].shape != arrays[n].shape)
  if wrong:
    detach(model)
    raise UserError(f'the adapter in {directory} does not fit this model: {len(wrong)} parameters differ in name or '
                    f'shape, the first is {wrong[0]}')
  for name, variable in slots.items():
    variable.set_value(jnp.asarray(arrays[name]))
  return method


def detach(model: nnx.Module) -> None:
  """Empties every slot in place: what remains is the base model."""
  for _, module in list(nnx.iter_modules(model)):
    for slot in SLOTS:
      filled = getattr(module, slot, None)
      if isinstance(filled, nnx.Dict):
        for name in list(filled):
          del filled[name]


def merge_adapter(model: nnx.Module, method: Method) -> None:
  """Folds the adapters into the base kernels in place: the same function with no adapter to compute.

  Raises:
    UserError: where the method cannot be merged, or nothing is attached.
  """
  if not adapter_variables(model) and method.name != 'full':
    raise UserError(f'there is no adapter of the method {method.name!r} to merge')
  method.merge(model)
