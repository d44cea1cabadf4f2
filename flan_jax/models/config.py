"""The shape of a T5, under T5X's names, with plain values that a gin file can set."""

import dataclasses
import re
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from flan_jax import errors

ACTIVATIONS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
  'gelu': jax.nn.gelu,
  'linear': lambda x: x,
  'relu': jax.nn.relu,
  'sigmoid': jax.nn.sigmoid,
  'silu': jax.nn.silu,
  'swish': jax.nn.silu,
  'tanh': jnp.tanh,
}
ATTENTION_INITS = ('t5', 'mimetic')
ATTENTIONS = ('einsum', 'fused')
REMAT_POLICIES = ('none', 'minimal', 'full')
DTYPES = ('bfloat16', 'float16', 'float32', 'float64')
_POSITIVE = ('vocab_size', 'emb_dim', 'num_heads', 'head_dim', 'mlp_dim', 'num_encoder_layers', 'num_decoder_layers')


@dataclasses.dataclass(frozen=True)
class T5Config:
  """What decides the parameters and the arithmetic of one T5 (Raffel et al. 2020; 1.1 follows Shazeer 2020).

  Attributes:
    vocab_size: rows of the embedding; T5 pads 32,000 pieces and 100 sentinels to 32,128.
    emb_dim: width of the residual stream.
    num_heads: attention heads of every block.
    head_dim: width of one head; num_heads * head_dim need not be emb_dim.
    mlp_dim: width inside the feed-forward block.
    num_encoder_layers: encoder blocks.
    num_decoder_layers: decoder blocks.
    mlp_activations: one name for a plain block (`('relu',)` in T5 1.0), two for a gated one (`('gelu', 'linear')` in
      1.1: the product of the two branches).
    dropout_rate: one rate for all places; each mask is shared along the length axis.
    logits_via_embedding: True ties the output head to the embedding and scales the logits by emb_dim**-0.5 (1.0).
    relative_attention_num_buckets: buckets of the relative position bias; the encoder halves them by direction.
    relative_attention_max_distance: offsets at and beyond it share the last bucket.
    relative_bias_per_layer: False shares one bias among a stack's layers (T5); True gives each its own (umT5).
    layer_norm_epsilon: added to the mean square in RMS norm.
    dtype: activations; softmax, norms and logits are float32 whatever it says. With 'float16', whose largest number is
      65,504, so are the residual stream and the inside of feed-forward blocks, which outgrow it in trained T5s.
    param_dtype: parameters.
    attention_init: 't5', or 'mimetic' for training tiny models from scratch (see `mimetic.py`).
    embedding_stddev: standard deviation of the embeddings at the start. T5's is 1; with less, what the layers add to
      the residual stream weighs more from the first step on, which spares a tiny model trained from scratch much of
      its plateau.
    projection_biases: regex over whole projection paths, such as 'encoder/layers/0/mlp/wo'; those have a bias, which
      starts at zero. '' gives T5, which has none. A model that biases were merged into (`peft.BitFit`) has these
      parameters, and its checkpoint is restored under the regex that they were trained with.
    attention: 'einsum', or 'fused': `jax.nn.dot_product_attention`, which is cuDNN's flash attention on an NVIDIA GPU
      with 16-bit activations and XLA's otherwise. The same numbers up to rounding.
    remat_policy: what the backward pass computes again rather than keep, by T5X's names: 'none'; 'minimal' keeps the
      projections' outputs and computes attention logits, norms and activations again; 'full' keeps each layer's input.
    scan_layers: trace and compile one layer and scan over their stacked weights. Compiling takes as long for 24 layers
      as for one; a step holds a second copy of the layers' weights. Parameters and checkpoints are the same either way.
  """

  vocab_size: int
  emb_dim: int = 512
  num_heads: int = 8
  head_dim: int = 64
  mlp_dim: int = 2048
  num_encoder_layers: int = 6
  num_decoder_layers: int = 6
  mlp_activations: tuple[str, ...] = ('gelu', 'linear')
  dropout_rate: float = 0.1
  logits_via_embedding: bool = False
  relative_attention_num_buckets: int = 32
  relative_attention_max_distance: int = 128
  relative_bias_per_layer: bool = False
  layer_norm_epsilon: float = 1e-6
  dtype: str = 'bfloat16'
  param_dtype: str = 'float32'
  attention_init: str = 't5'
  embedding_stddev: float = 1.0
  projection_biases: str = ''
  attention: str = 'einsum'
  remat_policy: str = 'none'
  scan_layers: bool = False

  def __post_init__(self) -> None:
    object.__setattr__(self, 'mlp_activations', tuple(self.mlp_activations))
    problems = [*_size_problems(self), *_name_problems(self), *_range_problems(self)]
    if problems:
      raise errors.UserError('T5Config: ' + ' '.join(problems))

  @property
  def joined_kv(self) -> int:
    """Width of all heads together, the output of the query, key and value projections."""
    return self.num_heads * self.head_dim

  @property
  def wide_dtype(self) -> str:
    """Of the residual stream and of what a feed-forward block adds to it."""
    return 'float32' if self.dtype == 'float16' else self.dtype


def _size_problems(config: T5Config) -> list[str]:
  wrong = [name for name in _POSITIVE if not _is_count(getattr(config, name))]
  return [f'{name} must be a positive whole number, not {getattr(config, name)!r}.' for name in wrong]


def _is_count(value: object) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _name_problems(config: T5Config) -> list[str]:
  named: list[tuple[str, str, tuple[str, ...]]] = [
    ('dtype', config.dtype, DTYPES),
    ('param_dtype', config.param_dtype, DTYPES),
  ]
  named.append(('attention_init', config.attention_init, ATTENTION_INITS))
  named.append(('attention', config.attention, ATTENTIONS))
  named.append(('remat_policy', config.remat_policy, REMAT_POLICIES))
  named += [('mlp_activations', name, tuple(ACTIVATIONS)) for name in config.mlp_activations]
  problems = [
    f'{field} has no {name!r}. {errors.did_you_mean(str(name), known)}'
    for field, name, known in named
    if name not in known
  ]
  if not config.mlp_activations:
    problems.append("mlp_activations is empty; T5 1.1 has ('gelu', 'linear'), T5 1.0 has ('relu',).")
  try:
    re.compile(config.projection_biases)
  except re.error as error:
    problems.append(f'projection_biases {config.projection_biases!r} is a malformed regex: {error}.')
  return problems


def _range_problems(config: T5Config) -> list[str]:
  problems = []
  buckets, distance = config.relative_attention_num_buckets, config.relative_attention_max_distance
  if not 0 <= config.dropout_rate < 1:
    problems.append(f'dropout_rate must be at least 0 and below 1, not {config.dropout_rate!r}.')
  problems += [
    f'{name} must be above 0, not {getattr(config, name)!r}.'
    for name in ('layer_norm_epsilon', 'embedding_stddev')
    if not getattr(config, name) > 0
  ]
  if not _is_count(buckets) or buckets < 4 or buckets % 2:
    problems.append(f'relative_attention_num_buckets must be even and at least 4, not {buckets!r}.')
  elif not _is_count(distance) or distance <= buckets // 2:
    least = buckets // 2 + 1
    problems.append(f'relative_attention_max_distance must be at least {least} here, not {distance!r}.')
  return problems
