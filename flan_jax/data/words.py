"""Texts as words, for comparison: case, punctuation, spacing and a character's several forms make no difference."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt64

# Scripts that put no spaces between words: each character counts as one.
_UNSPACED = ('CJK UNIFIED', 'CJK COMPATIBILITY', 'HIRAGANA', 'KATAKANA', 'THAI', 'LAO', 'KHMER', 'MYANMAR')
_BASE = np.uint64(0x9E3779B97F4A7C15)  # any odd number will do


class _Characters(dict[int, str]):
  """What stands for a character, for `str.translate`: itself, a space, or itself between spaces."""

  def __missing__(self, code: int) -> str:
    character = chr(code)
    found = character
    if unicodedata.category(character)[0] not in 'LMN':  # letters, marks, numbers
      found = ' '
    elif unicodedata.name(character, '').startswith(_UNSPACED):
      found = f' {character} '
    self[code] = found
    return found


_CHARACTERS = _Characters()


def normalized(text: str) -> str:
  """Returns the words of a text with one space between any two: NFKC, case folded, punctuation and symbols dropped."""
  text = text.casefold() if text.isascii() else _folded(text)
  return ' '.join(text.translate(_CHARACTERS).split())


def _folded(text: str) -> str:
  # Folding may undo the normal form, so that it is taken before and after.
  return unicodedata.normalize('NFKC', unicodedata.normalize('NFKC', text).casefold())


class Grams(NamedTuple):
  """The n-grams of several texts, as numbers.

  Attributes:
    hashes: of each n-gram.
    texts: which text it is of.
    starts: at which word of the text it begins.
  """

  hashes: UInt64[np.ndarray, 'grams']
  texts: Int[np.ndarray, 'grams']
  starts: Int[np.ndarray, 'grams']


def grams(texts: Sequence[str], n: int) -> Grams:
  """Returns every run of n words of normalized texts, hashed to 64 bits; texts with fewer words have none.

  Equal runs have equal numbers within a process; whether equal numbers are equal runs is for the caller to look up.

  Args:
    texts: normalized.
    n: words of a run.
  """
  split = [text.split() for text in texts]
  hashed = np.array([hash(word) for words in split for word in words], np.int64).view(np.uint64)
  sizes = np.array([len(words) for words in split], np.int64)
  owners = np.repeat(np.arange(len(split)), sizes)
  places = np.arange(len(hashed)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
  count = max(len(hashed) - n + 1, 0)
  rolled = np.zeros(count, np.uint64)
  for offset in range(n):
    rolled = rolled * _BASE + hashed[offset : offset + count]  # modulo 2**64, as NumPy's integers are
  whole = np.flatnonzero(owners[:count] == owners[n - 1 : n - 1 + count])
  return Grams(rolled[whole], owners[whole], places[whole])
