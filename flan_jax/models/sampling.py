"""How the next token is drawn from logits: temperature, the k likeliest, the nucleus."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from flan_jax import errors

NEVER = -1e10


def check(*, temperature: float, top_k: int, top_p: float) -> None:
  """Raises UserError where a sampling setting lies outside its range."""
  if not temperature > 0:
    raise errors.UserError(f'temperature must be above 0, not {temperature}; for the likeliest token use greedy.')
  if top_k < 0:
    raise errors.UserError(f'top_k must be 0 (off) or a number of tokens, not {top_k}.')
  if not 0 < top_p <= 1:
    raise errors.UserError(f'top_p must be above 0 and at most 1 (off), not {top_p}.')


def filter_logits(
  logits: Float[Array, 'rows vocab'], *, temperature: float, top_k: int, top_p: float
) -> Float[Array, 'rows vocab']:
  """Returns tempered logits with every token outside the k likeliest and outside the nucleus ruled out.

  Args:
    logits: float32.
    temperature: divides the logits.
    top_k: how many tokens stay, ties with the last one too; 0 keeps all.
    top_p: the smallest set of likeliest tokens that reaches this probability stays (nucleus, Holtzman et al. 2020), the
      token that fills it and ties with that one too; 1 keeps all. Probabilities are those of what `top_k` left.
  """
  logits = logits / temperature
  if top_k and top_k < logits.shape[1]:
    least = jax.lax.top_k(logits, top_k)[0][:, -1:]
    logits = jnp.where(logits < least, NEVER, logits)
  if top_p < 1:
    ordered = jnp.sort(logits, axis=1, descending=True)
    probability = jax.nn.softmax(ordered, axis=1)
    before = jnp.cumsum(probability, axis=1) - probability
    least = jnp.min(jnp.where(before < top_p, ordered, jnp.inf), axis=1, keepdims=True)
    logits = jnp.where(logits < least, NEVER, logits)
  return logits


def draw(keys: Key[Array, 'rows'], position: Int[Array, ''], logits: Float[Array, 'rows vocab']) -> Int[Array, 'rows']:
  """Draws one token a row, by the row's own key and the position, so that a row's text does not hang on its batch."""
  at_position = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, position)
  return jax.vmap(jax.random.categorical)(at_position, logits).astype(jnp.int32)
