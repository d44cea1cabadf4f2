"""Greedy decoding and sampling on a cache of keys and values: pure functions for use inside jit."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from flan_jax.models import sampling
from flan_jax.models.decoder import Cache
from flan_jax.models.t5 import T5

Choose = Callable[[Float[Array, 'rows vocab'], Int[Array, '']], Int[Array, 'rows']]


class Decoded(NamedTuple):
  """One continuation a row.

  Attributes:
    tokens: ids up to and including EOS, then padding (id 0).
    log_probs: sum of the tokens' log-probabilities under the model, EOS included.
  """

  tokens: Int[Array, 'rows length']
  log_probs: Float[Array, 'rows']


class _Loop(NamedTuple):
  position: Int[Array, '']
  last: Int[Array, 'rows']
  done: Bool[Array, 'rows']
  decoded: Decoded
  cache: Cache


def greedy(model: T5, inputs: Int[Array, 'batch source'], *, max_decode_len: int, eos_id: int = 1) -> Decoded:
  """Takes the likeliest token at every step, until every row has ended or is full.

  Args:
    model: the model, adapters included.
    inputs: encoder ids; 0 is padding.
    max_decode_len: tokens at most, EOS included (static).
    eos_id: the token that ends a row.
  """
  return _decode(model, inputs, lambda logits, _: jnp.argmax(logits, axis=1).astype(jnp.int32), max_decode_len, eos_id)


def sample(
  model: T5,
  inputs: Int[Array, 'batch source'],
  *,
  key: Key[Array, ''],
  max_decode_len: int,
  eos_id: int = 1,
  temperature: float = 1.0,
  top_k: int = 0,
  top_p: float = 1.0,
  row_ids: Int[Array, 'batch'] | None = None,
) -> Decoded:
  """Draws every token from the filtered distribution.

  Args:
    model: the model, adapters included.
    inputs: encoder ids; 0 is padding.
    key: the PRNG key of the whole draw.
    max_decode_len: tokens at most, EOS included (static).
    eos_id: the token that ends a row.
    temperature: below 1 sharpens, above 1 flattens.
    top_k: draw from the k likeliest tokens; 0 for all.
    top_p: draw from the nucleus of this probability; 1 for all.
    row_ids: numbers that make the rows' draws differ, by default their places in the batch.

  Raises:
    UserError: a setting outside its range.
  """
  sampling.check(temperature=temperature, top_k=top_k, top_p=top_p)
  ids = jnp.arange(inputs.shape[0]) if row_ids is None else row_ids
  keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, ids)

  def choose(logits: Float[Array, 'rows vocab'], position: Int[Array, '']) -> Int[Array, 'rows']:
    kept = sampling.filter_logits(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    return sampling.draw(keys, position, kept)

  return _decode(model, inputs, choose, max_decode_len, eos_id)


def _decode(
  model: T5, inputs: Int[Array, 'batch source'], choose: Choose, max_decode_len: int, eos_id: int
) -> Decoded:
  rows = inputs.shape[0]
  memory, cache = model.start_decoding(model.encode(inputs), rows, max_decode_len)

  def step(loop: _Loop) -> _Loop:
    logits, cache = model.decode_step(loop.last, memory, loop.cache, loop.position)
    token = jnp.where(loop.done, 0, choose(logits, loop.position))
    tokens = jax.lax.dynamic_update_slice(loop.decoded.tokens, token[:, None], (0, loop.position))
    gained = jnp.where(loop.done, 0.0, token_log_probs(logits, token))
    decoded = Decoded(tokens, loop.decoded.log_probs + gained)
    return _Loop(loop.position + 1, token, loop.done | (token == eos_id), decoded, cache)

  nothing = Decoded(jnp.zeros((rows, max_decode_len), jnp.int32), jnp.zeros((rows,), jnp.float32))
  start = _Loop(jnp.int32(0), jnp.zeros((rows,), jnp.int32), ~jnp.any(inputs > 0, axis=1), nothing, cache)
  end = jax.lax.while_loop(lambda loop: (loop.position < max_decode_len) & ~jnp.all(loop.done), step, start)
  return end.decoded


def token_log_probs(logits: Float[Array, '*batch vocab'], tokens: Int[Array, '*batch']) -> Float[Array, '*batch']:
  """Returns the float32 log-probability of one token at each place, without forming all the others'."""
  picked = jnp.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]
  return picked - jax.nn.logsumexp(logits, axis=-1)
