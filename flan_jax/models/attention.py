"""Multi-head attention as in T5: no scaling of the logits (it lives in the initialiser), a position bias, no biases."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from flan_jax.models import initializers, logical
from flan_jax.models.config import T5Config
from flan_jax.models.layers import Dense, dropout

MASKED = -1e10


class KeyValues(NamedTuple):
  """Projected keys and values, heads first so that a decoding step multiplies them without a transpose."""

  keys: Float[Array, 'batch heads key head_dim']
  values: Float[Array, 'batch heads key head_dim']


class Attention(nnx.Module):
  """One attention sub-layer: four projections and two slots.

  Attributes:
    query, key, value: projections [embed, joined_kv].
    out: projection [joined_kv, embed].
    key_value_prompts: `slots.KeyValuePrompt` modules by name.
    sublayer_adapters: `slots.SublayerAdapter` modules by name.
  """

  def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
    kernels = initializers.attention_kernels(config, rngs)
    inward: tuple[str, str] = ('embed', 'joined_kv')
    self.query = Dense(kernels.query, axes=inward, dtype=config.dtype)
    self.key = Dense(kernels.key, axes=inward, dtype=config.dtype)
    self.value = Dense(kernels.value, axes=inward, dtype=config.dtype)
    self.out = Dense(kernels.out, axes=('joined_kv', 'embed'), dtype=config.dtype)
    self.key_value_prompts: nnx.Dict = nnx.Dict()
    self.sublayer_adapters: nnx.Dict = nnx.Dict()
    self.num_heads = config.num_heads
    self.dropout_rate = config.dropout_rate
    self.fused = config.attention == 'fused'

  @jax.named_scope('attention')
  def __call__(
    self,
    x: Float[Array, 'batch query embed'],
    key_values: KeyValues,
    mask: Bool[Array, '#batch 1 #query key'],
    bias: Float[Array, '#batch heads query key'] | None = None,
    *,
    rngs: nnx.Rngs | None = None,
  ) -> Float[Array, 'batch query embed']:
    """Attends from x to keys and values made by `project` and `with_prompts`.

    Args:
      x: the sub-layer's normalised input.
      key_values: what is attended to, prompts of keys and values first.
      mask: True where a query sees a key; prompts are not in it and are always seen.
      bias: added to the logits, prompts not in it either.
      rngs: a source of dropout keys, or None.

    Returns:
      The sub-layer's output, in x's dtype.
    """
    queries = self._heads_first(self.query(x, rngs=rngs))
    prompts = ((0, 0), (0, 0), (0, 0), (key_values.keys.shape[2] - mask.shape[3], 0))
    mask = jnp.pad(mask, prompts, constant_values=True)
    bias = None if bias is None else jnp.pad(bias, prompts)
    key_values = self._dropped(key_values, rngs)
    mixed = (_fused if self.fused else _einsum)(queries, key_values, mask, bias)
    mixed = logical.constrain(mixed.reshape(*x.shape[:2], -1), 'batch', 'length', 'joined_kv')
    y = self.out(mixed, rngs=rngs)
    for adapter in self.sublayer_adapters.values():
      y = adapter(x, y, rngs=rngs)
    return y

  def project(self, x: Float[Array, 'batch key embed'], *, rngs: nnx.Rngs | None = None) -> KeyValues:
    """Returns the keys and values of x."""
    return KeyValues(self._heads_first(self.key(x, rngs=rngs)), self._heads_first(self.value(x, rngs=rngs)))

  def with_prompts(self, key_values: KeyValues, *, rngs: nnx.Rngs | None = None) -> KeyValues:
    """Returns keys and values with the prompts of the slot before them, the first prompt outermost."""
    for prompt in reversed(list(self.key_value_prompts.values())):
      key_values = KeyValues(*map(_prepend, prompt(rngs=rngs), key_values))
    return key_values

  def _heads_first(self, x: Float[Array, 'batch length joined_kv']) -> Float[Array, 'batch heads length head_dim']:
    heads = x.reshape(*x.shape[:2], self.num_heads, -1).transpose(0, 2, 1, 3)
    return logical.constrain(heads, 'batch', 'heads', 'length', 'kv')

  def _dropped(self, key_values: KeyValues, rngs: nnx.Rngs | None) -> KeyValues:
    """Drops attention weights: T5 drops a key for all queries at once, which is to drop its value."""
    if rngs is None or self.dropout_rate == 0:
      return key_values
    by_value = key_values.values.transpose(0, 1, 3, 2)  # the axis that shares a mask second last
    by_value = dropout(by_value, self.dropout_rate, rngs)
    return key_values._replace(values=by_value.transpose(0, 1, 3, 2))


def _einsum(
  queries: Float[Array, 'batch heads query head_dim'],
  key_values: KeyValues,
  mask: Bool[Array, '#batch 1 #query key'],
  bias: Float[Array, '#batch heads query key'] | None,
) -> Float[Array, 'batch query heads head_dim']:
  logits = jnp.einsum('bhqd,bhkd->bhqk', queries, key_values.keys, preferred_element_type=jnp.float32)
  if bias is not None:
    logits += bias
  weights = jax.nn.softmax(jnp.where(mask, logits, MASKED)).astype(queries.dtype)
  return jnp.einsum('bhqk,bhkd->bqhd', weights, key_values.values)


def _fused(
  queries: Float[Array, 'batch heads query head_dim'],
  key_values: KeyValues,
  mask: Bool[Array, '#batch 1 #query key'],
  bias: Float[Array, '#batch heads query key'] | None,
) -> Float[Array, 'batch query heads head_dim']:
  """The library's attention, which never holds all the weights where cuDNN computes it."""
  queries, keys, values = (x.transpose(0, 2, 1, 3) for x in (queries, *key_values))
  narrow = queries.dtype in (jnp.bfloat16, jnp.float16)
  implementation: Literal['cudnn', 'xla'] = 'cudnn' if narrow and jax.default_backend() == 'gpu' else 'xla'
  mask = jnp.broadcast_to(mask, (queries.shape[0], 1, queries.shape[1], keys.shape[1]))
  bias = None if bias is None else bias.astype(queries.dtype)
  with jax.numpy_dtype_promotion('standard'), jax.numpy_rank_promotion('allow'):
    return jax.nn.dot_product_attention(
      queries, keys, values, bias=bias, mask=mask, scale=1.0, implementation=implementation
    )


def _prepend(
  prompt: Float[Array, 'prompt heads head_dim'], x: Float[Array, 'batch heads key head_dim']
) -> Float[Array, 'batch heads longer head_dim']:
  front = prompt.astype(x.dtype).transpose(1, 0, 2)[None]
  return jnp.concatenate([jnp.broadcast_to(front, (x.shape[0], *front.shape[1:])), x], axis=2)
