"""Closed-book question answering: rows that are left out, and all the answers that count."""

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.evaluation import metrics
from tasks.flan2021.closed_book_qa import ARC_CHALLENGE, ARC_EASY, NATURAL_QUESTIONS, TRIVIA_QA


def _rows(dataset, split, folder):
  return tfds.builder(dataset.source, data_dir=str(folder)).as_dataset(split=split, shuffle_files=False)


def _quiz_row(value, normalized_value, aliases, normalized_aliases):
  answer = {'value': value, 'normalized_value': normalized_value, 'aliases': aliases}
  answer = {name: tf.constant(text, tf.string) for name, text in answer.items()}
  answer['normalized_aliases'] = tf.constant(normalized_aliases, tf.string)
  return {'question': tf.constant(' Who wrote Nausea? '), 'answer': answer}


@pytest.mark.parametrize(('split', 'kept', 'dropped'), [('train', 1117, 2), ('validation', 295, 4), ('test', 1165, 7)])
def test_arc_challenge_keeps_the_questions_with_four_choices(split, kept, dropped, real_data):
  rows = _rows(ARC_CHALLENGE, split, real_data / 'tfds')
  found = list(rows.filter(ARC_CHALLENGE.keep).map(ARC_CHALLENGE.example).as_numpy_iterator())
  assert (len(found), len(rows) - len(found)) == (kept, dropped)
  assert all(len(set(row['options'])) == 4 and row['answer'] in row['options'] for row in found)


def test_arc_challenge_is_not_asked_in_the_words_of_arc_easy():
  assert not {t.inputs for t in ARC_CHALLENGE.templates} & {t.inputs for t in ARC_EASY.templates}


@pytest.mark.parametrize('typed', ['who wrote nausea', 'who wrote nausea?', 'who wrote nausea ??', 'who wrote nausea '])
def test_a_natural_question_ends_in_one_question_mark(typed):
  example = NATURAL_QUESTIONS.example({'question': tf.constant(typed), 'answer': tf.constant(['Sartre', 'J.-P. S.'])})
  assert example['question'].numpy() == b'who wrote nausea?'
  assert example['answer'].numpy() == b'Sartre'
  assert list(example['references'].numpy()) == [b'Sartre', b'J.-P. S.']


def test_natural_questions_keep_all_their_answers(real_data):
  rows = _rows(NATURAL_QUESTIONS, 'validation', real_data / 'tfds').take(200)
  pairs = rows.map(lambda row: (row, NATURAL_QUESTIONS.example(row)))
  for row, example in pairs.as_numpy_iterator():
    assert example['question'] == row['question'] + b'?'
    assert example['answer'] == row['answer'][0]
    assert example['references'].tolist() == row['answer'].tolist()


def test_trivia_answers_count_as_written_and_as_normalised():
  row = _quiz_row('Jean-Paul Sartre', 'jean paul sartre', ['Jean-Paul Sartre'], ['sartre', 'jean paul sartre'])
  example = TRIVIA_QA.example(row)
  assert (example['question'].numpy(), example['answer'].numpy()) == (b'Who wrote Nausea?', b'jean paul sartre')
  references = [text.decode() for text in example['references'].numpy()]
  assert references == ['jean paul sartre', 'sartre', 'Jean-Paul Sartre']
  for text in ('jean paul sartre', 'Jean-Paul Sartre', 'Sartre'):
    assert metrics.get('squad')([references], [text])['em'] == 100.0


@pytest.mark.parametrize(('normalized_value', 'kept'), [('sartre', True), ('<unk>', False), ('', False)])
def test_trivia_leaves_out_rows_without_an_answer(normalized_value, kept):
  assert bool(TRIVIA_QA.keep(_quiz_row('Sartre', normalized_value, ['Sartre'], ['sartre']))) is kept


@pytest.mark.parametrize(('split', 'kept'), [('train', 4), ('validation', 4), ('test', 0)])
def test_trivia_answers_are_published_but_for_the_test(split, kept, real_data):
  rows = _rows(TRIVIA_QA, split, real_data / 'tfds_tiny').filter(TRIVIA_QA.keep)
  examples = list(zip(rows, rows.map(TRIVIA_QA.example), strict=True))
  assert len(examples) == kept
  for row, example in examples:
    references = set(example['references'].numpy())
    assert references == {*row['answer']['aliases'].numpy(), *row['answer']['normalized_aliases'].numpy()}
    assert example['answer'].numpy() in references
