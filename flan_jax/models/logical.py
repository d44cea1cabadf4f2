"""Logical axes: names for the dimensions of arrays, and the rules that lay them over a mesh of devices.

Parameters carry their names as metadata (`variable.axes`). Activations are named where they are made, by `constrain`,
which does nothing unless whoever traces the model has put a layout in force: the model itself knows no devices.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

MeshAxes = str | tuple[str, ...] | None
Rules = Sequence[tuple[str, MeshAxes]]

# T5X's, and two of adapters: 'adapter_hidden' is inside the small networks that make soft prompts and prefixes.
NAMES = ('batch', 'length', 'embed', 'vocab', 'mlp', 'heads', 'kv', 'joined_kv', 'relpos_buckets', 'layers',
         'lora_rank', 'adapter_hidden')  # fmt: skip


class Miss(NamedTuple):
  """A dimension that a rule would split and that does not divide.

  Attributes:
    name: of the logical axis.
    size: of the dimension.
    mesh_axes: that the first such rule names.
    parts: how many devices these axes have.
  """

  name: str
  size: int
  mesh_axes: tuple[str, ...]
  parts: int

  def __str__(self) -> str:
    return f'{self.name} {self.size} does not divide over {" x ".join(self.mesh_axes)} ({self.parts})'


@dataclasses.dataclass(frozen=True)
class Layout:
  """A mesh and the rules by which arrays lie on it.

  Attributes:
    mesh: the devices.
    rules: (logical axis, mesh axis or axes) pairs in order of precedence, as in T5X: a rule takes effect where none of
      its mesh axes is in use for the array already, and where they divide the dimension; None keeps it whole.
  """

  mesh: Mesh
  rules: Rules

  def resolve(self, names: Sequence[str | None], shape: Sequence[int]) -> tuple[PartitionSpec, dict[int, Miss]]:
    """Lays one array over the mesh.

    Args:
      names: a logical name or None for each dimension.
      shape: the dimensions.

    Returns:
      One mesh axis, several or None for each dimension; and the dimensions that stay whole because they do not divide.
    """
    chosen: dict[int, tuple[str, ...]] = {}
    missed: dict[int, Miss] = {}
    used: set[str] = set()
    for name, mesh_axes in self.rules:
      for place, size in enumerate(shape):
        if names[place] != name or place in chosen:
          continue
        axes = self._split_over(mesh_axes)
        if mesh_axes is None:
          chosen[place] = ()
        elif axes and not used.intersection(axes):
          parts = math.prod(self.mesh.shape[axis] for axis in axes)
          if size % parts:
            missed.setdefault(place, Miss(name, size, axes, parts))
          else:
            chosen[place] = axes
            used.update(axes)
    return PartitionSpec(*(_entry(chosen.get(place, ())) for place in range(len(shape)))), {
      place: miss for place, miss in missed.items() if place not in chosen}

  def sharding(self, names: Sequence[str | None], shape: Sequence[int]) -> NamedSharding:
    """Where one array lies."""
    return NamedSharding(self.mesh, self.resolve(names, shape)[0])

  def gathered(self) -> 'Layout':
    """The layout without the mesh axes that the rows of activations take."""
    rows = {axis for name, axes in self.rules if name == 'batch' for axis in self._split_over(axes)}
    return Layout(self.mesh, [rule for rule in self.rules if not rows.intersection(self._split_over(rule[1]))])

  def _split_over(self, axes: MeshAxes) -> tuple[str, ...]:
    """The axes of a rule that have more than one device."""
    return tuple(axis for axis in ((axes,) if isinstance(axes, str) else axes or ()) if self.mesh.shape[axis] > 1)


def _entry(axes: tuple[str, ...]) -> MeshAxes:
  return None if not axes else axes[0] if len(axes) == 1 else axes


_in_force: ContextVar[Layout | None] = ContextVar('layout', default=None)
_notes: ContextVar[set[Miss] | None] = ContextVar('notes', default=None)


@contextlib.contextmanager
def laid_out(layout: Layout | None) -> Iterator[None]:
  """Puts a layout in force for the activations of what is traced meanwhile."""
  token = _in_force.set(layout)
  try:
    yield
  finally:
    _in_force.reset(token)


@contextlib.contextmanager
def noted() -> Iterator[set[Miss]]:
  """Gathers the dimensions of activations that do not divide, of what is traced meanwhile under a layout."""
  notes: set[Miss] = set()
  token = _notes.set(notes)
  try:
    yield notes
  finally:
    _notes.reset(token)


def constrain(x: Array, *names: str | None) -> Array:
  """Lays an activation over the devices by the rules in force; the identity where there are none.

  Its gradient is laid out alike. A dimension that a rule would split and that does not divide is left to the compiler.

  Args:
    x: an array.
    *names: a logical name or None for each of its dimensions.

  Returns:
    The same values.
  """
  layout = _in_force.get()
  if layout is None or layout.mesh.size == 1:
    return x
  spec, missed = layout.resolve(names, x.shape)
  notes = _notes.get()
  if notes is not None:
    notes.update(missed.values())
  entries = [PartitionSpec.UNCONSTRAINED if place in missed else entry for place, entry in enumerate(spec)]
  return jax.lax.with_sharding_constraint(x, NamedSharding(layout.mesh, PartitionSpec(*entries)))


def gathered(kernel: Array, *names: str | None) -> Array:
  """Brings a kernel together over the devices that have rows of their own, for its product with activations.

  Each of them needs it whole for its rows. Left to find this out, XLA (jaxlib 0.10.2) mixes up the rows of a product
  of [rows over data and fsdp, mlp over model] and [mlp over model, embed over fsdp] that is to have embed over model,
  where fsdp and model are of one size. The gradient is laid out as the kernel was, so that no device sums it whole.

  Args:
    kernel: a parameter, in the dtype of the product.
    *names: a logical name or None for each of its dimensions.

  Returns:
    The same values; the very kernel where no layout is in force.
  """
  layout = _in_force.get()
  if layout is None or layout.mesh.size == 1:
    return kernel
  whole, apart = layout.gathered().sharding(names, kernel.shape), layout.sharding(names, kernel.shape)

  @jax.custom_vjp
  def gather(kernel: Array) -> Array:
    return jax.lax.with_sharding_constraint(kernel, whole)

  gather.defvjp(lambda kernel: (gather(kernel), None),
                lambda _, gradient: (jax.lax.with_sharding_constraint(gradient, apart),))
  return gather(kernel)
