"""Biases only (BitFit, Ben Zaken et al. 2022): T5 has none, so that they are added at zero."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.models.layers import Dense
from flan_jax.models.slots import ProjectionAdapter
from flan_jax.peft.arrays import last_axis
from flan_jax.peft.base import AdapterParam, Method
from flan_jax.peft.targets import fill, filled, match_projections

SLOT = 'bias'


class Bias(ProjectionAdapter):
  """Adds a vector to a projection's output.

  Attributes:
    bias: Float[out], zeros at the start.
  """

  def __init__(self, dense: Dense):
    self.bias = AdapterParam(jnp.zeros(dense.shape[1], jnp.float32), axes=(dense.axes[1],))

  def after(self, x: Float[Array, '... in'], y: Float[Array, '... out'], kernel: Array,
            *, rngs: nnx.Rngs | None = None) -> Float[Array, '... out']:
    """The output plus the bias; see `ProjectionAdapter.after`."""
    del x, kernel, rngs
    return y + last_axis(self.bias[...], y)


@dataclasses.dataclass(frozen=True)
class BitFit(Method):
  """A trainable bias behind chosen projections. T5's have none: merged, they are further parameters of the base.

  Attributes:
    targets: regex over whole projection paths; the default leaves out the output head, and the keys, where a bias
      moves all logits of a query alike and the softmax cancels it.
  """

  name: ClassVar[str] = 'bitfit'
  targets: str = r'.*(attention/(query|value|out)|mlp/\w+)'

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Puts a bias in the slot of every matching projection."""
    del rngs
    for path, dense in match_projections(model, self.targets).items():
      fill(dense.adapters, SLOT, Bias(dense), path)

  def merge(self, model: nnx.Module) -> None:
    """Makes every bias a parameter of its projection and removes the adapter.

    `T5Config.projection_biases`, set to `targets`, builds a model with these parameters.
    """
    for dense, name, adapter in filled(model, Bias):
      dense.add_bias(adapter.bias[...])
      del dense.adapters[name]
