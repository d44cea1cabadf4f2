"""What is compared: a method with the optimizer that suits it, and all that its numbers depend on, as plain values."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.models import T5Config
from flan_jax.peft import Method
from flan_jax.training.losses import LossConfig
from flan_jax.training.optimizers import Optimizer
from flan_jax.work import configuration as work


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
    'mixed_in': entry.mixed_in, 'optimizer': work.optimizer_facts(entry.optimizer, setting.train_steps),
  }  # fmt: skip
  return work.plain(found)
