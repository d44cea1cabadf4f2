"""What a run is about to do, in lines for a person: which rows train, on what, for how long."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from flan_jax.data import registry
from flan_jax.data.roles import RowsByRole
from flan_jax.peft import Method
from flan_jax.runs import mixing
from flan_jax.training import loop

MANY = 12  # more tasks than this are told by cluster where a run only starts


def training_rows(name: str, split: str = 'train', *, brief: bool = False) -> list[str]:
  """Says which rows a task or mixture trains on.

  Args:
    name: of the task or mixture.
    split: the rows' role.
    brief: one line for each cluster where there are many tasks.

  Returns:
    Lines such as '  sst2: train[0:30000] of glue/sst2:2.0.0, 6.1 % of the examples'.

  Raises:
    UserError: where a task has no such rows.
  """
  parts = mixing.mixed(name, split)
  if len(parts) == 1:
    return [f'  {_rows(parts[0], split)}']
  if brief and len(parts) > MANY:
    return _by_cluster(parts)
  return [f'  {_rows(part, split)}, {100 * part.share:.1f} % of the examples' for part in parts]


def _rows(part: mixing.Part, split: str) -> str:
  if isinstance(part.task.source, RowsByRole):
    return f'{part.task.name}: {part.task.source.rows(split)} of {part.task.source.origin}'
  return f'{part.task.name}: {part.rows:,} rows'


def _by_cluster(parts: Sequence[mixing.Part]) -> list[str]:
  clusters: dict[str, list[mixing.Part]] = {}
  for part in parts:
    known = isinstance(part.task.source, RowsByRole)
    clusters.setdefault(registry.task_info(part.task.name).dataset.cluster if known else 'others', []).append(part)
  return [
    f'  {cluster}: {", ".join(part.task.name for part in members)}; {sum(part.rows for part in members):,} rows, '
    f'{100 * sum(part.share for part in members):.1f} % of the examples'
    for cluster, members in clusters.items()
  ]


def describe(planned: loop.DryRun, name: str, batch: Mapping[str, np.ndarray], *, train_steps: int, method: Method,
             model_dir: str, initial_checkpoint_path: str | None) -> str:
  """The plan of a dry run.

  Args:
    planned: shapes and shardings.
    name: of the task or mixture.
    batch: the first one.
    train_steps: updates.
    method: what trains.
    model_dir: the run folder.
    initial_checkpoint_path: where the weights come from; None for random ones.

  Returns:
    Several lines.
  """
  mesh = planned.plan.mesh
  devices = f'{mesh.size} {jax.devices()[0].device_kind} device{"s" if mesh.size > 1 else ""}'
  axes = ' x '.join(f'{axis} {size}' for axis, size in mesh.shape.items())
  options = ', '.join(f'{option}={value!r}' for option, value in method.config.items() if option != 'method')
  shapes = [f'  {feature}: {value.dtype} {list(value.shape)}' for feature, value in sorted(batch.items())
            if feature != loop.PROVENANCE]
  return '\n'.join([
    'parameters:', *(f'  {line}' for line in planned.table.modules), f'  {planned.table.summary}',
    f'method: {method.name}{f" ({options})" if options else ""}',
    f'devices: {devices}, mesh {axes}', *(f'  {line}' for line in planned.placed),
    f'rows of {name}:', *training_rows(name),
    'batch:', *shapes,
    f'steps: {train_steps:,}',
    f'start: {initial_checkpoint_path or "random weights"}',
    f'run folder: {model_dir}',
  ])  # fmt: skip
