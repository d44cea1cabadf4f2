"""Several methods at once, where that makes sense: LoRA with a soft prompt, IA3 with norms."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from flax import nnx

from flan_jax.errors import UserError
from flan_jax.peft.base import Method
from flan_jax.peft.full import Full
from flan_jax.peft.targets import projections


@dataclasses.dataclass(frozen=True)
class Compose(Method):
  """Attaches several methods; what any of them trains, trains.

  Attributes:
    methods: two or more.
  """

  name: ClassVar[str] = 'compose'
  methods: tuple[Method, ...] = ()

  def __post_init__(self) -> None:
    """Raises UserError for methods that do not go together."""
    names = [method.name for method in self.methods]
    if len(names) < 2:
      raise UserError(f'a composition needs at least two methods, not {len(names)}')
    if any(isinstance(method, (Full, Compose)) for method in self.methods):
      raise UserError('full fine-tuning and compositions cannot be part of a composition: the former trains everything '
                      'already, the methods of the latter can be listed themselves')
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
      raise UserError(f'a composition takes each method once, and {twice[0]!r} is there {names.count(twice[0])} times')

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Attaches one after the other.

    Raises:
      UserError: where two of them change the same projection: their order would matter, and merging would not be exact.
    """
    for method in self.methods:
      method.attach(model, rngs)
      for path, dense in projections(model).items():
        if len(dense.adapters) > 1:
          raise UserError(f'two methods of the composition change the projection {path} ({", ".join(dense.adapters)}): '
                          'give them different targets')

  def trainable_filter(self) -> Any:
    """What any of the methods trains."""
    return tuple(method.trainable_filter() for method in self.methods)

  def merge(self, model: nnx.Module) -> None:
    """Merges all; one that cannot be merged comes first and says so, before anything is changed."""
    for method in sorted(self.methods, key=lambda method: method.merges):
      method.merge(model)

  @property
  def merges(self) -> bool:
    """Whether all of the methods can be merged."""
    return all(method.merges for method in self.methods)

  def bound(self, encode: Callable[[str], Sequence[int]]) -> 'Compose':
    """The same with the token ids of all texts."""
    return dataclasses.replace(self, methods=tuple(method.bound(encode) for method in self.methods))

  def learning_rate_scales(self, names: Sequence[str]) -> dict[str, float]:
    """Those of all methods."""
    return {name: scale for method in self.methods for name, scale in method.learning_rate_scales(names).items()}

  @property
  def prompt_lengths(self) -> Mapping[str, int]:
    """Positions of all soft prompts together."""
    sides = {side for method in self.methods for side in method.prompt_lengths}
    return {side: sum(method.prompt_lengths.get(side, 0) for method in self.methods) for side in sides}
