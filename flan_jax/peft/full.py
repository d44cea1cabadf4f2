"""Full fine-tuning: nothing is attached and every parameter trains."""

import dataclasses
from typing import Any, ClassVar

from flax import nnx

from flan_jax.peft.base import Method


@dataclasses.dataclass(frozen=True)
class Full(Method):
  """The degenerate method, so that the loop needs no second path."""

  name: ClassVar[str] = 'full'

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Attaches nothing."""
    del model, rngs

  def trainable_filter(self) -> Any:
    """Every parameter."""
    return nnx.Param

  def merge(self, model: nnx.Module) -> None:
    """There is nothing to merge."""
    del model
