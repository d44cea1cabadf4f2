"""Coreference: the pronoun is marked where it is meant, and the answer is the noun that it stands for."""

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.dataset import Dataset
from tasks.flan2021.coreference import DEFINITE_PRONOUN_RESOLUTION, WINOGRANDE, WSC, WSC273


def _examples(dataset: Dataset, split: str, folder) -> list[dict]:
  rows = tfds.builder(dataset.source, data_dir=str(folder / 'tfds')).as_dataset(split=split, shuffle_files=False)
  return list(rows.map(dataset.example).as_numpy_iterator())


def _wsc(text: str, pronoun: str, index: int) -> dict[str, tf.Tensor]:
  return {
    'text': tf.constant(text),
    'span1_text': tf.constant('Ann'),
    'span2_text': tf.constant(pronoun),
    'span2_index': tf.constant(index, tf.int32),
    'label': tf.constant(1, tf.int64),
  }


def _wsc273(before: str, pronoun: str, after: str) -> dict[str, tf.Tensor]:
  return {
    'text': tf.constant(before + pronoun + after),
    'pronoun_text': tf.constant(pronoun),
    'pronoun_start': tf.constant(len(before), tf.int32),
    'pronoun_end': tf.constant(len(before + pronoun), tf.int32),
    'option1_normalized': tf.constant('Ann'),
    'option2_normalized': tf.constant('the cat'),
    'label': tf.constant(1, tf.int32),
  }


@pytest.mark.parametrize(
  ('text', 'pronoun', 'index', 'marked'),
  [
    ('He saw Bob when he left.', 'he', 4, 'He saw Bob when *he* left.'),
    ('When it rained, it poured.', 'it', 3, 'When it rained, *it* poured.'),
    ('It, however, stayed. ', 'It', 0, '*It*, however, stayed.'),
    ('"Good for him," he said.', 'him', 2, '"Good for *him*," he said.'),
    ('They want to use it , but', 'it', 3, 'They want to use *it* , but'),  # as in a row whose index is one too small
  ],
)
def test_wsc_marks_the_pronoun_at_its_place(text, pronoun, index, marked):
  assert WSC.example(_wsc(text, pronoun, index))['text'].numpy().decode() == marked


@pytest.mark.parametrize('split', ['train', 'validation'])
def test_every_wsc_row_has_its_pronoun_marked_and_names_a_phrase_of_the_text(split, real_data):
  for example in _examples(WSC, split, real_data):
    assert example['text'].count(b'*' + example['pronoun'] + b'*') == 1
    assert example['text'].count(b'*') == 2
    assert example['phrase'].replace(b'*', b'') in example['text'].replace(b'*', b'')


def test_wsc_answers_mean_what_their_labels_mean(real_data):
  names = tfds.builder(WSC.source, data_dir=str(real_data / 'tfds')).info.features['label'].names
  assert dict(zip(names, WSC.options, strict=True)) == {'False': 'no', 'True': 'yes'}
  examples = _examples(WSC, 'validation', real_data)
  answers = {(example['text'], example['phrase']): example['answer'] for example in examples}
  assert answers[b'Jane gave Joan candy because *she* was hungry.', b'Joan'] == b'yes'
  assert sum(example['answer'] == b'yes' for example in examples) == 38


def test_wsc273_is_cut_at_the_pronoun_and_counts_characters():
  example = WSC273.example(_wsc273('Ann\u2019s caf\u00e9 closed, and ', 'it', ' meowed.'))
  assert example['beginning'].numpy().decode() == 'Ann\u2019s caf\u00e9 closed, and'
  assert list(example['options'].numpy()) == [b'Ann meowed.', b'the cat meowed.']
  assert example['answer'].numpy() == b'the cat meowed.'


@pytest.mark.parametrize(('pronoun', 'after', 'end'), [('her', ' tail.', "Ann's tail."), ('him', '.', 'Ann.')])
def test_wsc273_gives_a_possessive_for_a_possessive(pronoun, after, end):
  assert WSC273.example(_wsc273('I like ', pronoun, after))['options'].numpy()[0].decode() == end


def test_wsc273_only_tests(real_data):
  assert [role for role, _ in WSC273.splits.items()] == ['test']
  examples = _examples(WSC273, 'test', real_data)
  assert len(examples) == 273
  answers = {example['beginning'] + b' ' + example['answer'] for example in examples}
  assert b"Madonna fired her trainer because she slept with Madonna's boyfriend." in answers


def test_every_her_of_wsc273_is_a_possessive(real_data):
  rows = tfds.builder(WSC273.source, data_dir=str(real_data / 'tfds')).as_dataset(split='test').as_numpy_iterator()
  texts = [row['text'][row['pronoun_end'] :] for row in rows if row['pronoun_text'].lower() == b'her']
  nouns = ['back', 'boyfriend', 'chest', 'concentration', 'education', 'place', 'silence', 'will']
  assert sorted({text.decode().split()[0].strip('.,') for text in texts}) == nouns


@pytest.mark.parametrize(
  ('sentence', 'pronoun', 'marked'),
  [
    ('A chicken pecked at a bug and it ate it.', 'it', 'A chicken pecked at a bug and *it* ate it.'),
    ('The other man hit the critter, so it fled.', 'it', 'The other man hit the critter, so *it* fled.'),
    ('Bo met a kid, but that newbie ran.', 'that newbie', 'Bo met a kid, but *that newbie* ran.'),
  ],
)
def test_pronoun_resolution_marks_the_first_whole_word(sentence, pronoun, marked):
  row = {
    'sentence': tf.constant(sentence),
    'pronoun': tf.constant(pronoun),
    'candidates': tf.constant(['one', 'other']),
    'label': tf.constant(0, tf.int64),
  }
  assert DEFINITE_PRONOUN_RESOLUTION.example(row)['sentence'].numpy().decode() == marked


@pytest.mark.parametrize(('split', 'rows'), [('train', 1316), ('test', 564)])
def test_every_pronoun_is_marked_and_answered_with_a_candidate(split, rows, real_data):
  examples = _examples(DEFINITE_PRONOUN_RESOLUTION, split, real_data)
  for example in examples:
    assert example['sentence'].count(b'*' + example['pronoun'] + b'*') == 1
    assert len(set(example['options'])) == 2
  answers = {example['sentence']: example['answer'] for example in examples}
  # Sentences come in pairs with opposite answers.
  assert len(answers) == rows
  if split == 'test':
    assert answers[b'The bowl had a crack, so *it* was thrown away.'] == b'The bowl'
    assert answers[b'A chicken pecked at a bug and *it* ate it.'] == b'A chicken'


def test_winogrande_keeps_its_blank_and_answers_with_the_option(real_data):
  examples = _examples(WINOGRANDE, 'validation', real_data)
  assert all(example['sentence'].count(b'_') == 1 and b'  ' not in example['sentence'] for example in examples)
  answers = {example['sentence']: example['answer'] for example in examples}
  assert answers[b'The hiking group had more food than water, so they tried to conserve the _ .'] == b'water'
  for template in WINOGRANDE.templates:
    assert '_' in template.inputs or 'underscore' in template.inputs
