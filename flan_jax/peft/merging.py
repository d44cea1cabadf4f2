"""Arithmetic on task vectors, array by array: trimming, electing signs, disjoint means, dropping at random.

The steps of TIES (Yadav et al. 2023) and DARE (Yu et al. 2024), with the conventions of PEFT's `merge_utils`: each
array is trimmed on its own (the paper ranks all parameters of a model together), signs are elected before weighting,
and the disjoint mean divides by how many agree.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float


def trimmed(vector: Float[np.ndarray, '*shape'], density: float) -> Float[np.ndarray, '*shape']:
  """A vector with all but its largest entries at zero.

  Args:
    vector: an array of a task vector.
    density: the fraction that is kept, rounded down; among equals the earlier ones are kept.
  """
  count = int(density * vector.size)
  kept = np.zeros(vector.size, bool)
  kept[np.argsort(-np.abs(vector), axis=None, kind='stable')[:count]] = True
  return np.where(kept.reshape(vector.shape), vector, np.zeros_like(vector))


def dropped_out(
  vector: Float[np.ndarray, '*shape'], density: float, random: np.random.Generator
) -> Float[np.ndarray, '*shape']:
  """A vector with entries dropped at random, and the rest rescaled so that the expectation stays.

  Args:
    vector: an array of a task vector.
    density: the probability that an entry is kept.
    random: draws what is kept.
  """
  kept = random.random(vector.shape) < density
  return np.where(kept, vector / np.asarray(density, vector.dtype), np.zeros_like(vector))


def agreeing(vectors: Float[np.ndarray, 'tasks *shape']) -> Bool[np.ndarray, 'tasks *shape']:
  """Where each vector has the sign that the sum over all elects; zeros never agree."""
  elected = np.where(np.sum(vectors, axis=0) >= 0, 1, -1)
  return np.sign(vectors) == elected[None]


def disjoint_mean(
  vectors: Float[np.ndarray, 'tasks *shape'], weights: Sequence[float]
) -> Float[np.ndarray, '*shape']:
  """The mean, entry by entry, of the weighted vectors that have the elected sign; 0 where none has."""
  agree = agreeing(vectors)
  total = np.sum(weighted(vectors, weights) * agree, axis=0)
  return (total / np.maximum(np.sum(agree, axis=0), 1)).astype(vectors.dtype)


def weighted(
  vectors: Float[np.ndarray, 'tasks *shape'], weights: Sequence[float]
) -> Float[np.ndarray, 'tasks *shape']:
  """Each vector times its weight."""
  return vectors * np.asarray(weights, vectors.dtype).reshape(-1, *[1] * (vectors.ndim - 1))
