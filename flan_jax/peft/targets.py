"""Which parts of a model a method acts on: regular expressions over whole paths, and the slots they stand for."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from flax import nnx

from flan_jax.errors import UserError
from flan_jax.models.layers import Dense
from flan_jax.models.slots import named_modules

SLOTS = ('adapters', 'sublayer_adapters', 'key_value_prompts', 'prompts')

T = TypeVar('T')


def compiled(pattern: str, option: str = 'targets') -> re.Pattern[str]:
  """Compiles a regular expression of a method.

  Raises:
    UserError: if it is malformed.
  """
  try:
    return re.compile(pattern)
  except re.error as error:
    raise UserError(f'the {option} regex {pattern!r} is malformed: {error}') from error


def matching(found: Mapping[str, T], pattern: str, what: str = 'projection', option: str = 'targets') -> dict[str, T]:
  """Those of some named things whose whole name matches a regular expression.

  Args:
    found: by path, such as 'encoder/layers/0/attention/query'.
    pattern: matched in full.
    what: they are, for the message.
    option: of the method, for the message.

  Raises:
    UserError: if the regex is malformed or matches nothing; the message lists the closest paths.
  """
  regex = compiled(pattern, option)
  chosen = {path: found[path] for path in sorted(found) if regex.fullmatch(path)}
  if not chosen:
    close = difflib.get_close_matches(pattern, found, n=3, cutoff=0.0)
    raise UserError(f'the {option} regex {pattern!r} matches no {what}; the closest paths are {", ".join(close)}')
  return chosen


def projections(model: nnx.Module) -> dict[str, Dense]:
  """Every projection of a model by path."""
  return dict(named_modules(model, Dense))


def match_projections(model: nnx.Module, targets: str, option: str = 'targets') -> dict[str, Dense]:
  """The projections whose whole path matches a regex, in path order; see `matching`."""
  return matching(projections(model), targets, option=option)


def fill(slot: nnx.Dict, name: str, module: nnx.Module, owner: str) -> None:
  """Puts a module in a slot.

  Raises:
    UserError: if another one of this name is there: the method would be applied twice.
  """
  if name in slot:
    raise UserError(f'{owner} has the adapter {name!r} already: a model takes each method once')
  slot[name] = module


def filled(model: nnx.Module, kind: type[T]) -> Iterator[tuple[Any, str, T]]:
  """Every module of a class that stands in a slot: (owner of the slot, name in the slot, module)."""
  for _, owner in list(nnx.iter_modules(model)):
    for attribute in SLOTS:
      slot = getattr(owner, attribute, None)
      for name, module in list(slot.items()) if isinstance(slot, nnx.Dict) else ():
        if isinstance(module, kind):
          yield owner, name, module


def detach(model: nnx.Module) -> None:
  """Empties every slot in place: what remains is the base model (selective methods leave what they trained)."""
  for _, module in list(nnx.iter_modules(model)):
    for attribute in SLOTS:
      slot = getattr(module, attribute, None)
      if isinstance(slot, nnx.Dict):
        for name in list(slot):
          del slot[name]


