"""Templates: placeholders filled in the graph, and mistakes named with what was probably meant."""

import pytest
import tensorflow as tf

from flan_jax.data import options
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


def test_a_letter_is_what_the_right_option_is_called_by():
  letters = Template('{premise}\n{options}', targets='{letter}', option_style='letters')
  assert _render(letters) == ('It rains.\nOPTIONS:\n(A) yes\n(B) no', 'A')
  numbers = Template('{options}', targets='Number {letter}.', option_style='numbers')
  assert _render(numbers, FIELDS | {'answer': tf.constant('no')})[1] == 'Number 2.'
  assert not letters.inverted and letters.fields == {'premise'}
  assert _render(letters, FIELDS | {'answer': tf.constant('perhaps')})[1] == ''


@pytest.mark.parametrize(('inputs', 'targets', 'style', 'words'), [
  ('{letter} {options}', '{answer}', 'letters', 'belongs in the targets'),
  ('{options}', '{letter}', 'dashes', 'in a style that labels them .letters, numbers.'),
  ('{premise}', '{letter}', 'letters', 'needs {options} in the inputs'),
  ('{options}', '{letter}', 'random', 'in a style that labels them'),
])  # fmt: skip
def test_a_letter_needs_labelled_options(inputs, targets, style, words):
  with pytest.raises(UserError, match=words):
    Template(inputs, targets, style)


def test_a_random_style_is_the_one_that_was_drawn():
  template = Template('{options}', option_style='random')
  drawn = [_render(template, FIELDS | {'option_style': tf.constant(index)})[0] for index in range(4)]
  assert drawn == [_render(Template('{options}', option_style=style))[0] for style in options.STYLES]


@pytest.mark.parametrize(('inputs', 'bare'), [
  ('{premise}\n\n{options}\n\nAnswer:', '{premise}\n\nAnswer:'), ('{premise}\n{options}', '{premise}'),
  ('{options}\n\nPick: {premise}', 'Pick: {premise}'), ('{premise} {{options}}', '{premise} {{options}}'),
])  # fmt: skip
def test_without_its_options_a_prompt_closes_the_gap(inputs, bare):
  assert Template(inputs).without_options.inputs == bare


def test_without_its_options_a_letter_is_the_answer():
  template = Template('{premise} {options}', targets='{letter}', option_style='letters').without_options
  assert _render(template) == ('It rains.', 'yes')
