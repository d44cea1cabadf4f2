"""Templates: placeholders filled in the graph, and mistakes named with what was probably meant."""

import pytest
import tensorflow as tf

from flan_jax.data.template import Template, parse, placeholders
from flan_jax.errors import UserError

FIELDS = {
  'premise': tf.constant('It rains.'),
  'hypothesis': tf.constant('It is {wet}.'),
  'answer': tf.constant('yes'),
  'options': tf.constant(['yes', 'no']),
}


def _render(template, fields=FIELDS):
  return tuple(text.numpy().decode() for text in template.render(fields))


def test_fields_stand_where_their_names_stood():
  template = Template('{premise} So: {hypothesis} ({premise})')
  assert _render(template) == ('It rains. So: It is {wet}. (It rains.)', 'yes')


def test_options_are_rendered_in_the_style_of_the_template():
  assert _render(Template('{premise}\n{options}'))[0] == 'It rains.\nOPTIONS:\n- yes\n- no'
  assert _render(Template('{premise} {options}', option_style='inline'))[0] == 'It rains. Options: yes, no'


def test_doubled_braces_are_braces_of_the_text():
  template = Template('{{premise}} = {{{premise}}}', targets='{{{answer}}}')
  assert _render(template) == ('{premise} = {It rains.}', '{yes}')
  assert template.fields == {'premise', 'answer'}


def test_text_without_placeholders_is_itself():
  assert _render(Template('What now?', targets='Nothing.')) == ('What now?', 'Nothing.')


def test_rendering_works_inside_a_graph():
  rows = tf.data.Dataset.from_tensors(FIELDS).map(Template('{premise}\n{options}').render)
  assert list(rows.as_numpy_iterator()) == [(b'It rains.\nOPTIONS:\n- yes\n- no', b'yes')]


@pytest.mark.parametrize(
  ('targets', 'inverted'),
  [('{answer}', False), ('Answer: {answer}', False), ('{premise}', True), ('{{answer}}', True), ('nothing', True)],
)
def test_a_template_is_inverted_where_the_target_lacks_the_answer(targets, inverted):
  assert Template('{hypothesis}', targets=targets).inverted is inverted


def test_options_are_shown_only_where_the_prompt_says_so():
  assert Template('{premise}\n{options}').shows_options
  assert not Template('{premise}').shows_options
  assert not Template('{{options}} {premise}').shows_options


def test_options_count_as_no_field_of_the_row():
  assert Template('{premise} {options}').fields == {'premise', 'answer'}


def test_a_wrong_field_is_named_with_the_nearest_one():
  with pytest.raises(UserError, match=r"Dataset 'rte': template '\{premiss\}' uses the field 'premiss'.*'premise'\?"):
    Template('{premiss}').check(frozenset(FIELDS), "Dataset 'rte'")
  Template('{premise} {hypothesis}').check(frozenset(FIELDS), "Dataset 'rte'")


def test_a_wrong_field_in_the_targets_is_found_too():
  with pytest.raises(UserError, match="'anwser'.*Did you mean 'answer'"):
    Template('{premise}', targets='{anwser}').check(frozenset(FIELDS), "Dataset 'rte'")


def test_a_wrong_option_style_is_named_with_the_nearest_one():
  with pytest.raises(UserError, match="no option style 'letter'.*Did you mean 'letters'"):
    Template('{options}', option_style='letter')


@pytest.mark.parametrize('text', ['{premise', 'premise}', 'a {premise} {', '{premise}}'])
def test_a_brace_left_open_is_an_error_that_shows_the_text_and_the_way_out(text):
  with pytest.raises(UserError) as raised:
    Template(text)
  assert repr(text) in str(raised.value)
  assert '{{ or }}' in str(raised.value)


@pytest.mark.parametrize('text', ['{}', '{0}', '{a.b}', '{a[0]}', '{two words}'])
def test_a_placeholder_is_a_plain_name(text):
  with pytest.raises(UserError, match='is not a field name'):
    parse(text)


@pytest.mark.parametrize('text', ['{answer:>5}', '{answer!r}'])
def test_a_placeholder_has_no_format(text):
  with pytest.raises(UserError, match="'answer'"):
    parse(text)


def test_options_in_both_texts_are_refused():
  with pytest.raises(UserError, match='belongs in the inputs'):
    Template('{premise} {options}', targets='{options}')


def test_options_in_the_targets_alone_are_refused():
  with pytest.raises(UserError, match='belongs in the inputs'):
    Template('{premise}', targets='{options}')


def test_placeholders_are_found_once_each():
  assert placeholders('{a} {b} {a} {{c}}') == {'a', 'b'}
