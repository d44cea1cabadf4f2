"""What the encoder and the decoder share: position biases, prompts at the head of the input, the norm of a layer."""

import functools

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from flan_jax.models import initializers
from flan_jax.models.config import T5Config
from flan_jax.models.layers import RMSNorm
from flan_jax.models.relative_position import RelativePositionBias


def layer_norm(config: T5Config) -> RMSNorm:
  """Returns a norm of the residual stream's width."""
  return RMSNorm(
    config.emb_dim, epsilon=config.layer_norm_epsilon, dtype=config.dtype, param_dtype=config.param_dtype
  )


def position_bias(config: T5Config, rngs: nnx.Rngs, *, bidirectional: bool) -> RelativePositionBias:
  """Returns the relative position bias of a stack or of one of its layers."""
  table = initializers.relative_bias(config, rngs, bidirectional=bidirectional)
  return RelativePositionBias(
    table, bidirectional=bidirectional, max_distance=config.relative_attention_max_distance
  )


class Stack(nnx.Module):
  """Base of `Encoder` and `Decoder`.

  Attributes:
    relpos_bias: the bias shared by the layers, where the config shares it; otherwise each layer has its own.
    prompts: `slots.InputPrompt` modules by name, put before the tokens in order of insertion.
  """

  layers: nnx.List

  def __init__(self, config: T5Config, *, bidirectional: bool, rngs: nnx.Rngs):
    if not config.relative_bias_per_layer:
      self.relpos_bias = position_bias(config, rngs, bidirectional=bidirectional)
    self.prompts: nnx.Dict = nnx.Dict()
    self.dropout_rate = config.dropout_rate
    self.shares_bias = not config.relative_bias_per_layer

  def biases(self, length: int) -> list[Float[Array, '1 heads length length']]:
    """Returns each layer's bias over a whole sequence; layers that share one share the array."""
    if self.shares_bias:
      return [self.relpos_bias(length, length)] * len(self.layers)
    return [layer.relpos_bias(length, length) for layer in self.layers]

  def prompt(self, batch: int, dtype: jnp.dtype, *, rngs: nnx.Rngs | None) -> Float[Array, 'batch prompt embed'] | None:
    """Returns the embeddings of all prompts for every row of a batch, or None where the slot is empty."""
    if not self.prompts:
      return None
    parts = [prompt(rngs=rngs).astype(dtype) for prompt in self.prompts.values()]
    joined = functools.reduce(lambda left, right: jnp.concatenate([left, right]), parts)
    return jnp.broadcast_to(joined[None], (batch, *joined.shape))

  def in_place(
    self, embedded: Float[Array, 'batch length embed'], positions: Int[Array, 'batch length'], *, rngs: nnx.Rngs | None
  ) -> Float[Array, 'batch length embed']:
    """Returns a packed batch with the prompts where it left room for them, before each example.

    Args:
      embedded: the tokens' embeddings; what stands at the room is not read.
      positions: 1 at the first position of a prompt, 2 at the second, ...; 0 at tokens.
      rngs: a source of dropout keys, or None.
    """
    prompt = self.prompt(1, embedded.dtype, rngs=rngs)
    if prompt is None:
      return embedded
    return jnp.where(positions[..., None] > 0, jnp.take(prompt[0], positions - 1, axis=0, mode='clip'), embedded)
