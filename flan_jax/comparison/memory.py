"""What a training step needs: XLA's own count of the compiled program, and what the machine saw."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from flan_jax.peft import Method
from flan_jax.training import sharding
from flan_jax.training.losses import LossConfig
from flan_jax.training.optimizers import Optimizer
from flan_jax.training.speed import device_peak, resident_peak
from flan_jax.training.state import StatePlan
from flan_jax.training.step import make_train_step

_CLEAR = pathlib.Path('/proc/self/clear_refs')
DEVICE, PROCESS = 'device', 'process'


def compile_step(plan: StatePlan, method: Method, optimizer: Optimizer, loss: LossConfig,
                 batch: Mapping[str, np.ndarray]) -> tuple[Any, dict[str, jax.Array]]:
  """Compiles the training step for a batch, ahead of any state.

  Args:
    plan: of the state.
    method: what trains.
    optimizer: over what trains.
    loss: what is minimised.
    batch: without its provenance.

  Returns:
    The compiled step, which takes the old state's buffers over, and the batch on the devices.
  """
  scales = method.learning_rate_scales(plan.blueprint.trainable)
  step: Any = make_train_step(plan.blueprint, optimizer, loss, rate_scales=scales, placement=plan.placement)
  arrays = sharding.put_batch(dict(batch), sharding.batch_sharding(plan.mesh))
  return step.lower(plan.abstract, arrays).compile(), arrays


def step_memory(compiled: Any) -> dict[str, int]:
  """Bytes of a compiled step on each device: the state and the batch, what it returns, and what it needs meanwhile.

  The state is an argument; what is returned in place of it (`alias`) takes no second room.
  """
  found = compiled.memory_analysis()
  parts = {kind: int(getattr(found, f'{kind}_size_in_bytes')) for kind in ('argument', 'output', 'temp', 'alias')}
  return {**parts, 'peak': parts['argument'] + parts['output'] + parts['temp'] - parts['alias']}


def tree_bytes(tree: Any) -> int:
  """Bytes of all arrays of a tree, concrete or abstract."""
  return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


class Peak:
  """The most memory that the devices, or else this process, had since this was made.

  A device keeps one high-water mark for the whole process: what stays below an earlier one cannot be told.
  """

  def __init__(self) -> None:
    self._before = device_peak()
    if self._before is None and _CLEAR.exists():
      _CLEAR.write_text('5')  # Linux: the process's high-water mark falls to what it has now

  def read(self) -> tuple[int | None, str]:
    """Returns the bytes, None where they are not known, and whose they are."""
    if self._before is not None:
      now = device_peak() or 0
      return (now if now > self._before else None), DEVICE
    return (resident_peak() if _CLEAR.exists() else None), PROCESS  # elsewhere the mark never falls
