"""Which rows train, validate and test: TFDS slices, clamped to the rows that there are and kept apart."""

import dataclasses
import math
import re
from collections.abc import Mapping

from flan_jax.errors import UserError

TRAIN_CAP = 30_000  # FLAN takes at most this many training rows of a dataset
HELD_BACK = 200  # and holds this many back for choosing templates

ROLES = ('train', 'validation', 'test')

_END = 2**62
_SLICE = re.compile(r'^(?P<split>\w+)(\[(?P<start>-?\d+)?:(?P<stop>-?\d+)?\])?$')


@dataclasses.dataclass(frozen=True)
class Splits:
  """The three roles of a dataset's rows, each a TFDS slice such as `train[:-200]`; None where there is none.

  Attributes:
    train: the rows that train, of which `train_cap` are kept.
    validation: the rows that templates and settings are chosen on.
    test: the rows that are reported on.
    train_cap: at most so many rows train, the first of them.
  """

  train: str | None = f'train[:-{HELD_BACK}]'
  validation: str | None = f'train[-{HELD_BACK}:]'
  test: str | None = 'validation'
  train_cap: int = TRAIN_CAP

  def items(self) -> list[tuple[str, str]]:
    """Returns (role, slice) for the roles that exist."""
    return [(role, value) for role in ROLES if (value := getattr(self, role))]


# Where TFDS has all three: training rows hold nothing back, and the first validation rows choose templates.
OWN_TEST = Splits(train='train', validation=f'validation[:{HELD_BACK}]', test='test')


@dataclasses.dataclass(frozen=True)
class RowRange:
  """The rows [start, stop) of a TFDS split."""

  split: str
  start: int
  stop: int

  def __len__(self) -> int:
    return self.stop - self.start

  def __str__(self) -> str:
    return f'{self.split}[{self.start}:{self.stop}]'


def resolve(splits: Splits, sizes: Mapping[str, int], owner: str) -> dict[str, RowRange]:
  """Turns slices into row numbers that exist and do not overlap.

  TFDS raises where a slice is larger than its split; FLAN's slices are. Here a slice is cut to what there is, training
  keeps at most `train_cap` rows, and what validation or test hold back is taken out of training. Where the rows held
  back are more than half of a small split, they are scaled down to a tenth of it.

  Args:
    splits: the declared slices.
    sizes: the number of rows of each TFDS split.
    owner: the dataset's name, for the error message.

  Returns:
    The ranges of the roles whose TFDS split exists.

  Raises:
    UserError: where a slice cannot be read.
  """
  slices = {role: _parse(text, owner) for role, text in splits.items()}
  held_back = {
    split: max([0] + [-bound for other, *bounds in slices.values() if other == split for bound in bounds if bound < 0])
    for split in sizes
  }
  found = {}
  for role, (split, start, stop) in slices.items():
    if split in sizes:
      first, end = (_row(bound, sizes[split], held_back[split]) for bound in (start, stop))
      found[role] = RowRange(split, first, max(first, end))
  if 'train' in found:
    others = [found[role] for role in ROLES[1:] if role in found]
    found['train'] = _apart(found['train'], others, splits.train_cap)
  return found


def _parse(text: str, owner: str) -> tuple[str, int, int]:
  """Reads `split[start:stop]`; an open end becomes a bound beyond any split."""
  match = _SLICE.match(text)
  if match is None:
    raise UserError(f'Dataset {owner!r}: {text!r} is not a TFDS slice such as "train[:-200]".')
  return match['split'], int(match['start'] or 0), int(match['stop'] or _END)


def _row(bound: int, size: int, held_back: int) -> int:
  """The row number of a slice's bound; negative bounds count from the end, scaled where the split is small."""
  if bound >= 0:
    return min(bound, size)
  if held_back > size // 2:
    bound = -math.ceil(-bound * max(size // 10, 1) / held_back)
  return max(size + bound, 0)


def _apart(train: RowRange, others: list[RowRange], cap: int) -> RowRange:
  """Cuts training to its cap and to the first run of its rows that nothing else takes from the same TFDS split."""
  start, stop = train.start, train.stop
  for other in sorted((o for o in others if o.split == train.split and len(o)), key=lambda o: o.start):
    if other.start > start:
      stop = min(stop, other.start)
      break
    start = max(start, other.stop)
  start = min(start, stop)
  return RowRange(train.split, start, min(stop, start + cap))
