"""What is compared: a method with the optimizer that suits it, and all that its numbers depend on, as plain values."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from flan_jax.errors import UserError
from flan_jax.models import T5Config
from flan_jax.peft import Method
from flan_jax.training.losses import LossConfig
from flan_jax.training.optimizers import Optimizer

_ADDRESS = re.compile(r'0x[0-9a-f]+')
_PROBE = {'matrix': jax.ShapeDtypeStruct((256, 128), jnp.float32), 'vector': jax.ShapeDtypeStruct((128,), jnp.float32)}


@dataclasses.dataclass(frozen=True)
class Entry:
  """One line of a comparison.

  Attributes:
    name: of the line and of its folders.
    method: what trains.
    optimizer: a new one for each line: a rate that suits soft prompts ruins full fine-tuning.
    mixed_in: tasks that train beside the new one, so that less of them is forgotten; they share the same steps.
  """

  name: str
  method: Method
  optimizer: Optimizer
  mixed_in: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Setting:
  """What all lines of a comparison have in common.

  Attributes:
    new_task: the task to learn.
    old_tasks: tasks that the base knows.
    train_steps: updates.
    task_feature_lengths: lengths in tokens.
    batch_size: packed rows of a step.
    model: the network.
    loss: what is minimised.
    train_rows: the new task trains on its first so many rows; None takes all.
    split: the rows that are asked.
    examples: at most this many rows of each task are asked.
  """

  new_task: str
  old_tasks: Sequence[str]
  train_steps: int
  task_feature_lengths: Mapping[str, int]
  batch_size: int
  model: T5Config
  loss: LossConfig
  train_rows: int | None = None
  split: str = 'test'
  examples: int | None = None


def check_entries(entries: Sequence[Entry]) -> None:
  """Raises UserError for names that cannot be folders of their own, or without any entry."""
  if not entries:
    raise UserError('ENTRIES is empty: a comparison needs at least one runs.Entry.')
  names = [entry.name for entry in entries]
  for name in names:
    if not re.fullmatch(r'\w[\w.+-]*', name):
      raise UserError(f'runs.Entry.name = {name!r} cannot name a folder: use letters, digits and any of _ . + -')
    if names.count(name) > 1:
      raise UserError(f'two of ENTRIES are called {name!r}: give each runs.Entry a name of its own.')


def optimizer_facts(optimizer: Optimizer, train_steps: int) -> dict[str, Any]:
  """What tells an optimizer from another one: its learning rate on the way, and a digest of the update it traces to."""
  state = jax.eval_shape(optimizer.init, _PROBE)
  text = f'{jax.make_jaxpr(optimizer.init)(_PROBE)}\n{jax.make_jaxpr(optimizer.update)(_PROBE, state, _PROBE)}'
  steps = sorted({train_steps * quarter // 4 for quarter in range(4)})
  return {
    'learning_rate': {str(step): float(optimizer.learning_rate(jnp.asarray(step))) for step in steps},
    'update': hashlib.sha256(_ADDRESS.sub('', text).encode()).hexdigest()[:16],
  }


def configuration(entry: Entry, seed: int, setting: Setting, base: str) -> dict[str, Any]:
  """All that the numbers of one line and seed depend on, as JSON would give it back.

  Args:
    entry: the line.
    seed: of its training.
    setting: of the comparison.
    base: the fingerprint of the weights to start from: what lies at a path can change.
  """
  found = {
    'entry': entry.name, 'seed': seed, 'base': base, **dataclasses.asdict(setting), 'method': entry.method.config,
    'mixed_in': entry.mixed_in, 'optimizer': optimizer_facts(entry.optimizer, setting.train_steps),
  }  # fmt: skip
  return json.loads(json.dumps(found))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
  """Says of each part that differs what it is in either configuration."""
  return [
    f'{name}: {_short(one.get(name))} there, {_short(other.get(name))} here'
    for name in dict.fromkeys([*one, *other])
    if one.get(name) != other.get(name)
  ]


def _short(value: Any) -> str:
  text = json.dumps(value)
  return text if len(text) <= 80 else f'{text[:77]}...'
