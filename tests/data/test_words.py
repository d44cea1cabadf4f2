"""What makes no difference between two texts, and what does."""

import numpy as np
import pytest

from flan_jax.data import words


@pytest.mark.parametrize(('text', 'same'), [
  ('The  Cat,\n sat!', 'the cat sat'), ('STRASSE', 'straße'), ('ﬁne ½', 'FINE 1⁄2'), ('don’t', "don't"),
  ('snake_case', 'Snake Case'), ('Ａ１', 'a1'), ('...', ''), ('mother-in-law', 'mother in law'), ('Ǆ', 'dž'),
])  # fmt: skip
def test_case_punctuation_and_forms_make_no_difference(text, same):
  assert words.normalized(text) == words.normalized(same)
  assert words.normalized(words.normalized(text)) == words.normalized(text)


def test_letters_numbers_and_marks_do():
  for one, other in (('cat', 'cats'), ('1.5', '15'), ('resume', 'résumé'), ('ख', 'खि')):
    assert words.normalized(one) != words.normalized(other)


def test_scripts_without_spaces_have_a_word_a_character_and_others_keep_theirs():
  assert words.normalized('我爱北京。').split() == ['我', '爱', '北', '京']
  assert words.normalized('Привет, мир').split() == ['привет', 'мир']
  assert words.normalized('नमस्ते दुनिया').count(' ') == 1  # vowel signs are no spaces


def test_grams_are_those_of_each_text_alone_and_equal_where_the_words_are():
  texts = ['a b c d', 'e', '', 'b c d', 'd c b']
  found = words.grams(texts, 3)
  assert found.texts.tolist() == [0, 0, 3, 4] and found.starts.tolist() == [0, 1, 0, 0]
  assert found.hashes[1] == found.hashes[2] and len(np.unique(found.hashes)) == 3
  assert len(words.grams(texts, 5).hashes) == len(words.grams([], 3).hashes) == 0
