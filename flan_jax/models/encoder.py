"""The encoder: every token sees every other token of its example."""

from typing import NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from flan_jax.models import logical, masks, stack
from flan_jax.models.attention import Attention
from flan_jax.models.config import T5Config
from flan_jax.models.layers import dropout
from flan_jax.models.mlp import Mlp


class Encoded(NamedTuple):
  """What the decoder needs of the encoder: a pytree to hand from `T5.encode` to `T5.decode`.

  Attributes:
    states: the encoder's output, prompt positions first.
    visible: True at the positions that the decoder may attend to.
    segment_ids: the example of each position in a packed batch, or None.
  """

  states: Float[Array, 'batch length embed']
  visible: Bool[Array, 'batch length']
  segment_ids: Int[Array, 'batch length'] | None


class EncoderLayer(nnx.Module):
  """Self-attention and feed-forward, each behind its norm and added to the residual stream."""

  def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
    if config.relative_bias_per_layer:
      self.relpos_bias = stack.position_bias(config, rngs, bidirectional=True)
    self.pre_attention_layer_norm = stack.layer_norm(config)
    self.attention = Attention(config, rngs=rngs)
    self.pre_mlp_layer_norm = stack.layer_norm(config)
    self.mlp = Mlp(config, rngs=rngs)
    self.dropout_rate = config.dropout_rate

  def __call__(
    self,
    x: Float[Array, 'batch length embed'],
    mask: Bool[Array, 'batch 1 #length length'],
    bias: Float[Array, '1 heads length length'],
    *,
    rngs: nnx.Rngs | None,
  ) -> Float[Array, 'batch length embed']:
    """Returns the residual stream after this layer."""
    x = logical.constrain(x, 'batch', 'length', 'embed')
    normed = self.pre_attention_layer_norm(x)
    key_values = self.attention.with_prompts(self.attention.project(normed, rngs=rngs), rngs=rngs)
    y = self.attention(normed, key_values, mask, bias, rngs=rngs)
    x = x + dropout(y.astype(x.dtype), self.dropout_rate, rngs)
    return x + dropout(self.mlp(self.pre_mlp_layer_norm(x), rngs=rngs), self.dropout_rate, rngs)


class Encoder(stack.Stack):
  """T5's encoder stack over embedded tokens."""

  def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
    super().__init__(config, bidirectional=True, rngs=rngs)
    self.layers = nnx.List([EncoderLayer(config, rngs=rngs) for _ in range(config.num_encoder_layers)])
    self.encoder_norm = stack.layer_norm(config)

  @jax.named_scope('encoder')
  def __call__(
    self,
    embedded: Float[Array, 'batch length embed'],
    visible: Bool[Array, 'batch length'],
    segment_ids: Int[Array, 'batch length'] | None,
    prompt_positions: Int[Array, 'batch length'] | None = None,
    *,
    rngs: nnx.Rngs | None,
  ) -> Encoded:
    """Encodes embedded tokens.

    Args:
      embedded: the tokens' embeddings.
      visible: True at the tokens that may be attended to.
      segment_ids: the example of each token in a packed batch, or None.
      prompt_positions: where a packed batch has room for prompts, see `Stack.in_place`.
      rngs: a source of dropout keys, or None.

    Raises:
      UserError: a prompt and a packed batch without room for it before each example.
    """
    embedded, prompt = self.prompted(embedded, segment_ids, prompt_positions, rngs=rngs)
    if prompt is not None:
      visible = stack.with_tokens(prompt, visible)
    mask = masks.key_mask(visible) if segment_ids is None else masks.segment_mask(segment_ids, segment_ids)
    x = dropout(embedded, self.dropout_rate, rngs)

    def run(layer: EncoderLayer, x: Array, bias: Array, rngs: nnx.Rngs | None) -> Array:
      return layer(x, mask, bias, rngs=rngs)

    x = self.through(run, x, self.biases(x.shape[1]), rngs=rngs)
    return Encoded(dropout(self.encoder_norm(x), self.dropout_rate, rngs), visible, segment_ids)
