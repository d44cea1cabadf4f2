"""Several inputs to an encoder row, and their options to the decoder row beside it: which goes where, in what shapes.

Evaluation rows differ in the length of the prompt and in the number and length of their options. Padding each to the
longest wastes most of the work, and a shape of its own for each costs a compile; here short ones fill rows together.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from flan_jax.models.config import T5Config

_SAMPLE = 128  # items that stand for all when a shape is chosen
_ATTENTION = 3.0  # time of a multiplication in attention, softmax included, over that of one in a projection (CPU)
_WORTH = 0.85  # another shape costs a compile of some seconds, so it must save this much
_REUSE = 1.35  # and one that is compiled already may cost so much more than the best


class Size(NamedTuple):
  """What an item takes of a row, or what a row holds.

  Attributes:
    source: encoder positions.
    target: decoder positions.
  """

  source: int
  target: int


SHORT = Size(256, 64)  # up to here, the attention over longer rows costs less than what filling them better saves


class Filled(NamedTuple):
  """Rows of one shape.

  Attributes:
    shape: of each row.
    rows: the items of each.
  """

  shape: Size
  rows: list[list[int]]


def fill(sizes: Sequence[Size], config: T5Config, known: Collection[Size] = ()) -> Iterator[Filled]:
  """Yields rows that hold all items, in few shapes: one, unless long items would cost the short ones much.

  Args:
    sizes: of the items.
    config: of the model, which decides what a position costs.
    known: shapes that are compiled already, which are taken where they cost little more than the best.
  """
  longest_first = sorted(range(len(sizes)), key=lambda item: sizes[item], reverse=True)
  for items, best in _groups(longest_first, sizes, config):
    shape = _reused(best, [sizes[item] for item in items], config, known)
    rows = _first_fit([sizes[item] for item in items], shape)
    yield Filled(shape, [[items[place] for place in row] for row in rows])


def _groups(items: list[int], sizes: Sequence[Size], config: T5Config) -> list[tuple[list[int], Size]]:
  """Splits items into shorter and longer ones for as long as two shapes cost much less than one."""
  if not items:
    return []
  shape, cost = _best([sizes[item] for item in items], config)
  splits = []
  for level in sorted({_level(sizes[item]) for item in items})[:-1]:
    parts = [[item for item in items if (_level(sizes[item]) > level) == longer] for longer in (False, True)]
    splits.append((sum(_best([sizes[item] for item in part], config)[1] for part in parts), parts))
  least, parts = min(splits, default=(cost, []))
  if least > _WORTH * cost:
    return [(items, shape)]
  return [group for part in parts for group in _groups(part, sizes, config)]


def _level(size: Size) -> int:
  """Returns how many times as long as a short item an item is, as a power of two."""
  return max(1, _power(size.source) // SHORT.source, _power(size.target) // SHORT.target)


def rounded(size: int, steps: int, smallest: int = 1) -> int:
  """Returns the next of the sizes that stand so many to the power of two, and at least `smallest`."""
  step = max(1, _power(size) // 2 // steps)
  return max(smallest, -(-size // step) * step)


def _power(size: int) -> int:
  return 1 << max(size - 1, 0).bit_length()


def _best(sizes: Sequence[Size], config: T5Config) -> tuple[Size, float]:
  """Returns the shape of rows that takes the least time for items, the longest first, and its cost for all of them."""
  longest = Size(sizes[0].source, max(size.target for size in sizes))
  sample = sizes[:: -(-len(sizes) // _SAMPLE)]
  ratio = sum(size.target for size in sample) / sum(size.source for size in sample)
  shapes: set[Size] = set()
  source = rounded(longest.source, 2, 8)
  while not shapes or source <= max(2 * SHORT.source, 2 * longest.source):
    shapes |= {Size(source, rounded(max(longest.target, math.ceil(slack * ratio * source)), 4, 4))
               for slack in (0.9, 1.0, 1.1, 1.25)}
    source = rounded(source + 1, 2, 8)
  costs = {shape: len(_first_fit(sample, shape)) * _cost(shape, config) for shape in shapes}
  best = min(sorted(costs), key=lambda shape: costs[shape])  # of shapes that cost the same, the shorter
  return best, costs[best] * len(sizes) / len(sample)


def _cost(shape: Size, config: T5Config) -> float:
  """Returns the multiplications of one row, by token and layer."""
  embed, joined = config.emb_dim, config.joined_kv
  mlp = (len(config.mlp_activations) + 1) * embed * config.mlp_dim
  attention = 2 * _ATTENTION * joined
  encoder = config.num_encoder_layers * (4 * embed * joined + mlp + attention * shape.source)
  read = config.num_decoder_layers * 2 * embed * joined  # the cross-attention's keys and values
  layer = 6 * embed * joined + mlp + attention * (shape.source + shape.target)
  decoder = config.num_decoder_layers * layer + embed * config.vocab_size
  return shape.source * (encoder + read) + shape.target * decoder


def _reused(best: Size, sizes: Sequence[Size], config: T5Config, known: Collection[Size]) -> Size:
  """Returns the cheapest known shape if it holds every item and costs little more than the best one, else that."""
  longest = [max(column) for column in zip(*sizes, strict=True)]
  fitting = [shape for shape in known if shape.source >= longest[0] and shape.target >= longest[1]]
  sample = sizes[:: -(-len(sizes) // _SAMPLE)]
  costs = {shape: len(_first_fit(sample, shape)) * _cost(shape, config) for shape in (best, *fitting)}
  cheapest = min(sorted(fitting), key=lambda shape: costs[shape], default=best)
  return cheapest if costs[cheapest] <= _REUSE * costs[best] else best


def _first_fit(sizes: Sequence[Size], shape: Size) -> list[list[int]]:
  """Puts each item, those that take the largest share of a row first, into the first row that has room for it."""
  needs = np.array(sizes)
  order = np.argsort(-(needs / np.array(shape)).max(axis=1), kind='stable')
  free = np.empty_like(needs)
  rows: list[list[int]] = []
  for item in order:
    fitting = (free[: len(rows)] >= needs[item]).all(axis=1)
    row = int(fitting.argmax()) if fitting.any() else len(rows)
    if row == len(rows):
      rows.append([])
      free[row] = shape
    free[row] -= needs[item]
    rows[row].append(int(item))
  return rows
