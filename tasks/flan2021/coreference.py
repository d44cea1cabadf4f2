"""Coreference: who or what is meant by a pronoun, where only its sense can tell?

WSC and WSC273, the Winograd schema challenge (Levesque et al. 2012; WSC as in SuperGLUE, Wang et al. 2019); definite
pronoun resolution (Rahman and Ng 2012); WinoGrande (Sakaguchi et al. 2020).
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, OPTIONS, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tasks.flan2021.clusters import COREFERENCE
from tasks.flan2021.texts import one_line


def _mark(text: tf.Tensor, expression: tf.Tensor) -> tf.Tensor:
  """Puts asterisks around the first occurrence of an expression as whole words."""
  pattern = tf.strings.join([r'\b\Q', expression, r'\E\b'])
  return tf.strings.regex_replace(text, pattern, tf.strings.join(['*', expression, '*']), replace_global=False)


def _marked_text_and_phrase(row: Row) -> Fields:
  # The pronoun may occur more than once, and its place is given by the number of words before it. That number is one
  # too small in one validation row, so the pronoun is looked for from there on.
  words = tf.strings.split(row['text'], ' ')
  pronoun = row['span2_text']
  rest = _mark(tf.strings.reduce_join(words[row['span2_index'] :], separator=' '), pronoun)
  words = tf.concat([words[: row['span2_index']], [rest]], axis=0)
  return {
    'text': one_line(tf.strings.reduce_join(words, separator=' ')),
    'pronoun': pronoun,
    'phrase': one_line(row['span1_text']),
    LABEL: row['label'],
  }


WSC = Dataset(
  name='wsc',
  cluster=COREFERENCE,
  source='super_glue/wsc.fixed:1.0.2',
  fields=_marked_text_and_phrase,
  options=('no', 'yes'),
  splits=Splits(train='train[:-50]', validation='train[-50:]'),
  templates=(
    Template(
      '{text}\n\nWould the sense remain the same if "{phrase}" stood in place of the marked *{pronoun}*?\n\n{options}'
    ),
    Template(
      'Pronouns save us from repeating ourselves. By the word between asterisks, does the writer of these lines mean '
      '"{phrase}"?\n\n{text}\n\n{options}',
      option_style='letters',
    ),
    Template(
      '{options}\n\nSay whether the claim is right.\n\nText: {text}\nClaim: "{phrase}" is what *{pronoun}* stands for.'
    ),
    Template(
      'Grammar homework: find out what the starred word refers to. A pupil has put down "{phrase}" as the solution.\n\n'
      '{text}\n\nDoes the pupil get a point?\n{options}'
    ),
    Template('{text}\n\nCandidate for *{pronoun}*: {phrase}\nAccept the candidate? {options}', option_style='inline'),
    Template(
      'I am translating the text below into a language that has a dozen words for "{pronoun}". To choose the right one '
      'where you see the asterisks, I must know whether it is about "{phrase}". Is it?\n\n{text}\n\n{options}',
      option_style='numbers',
    ),
    Template(
      'Input: {text}\n\nA computer program has linked *{pronoun}* with "{phrase}". Is the link correct?\n\n'
      '{options}\n\nAssessment:'
    ),
    Template(
      'Use the words and your knowledge of the world.\n\n"{text}"\n\n'
      'Are "{phrase}" and *{pronoun}*, as marked, two names for one thing, person or group?\n\n{options}'
    ),
    Template(
      '{text}\n\nWho or what is *{pronoun}*? If you think of "{phrase}", reply with yes, and otherwise reply with no.'
    ),
    Template(
      '{text}\n\nName somebody or something that occurs in the text, such that the answer to "Is this meant by '
      '*{pronoun}*?" is {answer}.',
      targets='{phrase}',
    ),
  ),
)


def _beginning_and_ends(row: Row) -> Fields:
  # The text is cut at the pronoun, and its end starts with the one or the other noun instead. TFDS counts characters.
  before = tf.strings.substr(row['text'], 0, row['pronoun_start'], unit='UTF8_CHAR')
  length = tf.strings.length(row['text'], unit='UTF8_CHAR') - row['pronoun_end']
  after = tf.strings.substr(row['text'], row['pronoun_end'], length, unit='UTF8_CHAR')
  # Each "her" of these rows is a possessive.
  is_possessive = tf.reduce_any(tf.equal(tf.strings.lower(row['pronoun_text']), ['his', 'her']))
  nouns = tf.stack([row['option1_normalized'], row['option2_normalized']])
  return {
    'beginning': one_line(before),
    OPTIONS: one_line(tf.strings.join([nouns, tf.where(is_possessive, "'s", ''), after])),
    LABEL: row['label'],
  }


WSC273 = Dataset(
  name='wsc273',
  cluster=COREFERENCE,
  source='wsc273:1.0.0',
  fields=_beginning_and_ends,
  splits=Splits(train=None, validation=None, test='test'),
  templates=(
    Template('{beginning} ...\n\nComplete what was begun here, in a way that makes sense.\n\n{options}'),
    Template(
      'Two people end the same text, and they agree on everything but who or what its end is about. Which of them has '
      'got it right?\n\nText: {beginning}\n\n{options}',
      option_style='letters',
    ),
    Template('{options}\n\nWhat should come after the words "{beginning}"?'),
    Template('Judge which is the more reasonable way to go on.\n\n{options}\n\n{beginning}'),
    Template(
      'A teacher reads the first half of a text aloud: "{beginning}" The class has to guess the second half, and a '
      'little thought about people and things will do.\n\n{options}',
      option_style='numbers',
    ),
    Template('Part one: {beginning}\nPart two, in a wrong and in a right version:\n{options}\nRight version:'),
    Template(
      'The ink of a letter is smudged, and nothing but this can be read:\n\n{beginning}\n\n'
      'It went on with either of the following. Ask yourself who would do what, and why, then say with which.\n\n'
      '{options}'
    ),
    Template('{beginning}\n\nYou interrupt the speaker here, since you know what will follow:\n{options}'),
    Template('Finish my thought for me. {beginning}'),
    Template('"{answer}" is how a short text ends. What might it have said before that?', targets='{beginning}'),
  ),
)


def _marked_sentence_and_candidates(row: Row) -> Fields:
  # By the definition of the dataset, a pronoun that occurs several times is asked for where it occurs first.
  return {
    'sentence': _mark(one_line(row['sentence']), row['pronoun']),
    'pronoun': row['pronoun'],
    OPTIONS: one_line(row['candidates']),
    LABEL: row['label'],
  }


DEFINITE_PRONOUN_RESOLUTION = Dataset(
  name='definite_pronoun_resolution',
  cluster=COREFERENCE,
  source='definite_pronoun_resolution:1.1.0',
  fields=_marked_sentence_and_candidates,
  splits=Splits(test='test'),
  templates=(
    Template('{sentence}\n\nOf the two listed below, which does the pronoun in asterisks stand for?\n\n{options}'),
    Template(
      'Reword the sentence without *{pronoun}*. What do you put instead?\n\n{sentence}\n\n{options}\n\nInstead:',
      option_style='letters',
    ),
    Template('{options}\n\nOne of these is meant by *{pronoun}* in the following.\n\n{sentence}'),
    Template(
      'A notary objects to the expression between asterisks, because it can be understood in two ways, and demands a '
      'clear one in exchange.\n\n"{sentence}"\n\nWhat did the author intend?\n{options}'
    ),
    Template('Sentence: {sentence}\nPronoun: {pronoun} (marked)\nPossible antecedents:\n{options}\nAntecedent:'),
    Template(
      'Ask yourself which reading is true to life.\n\n{sentence}\n\n*{pronoun}* = ?\n\n{options}',
      option_style='numbers',
    ),
    Template('Did you get who or what *{pronoun}* is here? {sentence} {options}', option_style='inline'),
    Template(
      'Somebody who is learning English has trouble with the starred "{pronoun}". Help with a few words from the '
      'list.\n\n{options}\n\nThe sentence in question: {sentence}'
    ),
    Template(
      '{sentence}\n\nAs so often, the grammar would allow more than one reading of the marked word. Find the noun that '
      'it goes with, and write it as it is written above.'
    ),
    Template(
      'Compose a sentence that mentions both of the following. Let a pronoun refer to "{answer}" in such a way that '
      'readers can work it out, and put asterisks around that pronoun.\n\n{options}',
      targets='{sentence}',
    ),
  ),
)


def _sentence_with_blank(row: Row) -> Fields:
  return {
    'sentence': one_line(row['sentence']),  # each has one underscore
    OPTIONS: one_line(tf.stack([row['option1'], row['option2']])),
    LABEL: row['label'],
  }


WINOGRANDE = Dataset(
  name='winogrande',
  cluster=COREFERENCE,
  source='winogrande:1.2.0',
  fields=_sentence_with_blank,
  splits=Splits(train='train_xl[:-200]', validation='train_xl[-200:]'),
  templates=(
    Template('{sentence}\n\nAn underscore keeps a place free in this. Who or what should take it?\n\n{options}'),
    Template(
      'Cloze test. The gap looks like this: _\n\n{sentence}\n\nWhich solution does reason demand?\n{options}',
      option_style='letters',
    ),
    Template('{options}\n\nWhich of the two is missing where the underscore is?\n\n{sentence}'),
    Template(
      'A typist could not make out a word in a manuscript and left the sign _ for it. The copy now reads:\n\n'
      '{sentence}\n\nTell the typist what to put there.\n\n{options}'
    ),
    Template('"{sentence}"\n\nI could not hear the word at the "_". What was it? {options}', option_style='inline'),
    Template(
      'Both options give a grammatical sentence when written over the _ mark. Only one gives a believable sentence.'
      '\n\n{sentence}\n\n{options}\n\nBelievable:',
      option_style='numbers',
    ),
    Template(
      'Sentence with a hole (_): {sentence}\nPieces that have the shape of the hole:\n{options}\n'
      'Piece that has the right meaning as well:'
    ),
    Template(
      'In this riddle there are two possible answers, a blank (_) to write the answer in, and some clue that settles '
      'the matter.\n\n{sentence}\n\n{options}'
    ),
    Template('{sentence}\n\nJudging from the rest, say in a word or two what the lone underscore stands for.'),
    Template(
      'Write a sentence with a blank (_) that could be filled by either of these, but sensibly only by "{answer}".\n\n'
      '{options}',
      targets='{sentence}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (WSC, WSC273, DEFINITE_PRONOUN_RESOLUTION, WINOGRANDE)
