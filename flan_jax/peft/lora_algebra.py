"""Sums of LoRAs are LoRAs: concatenating the factors of several adds their updates exactly, whatever their scales."""

import collections
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from flan_jax.errors import UserError
from flan_jax.peft.adapter_set import Adapter
from flan_jax.peft.lora import SLOT, LoRA

Factors = dict[str, tuple[np.ndarray, np.ndarray]]  # by projection path: [in, rank] and [rank, out]
Merge = Callable[[str, np.ndarray, Sequence[float]], np.ndarray]  # of an array's name, stacked vectors, their weights
ENDING = f'/adapters/{SLOT}/'


def factors(method: LoRA, arrays: Mapping[str, Any]) -> Factors:
  """Two matrices for each projection whose product is what the adapter adds to the kernel.

  Args:
    method: whose scale (alpha, patterns, rsLoRA) goes into the second matrix.
    arrays: of the adapter; PiSSA's start is subtracted by twice the rank.
  """
  result = {}
  for path in paths(arrays):
    own = {key: np.asarray(arrays[array_name(path, key)], np.float32) for key in ('a', 'b')}
    scale = np.float32(method.rank_and_scale(path)[1])
    a, b = own['a'], scale * own['b']
    if array_name(path, 'start_a') in arrays:
      start_a, start_b = (np.asarray(arrays[array_name(path, f'start_{key}')], np.float32) for key in 'ab')
      a, b = np.concatenate([a, start_a], axis=1), np.concatenate([b, -scale * start_b], axis=0)
    result[path] = (a, b)
  return result


def array_name(path: str, key: str) -> str:
  """The name of one of the arrays at a projection, such as 'a'."""
  return f'{path}{ENDING}{key}'


def paths(arrays: Mapping[str, Any]) -> list[str]:
  """The projections that a LoRA changes."""
  return sorted(name.removesuffix(f'{ENDING}a') for name in arrays if name.endswith(f'{ENDING}a'))


def deltas(adapter: Adapter) -> dict[str, Float[np.ndarray, 'in out']]:
  """What a LoRA adds to each kernel, by the projection's path.

  Raises:
    UserError: if the adapter is none.
  """
  method, arrays = adapter
  if type(method) is not LoRA:
    raise UserError(f'only a LoRA has a delta for each kernel, not {method.name!r}')
  return {path: a @ b for path, (a, b) in factors(method, arrays).items()}


def from_factors(method: LoRA, found: Factors) -> Adapter:
  """The LoRA that adds given products, at scale 1.

  A rank that is more than a kernel has would not attach; there the product itself is one of the factors.

  Args:
    method: what the result takes its targets, dropout and LoRA+ ratio from.
    found: two matrices for each of its projections.
  """
  arrays, ranks = {}, {}
  for path, pair in found.items():
    a, b = _at_most_full(*pair)
    arrays[array_name(path, 'a')], arrays[array_name(path, 'b')], ranks[path] = a, b, a.shape[1]
  return of_ranks(method, ranks), arrays


def of_ranks(method: LoRA, ranks: Mapping[str, int]) -> LoRA:
  """The same method with given ranks at scale 1; the commonest rank is the plain one, the others are patterns."""
  rank = collections.Counter(ranks.values()).most_common(1)[0][0]
  others = {re.escape(path): other for path, other in ranks.items() if other != rank}
  return dataclasses.replace(method, rank=rank, alpha=float(rank), rank_pattern=others, rank_stabilized=False,
                             alpha_pattern={path: float(other) for path, other in others.items()}, init='kaiming')


def concatenated(methods: Sequence[LoRA], found: Sequence[Factors], weights: Sequence[float]) -> Adapter:
  """The LoRA whose update is the weighted sum of several: their factors side by side."""
  joined = {}
  for path in found[0]:
    pairs = [one[path] for one in found]
    joined[path] = (np.concatenate([a for a, _ in pairs], axis=1),
                    np.concatenate([np.float32(w) * b for w, (_, b) in zip(weights, pairs, strict=True)], axis=0))
  return from_factors(methods[0], joined)


def compressed(method: LoRA, found: Factors, rank: int) -> Adapter:
  """The LoRA of a lower rank that is nearest to given products (truncated SVD), the root of each value in both factors.

  Args:
    method: what the result takes its targets, dropout and LoRA+ ratio from.
    found: two matrices for each of its projections; no product of them is formed.
    rank: singular values to keep; a projection that has fewer keeps them all.
  """
  return from_factors(method, {path: _nearest(*pair, check_rank(rank)) for path, pair in found.items()})


def factorwise(
  methods: Sequence[LoRA], arrays: Sequence[Mapping[str, Any]], weights: Sequence[float], merge: Merge
) -> Adapter:
  """Merges `a` and `b` apart, as PEFT does: the root of weight times scale on each, the sign on `a`."""
  result, ranks = {}, {}
  for path in paths(arrays[0]):
    scaled = [weight * method.rank_and_scale(path)[1] for weight, method in zip(weights, methods, strict=True)]
    roots = np.sqrt(np.abs(scaled))
    for key, own in (('a', np.where(np.asarray(scaled) >= 0, 1, -1) * roots), ('b', roots)):
      name = array_name(path, key)
      vectors = np.stack([np.asarray(one[name], np.float32) for one in arrays])
      result[name] = merge(name, vectors, own.tolist())
    ranks[path] = result[array_name(path, 'a')].shape[1]
  return of_ranks(methods[0], ranks), result


def deltawise(
  methods: Sequence[LoRA], arrays: Sequence[Mapping[str, Any]], weights: Sequence[float], merge: Merge, rank: int
) -> Adapter:
  """Merges what the adapters add to each kernel, one kernel after the other, and keeps a rank of it."""
  found = [factors(method, one) for method, one in zip(methods, arrays, strict=True)]
  products: Factors = {}
  for path in found[0]:
    merged = merge(path, np.stack([a @ b for a, b in (one[path] for one in found)]), weights)
    products[path] = _nearest(np.eye(merged.shape[0], dtype=np.float32), merged, check_rank(rank))
  return from_factors(methods[0], products)


def check_rank(rank: int) -> int:
  """The rank of a result.

  Raises:
    UserError: if it is below 1.
  """
  if rank < 1:
    raise UserError(f'the rank of a combined LoRA must be at least 1, not {rank}')
  return rank


def _nearest(a: np.ndarray, b: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
  outer, inner = np.linalg.qr(a)
  rows, columns = np.linalg.qr(b.T)
  left, values, right = np.linalg.svd(inner @ columns.T, full_matrices=False)
  root = np.sqrt(values[:rank])
  return (outer @ left)[:, :rank] * root[None, :], root[:, None] * (right @ rows.T)[:rank]


def _at_most_full(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  if a.shape[1] <= min(a.shape[0], b.shape[1]):
    return a, b
  if a.shape[0] <= b.shape[1]:
    return np.eye(a.shape[0], dtype=np.float32), a @ b
  return a @ b, np.eye(b.shape[1], dtype=np.float32)
