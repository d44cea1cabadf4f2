"""Where arrays live: a ('data', 'fsdp', 'model') mesh, and T5X's rules from logical axis names to mesh axes."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from flan_jax.errors import UserError, did_you_mean
from flan_jax.models.logical import NAMES, Layout, MeshAxes, Rules
from flan_jax.training import hosts

DATA, FSDP, MODEL = MESH_AXES = ('data', 'fsdp', 'model')
ROWS = (DATA, FSDP)  # the axes that share the rows of a batch
# Names of T5X that nothing here has: rules which name them are taken, for the rules of others to be.
_T5X_NAMES = ('abspos_buckets', 'stack', 'mlp_activations')


def standard_logical_axis_rules(activation_partitioning_dims: int = 1, parameter_partitioning_dims: int = 1,
                                additional_rules: Rules = ()) -> Rules:
  """T5X's standard rules, and the fsdp axis beside its data axis.

  Rows go over data and fsdp; vocab, mlp, heads and joined_kv over model. Parameters and their optimizer state are split
  over fsdp as well, along the axis that model leaves: an activation's rows have taken fsdp when its 'embed' is reached.

  Args:
    activation_partitioning_dims: 1, or 2 to split the residual stream and the scales of the norms over model too.
    parameter_partitioning_dims: 1, or 2 to split parameters over data as over fsdp (T5X's way to fully sharded ones).
    additional_rules: appended, so that they place what these leave whole.

  Returns:
    (logical axis, mesh axis or axes) pairs; the first that fits wins.
  """
  dims = (activation_partitioning_dims, parameter_partitioning_dims)
  if not set(dims) <= {1, 2}:
    raise UserError(f'activation_partitioning_dims and parameter_partitioning_dims must each be 1 or 2, not {dims[0]} '
                    f'and {dims[1]}')
  # Where rows do not go over both axes (micro-batches, evaluations), one of them is better than none.
  rules: list[tuple[str, MeshAxes]] = [('batch', ROWS), ('batch', DATA), ('batch', FSDP)]
  rules += [(axis, MODEL) for axis in ('vocab', 'mlp', 'heads', 'joined_kv')]
  if activation_partitioning_dims == 2:
    rules.append(('embed', MODEL))
  over: list[MeshAxes] = [ROWS, FSDP, DATA] if parameter_partitioning_dims == 2 else [FSDP]
  rules += [(axis, mesh_axes) for axis in ('embed', 'adapter_hidden') for mesh_axes in over]
  rules += [(axis, None) for axis in ('kv', 'relpos_buckets', 'length', 'layers', 'lora_rank')]
  return [*rules, *additional_rules]


@dataclasses.dataclass(frozen=True)
class Partitioner:
  """How a run spreads over devices. The default is pure data parallelism over every device there is.

  Attributes:
    num_partitions: size of the model axis, as in T5X: so many devices share each layer's arithmetic.
    logical_axis_rules: (logical axis, mesh axis or axes) pairs; None takes the standard ones.
    num_devices: use only the first so many devices; None uses all.
    fsdp: size of the fsdp axis: so many devices share each parameter and its optimizer state, each with its own rows.
      What num_partitions and fsdp leave of the devices is the data axis.
  """

  num_partitions: int = 1
  logical_axis_rules: Rules | None = None
  num_devices: int | None = None
  fsdp: int = 1

  def __post_init__(self) -> None:
    """Raises UserError for rules that cannot be meant."""
    known = (*NAMES, *_T5X_NAMES)
    for rule in self.logical_axis_rules or ():
      if len(rule) != 2:
        raise UserError(f'logical_axis_rules: a rule is a logical axis and a mesh axis (or several, or '
                        f'None), not {rule}')
      name, mesh_axes = rule
      if name not in known:
        raise UserError(f'logical_axis_rules: no array has a logical axis {name!r}. {did_you_mean(str(name), known)}')
      for axis in (mesh_axes,) if isinstance(mesh_axes, str) else mesh_axes or ():
        if axis not in MESH_AXES:
          raise UserError(f'logical_axis_rules: the mesh has no axis {axis!r}. {did_you_mean(str(axis), MESH_AXES)}')

  def mesh(self) -> Mesh:
    """The device mesh; neighbours along 'model' are nearest to each other."""
    devices = jax.devices()
    count = len(devices) if self.num_devices is None else self.num_devices
    if not 1 <= count <= len(devices):
      raise UserError(f'num_devices is {count}, but {len(devices)} devices are visible')
    for name in ('num_partitions', 'fsdp'):
      if getattr(self, name) < 1 or count % getattr(self, name):
        raise UserError(f'{name} ({getattr(self, name)}) must divide the number of devices ({count})')
    if count % (self.num_partitions * self.fsdp):
      raise UserError(f'num_partitions ({self.num_partitions}) times fsdp ({self.fsdp}) must divide the number of '
                      f'devices ({count})')
    shape = (count // (self.num_partitions * self.fsdp), self.fsdp, self.num_partitions)
    # Knows the wiring of TPUs; elsewhere devices stand in their order.
    grid = mesh_utils.create_device_mesh(shape, devices) if count == len(devices) else (
        np.asarray(devices[:count]).reshape(shape))
    return Mesh(grid, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))

  def rules(self) -> Rules:
    """The rules in force."""
    return standard_logical_axis_rules() if self.logical_axis_rules is None else self.logical_axis_rules

  def layout(self) -> Layout:
    """The mesh and the rules."""
    return Layout(self.mesh(), self.rules())


def partition_spec(axes: Sequence[str | None], shape: Sequence[int], mesh: Mesh, rules: Rules) -> PartitionSpec:
  """Resolves the logical axes of one array, see `Layout.resolve`."""
  return Layout(mesh, rules).resolve(axes, shape)[0]


def param_shardings(axes: Mapping[str, Sequence[str | None]], shapes: Mapping[str, Any],
                    layout: Layout) -> dict[str, NamedSharding]:
  """The sharding of every named parameter."""
  return {name: layout.sharding(axes[name], shapes[name].shape) for name in shapes}


def like_params(tree: Any, axes: Mapping[str, Sequence[str | None]], shapes: Mapping[str, Any], layout: Layout) -> Any:
  """Shardings for an optimizer state: what belongs to a parameter lies as the parameter does, the rest on every device.

  Args:
    tree: abstract optimizer state whose parameter-like parts are dictionaries keyed by parameter name.
    axes: logical axes of the parameters.
    shapes: of the parameters.
    layout: the mesh and the rules.

  Returns:
    A tree of shardings. Moments have their parameter's axes, and Adafactor's factored ones the axes that remain.
  """

  def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
    key = str(path[-1].key) if path and isinstance(path[-1], jax.tree_util.DictKey) else ''
    if key not in shapes:
      return NamedSharding(layout.mesh, PartitionSpec())
    field = next((part.name for part in reversed(path) if isinstance(part, jax.tree_util.GetAttrKey)), '')
    names = _remaining(axes[key], shapes[key].shape, tuple(leaf.shape), field)
    return layout.sharding(names, leaf.shape)

  return jax.tree_util.tree_map_with_path(place, tree)


def _remaining(axes: Sequence[str | None], shape: tuple[int, ...], part: tuple[int, ...],
               field: str) -> Sequence[str | None]:
  """The logical axes of an array that an optimizer holds for a parameter: all, or all but the one summed over."""
  if part == tuple(shape):
    return axes
  # optax's `v_row` has no largest dimension, and `v_col` no second largest; of equal ones the last counts as larger.
  dropped = {'v_row': -1, 'v_col': -2}.get(field)
  if dropped is None or len(part) != len(shape) - 1:
    return (None,) * len(part)
  place = int(np.argsort(shape)[dropped])
  return [name for index, name in enumerate(axes) if index != place]


def row_parts(mesh: Mesh) -> int:
  """How many devices share the rows of a batch; those along the model axis have the same rows."""
  return math.prod(mesh.shape[axis] for axis in ROWS)


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """Rows over data and fsdp."""
  return NamedSharding(mesh, PartitionSpec(ROWS))


def check_rows(rows: int, mesh: Mesh, num_microbatches: int = 1) -> None:
  """Raises UserError where the rows of a batch do not go evenly over devices and micro-batches."""
  parts = row_parts(mesh)
  if rows < 1 or rows % parts:
    fitting = max(1, -(-rows // parts)) * parts
    raise UserError(f'BATCH_SIZE ({rows}) must be a multiple of the {parts} devices that share it, e.g. {fitting}')
  if num_microbatches < 1 or rows % num_microbatches:
    raise UserError(f'num_microbatches ({num_microbatches}) must divide BATCH_SIZE ({rows})')


def put_batch(batch: Mapping[str, np.ndarray], sharding: NamedSharding,
              own: hosts.OwnRows | None = None) -> dict[str, jax.Array]:
  """Sends rows to the devices of this host that hold them.

  Args:
    batch: arrays [rows, ...], the same on every host unless `own` says otherwise. The runtime may read them while the
      step runs: they must not be written to afterwards.
    sharding: see `batch_sharding`.
    own: which rows of how many the batch holds, where every host reads its own.

  Returns:
    Global arrays.
  """
  if jax.process_count() == 1:
    return dict(jax.device_put(dict(batch), sharding))
  return hosts.global_batch(batch, sharding, own)
