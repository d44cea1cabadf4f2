"""Runs of words that texts share: the longest one, never a shorter one than asked, never across two texts."""

import numpy as np
import pytest

from flan_jax.data import words
from flan_jax.data.shared_text import KnownTexts, Shared

ALPHABET = ['a', 'b', 'c', 'd']
KNOWN = ['x a b c d e y', 'k l m', 'p q r s p q r t']


@pytest.mark.parametrize(('text', 'expected'), [
  ('1 a b c d e 2', [(0, 'a b c d e')]),
  ('a b c 9 c d e', [(0, 'a b c')]),
  ('a b 9 d e', []),
  ('m k l', []),
  ('k l m a b c d', [(1, 'k l m'), (0, 'a b c d')]),
  ('p q r s', [(2, 'p q r s')]),
  ('r s p q r s p', [(2, 'r s p q r')]),  # runs that follow each other here and not there
  ('', []),
])  # fmt: skip
def test_the_longest_run_is_found(text, expected):
  found = list(KnownTexts(KNOWN, 3).shared(['nothing', text]))
  assert sorted(found) == sorted(Shared(1, known, run) for known, run in expected)


def test_runs_agree_with_a_search_through_everything():
  random = np.random.default_rng(0)
  texts = [' '.join(random.choice(ALPHABET, size)) for size in random.integers(0, 12, 120)]
  known, asked = texts[:60], texts[60:]
  found = {(one.place, one.known) for one in KnownTexts(known, 4).shared(asked)}

  def grams(text):
    split = text.split()
    return {tuple(split[start : start + 4]) for start in range(len(split) - 3)}

  right = {(i, j) for i, a in enumerate(asked) for j, b in enumerate(known) if grams(a) & grams(b)}
  assert found == right and 50 < len(right) < 3000


def test_equal_numbers_of_different_words_are_no_match(monkeypatch):
  whole = words.grams

  def lying(texts, n):
    found = whole(texts, n)
    return found._replace(hashes=np.zeros_like(found.hashes))

  monkeypatch.setattr(words, 'grams', lying)
  assert list(KnownTexts(['a b c'], 3).shared(['d e f', '1 a b c'])) == [Shared(1, 0, 'a b c')]


def test_no_known_text_is_long_enough():
  assert list(KnownTexts(['a b'], 3).shared(['a b c d'])) == []
