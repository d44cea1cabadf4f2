"""What is a slip of the pen in a template, and what only looks like one."""

import pytest

from flan_jax.lint.prose import MAX_SIMILARITY, similarity, slips, unbalanced


@pytest.mark.parametrize(('text', 'told'), [
  ('{a}nQuestion: {b}', "a literal 'n' in '{a}nQuestion: {b"),
  ('What?n{options}', "a literal 'n' in 'What?n{options}'"),
  ('Text: {a}\nn\n{b}', "a literal 'n' in"),
  ('Text: {a} n\n{b}', "a literal 'n' in"),
  ('{a}n', "a literal 'n' in '{a}n'"),
  ('a\\nb', 'a backslash that is written out'),
  ('a  b', 'two spaces in a row'),
  ('a\n\n\nb', 'more than one empty line'),
  (' a', 'white space at an end'),
  ('a\u00a0b', 'the character U+00A0 (no-break space)'),
  ('a\ufeffb', 'the character U+FEFF (zero width no-break space)'),
  ('a\u200eb', 'the character U+200E (left-to-right mark)'),
])  # fmt: skip
def test_slips_are_found_and_quoted(text, told):
  (slip,) = slips(text)
  assert slip.startswith(told)


@pytest.mark.parametrize('text', [
  '{a}\n\nQuestion: {b}\n{options}', "Rock 'n' roll, n-grams and n = 5.", 'an {a}, in {b}',
  'Gr\u00fc\u00dfe: {a} \u4f60\u597d',
])  # fmt: skip
def test_what_is_meant_is_no_slip(text):
  assert list(slips(text)) == []


@pytest.mark.parametrize(('text', 'told'), [
  ('He said: "{a}', 'an odd number of quotation marks'), ('({a}', "a '(' that is never closed"),
  ('{a})', "a ')' that closes nothing"), ('([{a})]', "a ')' that closes nothing"),
  ('\u201c{a}', "a '\u201c' that is never closed"), ('{{"x": 1', "a '{' that is never closed"),
])  # fmt: skip
def test_marks_without_a_partner_are_found(text, told):
  assert unbalanced(text) == told


@pytest.mark.parametrize('text', [
  '"{a}" (in {b})', 'a) {a}\nb) {b}', 'Similarity (0 to 5): {a}', '{a} :)', "It's {a}", '{{"{a}": [1]}}', 'iv) {a}',
])  # fmt: skip
def test_marks_that_need_no_partner_are_let_be(text):
  assert unbalanced(text) is None


def test_likeness_is_of_words_not_of_placeholders():
  same = 'Is it true that {a} follows from {b}?', 'Is it true that {premise} follows from {hypothesis}?'
  assert similarity(*same) == 1.0
  assert similarity(same[0], 'Read {a}. What would you conclude about {b}?') < MAX_SIMILARITY
  assert similarity('{a}\n{b}', '{passage} {question}') < MAX_SIMILARITY  # no words at all
