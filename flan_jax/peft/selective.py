"""Selective methods: some of the base parameters train, nothing is attached."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from flax import nnx

from flan_jax.peft.base import Method, is_adapter
from flan_jax.peft.partition import named_variables, path_name
from flan_jax.peft.targets import compiled, matching


@dataclasses.dataclass(frozen=True)
class Layers(Method):
  """Trains the base parameters whose whole path matches a regex, such as the last decoder layer.

  Attributes:
    targets: regex over parameter paths such as 'decoder/layers/7/mlp/wo/kernel'.
  """

  name: ClassVar[str] = 'layers'
  targets: str = r'decoder/layers/\d+/encoder_decoder_attention/.*'

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Attaches nothing; checks that the regex names some parameter."""
    del rngs
    base = {name: variable for name, (_, variable) in named_variables(model).items() if not is_adapter(variable)}
    matching(base, self.targets, 'parameter')

  def trainable_filter(self) -> Callable[[Sequence[Any], Any], bool]:
    """The base parameters whose path matches."""
    pattern = compiled(self.targets)

    def trains(path: Sequence[Any], value: Any) -> bool:
      return not is_adapter(value) and pattern.fullmatch(path_name(path)) is not None

    return trains

  def merge(self, model: nnx.Module) -> None:
    """There is nothing to merge: what trained are base weights."""
    del model


@dataclasses.dataclass(frozen=True)
class Norms(Layers):
  """Trains the scales of the layer norms only (Zhao et al. 2024, Tuning LayerNorm in Attention)."""

  name: ClassVar[str] = 'norms'
  targets: str = r'.*norm/scale'
