"""Which of many known texts share a run of words with others: their n-grams in memory, the others as they come."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from flan_jax.data import words


class Shared(NamedTuple):
  """What a text has in common with a known one.

  Attributes:
    place: which of the texts that were asked about.
    known: which of the known ones.
    run: the longest run of words that both have.
  """

  place: int
  known: int
  run: str


class KnownTexts:
  """Texts whose n-grams are looked for in others."""

  def __init__(self, texts: Sequence[str], n: int):
    """Hashes the n-grams.

    Args:
      texts: normalized, see `words`.
      n: words of the shortest run that counts.
    """
    self._texts, self._n = texts, n
    found = words.grams(texts, n)
    order = np.argsort(found.hashes, kind='stable')
    self._hashes, self._owners = found.hashes[order], found.texts[order]

  def shared(self, texts: Sequence[str]) -> Iterator[Shared]:
    """Yields each pair of a text and a known one that share at least n words in a row, in the order of the texts.

    Args:
      texts: normalized.
    """
    found = words.grams(texts, self._n)
    first = np.searchsorted(self._hashes, found.hashes)
    in_range = np.minimum(first, len(self._hashes) - 1)
    hits = np.flatnonzero(self._hashes[in_range] == found.hashes) if len(self._hashes) else np.zeros(0, np.int64)
    last = np.searchsorted(self._hashes, found.hashes[hits], side='right')
    starts: dict[tuple[int, int], list[int]] = {}
    for hit, begin, end in zip(hits.tolist(), first[hits].tolist(), last.tolist(), strict=True):
      for known in dict.fromkeys(self._owners[begin:end].tolist()):
        starts.setdefault((int(found.texts[hit]), known), []).append(int(found.starts[hit]))
    for (place, known), begins in starts.items():
      run = self._longest(texts[place].split(), begins, self._texts[known])
      if run is not None:
        yield Shared(place, known, run)

  def _longest(self, text: Sequence[str], starts: Sequence[int], known: str) -> str | None:
    """The longest run of words that begins at some of the starts and is in the known text; None where hashes lied."""
    runs = _runs(starts, self._n)
    # A run is in the known text as a whole, nearly always; pieces of it may be where words come again.
    for size in range(max(map(len, runs)), self._n - 1, -1):
      for begin in (begin for run in runs for begin in range(run.start, run.stop - size + 1)):
        shared = ' '.join(text[begin : begin + size])
        if f' {shared} ' in f' {known} ':
          return shared
    return None


def _runs(starts: Iterable[int], n: int) -> list[range]:
  """Joins n-grams that begin one word after another."""
  found: list[range] = []
  for start in starts:
    if found and start == found[-1].stop - n + 1:
      found[-1] = range(found[-1].start, start + n)
    else:
      found.append(range(start, start + n))
  return found
