"""A table in the width of a terminal: words and numbers stay whole, and the columns that matter least leave first."""

import dataclasses
import re
from collections.abc import Sequence

from rich.cells import cell_len

GAP = 2  # characters between two columns
_HEADING_LINES, _CELL_LINES, _CELL_WIDTH = 2, 3, 20
# Lines end after a space, or after a mark inside a long name such as 'quickstart_paraphrase.template_0'.
_BREAK = re.compile(r'(?<=[ _/])|(?<=\.)(?=[A-Za-z])')


@dataclasses.dataclass(frozen=True)
class Column:
  """A heading over cells.

  Attributes:
    heading: may be broken at its spaces.
    cells: one per row.
    text: the cells are text, which may be broken at spaces and inside names; numbers never are.
  """

  heading: str
  cells: Sequence[str]
  text: bool = False

  @property
  def least(self) -> int:
    """The narrowest width in which heading and cells stay whole and reasonably flat."""
    head = _narrowest(self.heading, _HEADING_LINES)
    if not self.text:
      return max([head, *map(cell_len, self.cells)])
    return max([head, *(_narrowest(cell, _CELL_LINES, _CELL_WIDTH) for cell in self.cells)])

  @property
  def full(self) -> int:
    """The width in which nothing is broken."""
    return max(cell_len(cell) for cell in (self.heading, *self.cells))

  @property
  def constant(self) -> bool:
    """Several rows hold the same, so that it can be said once."""
    return len(self.cells) > 1 and len(set(self.cells)) == 1

  def height(self, width: int) -> int:
    """Returns how many lines its heading and cells have altogether."""
    return sum(len(broken(cell, width)) for cell in (self.heading, *self.cells))


def fit(columns: Sequence[Column], optional: Sequence[str], width: int) -> dict[int, int]:
  """Chooses the columns that a width has room for, and how wide each is.

  A column of text (but the first) or an optional one that holds the same in every row can be said once: such columns
  leave until no line is broken. Then the other optional columns leave in their order until what must stay whole fits.

  Args:
    columns: all of them.
    optional: headings of those that may leave, the first to leave first.
    width: characters in a line.

  Returns:
    The width of each column that stays, by its place. They exceed the line where even the others do not fit.
  """
  places = {column.heading: place for place, column in enumerate(columns)}
  leaving = [places[heading] for heading in optional]
  labels = [place for place, column in enumerate(columns) if place and column.text and place not in leaving]
  widths = {place: column.full for place, column in enumerate(columns)}
  for place in (*labels, *leaving):
    if columns[place].constant and _room(widths, width) < 0:
      del widths[place]
  widths = {place: columns[place].least for place in widths}
  for place in leaving:
    if place in widths and _room(widths, width) < 0:
      del widths[place]
  return _widen(columns, widths, _room(widths, width))


def broken(text: str, width: int) -> list[str]:
  """Breaks text into lines of a width, at spaces and inside names; a piece that is longer keeps a line to itself."""
  lines = ['']
  for piece in _BREAK.split(text):
    if lines[-1] and cell_len((lines[-1] + piece).rstrip()) > width:
      lines.append('')
    lines[-1] += piece
  return [line.rstrip() for line in lines]


def _room(widths: dict[int, int], width: int) -> int:
  return width - sum(widths.values()) - GAP * (len(widths) - 1)


def _widen(columns: Sequence[Column], widths: dict[int, int], room: int) -> dict[int, int]:
  """Spends what is left of a line on the columns that fill the most lines."""
  widths = dict(widths)
  for _ in range(room):
    narrow = [place for place, width in widths.items() if width < columns[place].full]
    if narrow:
      widths[max(narrow, key=lambda place: columns[place].height(widths[place]))] += 1
  return widths


def _narrowest(text: str, lines: int, most: int | None = None) -> int:
  """Returns the least width that holds the longest piece, and the text in so many lines (unless that exceeds most)."""
  width = max(cell_len(piece.rstrip()) for piece in _BREAK.split(text))
  while len(broken(text, width)) > lines and (most is None or width < most):
    width += 1
  return width
