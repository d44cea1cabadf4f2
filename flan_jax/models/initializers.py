"""Starting values: T5X's scales, with attention's 1/sqrt(head_dim) folded into the query kernel."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.models import mimetic
from flan_jax.models.config import T5Config


class AttentionKernels(NamedTuple):
  """The four kernels of one attention sub-layer, made together because 'mimetic' ties them at the start."""

  query: Float[Array, 'embed joined_kv']
  key: Float[Array, 'embed joined_kv']
  value: Float[Array, 'embed joined_kv']
  out: Float[Array, 'joined_kv embed']


def attention_kernels(config: T5Config, rngs: nnx.Rngs) -> AttentionKernels:
  """Returns the kernels of one attention by the config's `attention_init`.

  T5's queries start with standard deviation 1/sqrt(head_dim * embed): the logits are never divided by sqrt(head_dim).
  """
  inward, outward = (config.emb_dim, config.joined_kv), (config.joined_kv, config.emb_dim)
  query, key, value, out = (
    _normal(rngs.params(), shape, config.param_dtype) for shape in (inward, inward, inward, outward)
  )
  kernels = AttentionKernels(query * config.head_dim**-0.5, key, value, out)
  if config.attention_init == 'mimetic':
    return AttentionKernels(*mimetic.attention_kernels(config, kernels, rngs.params()))
  return kernels


def projection_kernel(config: T5Config, rngs: nnx.Rngs, d_in: int, d_out: int) -> Float[Array, 'd_in d_out']:
  """Returns the kernel of a feed-forward projection or of the output head: truncated normal, variance 1/d_in."""
  init: Callable = jax.nn.initializers.variance_scaling(1.0, 'fan_in', 'truncated_normal')
  return init(rngs.params(), (d_in, d_out), np.dtype(config.param_dtype))


def token_embedding(config: T5Config, rngs: nnx.Rngs) -> Float[Array, 'vocab embed']:
  """Returns normal embeddings of the config's standard deviation."""
  shape = (config.vocab_size, config.emb_dim)
  return config.embedding_stddev * jax.random.normal(rngs.params(), shape, config.param_dtype)


def relative_bias(config: T5Config, rngs: nnx.Rngs, *, bidirectional: bool) -> Float[Array, 'heads buckets']:
  """Returns the biases of one stack: uniform and small, shaped by distance in a mimetic encoder."""
  shape = (config.num_heads, config.relative_attention_num_buckets)
  init: Callable = jax.nn.initializers.variance_scaling(1.0, 'fan_avg', 'uniform')
  table = init(rngs.params(), shape, np.dtype(config.param_dtype))
  if config.attention_init == 'mimetic' and bidirectional:
    return table + mimetic.relative_bias(*shape).astype(table.dtype)
  return table


def _normal(key: Array, shape: tuple[int, int], dtype: str) -> Float[Array, 'd_in d_out']:
  return jax.nn.initializers.variance_scaling(1.0, 'fan_in', 'normal')(key, shape, np.dtype(dtype))
