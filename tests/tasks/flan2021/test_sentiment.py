"""Sentiment: neutral tweets, and the escapes of the reviews."""

import collections

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.dataset import Dataset
from tasks.flan2021.sentiment import IMDB_REVIEWS, SENTIMENT140, YELP_POLARITY_REVIEWS


def _tweet(polarity: int) -> dict[str, tf.Tensor]:
  return {'text': tf.constant(' @you ok '), 'polarity': tf.constant(polarity, tf.int32)}


def _review(text: str) -> dict[str, tf.Tensor]:
  return {'text': tf.constant(text), 'label': tf.constant(1, tf.int64)}


def _answers(dataset: Dataset, split: str, folder) -> dict[str, int]:
  rows = tfds.builder(dataset.source, data_dir=str(folder / 'tfds')).as_dataset(split=split, shuffle_files=False)
  rows = rows.filter(dataset.keep) if dataset.keep else rows
  return dict(collections.Counter(e['answer'].decode() for e in rows.map(dataset.example).as_numpy_iterator()))


@pytest.mark.parametrize(('polarity', 'answer'), [(0, b'negative'), (4, b'positive')])
def test_the_ends_of_the_scale_are_negative_and_positive(polarity, answer):
  assert SENTIMENT140.keep(_tweet(polarity))
  example = SENTIMENT140.example(_tweet(polarity))
  assert (example['tweet'].numpy(), example['answer'].numpy()) == (b'@you ok', answer)


def test_neutral_tweets_are_left_out():
  assert not SENTIMENT140.keep(_tweet(2))


def test_the_neutral_test_tweets_are_not_counted_as_negative(real_data):
  assert _answers(SENTIMENT140, 'test', real_data) == {'negative': 177, 'positive': 182}


@pytest.mark.parametrize(
  ('text', 'review'),
  [
    ('Good. <br /><br />Bad.<br />Ugly. ', b'Good.\nBad.\nUgly.'),
    ('<br />i < 3 <3', b'i < 3 <3'),
  ],
)
def test_html_line_breaks_become_new_lines(text, review):
  assert IMDB_REVIEWS.example(_review(text))['review'].numpy() == review


def test_no_html_line_break_is_left_in_real_reviews(real_data):
  rows = tfds.builder(IMDB_REVIEWS.source, data_dir=str(real_data / 'tfds')).as_dataset(split='test')
  for example in rows.take(300).map(IMDB_REVIEWS.example).as_numpy_iterator():
    assert b'<br' not in example['review']
    assert b'\n\n' not in example['review']


def test_imdb_answers_mean_what_their_labels_mean(real_data):
  assert _answers(IMDB_REVIEWS, 'test', real_data) == {'negative': 500, 'positive': 500}
  names = tfds.builder(IMDB_REVIEWS.source, data_dir=str(real_data / 'tfds')).info.features['label'].names
  assert [option[:3] for option in IMDB_REVIEWS.options] == names


def test_escapes_of_the_csv_file_are_undone():
  text = r'They \""fixed\"" it.\n\nNever back!\n'
  assert YELP_POLARITY_REVIEWS.example(_review(text))['review'].numpy() == b'They "fixed" it.\n\nNever back!'


@pytest.mark.parametrize(('text', 'kept'), [('Fine.', True), ('', False), (r' \n ', False)])
def test_reviews_without_text_are_left_out(text, kept):
  assert bool(YELP_POLARITY_REVIEWS.keep(_review(text))) is kept


def test_low_ratings_are_negative(real_data):
  rows = tfds.builder(YELP_POLARITY_REVIEWS.source, data_dir=str(real_data / 'tfds_tiny')).as_dataset(split='train')
  examples = list(rows.map(YELP_POLARITY_REVIEWS.example).as_numpy_iterator())
  assert {example['answer'] for example in examples if b'2 stars' in example['review']} == {b'negative'}
