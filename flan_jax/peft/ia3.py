"""IA3: trainable factors on keys, values and the inner activations of the feed-forward layers (Liu et al. 2022)."""

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

SLOT = 'ia3'


class Scale(ProjectionAdapter):
  """Factors along one side of a projection, ones at the start.

  Attributes:
    side: 0 for the input's features, 1 for the output's.
    factors: Float[in] or Float[out].
  """

  side: ClassVar[int]

  def __init__(self, dense: Dense):
    self.factors = AdapterParam(jnp.ones(dense.shape[self.side], jnp.float32), axes=(dense.axes[self.side],))

  def merged(self, kernel: Float[Array, 'in out']) -> Float[Array, 'in out']:
    """The kernel that does what kernel and adapter do."""
    return kernel * jnp.expand_dims(self.factors[...], 1 - self.side).astype(kernel.dtype)


class InputScale(Scale):
  """Multiplies each feature of a projection's input."""

  side = 0

  def before(self, x: Float[Array, '... in']) -> Float[Array, '... in']:
    """The input times the factors."""
    return x * last_axis(self.factors[...], x)


class OutputScale(Scale):
  """Multiplies each feature of a projection's output."""

  side = 1

  def after(self, x: Float[Array, '... in'], y: Float[Array, '... out'], kernel: Array,
            *, rngs: nnx.Rngs | None = None) -> Float[Array, '... out']:
    """The output times the factors; see `ProjectionAdapter.after`."""
    del x, kernel, rngs
    return y * last_axis(self.factors[...], y)


@dataclasses.dataclass(frozen=True)
class IA3(Method):
  """Infused adapter by inhibiting and amplifying inner activations.

  Attributes:
    targets: regex over paths of the projections whose output is scaled.
    input_targets: regex over paths of the projections whose input is scaled; '' for none.
  """

  name: ClassVar[str] = 'ia3'
  targets: str = r'.*attention/(key|value)'
  input_targets: str = r'.*mlp/wo'

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Puts factors named 'ia3' in the slots of the matching projections."""
    del rngs
    found: list[tuple[str, Dense, type[Scale]]] = [
      (path, dense, OutputScale) for path, dense in match_projections(model, self.targets).items()
    ]
    if self.input_targets:
      inputs = match_projections(model, self.input_targets, 'input_targets')
      found += [(path, dense, InputScale) for path, dense in inputs.items()]
    for path, dense, kind in found:
      fill(dense.adapters, SLOT, kind(dense), path)

  def merge(self, model: nnx.Module) -> None:
    """Multiplies every adapter into its kernel and removes it."""
    for dense, name, adapter in filled(model, Scale):
      dense.set_weight(adapter.merged(dense.weight()))
      del dense.adapters[name]
