"""Sentences without their capitals, punctuation or spaces, all written here: no rows of ParaCrawl are at hand."""

import itertools

import pytest
import tensorflow as tf

from flan_jax.data.splits import resolve
from tasks.flan2021.text_formatting import DATASETS, FIX_PUNCT, TRUE_CASE, WORD_SEGMENT

PARA_CRAWL_ROWS = {'train': 2_414_895}


def _row(text: str) -> dict[str, tf.Tensor]:
  return {'en': tf.constant(text), 'da': tf.constant('Hej.')}


def _field(dataset, name: str, text: str) -> str:
  return dataset.example(_row(text))[name].numpy().decode()


@pytest.mark.parametrize(
  ('dataset', 'name', 'text', 'expected'),
  [
    (TRUE_CASE, 'lowercase', 'Élise met Åse in Århus, DK.', 'élise met åse in århus, dk.'),
    (FIX_PUNCT, 'bare', "“Café Müller” isn't cheap: 5 €!", 'Café Müller isnt cheap 5'),
    (FIX_PUNCT, 'bare', 'Rooms – from $40 – in well-known hotels', 'Rooms from 40 in wellknown hotels'),
    (WORD_SEGMENT, 'unspaced', 'I like Ærø, too.', 'IlikeÆrø,too.'),
  ],
)
def test_what_is_taken_away_from_a_sentence(dataset, name, text, expected):
  assert _field(dataset, name, text) == expected
  assert _field(dataset, 'answer', text) == text


@pytest.mark.parametrize('dataset', DATASETS, ids=lambda dataset: dataset.name)
def test_answers_have_no_white_space_that_a_vocabulary_does_not_know(dataset):
  assert _field(dataset, 'answer', ' Hello\u00a0there,  you.\u2003Bye.\t') == 'Hello there, you. Bye.'


def test_spaces_of_all_kinds_leave_when_words_are_to_be_segmented():
  assert _field(WORD_SEGMENT, 'unspaced', 'Hello\u00a0there,\tyou') == 'Hellothere,you'


@pytest.mark.parametrize(
  ('dataset', 'text', 'kept'),
  [
    (TRUE_CASE, 'Hello.', True),
    (TRUE_CASE, 'hello, 42.', False),
    (TRUE_CASE, 'in Ærø'.lower(), False),
    (TRUE_CASE, 'in Ærø', True),  # the only capital is beyond ASCII
    (FIX_PUNCT, 'Hello.', True),
    (FIX_PUNCT, 'Hello you', False),
    (FIX_PUNCT, 'Café Müller', False),  # letters beyond ASCII are no punctuation
    (FIX_PUNCT, 'Hello  you', False),  # nor is a second space
    (FIX_PUNCT, '* * *', False),
  ],
)
def test_rows_with_nothing_to_restore_are_left_out(dataset, text, kept):
  assert bool(dataset.keep(_row(text))) is kept


def test_datasets_train_and_choose_templates_on_rows_of_their_own():
  ranges = {dataset.name: resolve(dataset.splits, PARA_CRAWL_ROWS, dataset.name) for dataset in DATASETS}
  assert [tuple(len(found[role]) for role in ('train', 'validation', 'test')) for found in ranges.values()] == [
    (30_000, 200, 3_000)
  ] * 3
  tests = {str(found['test']) for found in ranges.values()}
  assert tests == {'train[2411895:2414895]'}
  taken = [found[role] for found in ranges.values() for role in ('train', 'validation')]
  for one, other in itertools.combinations([*taken, ranges['true_case']['test']], 2):
    assert one.stop <= other.start or other.stop <= one.start
