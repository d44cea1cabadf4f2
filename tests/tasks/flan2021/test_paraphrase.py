"""Paraphrase: Quora's questions without their file's quoting, and similarity as a rounded score."""

import collections

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.splits import resolve
from tasks.flan2021.paraphrase import DATASETS

BY_NAME = {dataset.name: dataset for dataset in DATASETS}


def _questions(one, other='What is art?', label=0):
  return {'question1': tf.constant(one), 'question2': tf.constant(other), 'label': tf.constant(label, tf.int64)}


def _scored(label):
  return {'sentence1': tf.constant('One.'), 'sentence2': tf.constant('Two.'), 'label': tf.constant(label, tf.float32)}


@pytest.mark.parametrize('name', ['mrpc', 'paws_wiki', 'qqp'])
def test_yes_means_the_same(name, tmp_path):
  labels = tfds.builder(BY_NAME[name].source, data_dir=str(tmp_path)).info.features['label'].names
  assert labels[BY_NAME[name].options.index('yes')] in ('equivalent', 'paraphrase', 'duplicate')


@pytest.mark.parametrize(
  ('raw', 'read'),
  [
    ('"Is ""art"" art?"', "Is 'art' art?"),  # as a CSV file quotes it
    ('"""Art"" is what?"', "'Art' is what?"),
    ('"What is ""art""?"', "What is 'art'?"),
    ('What is ""art""?', "What is 'art'?"),
    ('"Art" or "craft"', '"Art" or "craft"'),  # two words in quotation marks, not a quoted question
    ('What is "art"?', 'What is "art"?'),
    (' What is art?  ', 'What is art?'),
  ],
)
def test_qqp_reads_the_quoting_of_its_file(raw, read):
  example = BY_NAME['qqp'].example(_questions(raw, raw, 1))
  assert example['question1'].numpy().decode() == example['question2'].numpy().decode() == read
  assert example['answer'].numpy() == b'yes'


def test_qqp_leaves_out_the_pairs_with_an_empty_question():
  pairs = [_questions('Why?', 'How?'), _questions('Why?', ''), _questions(' ', 'How?')]
  assert [bool(BY_NAME['qqp'].keep(pair)) for pair in pairs] == [True, False, False]


def test_no_question_of_qqp_is_left_in_quotation_marks(real_data):
  dataset = BY_NAME['qqp']
  rows = tfds.builder(dataset.source, data_dir=str(real_data / 'tfds')).as_dataset(split='train').filter(dataset.keep)
  examples = list(rows.map(dataset.example).as_numpy_iterator())
  questions = [example[name].decode() for example in examples for name in ('question1', 'question2')]
  assert len(examples) == 200
  assert not [text for text in questions if text.startswith('"') or '""' in text or text != text.strip()]
  assert "Why does Quora mark my perfectly semantic question as, 'Needs Improvement'?" in questions


@pytest.mark.parametrize(
  ('label', 'answer'),
  [
    (0.0, '0'),
    (0.4, '0'),
    (0.5, '0'),
    (1.5, '2'),
    (2.5, '2'),
    (3.5, '4'),
    (4.4, '4'),
    (4.5, '4'),
    (4.8, '5'),
    (5.0, '5'),
  ],
)
def test_stsb_answers_with_the_nearest_whole_score(label, answer):
  example = BY_NAME['stsb'].example(_scored(label))
  assert example['answer'].numpy().decode() == answer
  assert example['options'].numpy().tolist() == [b'0', b'1', b'2', b'3', b'4', b'5']


def test_stsb_scores_are_spread_over_all_options(real_data):
  dataset = BY_NAME['stsb']
  rows = tfds.builder(dataset.source, data_dir=str(real_data / 'tfds')).as_dataset(split='validation')
  counts = collections.Counter(e['answer'].decode() for e in rows.map(dataset.example).as_numpy_iterator())
  assert counts == {'0': 242, '1': 235, '2': 273, '3': 346, '4': 285, '5': 119}


@pytest.mark.parametrize(
  ('name', 'source', 'roles'),
  [
    ('paws_wiki', {'train': 49401, 'validation': 8000, 'test': 8000}, (30000, 200, 8000)),
    ('qqp', {'train': 363849, 'validation': 40430, 'test': 390965}, (30000, 200, 40430)),
    ('stsb', {'train': 5749, 'validation': 1500, 'test': 1379}, (5649, 100, 1500)),
  ],
)
def test_roles_have_the_sizes_of_flan(name, source, roles):
  ranges = resolve(BY_NAME[name].splits, source, name)
  assert tuple(len(ranges[role]) for role in ('train', 'validation', 'test')) == roles
