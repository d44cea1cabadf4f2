"""The lines of a dry run, whatever its rows come from; needs no TensorFlow."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from flan_jax.peft import Method
from flan_jax.training import loop


def lines(planned: loop.DryRun, batch: Mapping[str, np.ndarray], rows: Sequence[str], *, train_steps: int,
          method: Method, model_dir: str, initial_checkpoint_path: str | None) -> list[str]:
  """The plan of a dry run.

  Args:
    planned: shapes and shardings.
    batch: the first one.
    rows: what it says of the rows that train.
    train_steps: updates.
    method: what trains.
    model_dir: the run folder.
    initial_checkpoint_path: where the weights come from; None for random ones.
  """
  mesh = planned.plan.mesh
  devices = f'{mesh.size} {jax.devices()[0].device_kind} device{"s" if mesh.size > 1 else ""}'
  axes = ' x '.join(f'{axis} {size}' for axis, size in mesh.shape.items())
  options = ', '.join(f'{option}={value!r}' for option, value in method.config.items() if option != 'method')
  shapes = [f'  {feature}: {value.dtype} {list(value.shape)}' for feature, value in sorted(batch.items())
            if feature != loop.PROVENANCE]
  return [
    'parameters:', *(f'  {line}' for line in planned.table.modules), f'  {planned.table.summary}',
    f'method: {method.name}{f" ({options})" if options else ""}',
    f'devices: {devices}, mesh {axes}', *(f'  {line}' for line in planned.placed),
    *rows,
    'batch:', *shapes,
    f'steps: {train_steps:,}',
    f'start: {initial_checkpoint_path or "random weights"}',
    f'run folder: {model_dir}',
  ]  # fmt: skip
