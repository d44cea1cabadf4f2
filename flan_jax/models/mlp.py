"""The feed-forward sub-layer: two projections (T5 1.0), or a gated product of branches (T5 1.1, Shazeer 2020)."""

import functools
import operator

import jax
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.models import initializers, logical
from flan_jax.models.config import ACTIVATIONS, T5Config
from flan_jax.models.layers import Dense, dropout


class Mlp(nnx.Module):
  """One feed-forward sub-layer and its slot.

  Attributes:
    wi, or wi_0 and wi_1 where gated: projections [embed, mlp].
    wo: projection [mlp, embed].
    sublayer_adapters: `slots.SublayerAdapter` modules by name.
  """

  def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
    self.activations = config.mlp_activations
    for name in self.branch_names():
      kernel = initializers.projection_kernel(config, rngs, config.emb_dim, config.mlp_dim)
      setattr(self, name, Dense(kernel, axes=('embed', 'mlp'), dtype=config.dtype))
    kernel = initializers.projection_kernel(config, rngs, config.mlp_dim, config.emb_dim)
    self.wo = Dense(kernel, axes=('mlp', 'embed'), dtype=config.wide_dtype)
    self.wide_dtype = config.wide_dtype
    self.sublayer_adapters: nnx.Dict = nnx.Dict()
    self.dropout_rate = config.dropout_rate

  def branch_names(self) -> tuple[str, ...]:
    """Returns the names of the input projections, one for each activation."""
    return ('wi',) if len(self.activations) == 1 else tuple(f'wi_{i}' for i in range(len(self.activations)))

  @jax.named_scope('mlp')
  def __call__(
    self, x: Float[Array, 'batch length embed'], *, rngs: nnx.Rngs | None = None
  ) -> Float[Array, 'batch length embed']:
    """Returns the sub-layer's output for its normalised input."""
    branches = (
      ACTIVATIONS[activation](getattr(self, name)(x, rngs=rngs).astype(self.wide_dtype))
      for activation, name in zip(self.activations, self.branch_names(), strict=True)
    )
    hidden = dropout(functools.reduce(operator.mul, branches), self.dropout_rate, rngs)
    y = self.wo(logical.constrain(hidden, 'batch', 'length', 'mlp'), rngs=rngs)
    for adapter in self.sublayer_adapters.values():
      y = adapter(x, y, rngs=rngs)
    return y
