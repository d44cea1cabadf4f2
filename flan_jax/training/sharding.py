"""Where arrays live: a ('data', 'model') mesh, and T5X's rules from logical axis names to mesh axes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from flan_jax.errors import UserError
from flan_jax.training import hosts

Rules = Sequence[tuple[str, str | None]]
BATCH = 'batch'

# What the logical 'embed' axis is split over, by (activation_partitioning_dims, parameter_partitioning_dims). Only
# parameters are placed by rule, so two parameter dimensions put 'embed' on the data axis (fully sharded parameters).
_EMBED: dict[tuple[int, int], tuple[str, ...]] = {
    (1, 1): (),
    (2, 1): ('model',),
    (1, 2): ('data',),
    (2, 2): ('model', 'data'),
}


def standard_logical_axis_rules(activation_partitioning_dims: int = 1,
                                parameter_partitioning_dims: int = 1) -> list[tuple[str, str | None]]:
  """T5X's standard rules: batch over data; vocab, mlp, heads and joined_kv over model; the rest whole.

  Args:
    activation_partitioning_dims: 1, or 2 to split embeddings over the model axis.
    parameter_partitioning_dims: 1, or 2 to split parameters over the data axis as well.

  Returns:
    (logical axis, mesh axis) pairs; the first that fits wins.
  """
  dims = (activation_partitioning_dims, parameter_partitioning_dims)
  if dims not in _EMBED:
    raise UserError(f'activation and parameter partitioning dims must each be 1 or 2, not {dims}')
  rules: list[tuple[str, str | None]] = [(BATCH, 'data')]
  rules += [(axis, 'model') for axis in ('vocab', 'mlp', 'heads', 'joined_kv')]
  rules += [('embed', mesh_axis) for mesh_axis in _EMBED[dims]]
  return rules


@dataclasses.dataclass(frozen=True)
class Partitioner:
  """How a run spreads over devices. The default is pure data parallelism over every device there is.

  Attributes:
    num_partitions: size of the model axis; it must divide the number of devices.
    logical_axis_rules: (logical axis, mesh axis) pairs; None takes the standard ones.
    num_devices: use only the first so many devices; None uses all.
  """

  num_partitions: int = 1
  logical_axis_rules: Rules | None = None
  num_devices: int | None = None

  def mesh(self) -> Mesh:
    """The device mesh with axes 'data' and 'model'."""
    devices = jax.devices()
    count = len(devices) if self.num_devices is None else self.num_devices
    if not 1 <= count <= len(devices):
      raise UserError(f'num_devices is {count}, but {len(devices)} devices are visible')
    if self.num_partitions < 1 or count % self.num_partitions:
      raise UserError(f'num_partitions ({self.num_partitions}) must divide the number of devices ({count})')
    grid = np.asarray(devices[:count]).reshape(count // self.num_partitions, self.num_partitions)
    return Mesh(grid, ('data', 'model'), axis_types=(AxisType.Auto, AxisType.Auto))

  def rules(self) -> Rules:
    """The rules in force."""
    return standard_logical_axis_rules() if self.logical_axis_rules is None else self.logical_axis_rules


def partition_spec(axes: Sequence[str | None], shape: Sequence[int], mesh: Mesh, rules: Rules) -> PartitionSpec:
  """Resolves the logical axes of one array.

  A mesh axis is used once per array, and only where it divides the dimension: what does not divide stays whole.

  Args:
    axes: a logical name or None for each dimension.
    shape: the dimensions.
    mesh: the device mesh.
    rules: (logical axis, mesh axis) pairs, first fit wins.

  Returns:
    One mesh axis or None for each dimension.
  """
  chosen: list[str | None] = []
  for name, size in zip(axes, shape, strict=True):
    fits = [axis for logical, axis in rules
            if logical == name and axis is not None and axis not in chosen and size % mesh.shape[axis] == 0]
    chosen.append(fits[0] if fits else None)
  return PartitionSpec(*chosen)


def param_shardings(axes: Mapping[str, Sequence[str | None]], shapes: Mapping[str, Any], mesh: Mesh,
                    rules: Rules) -> dict[str, NamedSharding]:
  """The sharding of every named parameter."""
  return {name: NamedSharding(mesh, partition_spec(axes[name], shapes[name].shape, mesh, rules)) for name in shapes}


def like_params(tree: Any, shardings: Mapping[str, NamedSharding], shapes: Mapping[str, Any], mesh: Mesh) -> Any:
  """Shardings for an optimizer state: moments lie with their parameter, everything else on every device.

  Args:
    tree: abstract optimizer state whose parameter-like parts are dictionaries keyed by parameter name.
    shardings: of the parameters.
    shapes: of the parameters.
    mesh: the device mesh.

  Returns:
    A tree of shardings. Adafactor's factored vectors are small and replicated.
  """

  def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
    key = str(path[-1].key) if path and isinstance(path[-1], jax.tree_util.DictKey) else ''
    if key in shardings and tuple(shapes[key].shape) == tuple(leaf.shape):
      return shardings[key]
    return NamedSharding(mesh, PartitionSpec())

  return jax.tree_util.tree_map_with_path(place, tree)


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """Rows over the data axis."""
  return NamedSharding(mesh, PartitionSpec('data'))


def check_rows(rows: int, mesh: Mesh, num_microbatches: int = 1) -> None:
  """Raises UserError where the rows of a batch do not go evenly over devices and micro-batches."""
  parts = mesh.shape['data']
  if rows < 1 or rows % parts:
    fitting = max(1, -(-rows // parts)) * parts
    raise UserError(f'BATCH_SIZE ({rows}) must be a multiple of the {parts} devices that share it, e.g. {fitting}')
  if num_microbatches < 1 or rows % num_microbatches:
    raise UserError(f'num_microbatches ({num_microbatches}) must divide BATCH_SIZE ({rows})')


def put_batch(batch: Mapping[str, np.ndarray], sharding: NamedSharding) -> dict[str, jax.Array]:
  """Sends rows to the devices of this host that hold them.

  Args:
    batch: arrays [rows, ...], the same on every host. The runtime may read them while the step runs: they must not be
      written to afterwards.
    sharding: see `batch_sharding`.

  Returns:
    Global arrays.
  """
  if jax.process_count() == 1:
    return dict(jax.device_put(dict(batch), sharding))
  return hosts.global_batch(batch, sharding)
