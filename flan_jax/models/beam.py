"""Beam search with a brevity penalty (Wu et al. 2016), by T5X's conventions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from flan_jax.models.decoder import Cache
from flan_jax.models.t5 import T5

WORST = -1e7


class Beams(NamedTuple):
  """The continuations found for each row, best first.

  Attributes:
    tokens: ids up to and including EOS, then padding; a beam that never ended has no EOS.
    scores: sum of log-probabilities over the brevity penalty; about -1e7 marks a place that no continuation filled.
  """

  tokens: Int[Array, 'batch beams length']
  scores: Float[Array, 'batch beams']


class _Loop(NamedTuple):
  position: Int[Array, '']
  live: Beams  # unfinished, scored by plain sums of log-probabilities
  finished: Beams
  cache: Cache


def brevity_penalty(alpha: float, length: Int[Array, ''] | int) -> Float[Array, '']:
  """Returns ((5 + length) / 6) ** alpha, by which a sum of log-probabilities is divided."""
  return ((5.0 + jnp.asarray(length, jnp.float32)) / 6.0) ** alpha


def beam_search(
  model: T5,
  inputs: Int[Array, 'batch source'],
  *,
  num_beams: int,
  max_decode_len: int,
  alpha: float = 0.6,
  eos_id: int = 1,
) -> Beams:
  """Keeps the `num_beams` best unfinished and finished continuations of every row.

  It stops early when no unfinished beam, even at full length, can beat the worst finished one. Beams share the
  encoder's keys and values.

  Args:
    model: the model, adapters included.
    inputs: encoder ids; 0 is padding.
    num_beams: beams a row (static).
    max_decode_len: tokens at most, EOS included (static).
    alpha: 0 compares plain sums; more favours longer texts.
    eos_id: the token that ends a beam.

  Returns:
    All beams, best first; a row where nothing ended returns its unfinished beams.
  """
  batch = inputs.shape[0]
  memory, cache = model.start_decoding(model.encode(inputs), batch * num_beams, max_decode_len)

  def step(loop: _Loop) -> _Loop:
    previous = jax.lax.dynamic_index_in_dim(loop.live.tokens, jnp.maximum(loop.position - 1, 0), 2, keepdims=False)
    logits, cache = model.decode_step(previous.reshape(-1), memory, loop.cache, loop.position)
    log_probs = jax.nn.log_softmax(logits).reshape(batch, num_beams, -1)
    candidates, parents = _extend(loop.live, log_probs, loop.position)
    ended = jax.lax.dynamic_index_in_dim(candidates.tokens, loop.position, 2, keepdims=False) == eos_id
    live, kept = _best(candidates._replace(scores=jnp.where(ended, WORST, candidates.scores)), num_beams)
    parents = jnp.take_along_axis(parents, kept, axis=1)
    penalised = candidates.scores / brevity_penalty(alpha, loop.position + 1)
    new = candidates._replace(scores=jnp.where(ended, penalised, WORST))
    finished, _ = _best(Beams(*map(_join, loop.finished, new)), num_beams)
    return _Loop(loop.position + 1, live, finished, _reorder(cache, parents))

  def unfinished(loop: _Loop) -> Bool[Array, '']:
    hope = jnp.max(loop.live.scores, axis=1) / brevity_penalty(alpha, max_decode_len)
    closed = jnp.min(loop.finished.scores, axis=1) >= hope
    return (loop.position < max_decode_len) & ~jnp.all(closed | ~jnp.any(inputs > 0, axis=1))

  end = jax.lax.while_loop(unfinished, step, _start(batch, num_beams, max_decode_len, cache))
  none_ended = jnp.max(end.finished.scores, axis=1) <= WORST
  live_scores = end.live.scores / brevity_penalty(alpha, max_decode_len)
  return Beams(
    jnp.where(none_ended[:, None, None], end.live.tokens, end.finished.tokens),
    jnp.where(none_ended[:, None], live_scores, end.finished.scores),
  )


def _start(batch: int, num_beams: int, length: int, cache: Cache) -> _Loop:
  """Returns the state with one live beam a row; the others start too low to be chosen over its continuations."""
  tokens = jnp.zeros((batch, num_beams, length), jnp.int32)
  only_first = jnp.where(jnp.arange(num_beams) == 0, 0.0, WORST)
  live = jnp.broadcast_to(only_first[None, :], (batch, num_beams))
  return _Loop(jnp.int32(0), Beams(tokens, live), Beams(tokens, jnp.full_like(live, WORST)), cache)


def _extend(
  live: Beams, log_probs: Float[Array, 'batch beams vocab'], position: Int[Array, '']
) -> tuple[Beams, Int[Array, 'batch candidates']]:
  """Returns the best one-token continuations, twice as many as beams since half of them may end, and their parents."""
  batch, num_beams, vocab = log_probs.shape
  totals = (live.scores[:, :, None] + log_probs).reshape(batch, -1)
  scores, flat = jax.lax.top_k(totals, min(2 * num_beams, totals.shape[1]))
  parents, token = flat // vocab, (flat % vocab).astype(jnp.int32)
  tokens = jnp.take_along_axis(live.tokens, parents[:, :, None], axis=1)
  return Beams(jax.lax.dynamic_update_slice(tokens, token[:, :, None], (0, 0, position)), scores), parents


def _best(beams: Beams, count: int) -> tuple[Beams, Int[Array, 'batch count']]:
  """Returns the highest-scored beams of each row, best first, and which they were."""
  scores, chosen = jax.lax.top_k(beams.scores, count)
  return Beams(jnp.take_along_axis(beams.tokens, chosen[:, :, None], axis=1), scores), chosen


def _join(left: Array, right: Array) -> Array:
  return jnp.concatenate([left, right], axis=1)


def _reorder(cache: Cache, parents: Int[Array, 'batch beams']) -> Cache:
  """Gives every live beam the keys and values of its parent."""
  batch, num_beams = parents.shape
  rows = (jnp.arange(batch)[:, None] * num_beams + parents).reshape(-1)
  return jax.tree.map(lambda x: jnp.take(x, rows, axis=0), cache)
