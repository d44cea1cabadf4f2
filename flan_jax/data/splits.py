"""Which rows train, validate and test: TFDS slices, clamped to the rows that there are and kept apart."""

import dataclasses
import re
from collections.abc import Mapping

from flan_jax.errors import UserError

TRAIN_CAP = 30_000  # FLAN takes at most this many training rows of a dataset
HELD_BACK = 200  # and holds this many back for choosing templates

_SLICE = re.compile(r'^(?P<split>\w+)(\[(?P<start>-?\d+)?:(?P<stop>-?\d+)?\])?$')


@dataclasses.dataclass(frozen=True)
class Splits:
  """The three roles of a dataset's rows, each a TFDS slice such as `train[:-200]`; None where there is none."""

  train: str | None = f'train[:-{HELD_BACK}]'
  validation: str | None = f'train[-{HELD_BACK}:]'
  test: str | None = 'validation'

  def items(self) -> list[tuple[str, str]]:
    """Returns (role, slice) for the roles that exist."""
    return [(field.name, value) for field in dataclasses.fields(self) if (value := getattr(self, field.name))]


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
  keeps at most `TRAIN_CAP` rows, and what validation or test hold back is taken out of training. Where the rows held
  back would be more than a tenth of a small split, a tenth is held back.

  Args:
    splits: the declared slices.
    sizes: the number of rows of each TFDS split.
    owner: the dataset's name, for the error message.

  Returns:
    The ranges of the roles whose TFDS split exists.

  Raises:
    UserError: where a slice cannot be read.
  """
  ranges = {role: _clamp(text, sizes, owner) for role, text in splits.items()}
  found = {role: rows for role, rows in ranges.items() if rows is not None}
  train = found.get('train')
  if train is None:
    return found
  stop = min(train.stop, train.start + TRAIN_CAP)
  for role in ('validation', 'test'):
    other = found.get(role)
    if other is not None and other.split == train.split and other.start < stop:
      stop = other.start
  found['train'] = RowRange(train.split, train.start, max(stop, train.start))
  return found


def _clamp(text: str, sizes: Mapping[str, int], owner: str) -> RowRange | None:
  match = _SLICE.match(text)
  if match is None:
    raise UserError(f'Dataset {owner!r}: {text!r} is not a TFDS slice such as "train[:-200]".')
  if match['split'] not in sizes:
    return None
  size = sizes[match['split']]

  def bound(value: str | None, default: int) -> int:
    if value is None:
      return default
    number = int(value)
    if number >= 0:
      return min(number, size)
    return max(size + number, size - max(size // 10, 1))

  return RowRange(match['split'], bound(match['start'], 0), bound(match['stop'], size))
