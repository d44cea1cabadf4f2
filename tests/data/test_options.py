"""Styles of listing options, as exact text."""

import pytest
import tensorflow as tf

from flan_jax.data import options
from flan_jax.errors import UserError


def _render(items, style):
  return options.render(tf.constant(items, tf.string), style).numpy().decode()


@pytest.mark.parametrize(
  ('style', 'text'),
  [
    ('dashes', 'OPTIONS:\n- yes\n- no\n- maybe'),
    ('letters', 'OPTIONS:\n(A) yes\n(B) no\n(C) maybe'),
    ('numbers', 'OPTIONS:\n1. yes\n2. no\n3. maybe'),
    ('inline', 'Options: yes, no, maybe'),
  ],
)
def test_a_style_is_exactly_this_text(style, text):
  assert _render(['yes', 'no', 'maybe'], style) == text


def test_every_style_has_its_text_above():
  assert set(options.STYLES) == {'dashes', 'letters', 'numbers', 'inline'}
  assert set(options.NAMES) == {*options.STYLES, 'none', 'random'}
  assert options.DEFAULT_STYLE == 'dashes'


@pytest.mark.parametrize('style', [*options.STYLES, 'none'])
def test_no_options_leave_no_header(style):
  assert _render([], style) == ''


@pytest.mark.parametrize(('style', 'last'), [('letters', '(Z) 25'), ('numbers', '26. 25')])
def test_labels_reach_to_the_twenty_sixth_option(style, last):
  lines = _render([str(number) for number in range(26)], style).splitlines()
  assert len(lines) == 27
  assert lines[-1] == last


@pytest.mark.parametrize('style', ['letters', 'numbers'])
def test_labelled_styles_refuse_a_twenty_seventh_option(style):
  with pytest.raises(tf.errors.InvalidArgumentError):
    _render(['x'] * 27, style)
  with pytest.raises(tf.errors.InvalidArgumentError):  # inside tf.data too
    next(iter(tf.data.Dataset.from_tensors(['x'] * 27).map(lambda items: options.render(items, style))))


def test_styles_without_labels_take_any_number():
  assert _render(['x'] * 40, 'dashes').count('\n- x') == 40


@pytest.mark.parametrize('style', [*options.STYLES, 'none'])
def test_many_rows_are_listed_as_each_alone(style):
  lists = [['yes', 'no'], [], ['a', 'b', 'c'], ['']]
  block = options.render(tf.ragged.constant(lists, tf.string), style)
  assert [text.decode() for text in block.numpy()] == [_render(items, style) for items in lists]


def test_no_list_is_written_in_the_style_none():
  assert _render(['yes', 'no'], 'none') == ''


def test_an_unknown_style_is_named():
  with pytest.raises(UserError, match=r"no option style 'roman'. Known: dashes, inline, letters, none,"):
    options.check_style('roman')
