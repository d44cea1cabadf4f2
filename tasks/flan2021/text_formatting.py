"""Text formatting: give a sentence back its capitals, its punctuation or its spaces.

All three are made of the English side of ParaCrawl, text from web pages (Esplà et al. 2019, Bañón et al. 2020): the
answer is the sentence as it was, and each dataset takes other rows to train on.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from flan_jax.data.dataset import Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import TEXT_FORMATTING

_SOURCE = 'para_crawl/enda:1.2.0'
_TEST = 'train[-3000:]'  # there is one TFDS split only; the three tests share the rows that nothing trains on
_METRICS = ('accuracy', 'edit_distance')


def _sentence(row: Row) -> tf.Tensor:
  # Vocabularies such as T5's know no runs of white space and no other white space than the space: a model could not
  # write such a reference.
  return _single_spaces(row['en'])


def _single_spaces(text: tf.Tensor) -> tf.Tensor:
  return tf.strings.strip(tf.strings.regex_replace(text, r'[\s\pZ]+', ' '))


def _lowercase(text: tf.Tensor) -> tf.Tensor:
  return tf.strings.lower(text, encoding='utf-8')  # without the encoding, letters beyond ASCII keep their case


def _bare(text: tf.Tensor) -> tf.Tensor:
  r"""Removes punctuation and symbols; `[^\w\s]` would take the letters beyond ASCII with them."""
  return _single_spaces(tf.strings.regex_replace(text, r'[\pP\pS]', ''))


def _unspaced(text: tf.Tensor) -> tf.Tensor:
  return tf.strings.regex_replace(text, ' ', '')


def _damaged_and_sentence(row: Row, name: str, damage: Callable[[tf.Tensor], tf.Tensor]) -> Fields:
  sentence = _sentence(row)
  return {name: damage(sentence), ANSWER: sentence}


def _has_capitals(row: Row) -> tf.Tensor:
  sentence = _sentence(row)  # without a capital there is nothing to restore
  return tf.not_equal(_lowercase(sentence), sentence)


def _has_words_and_punctuation(row: Row) -> tf.Tensor:
  sentence = _sentence(row)  # without a mark there is nothing to restore, and with nothing else nothing to go by
  bare = _bare(sentence)
  return tf.logical_and(tf.not_equal(bare, sentence), tf.not_equal(bare, ''))


TRUE_CASE = Dataset(
  name='true_case',
  cluster=TEXT_FORMATTING,
  source=_SOURCE,
  fields=functools.partial(_damaged_and_sentence, name='lowercase', damage=_lowercase),
  keep=_has_capitals,
  splits=Splits(train='train[:30000]', validation='train[30000:30200]', test=_TEST),
  metrics=_METRICS,
  templates=(
    Template('Restore the capital letters: {lowercase}'),
    Template('{lowercase}\n\nWrite this again with correct capitalization.'),
    Template(
      'The shift key was broken when somebody typed the line below. Retype it as they would have wanted.\n\n{lowercase}'
    ),
    Template('Lower case: {lowercase}\nTrue case:'),
    Template(
      'You proofread web pages. In the following passage every capital has been replaced by its small counterpart, at '
      'the start of sentences, in names and in abbreviations alike. Undo this and change nothing else.\n\n'
      'Passage: {lowercase}'
    ),
    Template('Consider this text:\n\n{lowercase}\n\nHow would an editor capitalize it?'),
    Template('my brother never uses upper case, can you fix his message so that it looks proper? {lowercase}'),
    Template(
      'Which letters ought to be upper-case ones? Reply with the whole line, in which you have adjusted them.\n'
      'Line: {lowercase}'
    ),
    Template('Put each letter into lower case: {answer}', targets='{lowercase}'),
    Template(
      'A search engine turns capitals into small letters before it stores a page. What does it store for this one?'
      '\n\n{answer}',
      targets='{lowercase}',
    ),
  ),
)

FIX_PUNCT = Dataset(
  name='fix_punct',
  cluster=TEXT_FORMATTING,
  source=_SOURCE,
  fields=functools.partial(_damaged_and_sentence, name='bare', damage=_bare),
  keep=_has_words_and_punctuation,
  splits=Splits(train='train[30200:60200]', validation='train[60200:60400]', test=_TEST),
  metrics=_METRICS,
  templates=(
    Template('Add punctuation.\n\n{bare}'),
    Template('Commas, full stops and all other marks have gone missing here. Put them back where they were: {bare}'),
    Template('{bare}\n\nRepeat the above, punctuated correctly.'),
    Template('Without punctuation: {bare}\nWith punctuation:'),
    Template(
      'A speech recognizer writes down what it hears, but neither marks nor symbols. Prepare its transcript for '
      'print. The words themselves are right.\n\nTranscript: {bare}'
    ),
    Template('Teacher: Who can tell me how to punctuate the line on the board?\nBoard: {bare}\nPupil:'),
    Template(
      'Edit for periods, quotation marks, hyphens, apostrophes and the like. Leave wording and capitalization alone.'
      '\n\n{bare}'
    ),
    Template(
      'Ugh, I pasted my text and this is what came out:\n"{bare}"\n'
      'What did it look like before everything but letters and digits was lost?'
    ),
    Template('{answer}\n\nStrip all punctuation marks and symbols from this.', targets='{bare}'),
    Template(
      'To compare web pages, a program reduces them to their words and numbers, all other signs being dropped. Show '
      'the reduced form of the following page.\n\n{answer}',
      targets='{bare}',
    ),
  ),
)

WORD_SEGMENT = Dataset(
  name='word_segment',
  cluster=TEXT_FORMATTING,
  source=_SOURCE,
  fields=functools.partial(_damaged_and_sentence, name='unspaced', damage=_unspaced),
  splits=Splits(train='train[60400:90400]', validation='train[90400:90600]', test=_TEST),
  metrics=_METRICS,
  templates=(
    Template('Insert the missing spaces: {unspaced}'),
    Template('Segment into words.\n\n{unspaced}'),
    Template('{unspaced}\n\nThe space bar did not work while this was being typed. What was it meant to say?'),
    Template('Run together: {unspaced}\nSpaced out:'),
    Template(
      'Scribes of antiquity often wrote without gaps between words, and so does the next line.\n{unspaced}\n'
      'Render it the modern way.'
    ),
    Template(
      'Where does one word end and another begin? Copy the string with a blank at each boundary, and leave all other '
      'characters as they are.\n\nString: {unspaced}'
    ),
    Template(
      'Software for scanned documents cannot always tell where a word is over. Repair what it has read from a page.'
      '\n\nRead: {unspaced}\nRepaired:'
    ),
    Template('can you make out what this says??\n{unspaced}\nplease write it so that i can too'),
    Template('Take out all the spaces: {answer}', targets='{unspaced}'),
    Template(
      'A programmer needs a sentence as one unbroken sequence of characters.\n\nSentence: {answer}\nSequence:',
      targets='{unspaced}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (TRUE_CASE, FIX_PUNCT, WORD_SEGMENT)
