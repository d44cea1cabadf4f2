"""What the encoder and the decoder share: position biases, prompts at the head of the input, the norm of a layer."""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from flan_jax.errors import UserError
from flan_jax.models import depth, initializers
from flan_jax.models.config import T5Config
from flan_jax.models.layers import RMSNorm
from flan_jax.models.relative_position import RelativePositionBias
from flan_jax.models.slots import check_rows


class Prompts(NamedTuple):
  """What stands before the tokens of a batch.

  Attributes:
    embeddings: of all prompts, for every row.
    visible: True at the positions that a row has, or None where all rows have all of them.
  """

  embeddings: Float[Array, 'batch prompt embed']
  visible: Bool[Array, 'batch prompt'] | None


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


def with_tokens(prompt: Prompts, visible: Bool[Array, 'batch length']) -> Bool[Array, 'batch longer']:
  """Returns which positions may be attended to, prompts first, from which tokens may."""
  if prompt.visible is not None:
    return jnp.concatenate([prompt.visible, visible], axis=1)
  return jnp.pad(visible, ((0, 0), (prompt.embeddings.shape[1], 0)), constant_values=True)


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
    self.wide_dtype = config.wide_dtype
    self.remat_policy = config.remat_policy
    self.scan_layers = config.scan_layers

  def through(
    self,
    run: depth.RunLayer,
    x: Float[Array, 'rows length embed'],
    biases: list[Float[Array, '#rows heads length length']],
    *,
    rngs: nnx.Rngs | None,
  ) -> Float[Array, 'rows length embed']:
    """Runs the residual stream through all layers, as the config says: one by one or in a scan, kept or recomputed."""
    go = depth.scanned if self.scan_layers and len(self.layers) > 1 else depth.unrolled
    return go(run, list(self.layers), x, biases, self.remat_policy, rngs)

  def biases(self, length: int) -> list[Float[Array, '1 heads length length']]:
    """Returns each layer's bias over a whole sequence; layers that share one share the array."""
    if self.shares_bias:
      return [self.relpos_bias(length, length)] * len(self.layers)
    return [layer.relpos_bias(length, length) for layer in self.layers]

  def biases_at(self, positions: Int[Array, 'batch length']) -> list[Float[Array, 'batch heads length length']]:
    """Returns each layer's bias between tokens at given positions, for a stack that looks back only."""
    if self.shares_bias:
      return [self.relpos_bias.between(positions)] * len(self.layers)
    return [layer.relpos_bias.between(positions) for layer in self.layers]

  def prompt(self, batch: int, dtype: jnp.dtype, *, rngs: nnx.Rngs | None) -> Prompts | None:
    """Returns all prompts for every row of a batch, or None where the slot is empty.

    Raises:
      UserError: if rows have prompts of their own and the batch has no multiple of those rows.
    """
    if not self.prompts:
      return None
    parts = [_for_rows(prompt(rngs=rngs).astype(dtype), batch) for prompt in self.prompts.values()]
    seen = [prompt.visible() for prompt in self.prompts.values()]
    visible = None
    if any(part is not None for part in seen):
      visible = jnp.concatenate([
        jnp.ones(part.shape[:2], bool) if mask is None else jnp.repeat(mask, batch // mask.shape[0], axis=0)
        for part, mask in zip(parts, seen, strict=True)
      ], axis=1)  # fmt: skip
    return Prompts(jnp.concatenate(parts, axis=1), visible)

  def prompted(
    self,
    embedded: Float[Array, 'batch length embed'],
    segment_ids: Int[Array, 'batch length'] | None,
    prompt_positions: Int[Array, 'batch length'] | None,
    *,
    rngs: nnx.Rngs | None,
  ) -> tuple[Float[Array, 'batch longer embed'], Prompts | None]:
    """Returns a stack's input with its prompts, and the prompts where they stand before the tokens of unpacked rows.

    Args:
      embedded: the tokens' embeddings.
      segment_ids: the example of each token in a packed batch, or None.
      prompt_positions: where a packed batch has room for prompts, see `in_place`.
      rngs: a source of dropout keys, or None.

    Raises:
      UserError: a packed batch without room before each example: its examples would share the one prompt.
    """
    if prompt_positions is not None:
      return self.in_place(embedded, prompt_positions, rngs=rngs), None
    prompt = self.prompt(embedded.shape[0], embedded.dtype, rngs=rngs)
    if prompt is None:
      return embedded, None
    if segment_ids is not None:
      raise UserError(
        'A soft prompt needs packed batches with room before each example (data.iterator.batches: prompts), or '
        'unpacked ones: turn packing off.'
      )
    return jnp.concatenate([prompt.embeddings, embedded], axis=1), prompt

  def in_place(
    self, embedded: Float[Array, 'batch length embed'], positions: Int[Array, 'batch length'], *, rngs: nnx.Rngs | None
  ) -> Float[Array, 'batch length embed']:
    """Returns a packed batch with the prompts where it left room for them, before each example.

    Args:
      embedded: the tokens' embeddings; what stands at the room is not read.
      positions: 1 at the first position of a prompt, 2 at the second, ...; 0 at tokens.
      rngs: a source of dropout keys, or None.

    Raises:
      UserError: if every row has its own prompt: a packed row has several examples.
    """
    if any(prompt.visible() is not None for prompt in self.prompts.values()):
      raise UserError('a packed batch cannot have a soft prompt for each row: unpack it')
    prompt = self.prompt(1, embedded.dtype, rngs=rngs)
    if prompt is None:
      return embedded
    table = prompt.embeddings[0]
    return jnp.where(positions[..., None] > 0, jnp.take(table, positions - 1, axis=0, mode='clip'), embedded)


def _for_rows(prompt: Float[Array, '*batch prompt embed'], batch: int) -> Float[Array, 'batch prompt embed']:
  if prompt.ndim == 2:
    return jnp.broadcast_to(prompt[None], (batch, *prompt.shape))
  check_rows(batch, prompt.shape[0])
  return jnp.repeat(prompt, batch // prompt.shape[0], axis=0)
