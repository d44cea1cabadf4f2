"""The places of a T5 that an adapter can sit in, under our path and under Hugging Face's, and regexes over them.

A target of a method ('.*attention/query', or 'q' there) speaks of models of any depth, and an adapter's files do not
say how deep their model is. So a target is asked about many more layers than any T5 has: if it takes them all, it means
'every layer', and otherwise the layers of the adapter are meant one by one.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

from flan_jax.interop import huggingface
from flan_jax.models.config import T5Config

Side = Literal['ours', 'theirs']
T = TypeVar('T', int, float)

LAYERS = 64  # more than any T5 has: 11B has 24
INNER = frozenset({'wi', 'wi_0', 'wi_1'})
_LAYER = re.compile(r'(?<=/layers/)\d+')


@dataclasses.dataclass(frozen=True)
class Place:
  """A projection or a norm.

  Attributes:
    ours: its path, such as 'encoder/layers/3/attention/query'.
    theirs: Hugging Face's name of the same module, such as 'encoder.block.3.layer.0.SelfAttention.q'.
  """

  ours: str
  theirs: str

  @property
  def layer(self) -> int | None:
    """The number of its layer; None outside the layers."""
    found = _LAYER.search(self.ours)
    return int(found[0]) if found else None

  @property
  def kind(self) -> str:
    """The same for all layers of a stack."""
    return _LAYER.sub('*', self.ours)

  @property
  def last(self) -> str:
    """The last part of its path, such as 'query'."""
    return self.ours.rpartition('/')[2]

  @property
  def stack(self) -> str:
    """'encoder' or 'decoder'."""
    return self.ours.split('/')[0]

  def name(self, side: Side) -> str:
    """Its name on one side."""
    return self.ours if side == 'ours' else self.theirs


@functools.cache
def projections() -> tuple[Place, ...]:
  """Every projection of a T5 of any version, `LAYERS` layers deep."""
  return tuple(dict.fromkeys((*_places(('gelu', 'linear'), 'kernel'), *_places(('relu',), 'kernel'))))


@functools.cache
def norms() -> tuple[Place, ...]:
  """Every layer norm of a T5, `LAYERS` layers deep."""
  return tuple(_places(('relu',), 'scale'))


def _places(activations: tuple[str, ...], parameter: str) -> Iterable[Place]:
  config = T5Config(vocab_size=1, mlp_activations=activations, num_encoder_layers=LAYERS, num_decoder_layers=LAYERS)
  for name in huggingface.names(config):
    path, _, last = name.ours.rpartition('/')
    if last == parameter:
      yield Place(path, name.theirs.removesuffix('.weight'))


def existing(universe: Sequence[Place], found: Iterable[Place], *, head: bool) -> list[Place]:
  """The places that a model surely has, as far as the places of an adapter tell.

  Args:
    universe: `projections()` or `norms()`.
    found: where the adapter has weights.
    head: whether the output head is a module in its own right, also where it is tied.

  Returns:
    The places in as many layers as show up in `found`, one at least, and of the kinds that its version of T5 has.
  """
  found = set(found)
  depth = {stack: 1 + max((p.layer or 0 for p in found if p.stack == stack), default=0)
           for stack in ('encoder', 'decoder')}
  unsure = _unsure(found) | (set() if head else {'logits_dense'})
  return [p for p in universe if p in found or (
    p.last not in unsure and (p.layer is None or p.layer < depth[p.stack]))]


def _unsure(found: Iterable[Place]) -> frozenset[str]:
  """Which of wi (T5 1.0), wi_0 and wi_1 (1.1) the model may lack: the adapter shows its version if it has any."""
  shown = {p.last for p in found} & INNER
  if not shown:
    return INNER
  return INNER - {'wi'} if shown == {'wi'} else frozenset({'wi'})


Spread = Mapping[str, tuple[int, ...] | None]  # by kind, the layers; None stands for all


def spread(chosen: Callable[[Place], bool], universe: Sequence[Place], found: Iterable[Place]) -> Spread:
  """Which layers of which kinds a predicate chooses, among the kinds that an adapter has.

  Args:
    chosen: the predicate.
    universe: `projections()` or `norms()`.
    found: where the adapter has weights.

  Returns:
    For each kind with something chosen, its layers, or None where the predicate takes every layer that could be.
  """
  result: dict[str, tuple[int, ...] | None] = {}
  found = set(found)
  # Where the version of T5 cannot be told, a target on wi or wi_0 stays: a model that has them will miss the weights.
  undecided = INNER if _unsure(found) == INNER else frozenset()
  for kind in dict.fromkeys(p.kind for p in universe if p in found or p.last in undecided):
    members = [p for p in universe if p.kind == kind]
    if all(chosen(p) for p in members):
      result[kind] = None
    elif layers := tuple(p.layer for p in members if p in found and chosen(p) and p.layer is not None):
      result[kind] = layers
  return result


def suffixes(chosen: Spread, universe: Sequence[Place], side: Side) -> list[str] | None:
  """The last names that say the same ('q', 'v'), where every kind that ends so is chosen in every layer."""
  ends = {p.kind: re.split(r'[/.]', p.name(side))[-1] for p in universe}
  names = {ends[kind] for kind in chosen}
  whole = all(chosen.get(kind, ()) is None for kind, end in ends.items() if end in names)
  return sorted(names) if whole else None


def regex(chosen: Spread, universe: Sequence[Place], side: Side) -> str:
  """A regex, to be matched in full, over the names of one side."""
  first = {p.kind: p.name(side) for p in reversed(universe)}
  separator = '/' if side == 'ours' else r'\.'
  groups: dict[str, list[str]] = {}
  for kind, layers in chosen.items():
    number = r'\d+' if layers is None else _either(map(str, layers))
    before, dot, end = re.sub(r'\.', r'\\.', first[kind]).rpartition(separator)
    before = before.replace(f'layers{separator}0', f'layers{separator}{number}', 1)
    before = before.replace(f'block{separator}0', f'block{separator}{number}', 1)
    groups.setdefault(before + dot, []).append(end)
  return '|'.join(before + _either(ends) for before, ends in groups.items())


def _either(options: Iterable[str]) -> str:
  listed = list(options)
  return listed[0] if len(listed) == 1 else f'({"|".join(listed)})'


def patterns(values: Mapping[Place, T], usual: T, value_of: Callable[[Place], T], universe: Sequence[Place],
             side: Side) -> dict[str, T]:
  """Regexes for the values that differ from the usual one; no two of them match the same place.

  Args:
    values: of the places that the adapter has.
    usual: needs no pattern.
    value_of: the value at any place of the universe.
    universe: `projections()`.
    side: whose names.

  Returns:
    A value by regex, to be matched in full.
  """
  kinds = {p.kind for p in values}
  among = [p for p in universe if p.kind in kinds]
  result = {}
  for value in sorted({v for v in values.values() if v != usual}):
    chosen = spread(_where(value_of, value), among, values)
    ends = suffixes(chosen, among, side)
    if ends is None:
      result[regex(chosen, among, side)] = value
    else:
      result[('.*/' if side == 'ours' else '') + _either(ends)] = value
  return result


def _where(value_of: Callable[[Place], T], value: T) -> Callable[[Place], bool]:
  return lambda place: value_of(place) == value
