"""Log-likelihoods of given targets: what rank classification compares. Pure functions for use inside jit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from flan_jax.models.decoder import Trees
from flan_jax.models.decoding import token_log_probs
from flan_jax.models.t5 import T5, shift_right


class PackedOptions(NamedTuple):
  """A batch whose rows hold several inputs, and beside them the trees of their options (`option_trees`).

  Attributes:
    inputs: encoder ids, one input after the other; 0 is padding.
    input_segments: the input (1, 2, ...) of each encoder position, 0 at padding.
    input_prompts: the room for the encoder's soft prompts as in `T5.encode`, or None without such.
    nodes: decoder ids, one tree after the other.
    node_segments: the input that each node reads, 0 at padding.
    node_prompts: the room for the decoder's soft prompts, once a tree, or None without such.
    trees: which nodes each node follows.
    edge_nodes: the node of each prediction.
    edge_tokens: the token that is predicted there; 0 is padding.
  """

  inputs: Int[Array, 'batch source']
  input_segments: Int[Array, 'batch source']
  input_prompts: Int[Array, 'batch source'] | None
  nodes: Int[Array, 'batch target']
  node_segments: Int[Array, 'batch target']
  node_prompts: Int[Array, 'batch target'] | None
  trees: Trees
  edge_nodes: Int[Array, 'batch edges']
  edge_tokens: Int[Array, 'batch edges']


def token_log_likelihoods(
  model: T5, inputs: Int[Array, 'batch source'], targets: Int[Array, 'rows length']
) -> Float[Array, 'rows length']:
  """Returns the log-probability of every target token given the input and the tokens before it.

  Args:
    model: the model, adapters included.
    inputs: encoder ids; 0 is padding.
    targets: ids with EOS, then padding; their rows may be a multiple of the inputs', as in `T5.decode`.

  Returns:
    float32; 0 at padding.
  """
  logits = model.decode(model.encode(inputs), shift_right(targets))
  return jnp.where(targets > 0, token_log_probs(logits, targets), 0.0)


def target_log_likelihood(
  model: T5, inputs: Int[Array, 'batch source'], targets: Int[Array, 'batch length']
) -> Float[Array, 'batch']:
  """Returns the summed log-probability of each target, EOS included where the target has it."""
  return jnp.sum(token_log_likelihoods(model, inputs, targets), axis=1)


def option_log_likelihoods(
  model: T5, inputs: Int[Array, 'batch source'], options: Int[Array, 'batch options length']
) -> Float[Array, 'batch options']:
  """Returns the summed log-probability of each option of each input, running the encoder once an input.

  The options become further queries of the same cross-attention, so the encoder's keys and values are never tiled.
  An option that is all padding scores 0 and is for the caller to mask.
  """
  batch, count, length = options.shape
  flat = token_log_likelihoods(model, inputs, options.reshape(batch * count, length))
  return jnp.sum(flat.reshape(batch, count, length), axis=2)


def packed_log_probs(model: T5, packed: PackedOptions) -> Float[Array, 'batch edges']:
  """Returns the log-probability of every edge of a packed batch; 0 at padding.

  The encoder runs once an input, the decoder once for what the options of an input begin with in common.
  """
  encoded = model.encode(packed.inputs, segment_ids=packed.input_segments, prompt_positions=packed.input_prompts)
  logits = model.decode(
    encoded, packed.nodes, segment_ids=packed.node_segments, prompt_positions=packed.node_prompts, trees=packed.trees
  )
  rows = jnp.arange(logits.shape[0])[:, None]
  picked = logits[rows, packed.edge_nodes, packed.edge_tokens]
  log_probs = picked - jax.nn.logsumexp(logits, axis=-1)[rows, packed.edge_nodes]
  return jnp.where(packed.edge_tokens > 0, log_probs, 0.0)


class Judged(NamedTuple):
  """Options as a model sees them.

  Attributes:
    log_likelihoods: summed over an option's tokens.
    greedy: whether every token of an option is the likeliest one after those before it; true of an option that is all
      padding.
  """

  log_likelihoods: Float[Array | np.ndarray, '*batch options']
  greedy: Bool[Array | np.ndarray, '*batch options']


def judged_options(
  model: T5, inputs: Int[Array, 'batch source'], options: Int[Array, 'batch options length']
) -> Judged:
  """Returns what `option_log_likelihoods` does, and whether greedy decoding would begin with each option."""
  batch, count, length = options.shape
  flat = options.reshape(batch * count, length)
  logits = model.decode(model.encode(inputs), shift_right(flat))
  scores = jnp.where(flat > 0, token_log_probs(logits, flat), 0.0)
  greedy = (jnp.argmax(logits, axis=2).astype(flat.dtype) == flat) | (flat == 0)
  return Judged(jnp.sum(scores, axis=1).reshape(batch, count), jnp.all(greedy, axis=1).reshape(batch, count))
