"""Small operations on activations that several methods share."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.errors import UserError


def last_axis(vector: Float[Array, ' features'], like: Float[Array, '... features']) -> Float[Array, '... features']:
  """A vector laid along the last axis of activations, in their dtype, ready to be added or multiplied."""
  return vector.astype(like.dtype).reshape((1,) * (like.ndim - 1) + vector.shape)


def dropped(x: Float[Array, '... features'], rate: float, rngs: nnx.Rngs | None) -> Float[Array, '... features']:
  """Drops single features and rescales the rest; the identity without a source of randomness."""
  if rate == 0.0 or rngs is None:
    return x
  keep = jax.random.bernoulli(rngs.dropout(), 1.0 - rate, x.shape)
  return jnp.where(keep, x / jnp.asarray(1.0 - rate, x.dtype), jnp.zeros_like(x))


def check_rate(rate: float, owner: str) -> None:
  """Raises UserError for a dropout rate that is none."""
  if not 0.0 <= rate < 1.0:
    raise UserError(f'the dropout of {owner} must lie in [0, 1), not {rate}')
