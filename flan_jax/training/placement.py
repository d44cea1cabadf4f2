"""How a training state lies on the devices: the step that keeps it there, and what a person is told of it."""

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import jax

from flan_jax.models import logical
from flan_jax.models.logical import Layout, Miss
from flan_jax.peft.partition import Blueprint, Params
from flan_jax.training.sharding import ROWS, row_parts

MANY = 8  # kinds of arrays that are told one by one


@dataclasses.dataclass(frozen=True)
class Placement:
  """Where everything that a step reads and writes lies.

  Attributes:
    layout: the mesh and the rules, which also place activations.
    state: a training state of shardings.
  """

  layout: Layout
  state: Any

  def compiled(self, step: Callable[[Any, Any], tuple[Any, Any]]) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Jits a step from (state, batch) to (state, metrics): the new state lies as the old one, in its buffers."""

    @functools.wraps(step)  # traces and profiles know it by its name
    def run(state: Any, batch: Any) -> tuple[Any, Any]:
      with logical.laid_out(self.layout):
        return step(state, batch)

    return jax.jit(run, donate_argnums=0, out_shardings=(self.state, None))


def constrained(blueprint: Blueprint, params: Params) -> Params:
  """Lays parameters by the rules in force; the gradient with respect to them then lies so too, never whole."""
  return {name: logical.constrain(value, *blueprint.axes(name)) for name, value in params.items()}


def bytes_in_all(tree: Any) -> int:
  """Bytes of all arrays of a tree, concrete or abstract, each counted once."""
  return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def bytes_per_device(tree: Any) -> int:
  """Bytes that each device holds of the arrays of a tree, concrete or abstract, that have shardings."""
  return sum(math.prod(leaf.sharding.shard_shape(tuple(leaf.shape))) * leaf.dtype.itemsize
             for leaf in jax.tree.leaves(tree))


def misses(blueprint: Blueprint, layout: Layout) -> dict[str, list[Miss]]:
  """The parameters that have a dimension which a rule would split and which does not divide."""
  found = {name: list(layout.resolve(blueprint.axes(name), shape.shape)[1].values())
           for name, shape in blueprint.shapes().items()}
  return {name: missed for name, missed in found.items() if missed}


def describe(blueprint: Blueprint, layout: Layout, state: Any, activations: Collection[Miss]) -> list[str]:
  """Says how a state lies on the devices.

  Args:
    blueprint: the model without arrays.
    layout: the mesh and the rules.
    state: an abstract training state with shardings.
    activations: dimensions of activations that do not divide, see `logical.noted`.

  Returns:
    Lines; on one device, none.
  """
  if layout.mesh.size == 1:
    return []
  parts = row_parts(layout.mesh)
  over = ' x '.join(axis for axis in ROWS if layout.mesh.shape[axis] > 1)
  parameters = {**state.trainable, **state.frozen}
  return [
    f'rows of a batch: {f"{parts} parts, over {over}" if parts > 1 else "all on every device"}',
    _share('parameters', parameters),
    _share('optimizer state', state.opt_state),
    *_kinds(blueprint, parameters),
    *_kept_whole(misses(blueprint, layout), parameters),
    *(f'activations left to the compiler: {miss}' for miss in sorted(activations)),
  ]


def _share(what: str, tree: Any) -> str:
  here, whole = bytes_per_device(tree), bytes_in_all(tree)
  return f'{what}: {_size(here)} of {_size(whole)} on each device ({100 * here / max(1, whole):.1f} %)'


def _size(count: int) -> str:
  for unit, size in (('GB', 1e9), ('MB', 1e6), ('kB', 1e3)):
    if count >= size:
      return f'{count / size:.1f} {unit}'
  return f'{count} bytes'


def _kinds(blueprint: Blueprint, parameters: Mapping[str, Any]) -> Iterator[str]:
  """A line for each combination of logical axes and placement, the largest first."""
  kinds: dict[str, list[Any]] = collections.defaultdict(list)
  for name, array in parameters.items():
    names = ', '.join(axis or '-' for axis in blueprint.axes(name)) or 'scalar'
    places = ', '.join(_words(entry) for entry in (*array.sharding.spec, *[None] * array.ndim)[:array.ndim]) or 'whole'
    kinds[f'({names}) over ({places})'].append(array)
  order = sorted(kinds.items(), key=lambda kind: -bytes_in_all(kind[1]))
  for kind, arrays in order[:MANY]:
    yield f'  {kind}: {_count(arrays)}, {_size(bytes_in_all(arrays))}'
  rest = [array for _, arrays in order[MANY:] for array in arrays]
  if rest:
    yield f'  {len(order) - MANY} other kinds: {_count(rest)}, {_size(bytes_in_all(rest))}'


def _words(entry: Any) -> str:
  return '-' if entry is None else entry if isinstance(entry, str) else ' x '.join(entry)


def _count(arrays: Collection[Any]) -> str:
  return f'{len(arrays)} array{"s" if len(arrays) > 1 else ""}'


def _kept_whole(missed: Mapping[str, list[Miss]], parameters: Mapping[str, Any]) -> Iterator[str]:
  """A line for each size that does not divide: how many parameters it keeps whole along that axis, and the largest."""
  holders: dict[Miss, list[str]] = collections.defaultdict(list)
  for name, found in missed.items():
    for miss in found:
      holders[miss].append(name)
  for miss, names in sorted(holders.items()):
    largest = max(names, key=lambda name: bytes_in_all(parameters[name]))
    held = bytes_in_all([parameters[name] for name in names])
    yield (f'not split: {len(names)} parameter{"s" if len(names) > 1 else ""} ({_size(held)}), since {miss}; '
           f'the largest is {largest}')
