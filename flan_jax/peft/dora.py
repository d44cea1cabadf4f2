"""DoRA: LoRA for a kernel's direction, and a trainable magnitude for each of its columns (Liu et al. 2024)."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.models.layers import Dense
from flan_jax.peft.arrays import dropped, last_axis
from flan_jax.peft.base import AdapterParam
from flan_jax.peft.lora import LoRA, LoRAAdapter


class DoRAAdapter(LoRAAdapter):
  """Multiplies the columns of kernel + update so that their norms are `magnitude`.

  No gradient flows through the norm (section 4.3 of the paper). As in PEFT, dropout acts on the input of what the
  adapter adds, the rescaled kernel included.

  Attributes:
    magnitude: Float[out], at the start the norms of the kernel's columns.
  """

  def __init__(self, dense: Dense, *args: Any, **kwargs: Any):
    super().__init__(dense, *args, **kwargs)
    self.magnitude = AdapterParam(column_norms(dense.weight()), axes=(dense.axes[1],))

  def after(self, x: Float[Array, '... in'], y: Float[Array, '... out'], kernel: Float[Array, 'in out'],
            *, rngs: nnx.Rngs | None = None) -> Float[Array, '... out']:
    """The output of the rescaled kernel; see `ProjectionAdapter.after`."""
    gain = last_axis(self.gain(kernel), y)
    base = y
    if rngs is not None and self.dropout > 0.0:
      x = dropped(x, self.dropout, rngs)
      base = (x @ kernel.astype(x.dtype)).astype(y.dtype)
    return y + (gain - 1) * base + gain * self.update(x).astype(y.dtype)

  def gain(self, kernel: Float[Array, 'in out']) -> Float[Array, ' out']:
    """What each column of kernel + update is multiplied by."""
    norms = jax.lax.stop_gradient(column_norms(kernel + self.delta().astype(kernel.dtype)))
    return self.magnitude[...] / norms

  def merged(self, kernel: Float[Array, 'in out']) -> Float[Array, 'in out']:
    """The kernel that does what kernel and adapter do."""
    return (self.gain(kernel)[None, :] * (kernel + self.delta())).astype(kernel.dtype)


def column_norms(kernel: Float[Array, 'in out']) -> Float[Array, ' out']:
  """The Euclidean norm of each column, in float32."""
  return jnp.sqrt(jnp.sum(jnp.square(kernel.astype(jnp.float32)), axis=0))


@dataclasses.dataclass(frozen=True)
class DoRA(LoRA):
  """Weight-decomposed low-rank adaptation; hyperparameters as for LoRA."""

  name: ClassVar[str] = 'dora'
  adapter: ClassVar[type[LoRAAdapter]] = DoRAAdapter
