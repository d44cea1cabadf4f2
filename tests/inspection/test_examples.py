"""Examples as a run would see them: where they are from, how long they are, where they are cut."""

import pytest
import seqio

from flan_jax.data import registry
from flan_jax.data.vocabulary import use_vocabulary
from flan_jax.inspection.examples import measure, read, read_each

LENGTHS = {'inputs': 1024, 'targets': 64}


@pytest.fixture(autouse=True)
def bytes_vocabulary(untouched):
  use_vocabulary(seqio.ByteVocabulary())


def info(suffix=''):
  return registry.task_info(f'quickstart_synonym{suffix}')


def test_a_text_that_fits_is_whole_and_its_length_has_the_end():
  measured = measure('abc', seqio.ByteVocabulary(), 4)
  assert (measured.kept, measured.cut, measured.tokens) == ('abc', '', 4)


@pytest.mark.parametrize(('limit', 'kept'), [(3, 'ab'), (1, ''), (2, 'a')])
def test_a_text_is_cut_where_its_tokens_leave_no_room_for_the_end(limit, kept):
  measured = measure('abc', seqio.ByteVocabulary(), limit)
  assert (measured.kept, measured.kept + measured.cut, measured.tokens) == (kept, 'abc', 4)


def test_a_letter_of_several_bytes_is_not_cut_in_two():
  assert measure('a\u00e9b', seqio.ByteVocabulary(), 3).kept == 'a'


def test_an_example_has_its_origin():
  (example,) = read(info('.template_1'), 'train', 1, 0, LENGTHS)
  assert example.template == 1 and example.row.endswith('__0')
  assert example.inputs.kept.startswith('Does ') and f'OPTIONS:\n- {example.options[0]}\n' in example.inputs.kept
  assert example.inputs.tokens == len(example.inputs.kept) + 1
  assert set(example.options) == {'yes', 'no'} and (example.answer,) == example.references
  assert [target.kept for target in example.targets] == [example.answer] and not example.exemplars


def test_what_is_cut_is_what_the_model_does_not_see():
  lengths = {'inputs': 20, 'targets': 64}
  (example,) = read(info('.template_1'), 'train', 1, 0, lengths)
  task = seqio.TaskRegistry.get('quickstart_synonym.template_1')
  seen = next(task.get_dataset(lengths, 'train', shuffle=False, seed=0).as_numpy_iterator())['inputs']
  assert seqio.ByteVocabulary().decode(seen.tolist()[:-1]) == example.inputs.kept
  assert example.inputs.cut


def test_exemplars_are_named_and_those_without_room_are_counted():
  (example,) = read(info('.template_1.3shot'), 'train', 1, 0, LENGTHS)
  assert len(set(example.exemplars) - {example.row}) == 3 and not example.exemplars_left_out
  room = example.inputs.tokens - 10
  (shorter,) = read(info('.template_1.3shot'), 'train', 1, 0, {'inputs': room, 'targets': 64})
  assert len(shorter.exemplars) + shorter.exemplars_left_out == 3 and shorter.exemplars_left_out > 0


def test_a_ranked_example_has_every_option_as_target():
  (example,) = read(info('.rank'), 'train', 1, 0, LENGTHS)
  assert {target.kept for target in example.targets} == {'yes', 'no'} == set(example.options)


@pytest.mark.parametrize('suffix', ['', '.2shot', '.rank'])
def test_each_template_asks_about_the_same_rows(suffix):
  found = read_each(info(suffix), 'test', 3, 0, LENGTHS)
  rows = {}
  for example in found:
    rows.setdefault(example.template, []).append(example.row)
  assert list(rows) == list(range(6)) and len(rows[0]) == 3
  assert all(each == rows[0] for each in rows.values())


def test_some_templates_are_those_that_the_task_uses():
  assert {example.template for example in read_each(info('.first_2'), 'test', 2, 0, LENGTHS)} == {0, 1}
  assert {example.template for example in read_each(info('.fields_only'), 'test', 2, 0, LENGTHS)} == {-1}


def test_one_template_under_each_template_is_what_the_task_itself_gives():
  each = [example for example in read_each(info(), 'test', 2, 0, LENGTHS) if example.template == 4]
  assert each == read(info('.template_4'), 'test', 2, 0, LENGTHS)
