"""Reading comprehension: what counts as an answer, where there are several, none, or one to be judged."""

import collections

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.splits import resolve
from flan_jax.evaluation import metrics
from tasks.flan2021.reading_comprehension import BOOL_Q, DATASETS, DROP, MULTIRC, OPENBOOKQA, SQUAD_V1, SQUAD_V2


def _examples(dataset, split, folder):
  rows = tfds.builder(dataset.source, data_dir=str(folder)).as_dataset(split=split, shuffle_files=False)
  return list(rows.map(dataset.example).as_numpy_iterator())


def _texts(values) -> list[str]:
  return [value.decode() for value in values.numpy()]


def _squad_row(*answers, title='Southern_California'):
  return {
    'title': tf.constant(title),
    'context': tf.constant(' Los Angeles is a city. \n'),
    'question': tf.constant(' What is it?'),
    'answers': {'text': tf.constant(answers, tf.string, shape=[len(answers)])},
  }


def _drop_row(answer, *validated):
  return {
    'passage': tf.constant(' They met.'),
    'question': tf.constant('When?'),
    'answer': tf.constant(answer),
    'validated_answers': tf.constant(validated, tf.string, shape=[len(validated)]),
  }


def test_bool_q_has_the_published_share_of_yes(real_data):
  examples = _examples(BOOL_Q, 'validation', real_data / 'tfds')
  assert collections.Counter(example['answer'] for example in examples) == {b'no': 1237, b'yes': 2033}
  assert not any(example['question'].endswith(b'?') for example in examples)  # the templates supply it


@pytest.mark.parametrize('dataset', [SQUAD_V1, SQUAD_V2], ids=lambda dataset: dataset.name)
def test_squad_counts_any_answer_once_and_aims_at_the_first(dataset):
  example = dataset.example(_squad_row('a city', 'city', 'a city '))
  assert example['answer'].numpy() == b'a city'
  assert _texts(example['references']) == ['a city', 'city']
  assert (example['title'].numpy(), example['passage'].numpy()) == (b'Southern California', b'Los Angeles is a city.')
  assert example['question'].numpy() == b'What is it?'


def test_squad_answers_stand_in_their_passages(real_data):
  for example in _examples(SQUAD_V1, 'validation', real_data / 'tfds'):
    assert all(reference in example['passage'] for reference in example['references'])


def test_squad_v2_calls_a_question_without_answers_unanswerable_and_its_templates_say_so():
  example = SQUAD_V2.example(_squad_row())
  assert example['answer'].numpy() == b'unanswerable'
  assert _texts(example['references']) == ['unanswerable']
  for index in SQUAD_V2.answerable:
    assert 'unanswerable' in SQUAD_V2.templates[index].inputs


@pytest.mark.parametrize(
  ('answer', 'expected'),
  [
    ('1944-June-5', '5 June 1944'),
    ('-June-5', '5 June'),
    ('28-yard', '28-yard'),
    ('10-7', '10-7'),
    ('1914-1918', '1914-1918'),
  ],
)
def test_drop_writes_dates_as_people_do_and_leaves_other_answers_alone(answer, expected):
  assert DROP.example(_drop_row(answer))['answer'].numpy().decode() == expected


def test_drop_counts_the_answers_of_all_annotators():
  references = _texts(DROP.example(_drop_row('3', '2', '3', '', '2'))['references'])
  assert references == ['3', '2']
  assert metrics.get('squad')([references], ['2'])['em'] == 100.0


def test_drop_leaves_out_rows_whose_answer_tfds_has_lost():
  assert bool(DROP.keep(_drop_row('3')))
  assert not bool(DROP.keep(_drop_row('', '3')))


def test_drop_reads_its_real_rows(real_data):
  (first, second) = _examples(DROP, 'dev', real_data / 'tfds_tiny')
  assert [first['answer'], *first['references']] == [b'Chaz Schilens', b'Chaz Schilens', b'JaMarcus Russell']
  assert [second['answer'], *second['references']] == [b'3', b'3', b'2']


def test_multirc_judges_each_candidate_answer(real_data):
  builder = tfds.builder(MULTIRC.source, data_dir=str(real_data / 'tfds'))
  assert builder.info.features['label'].names == ['False', 'True']
  rows = builder.as_dataset(split='validation').map(lambda row: (row['answer'], row['label'], MULTIRC.example(row)))
  counts = collections.Counter()
  for text, label, example in rows.as_numpy_iterator():
    assert example['candidate'] == text.strip()
    assert example['answer'] == (b'no', b'yes')[label]
    counts[example['answer']] += 1
  assert counts == {b'no': 2773, b'yes': 2075}


def test_openbookqa_answers_with_the_keyed_choice():
  choices = {f'choice_{letter}': tf.constant(f'use {letter} ') for letter in 'ABCD'}
  row = {
    'question': {'stem': tf.constant('A cactus stem is used to'), **choices},
    'fact1': tf.constant('a cactus stem stores water'),
    'answerKey': tf.constant(2, tf.int64),
  }
  example = OPENBOOKQA.example(row)
  assert _texts(example['options']) == ['use A', 'use B', 'use C', 'use D']
  assert example['answer'].numpy() == b'use C'


@pytest.mark.parametrize(
  ('name', 'sizes', 'expected'),
  [
    ('bool_q', {'train': 9427, 'validation': 3270}, (9227, 200, 3270)),
    ('squad_v1', {'train': 87599, 'validation': 10570}, (30000, 200, 10570)),
    ('squad_v2', {'train': 130319, 'validation': 11873}, (30000, 200, 11873)),
    ('drop', {'train': 77409, 'dev': 9536}, (30000, 200, 9536)),
    ('multirc', {'train': 27243, 'validation': 4848, 'test': 9693}, (27043, 200, 4848)),
    ('openbookqa', {'train': 4957, 'validation': 500, 'test': 500}, (4957, 200, 500)),
  ],
)
def test_roles_have_the_sizes_of_flan(name, sizes, expected):
  dataset = next(dataset for dataset in DATASETS if dataset.name == name)
  ranges = resolve(dataset.splits, sizes, name)
  assert tuple(len(ranges[role]) for role in ('train', 'validation', 'test')) == expected
