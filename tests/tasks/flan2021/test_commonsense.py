"""Commonsense: which of the row's choices is the answer, and HellaSwag's tags."""

import pytest
import tensorflow as tf

from tasks.flan2021.commonsense import HELLASWAG, PIQA, STORY_CLOZE


def _story(label: int) -> dict[str, tf.Tensor]:
  return {
    'context': tf.constant('One.  Two. Three. Four.'),
    'endings': tf.constant(['First end.', 'Second end. ']),
    'label': tf.constant(label, tf.int32),
  }


def _hellaswag(context: str, endings: list[str], label: int = 0) -> dict[str, tf.Tensor]:
  return {
    'context': tf.constant(context),
    'endings': tf.constant(endings),
    'activity_label': tf.constant('Home and Garden'),
    'label': tf.constant(label, tf.int32),
  }


@pytest.mark.parametrize(('label', 'answer'), [(1, b'First end.'), (2, b'Second end.')])
def test_story_cloze_counts_its_endings_from_one(label, answer):
  example = STORY_CLOZE.example(_story(label))
  assert example['answer'].numpy() == answer
  assert example['story'].numpy() == b'One. Two. Three. Four.'


@pytest.mark.parametrize(('label', 'answer'), [(0, b'Use a cloth.'), (1, b'Use a brick.')])
def test_piqa_answers_with_the_labelled_solution_on_one_line(label, answer):
  row = {
    'goal': tf.constant('clean\na mirror '),
    'sol1': tf.constant('Use a\ncloth.'),
    'sol2': tf.constant('Use a brick.'),
    'label': tf.constant(label, tf.int64),
  }
  example = PIQA.example(row)
  assert (example['goal'].numpy(), example['answer'].numpy()) == (b'clean a mirror', answer)


def test_hellaswag_tags_begin_lines_of_the_context():
  context = '[header] How to mow a lawn [title] Get ready. [step] Wear shoes.  [substeps] Not sandals.'
  example = HELLASWAG.example(_hellaswag(context, ['a', 'b', 'c', 'd']))
  assert example['context'].numpy() == b'How to mow a lawn\nGet ready.\nWear shoes.\nNot sandals.'


def test_hellaswag_endings_lose_their_tags_and_stay_on_one_line():
  endings = ['[title] Mow. [step] [substeps] Turn.', '[substeps] Rest.', 'sleeps.', ', then leaves.']
  example = HELLASWAG.example(_hellaswag('A man stands in a garden. he', endings))
  assert list(example['options'].numpy()) == [b'Mow. Turn.', b'Rest.', b'sleeps.', b', then leaves.']
  assert example['answer'].numpy() == b'Mow. Turn.'


def test_hellaswag_keeps_other_words_in_brackets():
  example = HELLASWAG.example(_hellaswag('He says [sic] so. [step] Go.', ['[b] a', 'b', 'c', 'd']))
  assert example['context'].numpy() == b'He says [sic] so.\nGo.'
  assert example['answer'].numpy() == b'[b] a'


@pytest.mark.parametrize(('label', 'kept'), [(-1, False), (0, True), (3, True)])
def test_hellaswag_leaves_out_rows_without_label(label, kept):
  assert bool(HELLASWAG.keep(_hellaswag('a', ['a', 'b', 'c', 'd'], label))) is kept
