"""LoRA: a trainable low-rank product beside frozen projections (Hu et al. 2021)."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.errors import UserError
from flan_jax.peft.base import AdapterParam, Method, match_projections, projections

SLOT = 'lora'


class LoRAAdapter(nnx.Module):
  """Adds `scale * dropout(x) @ a @ b` to a projection's output.

  `a` starts uniform as PEFT's does (Kaiming with a = sqrt(5): bound 1/sqrt(in)), `b` at zero, so that the model is
  unchanged at the start.
  """

  def __init__(self, kernel: nnx.Variable, rank: int, scale: float, dropout: float, rngs: nnx.Rngs):
    features_in, features_out = kernel.shape
    axis_in, axis_out = kernel.get_metadata().get('axes', (None, None))
    bound = features_in**-0.5
    initial = jax.random.uniform(rngs.params(), (features_in, rank), jnp.float32, -bound, bound)
    self.a = AdapterParam(initial, axes=(axis_in, 'lora_rank'))
    self.b = AdapterParam(jnp.zeros((rank, features_out), jnp.float32), axes=('lora_rank', axis_out))
    self.scale = scale
    self.dropout = dropout

  def before(self, x: Float[Array, '... in']) -> Float[Array, '... in']:
    """Leaves the projection's input alone."""
    return x

  def after(self, x: Float[Array, '... in'], y: Float[Array, '... out'], kernel: Array,
            *, rngs: nnx.Rngs | None = None) -> Float[Array, '... out']:
    """The projection's output plus the low-rank update.

    Args:
      x: the projection's input.
      y: the projection's output.
      kernel: the projection's kernel, which LoRA does not read.
      rngs: source of the dropout mask; None switches dropout off.

    Returns:
      An array like y.
    """
    del kernel
    if self.dropout > 0.0 and rngs is not None:
      keep = jax.random.bernoulli(rngs.dropout(), 1.0 - self.dropout, x.shape)
      x = jnp.where(keep, x / jnp.asarray(1.0 - self.dropout, x.dtype), jnp.zeros_like(x))
    update = (x @ self.a[...].astype(x.dtype)) @ self.b[...].astype(x.dtype)
    return y + (update * jnp.asarray(self.scale, x.dtype)).astype(y.dtype)

  def delta(self) -> Float[Array, 'in out']:
    """What has to be added to the kernel to do without the adapter."""
    return self.scale * (self.a[...] @ self.b[...])


@dataclasses.dataclass(frozen=True)
class LoRA(Method):
  """Low-rank adaptation of chosen projections.

  Attributes:
    rank: columns of `a` and rows of `b`.
    alpha: the update is scaled by alpha / rank.
    dropout: rate on the adapter's input.
    targets: regex over whole projection paths; the default is PEFT's choice for T5, query and value everywhere.
  """

  name: ClassVar[str] = 'lora'
  rank: int = 8
  alpha: float = 16.0
  dropout: float = 0.0
  targets: str = r'.*attention/(query|value)'

  def __post_init__(self) -> None:
    """Raises UserError for values that cannot be meant."""
    if self.rank < 1:
      raise UserError(f'the rank of LoRA must be at least 1, not {self.rank}')
    if not 0.0 <= self.dropout < 1.0:
      raise UserError(f'the dropout of LoRA must lie in [0, 1), not {self.dropout}')

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Puts an adapter named 'lora' in the slot of every matching projection."""
    for module in match_projections(model, self.targets).values():
      module.adapters[SLOT] = LoRAAdapter(module.kernel, self.rank, self.alpha / self.rank, self.dropout, rngs)

  def trainable_filter(self) -> Any:
    """The adapters' parameters only."""
    return AdapterParam

  def merge(self, model: nnx.Module) -> None:
    """Adds every `scale * a @ b` to its kernel and removes the adapter."""
    for _, module in projections(model):
      if SLOT in module.adapters:
        kernel = module.kernel[...]
        module.kernel[...] = kernel + module.adapters[SLOT].delta().astype(kernel.dtype)
        del module.adapters[SLOT]
