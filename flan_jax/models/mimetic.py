"""Mimetic initialisation of attention (Trockman & Kolter 2023): start where trained transformers end up.

In trained transformers the product of query and key kernels is close to a multiple of the identity, and so is the
product of value and output kernels: a token looks for tokens like itself, and attention copies what it finds. Starting
there spares a tiny model trained from random weights a long plateau before its first lookup circuits form. It is not
stock T5: `T5Config.attention_init` is 't5' unless a config says 'mimetic'.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flan_jax.models.config import T5Config

QUERY_KEY_GAIN = 0.4
VALUE_OUT_GAIN = 0.7
NOISE = 0.1
LOCAL_SLOPE = -0.5
OWN_POSITION = -8.0


def attention_kernels(
  config: T5Config, noise: tuple[Float[Array, 'd_in d_out'], ...], key: Array
) -> tuple[Float[Array, 'd_in d_out'], ...]:
  """Returns query, key, value and out kernels near the identity's products.

  Query and key share slices of a random orthogonal matrix, so that summed over heads query @ key.T is about
  `QUERY_KEY_GAIN` times the identity; value is orthogonal and out `VALUE_OUT_GAIN` times its transpose.

  Args:
    config: sizes and parameter dtype.
    noise: T5's own query, key, value and out kernels, added at a tenth of their scale so that no two stay equal.
    key: a PRNG key for the orthogonal matrices.
  """
  matching, copying = (_orthogonal(part, config.emb_dim, config.joined_kv) for part in jax.random.split(key))
  matching *= QUERY_KEY_GAIN**0.5
  starts = (matching, matching, copying, VALUE_OUT_GAIN * copying.T)
  return tuple(start.astype(own.dtype) + NOISE * own for start, own in zip(starts, noise, strict=True))


def relative_bias(num_heads: int, num_buckets: int) -> Float[np.ndarray, 'heads buckets']:
  """Returns encoder biases: the first half of the heads looks nearby, the other half away from its own position."""
  distance = np.arange(num_buckets) % (num_buckets // 2)
  local = LOCAL_SLOPE * distance
  elsewhere = np.where(np.arange(num_buckets) == 0, OWN_POSITION, 0.0)
  is_local = np.arange(num_heads) < (num_heads + 1) // 2
  return np.where(is_local[:, None], local[None, :], elsewhere[None, :]).astype(np.float32)


def _orthogonal(key: Array, rows: int, columns: int) -> Float[Array, 'rows columns']:
  """Returns as many random orthogonal [rows, rows] matrices side by side as fill the columns."""
  count = -(-columns // rows)
  squares = jax.vmap(lambda k: jnp.linalg.qr(jax.random.normal(k, (rows, rows), jnp.float32))[0])(
    jax.random.split(key, count)
  )
  return squares.transpose(1, 0, 2).reshape(rows, count * rows)[:, :columns]
