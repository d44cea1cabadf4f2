"""The contract of a fine-tuning method: what it attaches to a model, and which parameters then train."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from flax import nnx

from flan_jax.errors import UserError, did_you_mean


class AdapterParam(nnx.Param):
  """A parameter that belongs to a fine-tuning method and not to the base model; it trains."""


class AdapterConstant(nnx.Variable):
  """An array that belongs to a fine-tuning method and does not train; it is saved with the adapter."""


def is_adapter(variable: Any) -> bool:
  """Whether a variable belongs to a fine-tuning method."""
  return isinstance(variable, (AdapterParam, AdapterConstant))


@dataclasses.dataclass(frozen=True)
class Method(abc.ABC):
  """A way to fine-tune. Subclasses are frozen dataclasses of plain values, so that gin and JSON can hold them.

  A method fills the model's slots (DESIGN D2) with modules whose variables are `AdapterParam` or `AdapterConstant`; it
  never moves or renames a base parameter. Selective methods attach nothing and name base parameters instead; full
  fine-tuning names them all.
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
    """Fills the model's slots in place, where the base weights are those that training starts from.

    Args:
      model: the base model; its weights may be read (an initialisation may depend on them), not written.
      rngs: `rngs.params()` draws keys for initial values.

    Raises:
      UserError: if the method's target regex matches nothing.
    """

  def trainable_filter(self) -> Any:
    """The nnx filter that selects what trains: the adapters' parameters, unless a method says otherwise."""
    return AdapterParam

  def merge(self, model: nnx.Module) -> None:
    """Folds the adapters into the base kernels in place and empties the slots.

    Raises:
      UserError: where the method has no equivalent base weights.
    """
    del model
    raise UserError(f'the method {self.name!r} cannot be merged into the base weights')

  @property
  def merges(self) -> bool:
    """Whether the method can be merged: it has base weights that do the same."""
    return type(self).merge is not Method.merge

  def bound(self, encode: Callable[[str], Sequence[int]]) -> 'Method':
    """The same method with its texts as token ids; the models know no vocabulary.

    Args:
      encode: a vocabulary's, without EOS.
    """
    del encode
    return self

  def learning_rate_scales(self, names: Sequence[str]) -> dict[str, float]:
    """Factors of the learning rate for some of the trainable parameters, by name; 1 for the others."""
    del names
    return {}

  @property
  def prompt_lengths(self) -> Mapping[str, int]:
    """Soft prompt positions before each example's 'inputs' and 'targets', which packed rows must leave room for."""
    return {}

  @property
  def config(self) -> dict[str, Any]:
    """Name and hyperparameters as plain values, enough for `from_config`."""
    return {'method': self.name, **{f.name: _to_plain(getattr(self, f.name)) for f in dataclasses.fields(self)}}


def _to_plain(value: Any) -> Any:
  if isinstance(value, Method):
    return value.config
  if isinstance(value, Mapping):
    return dict(value)
  return tuple(_to_plain(item) for item in value) if isinstance(value, (tuple, list)) else value


def from_config(config: Mapping[str, Any]) -> Method:
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
  return cls(**{key: _from_plain(value) for key, value in options.items()})


def _from_plain(value: Any) -> Any:
  """A hyperparameter from JSON: lists become tuples, a method inside another is rebuilt."""
  if isinstance(value, Mapping) and 'method' in value:
    return from_config(value)
  return tuple(_from_plain(item) for item in value) if isinstance(value, (tuple, list)) else value
