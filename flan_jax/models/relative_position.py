"""T5's relative position bias: one learned number per head and bucket of distance, added to attention logits."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int


def bucket(offsets: np.ndarray, *, bidirectional: bool, num_buckets: int, max_distance: int) -> np.ndarray:
  """Sorts offsets between positions into T5's buckets: single ones nearby, logarithmically wider ones beyond.

  Args:
    offsets: key position minus query position, integers of any shape.
    bidirectional: True gives the two directions half of the buckets each (encoder); False sends every key after the
      query to bucket 0 (decoder).
    num_buckets: buckets in all.
    max_distance: distances from here on share the last bucket.

  Returns:
    int32 buckets of the offsets' shape.
  """
  offsets = np.asarray(offsets)
  if bidirectional:
    num_buckets //= 2
    first, distance = np.where(offsets > 0, num_buckets, 0), np.abs(offsets)
  else:
    first, distance = np.zeros_like(offsets), np.maximum(-offsets, 0)
  exact = num_buckets // 2
  # The epsilon keeps exact powers, such as 16 of 8, from rounding into the bucket below.
  ratio = np.log(np.maximum(distance, 1).astype(np.float32) / exact + np.finfo(np.float32).eps)
  far = exact + (ratio / np.log(max_distance / exact) * (num_buckets - exact)).astype(np.int32)
  return (first + np.where(distance < exact, distance, np.minimum(far, num_buckets - 1))).astype(np.int32)


class RelativePositionBias(nnx.Module):
  """The bias of one stack (or of one layer, where layers do not share it).

  Attributes:
    rel_embedding: Float[heads, buckets].
  """

  def __init__(self, rel_embedding: Float[Array, 'heads buckets'], *, bidirectional: bool, max_distance: int):
    self.rel_embedding = nnx.Param(rel_embedding, axes=('heads', 'relpos_buckets'))
    self.bidirectional = bidirectional
    self.max_distance = max_distance

  def __call__(self, query_length: int, key_length: int) -> Float[Array, '1 heads query key']:
    """Returns float32 biases for queries and keys that both count from position 0.

    The bias depends on key - query alone, so it is looked up once per offset and then laid out as a Toeplitz matrix by
    a reshape, whose gradient is a sum; a gather per (query, key) would end in a slow scatter.
    """
    table = self.rel_embedding[...].astype(jnp.float32)
    period = query_length + key_length
    # Offset d stands at index d modulo the period; index key_length is never read.
    offsets = np.concatenate([np.arange(key_length + 1), np.arange(1 - query_length, 0)])
    buckets = bucket(
      offsets,
      bidirectional=self.bidirectional,
      num_buckets=table.shape[1],
      max_distance=self.max_distance,
    )
    by_offset = table[:, buckets]
    # Rows of one value fewer than the period each start one offset earlier than the row above.
    rows = jnp.broadcast_to(by_offset[:, None, :], (table.shape[0], query_length, period))
    skewed = rows.reshape(table.shape[0], -1)[:, : query_length * (period - 1)]
    return skewed.reshape(1, table.shape[0], query_length, period - 1)[..., :key_length]

  def between(self, positions: Int[Array, 'batch length']) -> Float[Array, 'batch heads length length']:
    """Returns float32 biases for tokens at given positions below the length; keys after the query are not told apart.

    For rows in which place and position differ, as those of trees do. For inference: its gradient is a slow scatter.
    """
    table = self.rel_embedding[...].astype(jnp.float32)
    buckets = bucket(
      -np.arange(positions.shape[1]),
      bidirectional=self.bidirectional,
      num_buckets=table.shape[1],
      max_distance=self.max_distance,
    )
    back = jnp.maximum(positions[:, :, None] - positions[:, None, :], 0)
    return jnp.take(table[:, buckets], back, axis=1, mode='clip').transpose(1, 0, 2, 3)
