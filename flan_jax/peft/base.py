"""The contract of a fine-tuning method: what it attaches to a model, and which parameters then train."""

import abc
import dataclasses
import difflib
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from flax import nnx

from flan_jax.errors import UserError, did_you_mean


class AdapterParam(nnx.Param):
  """A parameter that belongs to a fine-tuning method and not to the base model."""


@dataclasses.dataclass(frozen=True)
class Method(abc.ABC):
  """A way to fine-tune. Subclasses are frozen dataclasses of plain values, so that gin and JSON can hold them.

  A method fills the model's slots (DESIGN D2) with modules whose parameters are `AdapterParam`; it never moves or
  renames a base parameter. Full fine-tuning is the method that attaches nothing and trains everything.
  """

  registry: ClassVar[dict[str, type['Method']]] = {}
  name: ClassVar[str] = ''

  def __init_subclass__(cls, **kwargs: Any) -> None:
    """Enters the method in the registry under its `name`."""
    super().__init_subclass__(**kwargs)
    if cls.name:
      Method.registry[cls.name] = cls

  @abc.abstractmethod
  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Fills the model's slots in place; the model computes the same function as before.

    Args:
      model: the base model.
      rngs: `rngs.params()` draws keys for initial values.

    Raises:
      UserError: if the method's target regex matches nothing.
    """

  @abc.abstractmethod
  def trainable_filter(self) -> Any:
    """The nnx filter that selects what trains."""

  def merge(self, model: nnx.Module) -> None:
    """Folds the adapters into the base kernels in place and empties the slots.

    Raises:
      UserError: where the method has no equivalent base weights.
    """
    del model
    raise UserError(f'the method {self.name!r} cannot be merged into the base weights')

  @property
  def config(self) -> dict[str, Any]:
    """Name and hyperparameters as plain values, enough for `from_config`."""
    return {'method': self.name, **dataclasses.asdict(self)}


def from_config(config: dict[str, Any]) -> Method:
  """Rebuilds a method from `Method.config`.

  Raises:
    UserError: for an unknown method or hyperparameter.
  """
  options = dict(config)
  name = options.pop('method', '')
  if name not in Method.registry:
    raise UserError(f'unknown fine-tuning method {name!r}. {did_you_mean(name, Method.registry)}')
  cls = Method.registry[name]
  known = [field.name for field in dataclasses.fields(cls)]
  for option in options:
    if option not in known:
      raise UserError(f'the method {name!r} has no hyperparameter {option!r}. {did_you_mean(option, known)}')
  return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in options.items()})


def projections(model: nnx.Module) -> Iterator[tuple[str, Any]]:
  """Every projection of a model that has an adapter slot: (path, module)."""
  for path, module in nnx.iter_modules(model):
    if hasattr(module, 'kernel') and hasattr(module, 'adapters'):
      yield '/'.join(str(part) for part in path), module


def match_projections(model: nnx.Module, targets: str) -> dict[str, Any]:
  """The projections whose whole path matches a regex.

  Args:
    model: the base model.
    targets: regular expression, matched against paths such as 'encoder/layers/0/attention/query' in full.

  Returns:
    path -> module, in path order.

  Raises:
    UserError: if the regex is malformed or matches no projection; the message lists the closest paths.
  """
  try:
    pattern = re.compile(targets)
  except re.error as error:
    raise UserError(f'the target regex {targets!r} is malformed: {error}') from error
  paths = dict(sorted(projections(model)))
  found = {path: module for path, module in paths.items() if pattern.fullmatch(path)}
  if not found:
    close = difflib.get_close_matches(targets, paths, n=3, cutoff=0.0)
    raise UserError(f'the target regex {targets!r} matches no projection; the closest paths are {", ".join(close)}')
  return found
