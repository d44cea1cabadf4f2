"""What is left behind, and said, when the loss stops being a number."""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from flan_jax.errors import UserError
from flan_jax.training import hosts
from flan_jax.training.checkpoints import named_arrays
from flan_jax.training.run_folder import write_text
from flan_jax.training.state import TrainState

Describe = Callable[[Mapping[str, np.ndarray]], Any]


class NonFiniteLoss(UserError):
  """The loss or the gradient of a step was infinite or not a number."""


def save_fault(model_dir: str | pathlib.Path, step: int, metrics: Mapping[str, float],
               batch: Mapping[str, np.ndarray], state: TrainState, origins: Any) -> pathlib.Path:
  """Writes `nonfinite_<step>/`: the batch, where it came from, and the state just before the step.

  Args:
    model_dir: the run folder.
    step: the step that failed, counted from 1.
    metrics: of that step.
    batch: of that step.
    state: halted by the step, so still as it was before.
    origins: JSON-able provenance of the batch.

  Returns:
    The folder: batch.npz, state.npz (names as in checkpoints) and fault.json.
  """
  folder = pathlib.Path(model_dir) / f'nonfinite_{step}'
  whole = hosts.fetch(named_arrays(state))
  if not hosts.is_first():
    return folder
  folder.mkdir(parents=True, exist_ok=True)
  arrays: dict[str, Any] = dict(batch)
  np.savez(folder / 'batch.npz', **arrays)
  np.savez(folder / 'state.npz', **whole)
  fault = {'step': step, 'metrics': {name: repr(value) for name, value in metrics.items()}, 'examples': origins}
  write_text(folder / 'fault.json', json.dumps(fault, indent=2, default=str) + '\n')
  return folder


def stop(model_dir: str | pathlib.Path, step: int, metrics: Mapping[str, float], batch: Mapping[str, np.ndarray],
         state: TrainState, describe: Describe | None) -> NonFiniteLoss:
  """Saves the evidence and returns the error that names it."""
  origins = describe(batch) if describe is not None and 'provenance' in batch else []
  folder = save_fault(model_dir, step, metrics, batch, state, origins)
  listed = list(origins)
  shown = '; '.join(str(origin) for origin in listed[:3]) + (f'; and {len(listed) - 3} more' if len(listed) > 3 else '')
  return NonFiniteLoss(
      f'step {step} is not finite: loss {metrics["loss"]}, gradient norm {metrics["grad_norm"]}, learning rate '
      f'{metrics["learning_rate"]:.3g}. Its examples: {shown or "unknown (the batches carry no provenance)"}. '
      f'The state before the step and the batch are in {folder}; try a lower learning rate or gradient clipping')
