"""The decoder: teacher forcing over whole sequences, and one step at a time on a cache of keys and values."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from flan_jax.models import initializers, logical, masks, stack
from flan_jax.models.attention import Attention, KeyValues
from flan_jax.models.config import T5Config
from flan_jax.models.encoder import Encoded
from flan_jax.models.layers import Dense, dropout
from flan_jax.models.mlp import Mlp

Cache = tuple[KeyValues, ...]


class Memory(NamedTuple):
  """What stays the same during a decode: a pytree of constants.

  Attributes:
    cross: every layer's keys and values of the encoder's output.
    cross_mask: True where a query sees an encoder position.
    biases: every layer's position bias over the whole decode.
    start: decoder positions before the first token, those of the decoder's prompts.
    visible: True at the decoder positions that a row has, where rows have prompts of their own; None for all.
  """

  cross: tuple[KeyValues, ...]
  cross_mask: Bool[Array, 'batch 1 #query key']
  biases: tuple[Float[Array, '1 heads length length'], ...]
  start: Int[Array, '']
  visible: Bool[Array, 'rows length'] | None


class Trees(NamedTuple):
  """Decoder rows in which several sequences share what they begin with: a node follows the nodes above it alone.

  The nodes of a tree stand depth first, so that a node's descendants are those up to its end.

  Attributes:
    depths: how many nodes are above each node, which is its position.
    ends: the place behind each node's last descendant; 0 at padding.
  """

  depths: Int[Array, 'rows length']
  ends: Int[Array, 'rows length']


class DecoderLayer(nnx.Module):
  """Causal self-attention, attention to the encoder, and feed-forward, each behind its norm."""

  def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
    if config.relative_bias_per_layer:
      self.relpos_bias = stack.position_bias(config, rngs, bidirectional=False)
    self.pre_self_attention_layer_norm = stack.layer_norm(config)
    self.self_attention = Attention(config, rngs=rngs)
    self.pre_cross_attention_layer_norm = stack.layer_norm(config)
    self.encoder_decoder_attention = Attention(config, rngs=rngs)
    self.pre_mlp_layer_norm = stack.layer_norm(config)
    self.mlp = Mlp(config, rngs=rngs)
    self.dropout_rate = config.dropout_rate

  def cross_key_values(self, states: Float[Array, 'batch key embed'], *, rngs: nnx.Rngs | None = None) -> KeyValues:
    """Returns the keys and values of the encoder's output."""
    attention = self.encoder_decoder_attention
    return attention.with_prompts(attention.project(states, rngs=rngs), rngs=rngs)

  def empty_cache(self, rows: int, length: int, dtype: jnp.dtype) -> KeyValues:
    """Returns room for a number of positions behind the self-attention's own prompts."""
    heads = self.self_attention.num_heads
    room = jnp.zeros((rows, heads, length, self.self_attention.key.shape[1] // heads), dtype)
    return self.self_attention.with_prompts(KeyValues(room, room))

  def __call__(
    self,
    x: Float[Array, 'rows query embed'],
    cross: KeyValues,
    self_mask: Bool[Array, '#rows 1 query key'],
    cross_mask: Bool[Array, 'batch 1 #query key'],
    bias: Float[Array, '#rows heads query key'],
    *,
    cache: KeyValues | None = None,
    index: Int[Array, ''] | None = None,
    rngs: nnx.Rngs | None = None,
  ) -> tuple[Float[Array, 'rows query embed'], KeyValues]:
    """Runs the layer over x, on the keys of x alone or on a cache that x's keys are written into.

    Args:
      x: the residual stream; its rows may be a multiple of the encoder's (see `Decoder`).
      cross: keys and values of the encoder's output.
      self_mask: True where a query sees a decoder position.
      cross_mask: True where a query sees an encoder position.
      bias: the position bias of the self-attention.
      cache: keys and values of earlier positions with room for x's, or None for teacher forcing.
      index: the position of x's first query in the cache.
      rngs: a source of dropout keys, or None.

    Returns:
      The residual stream after this layer, and the self-attention's keys and values.
    """
    x = logical.constrain(x, 'batch', 'length', 'embed')
    normed = self.pre_self_attention_layer_norm(x)
    key_values = self.self_attention.project(normed, rngs=rngs)
    if cache is None:
      key_values = self.self_attention.with_prompts(key_values, rngs=rngs)
    else:
      key_values = _write(cache, key_values, index, length=self_mask.shape[3])
    y = self.self_attention(normed, key_values, self_mask, bias, rngs=rngs)
    x = x + dropout(y.astype(x.dtype), self.dropout_rate, rngs)
    normed = _fold(self.pre_cross_attention_layer_norm(x), cross.keys.shape[0])
    y = self.encoder_decoder_attention(normed, cross, cross_mask, rngs=rngs).reshape(x.shape)
    x = x + dropout(y.astype(x.dtype), self.dropout_rate, rngs)
    return x + dropout(self.mlp(self.pre_mlp_layer_norm(x), rngs=rngs), self.dropout_rate, rngs), key_values


class Decoder(stack.Stack):
  """T5's decoder stack over embedded tokens.

  Its rows may be a whole multiple of the encoder's, row b * options + o reading encoder row b: several answers to one
  input (options, beams, samples) share the encoder's keys and values, as queries side by side in the cross-attention.

  Attributes:
    logits_dense: the output head [embed, vocab], where the config does not tie it to the embedding.
  """

  def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
    super().__init__(config, bidirectional=False, rngs=rngs)
    self.layers = nnx.List([DecoderLayer(config, rngs=rngs) for _ in range(config.num_decoder_layers)])
    self.decoder_norm = stack.layer_norm(config)
    if not config.logits_via_embedding:
      kernel = initializers.projection_kernel(config, rngs, config.emb_dim, config.vocab_size)
      self.logits_dense = Dense(kernel, axes=('embed', 'vocab'), dtype='float32')

  @jax.named_scope('decoder')
  def __call__(
    self,
    embedded: Float[Array, 'rows length embed'],
    encoded: Encoded,
    segment_ids: Int[Array, 'rows length'] | None,
    prompt_positions: Int[Array, 'rows length'] | None = None,
    trees: Trees | None = None,
    *,
    rngs: nnx.Rngs | None,
  ) -> Float[Array, 'rows length embed']:
    """Returns the normalised outputs of embedded decoder inputs (teacher forcing).

    The outputs at prompts' positions are dropped, or left where they are in a packed batch, which has room for them
    (`prompt_positions`, see `Stack.in_place`). In a packed batch of trees, an example is one or more trees.
    """
    embedded, prompt = self.prompted(embedded, segment_ids, prompt_positions, rngs=rngs)
    dropped = 0 if prompt is None else prompt.embeddings.shape[1]
    self_mask, cross_mask = _masks(embedded.shape[1], encoded, segment_ids, trees)
    visible = _visible(prompt, embedded.shape[1] - dropped)
    if visible is not None:
      self_mask = self_mask & masks.key_mask(visible)
    x = dropout(embedded, self.dropout_rate, rngs)
    biases = self.biases(x.shape[1]) if trees is None else self.biases_at(trees.depths)

    def run(layer: DecoderLayer, x: Array, bias: Array, rngs: nnx.Rngs | None) -> Array:
      cross = layer.cross_key_values(encoded.states, rngs=rngs)
      return layer(x, cross, self_mask, cross_mask, bias, rngs=rngs)[0]

    x = self.through(run, x, biases, rngs=rngs)
    return dropout(self.decoder_norm(x[:, dropped:]), self.dropout_rate, rngs)

  def start(self, encoded: Encoded, rows: int, length: int) -> tuple[Memory, Cache]:
    """Prepares a cached decode of unpacked rows.

    Args:
      encoded: the encoder's output.
      rows: decoder rows, a multiple of the encoder's.
      length: how many tokens the cache must hold.

    Returns:
      The constants of the decode, and a cache that already holds the decoder's prompts.
    """
    dtype = encoded.states.dtype
    prompt = self.prompt(rows, jnp.dtype(self.wide_dtype), rngs=None)
    before = 0 if prompt is None else prompt.embeddings.shape[1]
    cross = tuple(layer.cross_key_values(encoded.states) for layer in self.layers)
    biases = tuple(self.biases(before + length))
    memory = Memory(cross, masks.key_mask(encoded.visible), biases, jnp.int32(0), _visible(prompt, length))
    cache = tuple(layer.empty_cache(rows, before + length, dtype) for layer in self.layers)
    if prompt is not None:
      _, cache = self.step(prompt.embeddings, memory, cache, jnp.int32(0))
    return memory._replace(start=jnp.int32(before)), cache

  def step(
    self, embedded: Float[Array, 'rows query embed'], memory: Memory, cache: Cache, position: Int[Array, '']
  ) -> tuple[Float[Array, 'rows query embed'], Cache]:
    """Runs the next positions through the stack.

    Args:
      embedded: embeddings of the next tokens.
      memory: the constants of the decode.
      cache: keys and values of the positions before.
      position: the first of these tokens' positions, 0 being the first token behind the prompts.

    Returns:
      The normalised outputs, and the cache with these positions written.
    """
    index, x, written = memory.start + position, embedded, []
    queries, length = embedded.shape[1], memory.biases[0].shape[3]
    mask = (jnp.arange(length)[None, :] <= (index + jnp.arange(queries))[:, None])[None, None]
    if memory.visible is not None:
      mask = mask & masks.key_mask(memory.visible)
    for layer, cross, bias, layer_cache in zip(self.layers, memory.cross, memory.biases, cache, strict=True):
      rows = jax.lax.dynamic_slice_in_dim(bias, index, queries, axis=2)
      x, new = layer(x, cross, mask, memory.cross_mask, rows, cache=layer_cache, index=index)
      written.append(new)
    return self.decoder_norm(x), tuple(written)


def _visible(prompt: stack.Prompts | None, length: int) -> Bool[Array, 'rows longer'] | None:
  """Returns which positions each row has, prompts and so many tokens, or None where every row has all of them."""
  if prompt is None or prompt.visible is None:
    return None
  return stack.with_tokens(prompt, jnp.ones((prompt.visible.shape[0], length), bool))


def _masks(
  length: int, encoded: Encoded, segment_ids: Int[Array, 'rows length'] | None, trees: Trees | None
) -> tuple[Bool[Array, '#rows 1 length length'], Bool[Array, 'batch 1 #query key']]:
  """Returns the masks of self-attention and of (folded) cross-attention in teacher forcing."""
  causal = jnp.asarray(masks.causal_mask(length))
  if segment_ids is None:
    return causal, masks.key_mask(encoded.visible)
  if encoded.segment_ids is None:
    raise ValueError('decoder segment_ids were given for inputs that were encoded without segment_ids')
  batch = encoded.states.shape[0]
  cross = masks.segment_mask(segment_ids.reshape(batch, -1), encoded.segment_ids)
  if trees is not None:
    return causal & masks.descendant_mask(trees.ends), cross
  return causal & masks.segment_mask(segment_ids, segment_ids), cross


def _fold(x: Float[Array, 'rows query embed'], batch: int) -> Float[Array, 'batch queries embed']:
  """Lays rows that share an encoder row side by side as queries."""
  if x.shape[0] % batch:
    raise ValueError(f'{x.shape[0]} decoder rows are not a multiple of {batch} encoder rows')
  return x.reshape(batch, -1, x.shape[2])


def _write(cache: KeyValues, new: KeyValues, index: Int[Array, ''] | None, *, length: int) -> KeyValues:
  """Writes new keys and values at an index behind the prompts of keys and values."""
  if index is None:
    raise ValueError('a cache needs the index to write at')
  prompts = cache.keys.shape[2] - length
  at = (0, 0, prompts + index, 0)
  return KeyValues(*(jax.lax.dynamic_update_slice(old, part, at) for old, part in zip(cache, new, strict=True)))
