"""What made a folder: a file of plain values that is written first, so that no other configuration goes on there."""

import hashlib
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from flan_jax.errors import UserError
from flan_jax.training.optimizers import Optimizer
from flan_jax.training.run_folder import write_text

FILE = 'config.json'

_ADDRESS = re.compile(r'0x[0-9a-f]+')
_PROBE = {'matrix': jax.ShapeDtypeStruct((256, 128), jnp.float32), 'vector': jax.ShapeDtypeStruct((128,), jnp.float32)}


def check(folder: pathlib.Path, config: Mapping[str, Any]) -> None:
  """Raises UserError where a folder holds, finished or not, what another configuration made.

  Args:
    folder: of the work.
    config: all that its numbers depend on, as JSON would give it back (see `plain`).
  """
  if (folder / FILE).exists():
    different = differences(read_json(folder / FILE), config)
    if different:
      raise UserError(f'{folder} was made with another configuration ({"; ".join(different)}): choose another '
                      'MODEL_DIR, or remove the folder to have it made anew.')


def begin(folder: pathlib.Path, config: Mapping[str, Any]) -> None:
  """Says in a folder what makes it, before anything else is there; raises as `check` does."""
  check(folder, config)
  write_text(folder / FILE, json.dumps(config, indent=2) + '\n')


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
  """Says of each part that differs what it is in either configuration."""
  return [
    f'{name}: {_short(one.get(name))} there, {_short(other.get(name))} here'
    for name in dict.fromkeys([*one, *other])
    if one.get(name) != other.get(name)
  ]


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
  """The values as JSON gives them back: tuples are lists, keys are text."""
  return json.loads(json.dumps(config))


def digest(config: Mapping[str, Any]) -> str:
  """Sixteen hexadecimal digits that tell a configuration from others."""
  return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def optimizer_facts(optimizer: Optimizer, train_steps: int) -> dict[str, Any]:
  """What tells an optimizer from another one: its learning rate on the way, and a digest of the update it traces to."""
  state = jax.eval_shape(optimizer.init, _PROBE)
  text = f'{jax.make_jaxpr(optimizer.init)(_PROBE)}\n{jax.make_jaxpr(optimizer.update)(_PROBE, state, _PROBE)}'
  steps = sorted({train_steps * quarter // 4 for quarter in range(4)})
  return {
    'learning_rate': {str(step): float(optimizer.learning_rate(jnp.asarray(step))) for step in steps},
    'update': hashlib.sha256(_ADDRESS.sub('', text).encode()).hexdigest()[:16],
  }


def check_names(kind: str, names: Sequence[str], macro: str) -> None:
  """Raises UserError for names that cannot be folders of their own, or without any.

  Args:
    kind: the configurable that is named, such as 'runs.Entry'.
    names: of all of them.
    macro: that lists them.
  """
  if not names:
    raise UserError(f'{macro} is empty: it needs at least one {kind}.')
  for name in names:
    if not re.fullmatch(r'\w[\w.+-]*', name):
      raise UserError(f'{kind}.name = {name!r} cannot name a folder: use letters, digits and any of _ . + -')
    if names.count(name) > 1:
      raise UserError(f'two of {macro} are called {name!r}: give each {kind} a name of its own.')


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """Reads a JSON object.

  Raises:
    UserError: where the file cannot be read, saying what to remove.
  """
  try:
    return json.loads(path.read_text(encoding='utf-8'))
  except (OSError, ValueError) as error:
    raise UserError(f'{path} cannot be read ({error}): remove {path.parent} to have it made anew.') from error


def _short(value: Any) -> str:
  text = json.dumps(value)
  return text if len(text) <= 80 else f'{text[:77]}...'
