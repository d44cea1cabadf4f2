"""Natural language inference: answers that mean what their labels mean, and the rows that count."""

import collections

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.splits import resolve
from tasks.flan2021.nli import DATASETS

BY_NAME = {dataset.name: dataset for dataset in DATASETS}
SIZES = {
  'anli_r1': {'train': 16946, 'validation': 1000, 'test': 1000},
  'anli_r2': {'train': 45460, 'validation': 1000, 'test': 1000},
  'anli_r3': {'train': 100459, 'validation': 1200, 'test': 1200},
  'mnli_matched': {'train': 392702, 'validation_matched': 9815, 'validation_mismatched': 9832},
  'mnli_mismatched': {'train': 392702, 'validation_matched': 9815, 'validation_mismatched': 9832},
  'qnli': {'train': 104743, 'validation': 5463, 'test': 5463},
  'wnli': {'train': 635, 'validation': 71, 'test': 146},
  'snli': {'train': 550152, 'validation': 10000, 'test': 10000},
}


def _pair(label, premise='A man sleeps.', hypothesis='He is awake.'):
  return {'premise': tf.constant(premise), 'hypothesis': tf.constant(hypothesis), 'label': tf.constant(label, tf.int64)}


def _answers(name, split, real_data):
  rows = tfds.builder(BY_NAME[name].source, data_dir=str(real_data / 'tfds')).as_dataset(split=split)
  answers = rows.map(lambda row: BY_NAME[name].example(row)['answer']).batch(1000)  # one by one is slow
  return collections.Counter(answer.decode() for batch in answers.as_numpy_iterator() for answer in batch)


@pytest.mark.parametrize('name', list(BY_NAME))
def test_answers_mean_what_their_labels_mean(name, tmp_path):
  meaning = {'entailment': 'yes', 'e': 'yes', 'contradiction': 'no', 'c': 'no', 'not_entailment': 'no'}
  labels = tfds.builder(BY_NAME[name].source, data_dir=str(tmp_path)).info.features['label'].names
  for label, option in zip(labels, BY_NAME[name].options, strict=True):
    if label in meaning:
      assert option.lower() == meaning[label]
    else:
      assert label in ('neutral', 'n')
      assert 'possible' in option


def test_snli_leaves_out_the_pairs_without_a_majority():
  rows = [_pair(label) for label in (-1, 0, 1, 2)]
  assert [bool(BY_NAME['snli'].keep(row)) for row in rows] == [False, True, True, True]


@pytest.mark.parametrize('name', ['snli', 'mnli_matched', 'mnli_mismatched'])
def test_the_space_behind_a_sentence_is_removed(name):
  example = BY_NAME[name].example(_pair(1, 'We talked. ', ' It was late. '))
  assert (example['premise'].numpy(), example['hypothesis'].numpy()) == (b'We talked.', b'It was late.')
  assert example['answer'].numpy() == b'it is not possible to tell'


def test_anli_takes_its_context_for_the_premise():
  row = {
    'uid': tf.constant('1'),
    'context': tf.constant('Oslo is in Norway.'),
    'hypothesis': tf.constant('Oslo is in Peru.'),
    'label': tf.constant(2, tf.int64),
  }
  for name in ('anli_r1', 'anli_r2', 'anli_r3'):
    example = BY_NAME[name].example(row)
    assert (example['context'].numpy(), example['answer'].numpy()) == (b'Oslo is in Norway.', b'No')


def test_the_halves_of_mnli_differ_in_their_test_rows_alone():
  matched, mismatched = (
    resolve(BY_NAME[name].splits, SIZES[name], name) for name in ('mnli_matched', 'mnli_mismatched')
  )
  assert str(matched.pop('test')) == 'validation_matched[0:9815]'
  assert str(mismatched.pop('test')) == 'validation_mismatched[0:9832]'
  assert matched == mismatched


@pytest.mark.parametrize(
  ('name', 'sizes'),
  [
    ('anli_r1', (16946, 200, 1000)),
    ('anli_r2', (30000, 200, 1000)),
    ('anli_r3', (30000, 200, 1200)),
    ('mnli_matched', (30000, 200, 9815)),
    ('mnli_mismatched', (30000, 200, 9832)),
    ('qnli', (30000, 200, 5463)),
    ('wnli', (605, 30, 71)),
    ('snli', (30000, 200, 10000)),
  ],
)
def test_roles_have_the_sizes_of_flan(name, sizes):
  ranges = resolve(BY_NAME[name].splits, SIZES[name], name)
  assert tuple(len(ranges[role]) for role in ('train', 'validation', 'test')) == sizes


@pytest.mark.parametrize(
  ('name', 'split', 'counts'),
  [
    ('qnli', 'validation', {'yes': 2702, 'no': 2761}),
    ('wnli', 'train', {'yes': 312, 'no': 323}),
    ('wnli', 'validation', {'yes': 31, 'no': 40}),
  ],
)
def test_answers_are_balanced_as_published(name, split, counts, real_data):
  assert _answers(name, split, real_data) == counts


@pytest.mark.parametrize(
  ('sentence', 'answer'), [('The mouse was too cautious.', b'yes'), ('The cat was too cautious.', b'no')]
)
def test_wnli_says_yes_to_the_right_antecedent(sentence, answer, real_data):
  rows = tfds.builder('glue/wnli:2.0.0', data_dir=str(real_data / 'tfds')).as_dataset(split='train+validation')
  rows = rows.filter(lambda row: row['sentence2'] == sentence).map(BY_NAME['wnli'].example)
  found = [e['answer'] for e in rows.as_numpy_iterator() if b'waiting for the mouse, but it was too' in e['sentence1']]
  assert found == [answer]
