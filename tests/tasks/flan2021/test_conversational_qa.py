"""Conversational question answering: whole dialogues of CoQA, single questions of QuAC."""

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.splits import resolve
from tasks.flan2021.conversational_qa import COQA, QUAC


def _quac_row(orig_answer, *answers, context='She sang. CANNOTANSWER', background='Anna Vissi is a singer.'):
  return {
    'title': tf.constant('Anna Vissi'),
    'section_title': tf.constant('1983-1989'),
    'background': tf.constant(background),
    'context': tf.constant(context),
    'question': tf.constant('what did she do?'),
    'orig_answer': {'text': tf.constant(orig_answer)},
    'answers': {'text': tf.constant(answers, tf.string)},
  }


def test_coqa_numbers_the_turns_and_keeps_each_on_its_line():
  row = {
    'story': tf.constant(' Cotton was a kitten.\n'),
    'questions': tf.constant(['What was\nshe?', ' and? ']),
    'answers': {'input_text': tf.constant(['a  kitten', 'unknown\n'])},
  }
  example = COQA.example(row)
  assert example['story'].numpy() == b'Cotton was a kitten.'
  assert example['questions'].numpy() == b'1. What was she?\n2. and?'
  assert example['answer'].numpy() == b'1. a kitten\n2. unknown'


def test_coqa_has_an_answer_for_every_question(real_data):
  builder = tfds.builder(COQA.source, data_dir=str(real_data / 'tfds_tiny'))
  for split, turns in (('train', 20), ('test', 12)):
    (example,) = builder.as_dataset(split=split).map(COQA.example).as_numpy_iterator()
    for name in ('questions', 'answer'):
      lines = example[name].decode().split('\n')
      assert [line.split('. ')[0] for line in lines] == [str(number + 1) for number in range(turns)]


def test_quac_takes_the_mark_for_no_answer_out_of_section_and_references():
  example = QUAC.example(_quac_row('She sang.', 'CANNOTANSWER', 'sang', 'She sang.'))
  assert example['passage'].numpy() == b'She sang.'
  assert example['article'].numpy() == b'Anna Vissi is a singer.\n\nShe sang.'
  assert example['answer'].numpy() == b'She sang.'
  assert list(example['references'].numpy()) == [b'She sang.', b'sang']


def test_quac_article_without_background_is_its_section():
  assert QUAC.example(_quac_row('She sang.', 'She sang.', background=''))['article'].numpy() == b'She sang.'


def test_quac_leaves_out_questions_without_an_answer():
  assert bool(QUAC.keep(_quac_row('She sang.', 'CANNOTANSWER')))
  assert not bool(QUAC.keep(_quac_row('CANNOTANSWER', 'She sang.')))


@pytest.mark.parametrize(('split', 'kept', 'left_out'), [('train', 35, 4), ('validation', 31, 10)])
def test_quac_answers_are_quotations_from_the_section(split, kept, left_out, real_data):
  rows = tfds.builder(QUAC.source, data_dir=str(real_data / 'tfds_tiny')).as_dataset(split=split)
  examples = list(rows.filter(QUAC.keep).map(QUAC.example).as_numpy_iterator())
  assert (len(examples), len(list(rows)) - len(examples)) == (kept, left_out)
  for example in examples:
    assert all(reference in example['passage'] for reference in example['references'])
    assert not any(b'CANNOTANSWER' in text for name in ('article', 'references') for text in [example[name]])


@pytest.mark.parametrize(
  ('dataset', 'sizes', 'expected'),
  [
    (COQA, {'train': 7199, 'test': 500}, (7099, 100, 500)),
    (QUAC, {'train': 83568, 'validation': 7354}, (30000, 200, 7354)),
  ],
)
def test_roles_have_the_sizes_of_flan(dataset, sizes, expected):
  ranges = resolve(dataset.splits, sizes, dataset.name)
  assert tuple(len(ranges[role]) for role in ('train', 'validation', 'test')) == expected
