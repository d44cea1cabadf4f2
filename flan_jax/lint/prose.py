"""Faults in the words of a template, judged without any row."""

import difflib
import re
import unicodedata
from collections.abc import Iterator

from flan_jax.data.template import parse

MAX_SIMILARITY = 0.7  # of two templates of a dataset, placeholders removed; 1.0 is the same text

_SLIPS = (
  (r'\\[nt]', 'a backslash that is written out'),
  # A newline that lost its backslash: "{text}nQuestion:", "?n{options}", or alone on its line.
  (r'(?<=[^\w\s\'’])n(?=[A-Z{\n])|(?:^|(?<=\n))n(?=[A-Z{\n]|$)|(?<=\s)n(?=[{\n]|$)|(?<=\})n$', "a literal 'n'"),
  (r'  ', 'two spaces in a row'),
  (r'\t', 'a tab'),
  (r'\r', 'a carriage return'),
  (r' \n', 'a space at the end of a line'),
  (r'\n ', 'a space at the beginning of a line'),
  (r'\n{3}', 'more than one empty line'),
  (r'^\s|\s$', 'white space at an end'),
)
_PAIRS = {')': '(', ']': '[', '}': '{', '”': '“', '»': '«'}
_SMILEYS = re.compile(r'[:;]-?[()]')
_ENUMERATOR = re.compile(r'(?:^|.*\s)(?:\w|\d\d|[ivx]+)$', re.DOTALL)  # what stands before the bracket of "a) ..."
_STAND_IN = 'WORD'  # what stands for a placeholder where only the words around it matter


def prose(text: str) -> str:
  """Returns a template's own words, placeholders removed and doubled braces single."""
  return ''.join(literal for literal, _ in parse(text))


def slips(text: str) -> Iterator[str]:
  """Says what stands in a template's text that nobody meant to write."""
  for pattern, name in _SLIPS:
    if found := re.search(pattern, text):
      yield f'{name} {_around(text, found.start())}'
  for place, character in enumerate(text):
    if _unusual(character):
      name = unicodedata.name(character, 'no name')
      yield f'the character U+{ord(character):04X} ({name.lower()}) {_around(text, place)}'
      return


def unbalanced(text: str) -> str | None:
  """Says which quotation mark or bracket of a text has no partner; None where all have one."""
  words = ''.join(literal + (_STAND_IN if name else '') for literal, name in parse(text))
  words = _SMILEYS.sub('', words)
  if words.count('"') % 2:
    return 'an odd number of quotation marks'
  opened: list[str] = []
  for place, mark in enumerate(words):
    if mark in _PAIRS.values():
      opened.append(mark)
    elif mark in _PAIRS and not opened and mark == ')' and _ENUMERATOR.match(words[:place]):
      continue
    elif mark in _PAIRS and (not opened or opened.pop() != _PAIRS[mark]):
      return f'a {mark!r} that closes nothing'
  return f'a {opened[-1]!r} that is never closed' if opened else None


def similarity(one: str, other: str, least: float = MAX_SIMILARITY) -> float:
  """Returns how alike the words of two templates are, from 0 to 1.

  Args:
    one: a template's text.
    other: another one's.
    least: where the likeness is certainly below this, 0 is returned, which is much quicker.
  """
  texts = prose(one), prose(other)
  if not any(re.search(r'\w', text) for text in texts):  # nothing but placeholders: then these are the words
    texts = one, other
  matcher = difflib.SequenceMatcher(None, *texts, autojunk=False)
  if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
    return 0.0
  return matcher.ratio()


def _unusual(character: str) -> bool:
  """Characters that look like nothing or like another one: zero widths, controls, spaces that are not the space."""
  kind = unicodedata.category(character)
  return kind in ('Cc', 'Cf', 'Cn', 'Co', 'Cs', 'Zl', 'Zp', 'Zs') and character not in ' \n\t\r'


def _around(text: str, place: int) -> str:
  """Quotes the text around a place."""
  start, stop = max(place - 12, 0), place + 14
  return f'in {("..." if start else "") + text[start:stop] + ("..." if stop < len(text) else "")!r}'
