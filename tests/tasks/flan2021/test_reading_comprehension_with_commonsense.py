"""Reading comprehension with commonsense: the entities of a news story, and the endings of an anecdote."""

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.splits import resolve
from tasks.flan2021.reading_comprehension_with_commonsense import COSMOS_QA, RECORD


def _record_row(entities, answers):
  return {
    'passage': tf.constant('Morgan is back.\nHe will host.\n@highlight\nTracy Morgan, 46\n@highlight\nSeason 41'),
    'query': tf.constant('A star is born: @placeholder.'),
    'entities': tf.constant(entities, tf.string),
    'answers': tf.constant(answers, tf.string, shape=[len(answers)]),
    'idx': {'passage': tf.constant(3), 'query': tf.constant(7)},
  }


def test_record_blanks_the_placeholder_and_accepts_any_name_of_the_entity():
  example = RECORD.example(_record_row(['Morgan', 'NBC', 'Tracy Morgan'], ['Morgan', 'Tracy Morgan']))
  assert example['query'].numpy() == b'A star is born: ____.'
  assert example['passage'].numpy() == b'Morgan is back.\nHe will host.'
  assert example['answer'].numpy() == b'Morgan'
  assert list(example['options'].numpy()) == [b'Morgan', b'NBC', b'Tracy Morgan']
  assert list(example['references'].numpy()) == [b'Morgan', b'Tracy Morgan']


@pytest.mark.parametrize(
  ('entities', 'answers', 'kept'),
  [(['Morgan', 'NBC'], ['NBC'], True), (['Morgan', 'NBC'], ['ABC'], False), (['Morgan', 'NBC'], [], False)],
)
def test_record_leaves_out_rows_whose_answer_is_not_an_option(entities, answers, kept):
  assert bool(RECORD.keep(_record_row(entities, answers))) is kept


def test_record_renders_more_entities_than_there_are_letters():
  entities = [f'entity {number}' for number in range(40)]
  example = RECORD.example(_record_row(entities, ['entity 7']))
  for template in RECORD.templates:
    inputs, _ = template.render(example)
    if template.shows_options:
      assert b'entity 39' in inputs.numpy()


def test_record_keeps_every_real_row_and_its_answers_are_options(real_data):
  for folder, split, count in (('tfds', 'train', 64), ('tfds_tiny', 'validation', 2)):
    rows = tfds.builder(RECORD.source, data_dir=str(real_data / folder)).as_dataset(split=split)
    examples = list(rows.filter(RECORD.keep).map(RECORD.example).as_numpy_iterator())
    assert len(examples) == count
    for example in examples:
      assert set(example['references']) <= set(example['options'])
      assert b'@' not in example['query'] and example['query'].count(b'____') == 1
      assert example['passage'] and b'@highlight' not in example['passage']


def test_cosmos_qa_answers_with_the_labelled_option():
  row = {f'answer{number}': tf.constant(f'Because of {number} .') for number in range(4)}
  row |= {'context': tf.constant('It rained .'), 'question': tf.constant('Why ?'), 'label': tf.constant(3, tf.int64)}
  example = COSMOS_QA.example(row)
  assert example['answer'].numpy() == b'Because of 3 .'
  assert list(example['options'].numpy()) == [f'Because of {number} .'.encode() for number in range(4)]


@pytest.mark.parametrize(
  ('dataset', 'sizes', 'expected'),
  [
    (RECORD, {'train': 100730, 'validation': 10000, 'test': 10000}, (30000, 200, 10000)),
    (COSMOS_QA, {'train': 25262, 'validation': 2985, 'test': 6963}, (25062, 200, 2985)),
  ],
)
def test_roles_have_the_sizes_of_flan(dataset, sizes, expected):
  ranges = resolve(dataset.splits, sizes, dataset.name)
  assert tuple(len(ranges[role]) for role in ('train', 'validation', 'test')) == expected
