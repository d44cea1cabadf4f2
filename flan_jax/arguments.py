"""Whether the values that gin hands to a function are of the kinds that its signature names."""

import collections.abc
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

_WORDS = {int: 'a whole number', float: 'a number', str: 'text', bool: 'True or False', type(None): 'None'}
_ATOMS = (int, float, str, bool)


@functools.cache
def hints(function: Callable[..., Any]) -> Mapping[str, Any]:
  """The types of a function's (or a class's constructor's) parameters; those that cannot be resolved are left out."""
  target = inspect.getattr_static(function, '__init__') if isinstance(function, type) else function
  try:
    return typing.get_type_hints(target)
  except (NameError, TypeError):
    return {}


def missing(function: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
  """Returns the names of the required parameters that are not given."""
  return [
    name for name, parameter in inspect.signature(function).parameters.items()
    if parameter.default is inspect.Parameter.empty and name not in given
    and parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
  ]  # fmt: skip


def misfits(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, str]:
  """Returns, for each given value of a wrong kind, what it must be and is not."""
  known = hints(function)
  return {
    name: f'must be {describe(known[name])}, not {_shown(value)}'
    for name, value in given.items()
    if name in known and not accepts(value, known[name])
  }


def accepts(value: Any, hint: Any) -> bool:
  """Whether a value is of a type, as far as gin can be wrong about it: numbers, texts, lists of them, objects."""
  if hint is Any:
    return True
  origin, inside = typing.get_origin(hint), typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    return any(accepts(value, option) for option in inside)
  if origin is typing.Literal:
    return value in inside
  if origin is collections.abc.Callable:
    return callable(value)
  if origin is not None and issubclass(origin, collections.abc.Mapping):
    return isinstance(value, Mapping) and all(accepts(v, inside[-1]) for v in value.values())
  if origin is tuple and inside[-1] is not Ellipsis:
    return isinstance(value, (list, tuple)) and len(value) == len(inside) and all(map(accepts, value, inside))
  if origin is not None and issubclass(origin, collections.abc.Sequence):
    return isinstance(value, (list, tuple)) and all(accepts(item, inside[0]) for item in value)
  if hint is float:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
  if hint is int:
    return isinstance(value, int) and not isinstance(value, bool)
  if hint is None or isinstance(hint, type):
    return isinstance(value, hint or type(None)) if origin is None else True
  return True


def describe(hint: Any) -> str:
  """A type in a person's words."""
  origin, inside = typing.get_origin(hint), typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    return ' or '.join(dict.fromkeys(describe(option) for option in inside))
  if origin is typing.Literal:
    return ' or '.join(repr(option) for option in inside)
  if origin is collections.abc.Callable:
    return 'a function'
  if origin is not None and issubclass(origin, collections.abc.Mapping):
    return "a dictionary such as {'inputs': 512, 'targets': 128}" if inside == (str, int) else 'a dictionary'
  if origin is tuple and inside[-1] is not Ellipsis:
    return f'({", ".join(describe(item) for item in inside)})'
  if origin is not None and issubclass(origin, collections.abc.Sequence):
    return f'a list, each item {describe(inside[0])}'
  name = getattr(hint, '__name__', str(hint))
  return _WORDS.get(hint, f'{"an" if name[:1] in "AEIOU" else "a"} {name}')


def _shown(value: Any) -> str:
  if inspect.isfunction(value):
    return f'the function {value.__name__} (write @{value.__name__}() to call it)'
  return repr(value) if isinstance(value, (*_ATOMS, list, tuple, dict, type(None))) else f'a {type(value).__name__}'
