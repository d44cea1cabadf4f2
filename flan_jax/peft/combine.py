"""New adapters from several of one method: averages, sums and differences of task vectors, TIES and DARE.

A task vector is what training added (Ilharco et al. 2023). For a LoRA that is the change of each kernel, a product of
its factors; a sum of such changes is exact as longer factors, so `average`, `add` and `subtract` of LoRAs are cases of
`concatenate`, for any ranks and scales, PiSSA included. For other methods it is what the arrays moved from their start.

TIES and DARE follow PEFT's `add_weighted_adapter`: on a LoRA they act on the two factors apart, each weighted by the
root of weight times scale ('ties', 'dare_linear', 'dare_ties' there); with a `rank` they act on the changes of the
kernels and keep as many singular values (the same with '_svd'). Adapters of one quantised base are combined as those of
their inner method. Everything is a pure function of methods and arrays; results go to `AdapterSet.add`.
"""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flan_jax.errors import UserError
from flan_jax.peft import lora_algebra, merging
from flan_jax.peft.adapter_set import Adapter
from flan_jax.peft.base import Method
from flan_jax.peft.combine_checks import (
  checked_density,
  checked_weights,
  compatible,
  inner_of,
  same_shapes,
  task_vectors,
)  # fmt: skip
from flan_jax.peft.lora import LoRA
from flan_jax.peft.lora_algebra import Merge
from flan_jax.peft.quantized import Quantized

Arrays = Mapping[str, Any]


def average(adapters: Sequence[Adapter], weights: Sequence[float] | None = None) -> Adapter:
  """The weighted mean: of what LoRAs add to each kernel, or of the arrays of other methods (Wortsman et al. 2022).

  Args:
    adapters: methods and arrays.
    weights: one for each, divided by their sum; equal where None.

  Raises:
    UserError: if the adapters do not go together, or the weights sum to 0.
  """
  given = checked_weights(adapters, weights)
  total = sum(given)
  if total == 0:
    raise UserError('the weights of an average must not sum to 0: use add for differences')
  shares = [weight / total for weight in given]
  if inner_of(adapters[0][0]).name == 'lora':
    return concatenate(adapters, shares)
  method, found, kept = _unwrapped(adapters)
  same_shapes(found)
  return method, {**kept, **{name: merging.weighted(_stack(found, name), shares).sum(axis=0).astype(value.dtype)
                             for name, value in found[0][1].items()}}


def add(adapters: Sequence[Adapter], weights: Sequence[float] | None = None, *, start: Arrays | None = None) -> Adapter:
  """The start plus the weighted sum of the task vectors (task arithmetic, Ilharco et al. 2023).

  Args:
    adapters: methods and arrays.
    weights: one for each, of any sign; 1 where None.
    start: the arrays that training started from, as `AdapterSet.start` gives them; not needed for LoRA, IA3 and BitFit.

  Raises:
    UserError: if the adapters do not go together, or their start is not known.
  """
  if adapters and inner_of(adapters[0][0]).name == 'lora':
    return concatenate(adapters, weights)
  return _merged(adapters, checked_weights(adapters, weights), _linear, None, start)


def subtract(adapter: Adapter, other: Adapter, weight: float = 1.0, *, start: Arrays | None = None) -> Adapter:
  """An adapter without what another one learned: `add` with weights 1 and -weight."""
  return add([adapter, other], [1.0, -weight], start=start)


def concatenate(adapters: Sequence[Adapter], weights: Sequence[float] | None = None) -> Adapter:
  """One LoRA that adds to each kernel exactly the weighted sum of what several add; PEFT's 'cat'.

  Its rank is the sum of theirs (twice that of a PiSSA, whose start it subtracts) and its scale 1. No projection gets a
  higher rank than its kernel has.

  Args:
    adapters: LoRAs of any ranks and scales on the same projections.
    weights: one for each, of any sign; 1 where None.

  Raises:
    UserError: if they are no LoRAs, or on different projections.
  """
  given = checked_weights(adapters, weights)
  method, found, kept = _unwrapped(adapters)
  loras = [_lora(method) for method, _ in found]
  factors = [lora_algebra.factors(lora, arrays) for lora, (_, arrays) in zip(loras, found, strict=True)]
  return _wrapped(method, *lora_algebra.concatenated(loras, factors, given), kept)


def compress(adapter: Adapter, rank: int) -> Adapter:
  """The LoRA of a lower rank that adds nearly the same: truncated SVD; after `concatenate`, PEFT's 'svd'.

  Raises:
    UserError: if the adapter is no LoRA, or the rank is below 1.
  """
  method, found, kept = _unwrapped([adapter])
  lora = _lora(found[0][0])
  return _wrapped(method, *lora_algebra.compressed(lora, lora_algebra.factors(lora, found[0][1]), rank), kept)


def ties(
  adapters: Sequence[Adapter], weights: Sequence[float] | None = None, *, density: float = 0.2,
  rank: int | None = None, start: Arrays | None = None,
) -> Adapter:  # fmt: skip
  """Trims each task vector to its largest entries, elects a sign for each entry, averages those that agree.

  Args:
    adapters: methods and arrays.
    weights: one for each; 1 where None. The mean is over how many agree, so that equal weights scale the result.
    density: the fraction of each array that is kept (Yadav et al. 2023 keep 0.2).
    rank: of a LoRA, to act on what it adds to the kernels; None acts on its two factors apart.
    start: as for `add`.

  Raises:
    UserError: if the adapters do not go together, their start is not known, or the density is not in (0, 1].
  """
  kept = checked_density(density)

  def merge(name: str, vectors: np.ndarray, factors: Sequence[float]) -> np.ndarray:
    del name
    return merging.disjoint_mean(np.stack([merging.trimmed(vector, kept) for vector in vectors]), factors)

  return _merged(adapters, checked_weights(adapters, weights), merge, rank, start)


def dare(
  adapters: Sequence[Adapter], weights: Sequence[float] | None = None, *, density: float = 0.5, seed: int = 0,
  elect_signs: bool = False, rank: int | None = None, start: Arrays | None = None,
) -> Adapter:  # fmt: skip
  """Drops entries of each task vector at random, rescales the rest, and adds them up.

  Args:
    adapters: methods and arrays.
    weights: one for each; 1 where None.
    density: the probability that an entry is kept.
    seed: of the draw, which for each entry also depends on the place of its adapter and the name of its array.
    elect_signs: average those that agree in sign instead of adding ('dare_ties').
    rank: of a LoRA, to act on what it adds to the kernels; None acts on its two factors apart.
    start: as for `add`.

  Raises:
    UserError: if the adapters do not go together, their start is not known, or the density is not in (0, 1].
  """
  kept = checked_density(density)

  def merge(name: str, vectors: np.ndarray, factors: Sequence[float]) -> np.ndarray:
    seeds = [[seed, place, zlib.crc32(name.encode())] for place in range(len(vectors))]
    thinned = np.stack([merging.dropped_out(vector, kept, np.random.default_rng(words))
                        for vector, words in zip(vectors, seeds, strict=True)])
    return merging.disjoint_mean(thinned, factors) if elect_signs else _linear(name, thinned, factors)

  return _merged(adapters, checked_weights(adapters, weights), merge, rank, start)


def _merged(
  adapters: Sequence[Adapter], weights: Sequence[float], merge: Merge, rank: int | None, start: Arrays | None
) -> Adapter:
  method, found, kept = _unwrapped(adapters)
  if inner_of(method).name == 'lora':
    loras = [_lora(one) for one, _ in found]
    arrays = [one for _, one in found]
    if rank is None:
      _check_factors(loras, found)
      combined = lora_algebra.factorwise(loras, arrays, weights, merge)
    else:
      combined = lora_algebra.deltawise(loras, arrays, weights, merge, rank)
    return _wrapped(method, *combined, kept)
  if rank is not None:
    raise UserError(f'rank is for LoRA, and these adapters are {inner_of(method).name!r}')
  same_shapes(found)
  origin, vectors = task_vectors(found, start)
  moved = {name: merge(name, np.stack([vector[name] for vector in vectors]), weights) for name in origin}
  return method, {**kept, **{name: (origin[name] + moved[name]).astype(found[0][1][name].dtype) for name in origin}}


def _linear(name: str, vectors: np.ndarray, factors: Sequence[float]) -> np.ndarray:
  del name
  return merging.weighted(vectors, factors).sum(axis=0)


def _stack(adapters: Sequence[Adapter], name: str) -> np.ndarray:
  return np.stack([np.asarray(arrays[name], np.float32) for _, arrays in adapters])


def _unwrapped(adapters: Sequence[Adapter]) -> tuple[Any, list[Adapter], dict[str, Any]]:
  """The first method, the adapters without the base's quantisation, and the arrays of that."""
  kept = compatible(adapters)
  found: list[Adapter] = []
  for method, arrays in adapters:
    found.append((inner_of(method), {name: np.asarray(value) for name, value in arrays.items() if name not in kept}))
  return adapters[0][0], found, kept


def _wrapped(method: Any, combined: Method, arrays: Arrays, kept: Arrays) -> Adapter:
  """A combination of inner methods on the quantised base that they share, if it is one."""
  whole = dataclasses.replace(method, inner=combined) if isinstance(method, Quantized) else combined
  return whole, {**kept, **arrays}


def _lora(method: Any) -> LoRA:
  if type(method) is not LoRA:
    raise UserError(f'only LoRAs can be put side by side or given another rank, not {method.name!r}')
  return method


def _check_factors(loras: Sequence[LoRA], adapters: Sequence[Adapter]) -> None:
  if any(lora.init == 'pissa' for lora in loras):
    raise UserError('the factors of a PiSSA are no task vectors, they start at the kernel: give a rank, to act on '
                    'what the adapters add to the kernels')
  same_shapes(adapters, hint='; give a rank, to act on what they add to the kernels')
