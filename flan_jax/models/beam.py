"""Beam search on a cache of keys and values, by T5X's rules or by those of `transformers.generate`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from flan_jax.models.beam_rules import WORST, make_rules
from flan_jax.models.decoder import Cache
from flan_jax.models.t5 import T5


class Beams(NamedTuple):
  """The continuations found for each row, best first.

  Attributes:
    tokens: ids up to and including EOS, then padding; a beam that never ended has no EOS.
    scores: sum of log-probabilities over the length penalty; about -1e7 marks a place that no continuation filled.
    log_probs: that sum as it is, without a penalty, EOS included; means nothing in such a place.
  """

  tokens: Int[Array, 'batch beams length']
  scores: Float[Array, 'batch beams']
  log_probs: Float[Array, 'batch beams']


class _Loop(NamedTuple):
  position: Int[Array, '']
  live: Beams  # unfinished, scored by plain sums of log-probabilities
  finished: Beams
  done: Bool[Array, 'batch']
  cache: Cache


def beam_search(
  model: T5,
  inputs: Int[Array, 'batch source'],
  *,
  num_beams: int,
  max_decode_len: int,
  alpha: float = 0.6,
  eos_id: int = 1,
  rules: str = 't5x',
  early_stopping: bool | str = False,
) -> Beams:
  """Keeps the `num_beams` best unfinished and finished continuations of every row.

  By T5X's rules sums of log-probabilities are divided by the brevity penalty of Wu et al. (2016), and a row is done
  when no unfinished beam, even at full length, can beat the worst finished one. By Hugging Face's rules the tokens are
  those of `transformers.generate`; `beam_rules.HuggingFaceRules` says what it does otherwise. Beams share the encoder's
  keys and values.

  Args:
    model: the model, adapters included.
    inputs: encoder ids; 0 is padding.
    num_beams: beams a row (static).
    max_decode_len: tokens at most, EOS included (static).
    alpha: exponent of the length penalty: 0 compares plain sums; more favours longer texts.
    eos_id: the token that ends a beam.
    rules: whose, 't5x' or 'huggingface' (static).
    early_stopping: False, True or 'never', with Hugging Face's meanings and by its rules only (static).

  Returns:
    All beams, best first; a row where nothing ended returns its unfinished beams.

  Raises:
    UserError: rules that do not exist, or `early_stopping` with T5X's.
  """
  how = make_rules(rules, alpha=alpha, max_decode_len=max_decode_len, early_stopping=early_stopping)
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
    length = loop.position + 1
    finishing = how.finishing(ended, length, num_beams) & ~loop.done[:, None]
    new = candidates._replace(scores=jnp.where(finishing, candidates.scores / how.penalty(length), WORST))
    finished, _ = _best(Beams(*map(_join, loop.finished, new)), num_beams)
    done = loop.done | how.done(live.scores, finished.scores, length)
    return _Loop(length, live, finished, done, _reorder(cache, parents))

  def unfinished(loop: _Loop) -> Bool[Array, '']:
    return (loop.position < max_decode_len) & ~jnp.all(loop.done)

  start = _start(batch, num_beams, max_decode_len, cache, done=~jnp.any(inputs > 0, axis=1))
  end = jax.lax.while_loop(unfinished, step, start)
  none_ended = jnp.max(end.finished.scores, axis=1) <= WORST
  live_scores = end.live.scores / how.penalty(max_decode_len)
  return Beams(
    jnp.where(none_ended[:, None, None], end.live.tokens, end.finished.tokens),
    jnp.where(none_ended[:, None], live_scores, end.finished.scores),
    jnp.where(none_ended[:, None], end.live.log_probs, end.finished.log_probs),
  )


def _start(batch: int, num_beams: int, length: int, cache: Cache, *, done: Bool[Array, 'batch']) -> _Loop:
  """Returns the state with one live beam a row; the others start too low to be chosen over its continuations."""
  tokens = jnp.zeros((batch, num_beams, length), jnp.int32)
  only_first = jnp.where(jnp.arange(num_beams) == 0, 0.0, WORST)
  live = jnp.broadcast_to(only_first[None, :], (batch, num_beams))
  none = Beams(tokens, jnp.full_like(live, WORST), live)
  return _Loop(jnp.int32(0), Beams(tokens, live, live), none, done, cache)


def _extend(
  live: Beams, log_probs: Float[Array, 'batch beams vocab'], position: Int[Array, '']
) -> tuple[Beams, Int[Array, 'batch candidates']]:
  """Returns the best one-token continuations, twice as many as beams since half of them may end, and their parents."""
  batch, num_beams, vocab = log_probs.shape
  totals = (live.scores[:, :, None] + log_probs).reshape(batch, -1)
  scores, flat = jax.lax.top_k(totals, min(2 * num_beams, totals.shape[1]))
  parents, token = flat // vocab, (flat % vocab).astype(jnp.int32)
  tokens = jnp.take_along_axis(live.tokens, parents[:, :, None], axis=1)
  return Beams(jax.lax.dynamic_update_slice(tokens, token[:, :, None], (0, 0, position)), scores, scores), parents


def _best(beams: Beams, count: int) -> tuple[Beams, Int[Array, 'batch count']]:
  """Returns the highest-scored beams of each row, best first, and which they were."""
  scores, chosen = jax.lax.top_k(beams.scores, count)
  tokens = jnp.take_along_axis(beams.tokens, chosen[:, :, None], axis=1)
  return Beams(tokens, scores, jnp.take_along_axis(beams.log_probs, chosen, axis=1)), chosen


def _join(left: Array, right: Array) -> Array:
  return jnp.concatenate([left, right], axis=1)


def _reorder(cache: Cache, parents: Int[Array, 'batch beams']) -> Cache:
  """Gives every live beam the keys and values of its parent."""
  batch, num_beams = parents.shape
  rows = (jnp.arange(batch)[:, None] * num_beams + parents).reshape(-1)
  return jax.tree.map(lambda x: jnp.take(x, rows, axis=0), cache)
