"""Which adapters can be combined, and where their training started."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flan_jax.errors import UserError
from flan_jax.peft import lora_algebra
from flan_jax.peft.adapter_set import Adapter
from flan_jax.peft.compose import Compose
from flan_jax.peft.dora import DoRA
from flan_jax.peft.quantized import Quantized

# Hyperparameters that do not change what an adapter computes from its arrays.
OF_TRAINING = ('init', 'labels', 'text', 'file', 'tokens', 'dropout', 'stddev', 'b_learning_rate_ratio')
OF_LORA = ('rank', 'alpha', 'rank_pattern', 'alpha_pattern', 'rank_stabilized', 'targets')
STARTS = {'ia3': 1.0, 'bitfit': 0.0}


def checked_weights(adapters: Sequence[Adapter], weights: Sequence[float] | None) -> list[float]:
  """The weights, or as many ones.

  Raises:
    UserError: if there are no adapters, or not one weight for each.
  """
  if not adapters:
    raise UserError('there are no adapters to combine')
  if weights is not None and len(weights) != len(adapters):
    raise UserError(f'{len(adapters)} adapters need as many weights, not {len(weights)}')
  return [1.0] * len(adapters) if weights is None else [float(weight) for weight in weights]


def checked_density(density: float) -> float:
  """The density.

  Raises:
    UserError: if it is not in (0, 1].
  """
  if not 0.0 < density <= 1.0:
    raise UserError(f'the density must lie in (0, 1], not {density}')
  return density


def inner_of(method: Any) -> Any:
  """The method itself, without the quantisation of its base."""
  return method.inner if isinstance(method, Quantized) else method


def compatible(adapters: Sequence[Adapter]) -> dict[str, Any]:
  """Checks that adapters are of one method and on one base.

  Returns:
    The arrays that belong to a quantised base, the same for all; empty for a plain one.

  Raises:
    UserError: if they differ in method, in a hyperparameter that counts, in their targets or in the base's codes.
  """
  (first, arrays), *others = adapters
  for method, _ in adapters:
    inner = inner_of(method)
    if isinstance(inner, (DoRA, Compose)):
      raise UserError(f'adapters of the method {inner.name!r} cannot be combined: they are no sums of task vectors')
  kept = {name: value for name, value in arrays.items() if '/storage/' in name}
  for method, found in others:
    _same_method(first, method)
    if not all(name in found and np.array_equal(found[name], value) for name, value in kept.items()):
      raise UserError('the adapters were trained on differently quantised bases and cannot be combined')
    _same_places(arrays, found)
  return kept


def _same_method(first: Any, method: Any) -> None:
  if type(first) is not type(method):
    raise UserError(f'adapters of different methods cannot be combined: {first.name!r} and {method.name!r}')
  if isinstance(first, Quantized):
    if (first.kind, first.targets) != (method.kind, method.targets):
      raise UserError('the adapters were trained on differently quantised bases and cannot be combined')
    _same_method(first.inner, method.inner)
    return
  free = OF_TRAINING + (OF_LORA if first.name == 'lora' else ())
  for field in dataclasses.fields(first):
    ours, theirs = getattr(first, field.name), getattr(method, field.name)
    if field.name not in free and ours != theirs:
      raise UserError(f'the adapters ({first.name}) differ in {field.name}: {ours!r} and {theirs!r}')


def _same_places(arrays: Mapping[str, Any], found: Mapping[str, Any]) -> None:
  """Demands the same projections and features; LoRA's ranks may differ, PiSSA's constants be there or not."""
  ours, theirs = ({_place(name): _features(name, value) for name, value in one.items()} for one in (arrays, found))
  odd = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
  if odd:
    raise UserError(f'the adapters have different targets or sizes: {len(odd)} arrays differ, the first is {odd[0]}')


def _place(name: str) -> str:
  path, lora, key = name.rpartition(lora_algebra.ENDING)
  return f'{path}{lora}{key.removeprefix("start_")}' if lora else name


def _features(name: str, value: Any) -> tuple[int, ...]:
  """The shape, for LoRA's factors without the rank."""
  _, lora, key = name.rpartition(lora_algebra.ENDING)
  shape = tuple(np.shape(value))
  return shape if not lora else shape[:1] if key.endswith('a') else shape[1:]


def same_shapes(adapters: Sequence[Adapter], hint: str = '') -> None:
  """Raises UserError if arrays differ in name or shape between adapters."""
  arrays = adapters[0][1]
  for _, found in adapters[1:]:
    ours, theirs = ({name: np.shape(value) for name, value in one.items()} for one in (arrays, found))
    odd = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    if odd:
      shapes = ' and '.join('x'.join(map(str, one.get(odd[0], ()))) or 'missing' for one in (ours, theirs))
      raise UserError(f'the adapters have arrays of different shapes: {odd[0]} is {shapes}{hint}')


def task_vectors(
  adapters: Sequence[Adapter], start: Mapping[str, Any] | None
) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
  """Where training started, and what each adapter moved from there, in float32.

  Raises:
    UserError: if the start is not known, or does not fit.
  """
  method, arrays = adapters[0]
  if start is None and method.name not in STARTS:
    raise UserError(f'task vectors of the method {method.name!r} need the arrays that training started from: give '
                    'start, as AdapterSet.start gives it')
  if start is None:
    start = {name: np.full(value.shape, STARTS[method.name], np.float32) for name, value in arrays.items()}
  missing = sorted(n for n in arrays if n not in start or np.shape(start[n]) != np.shape(arrays[n]))
  if missing:
    raise UserError(f'start does not fit the adapters: {missing[0]} is missing or of another shape')
  origin = {name: np.asarray(start[name], np.float32) for name in arrays}
  return origin, [{name: np.asarray(one[name], np.float32) - value for name, value in origin.items()}
                  for _, one in adapters]
