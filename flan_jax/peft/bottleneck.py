"""Bottleneck adapters: a small network with its own residual, after or beside a sub-layer.

Houlsby et al. 2019 put one after every attention and feed-forward sub-layer, Pfeiffer et al. 2021 one after the
feed-forward sub-layer only, and He et al. 2022 ("parallel") one beside it, which reads the sub-layer's input.
"""

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.errors import UserError, did_you_mean
from flan_jax.models.attention import Attention
from flan_jax.models.config import ACTIVATIONS
from flan_jax.models.mlp import Mlp
from flan_jax.models.slots import SublayerAdapter, named_modules
from flan_jax.peft.arrays import check_rate, dropped, last_axis
from flan_jax.peft.base import AdapterParam, Method
from flan_jax.peft.targets import fill, matching

SLOT = 'bottleneck'
PLACEMENTS = {'houlsby': (Attention, Mlp), 'pfeiffer': (Mlp,), 'parallel': (Mlp,)}


class BottleneckAdapter(SublayerAdapter):
  """Adds `scale * (activation(u @ down + down_bias) @ up + up_bias)`; u is the sub-layer's output, or its input.

  `up` starts at zero, so that the model is unchanged at the start.

  Attributes:
    down: Float[embed, width].
    down_bias: Float[width].
    up: Float[width, embed].
    up_bias: Float[embed].
  """

  def __init__(self, embed: int, method: 'Bottleneck', rngs: nnx.Rngs):
    width = method.width
    initial = embed**-0.5 * jax.random.normal(rngs.params(), (embed, width), jnp.float32)
    self.down = AdapterParam(initial, axes=('embed', None))
    self.down_bias = AdapterParam(jnp.zeros(width, jnp.float32), axes=(None,))
    self.up = AdapterParam(jnp.zeros((width, embed), jnp.float32), axes=(None, 'embed'))
    self.up_bias = AdapterParam(jnp.zeros(embed, jnp.float32), axes=('embed',))
    self.activation, self.dropout, self.scale = method.activation, method.dropout, method.scale
    self.parallel = method.placement == 'parallel'

  def __call__(
    self, x: Float[Array, '... embed'], y: Float[Array, '... embed'], *, rngs: nnx.Rngs | None = None
  ) -> Float[Array, '... embed']:
    """The sub-layer's output plus what the adapter adds; see `SublayerAdapter`."""
    source = x if self.parallel else y
    hidden = source @ self.down[...].astype(source.dtype) + last_axis(self.down_bias[...], source)
    hidden = dropped(ACTIVATIONS[self.activation](hidden), self.dropout, rngs)
    added = hidden @ self.up[...].astype(source.dtype) + last_axis(self.up_bias[...], source)
    return y + (added * jnp.asarray(self.scale, added.dtype)).astype(y.dtype)


@dataclasses.dataclass(frozen=True)
class Bottleneck(Method):
  """Bottleneck adapters in the sub-layers of a model.

  Attributes:
    placement: 'houlsby', 'pfeiffer' or 'parallel'.
    width: of the bottleneck.
    activation: between the two projections.
    scale: of what is added; He et al. use 4 for the parallel one.
    dropout: rate on the bottleneck.
    targets: regex over the paths of sub-layers such as 'encoder/layers/0/mlp'.
  """

  name: ClassVar[str] = 'bottleneck'
  placement: Literal['houlsby', 'pfeiffer', 'parallel'] = 'houlsby'
  width: int = 64
  activation: str = 'gelu'
  scale: float = 1.0
  dropout: float = 0.0
  targets: str = '.*'

  def __post_init__(self) -> None:
    """Raises UserError for values that cannot be meant."""
    choices = (('placement', self.placement, PLACEMENTS), ('activation', self.activation, ACTIVATIONS))
    for option, value, known in choices:
      if value not in known:
        raise UserError(f'{option} {value!r} of the bottleneck adapter is not known. {did_you_mean(value, known)}')
    if self.width < 1:
      raise UserError(f'the width of a bottleneck adapter must be at least 1, not {self.width}')
    check_rate(self.dropout, 'the bottleneck adapter')

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Puts an adapter in the slot of every chosen sub-layer."""
    sublayers: dict[str, Any] = {}
    for kind in PLACEMENTS[self.placement]:
      sublayers |= named_modules(model, kind)
    for path, layer in matching(sublayers, self.targets, 'sub-layer').items():
      embed = layer.wo.shape[1] if isinstance(layer, Mlp) else layer.query.shape[0]
      fill(layer.sublayer_adapters, SLOT, BottleneckAdapter(embed, self, rngs), path)
