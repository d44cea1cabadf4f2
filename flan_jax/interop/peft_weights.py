"""What the conversions of all methods share: weights by place, checked against the targets, and targets translated."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from flan_jax.errors import UserError
from flan_jax.interop import t5_places
from flan_jax.interop.t5_places import Place, Side
from flan_jax.peft import Method
from flan_jax.peft.targets import compiled

Arrays = Mapping[str, np.ndarray]
Parts = dict[Place, dict[str, np.ndarray]]
# What a conversion returns: method or options, arrays, and sentences about what the other side has no place for.
FromPeft = tuple[Method, dict[str, np.ndarray], tuple[str, ...]]
ToPeft = tuple[dict[str, Any], dict[str, np.ndarray], tuple[str, ...]]
PREFIX = 'base_model.model.'


def split(arrays: Arrays, universe: Sequence[Place], side: Side, ends: Sequence[str]) -> Parts:
  """The arrays by place and last part of their names, in the order of `ends`.

  Raises:
    UserError: where a name is not one of a place and an end, or a place lacks an end.
  """
  before, between = ('', '/') if side == 'ours' else (PREFIX, '.')
  expected = {f'{before}{p.name(side)}{between}{end}': (p, end) for p in universe for end in ends}
  places = {p: None for p in universe if any(f'{before}{p.name(side)}{between}{end}' in arrays for end in ends)}
  wanted = {name: key for name, key in expected.items() if key[0] in places}
  _refuse(missing=sorted(set(wanted) - set(arrays)), extra=sorted(set(arrays) - set(wanted)))
  parts: Parts = {p: {} for p in places}
  for name, (place, end) in wanted.items():
    parts[place][end] = arrays[name]
  return parts


def complete(parts: Parts, targeted: Callable[[Place], bool], universe: Sequence[Place], side: Side) -> None:
  """Raises UserError where the places with weights are not those that the config's targets mean."""
  if not parts:
    raise UserError('the adapter holds no weights')
  wanted = {p for p in t5_places.existing(universe, parts, head=side == 'theirs') if targeted(p)}
  _refuse(missing=sorted(p.name(side) for p in wanted - set(parts)),
          extra=sorted(p.name(side) for p in set(parts) - wanted), which='targets')  # fmt: skip


def _refuse(missing: Sequence[str], extra: Sequence[str], which: str = 'method') -> None:
  told = [f'{len(some)} {words}: {", ".join(some)}' for words, some in (
    ('missing', missing), (f'that the {which} of the config do not explain', extra)) if some]
  if told:
    raise UserError(f'the weights of the adapter do not agree with its config: {"; ".join(told)}')


def matching(pattern: str, tail: str = '') -> Callable[[Place], bool]:
  """Which places a `targets` regex of ours matches, with `tail` after their paths."""
  regex = compiled(pattern)
  return lambda place: regex.fullmatch(place.ours + tail) is not None


def our_targets(targeted: Callable[[Place], bool], parts: Parts, usual: str, tail: str = '') -> str:
  """A `targets` regex of ours; the usual one where it says the same."""
  universe = t5_places.norms() if tail else t5_places.projections()
  default = matching(usual, tail)
  if all(default(p) == targeted(p) for p in universe):
    return usual
  chosen = t5_places.spread(targeted, universe, parts)
  ends = t5_places.suffixes(chosen, universe, 'ours')
  regex = t5_places.regex(chosen, universe, 'ours') if ends is None else f'.*/({"|".join(ends)})'
  return f'({regex}){tail}' if tail else regex


def their_targets(targeted: Callable[[Place], bool], parts: Parts, universe: Sequence[Place] = ()) -> str | list[str]:
  """peft's target_modules: last parts of names where they say the same, else a regex."""
  universe = universe or t5_places.projections()
  chosen = t5_places.spread(targeted, universe, parts)
  return t5_places.suffixes(chosen, universe, 'theirs') or t5_places.regex(chosen, universe, 'theirs')
