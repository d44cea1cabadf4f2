"""Closed-book question answering: what a model knows by itself.

ARC-Easy and ARC-Challenge, school science (Clark et al. 2018); Natural Questions, what people ask a search engine
(Kwiatkowski et al. 2019, without its documents as in Lee et al. 2019); TriviaQA, what quizzes ask (Joshi et al. 2017).
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, OPTIONS, REFERENCES, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import CLOSED_BOOK_QA

_CHOICES = 4


def _question_and_choices(row: Row) -> Fields:
  # Choices are looked up by their letter: nothing promises that the key is a choice's position.
  return {
    'question': row['question'],
    OPTIONS: row['choices']['text'],
    LABEL: tf.argmax(tf.equal(row['choices']['label'], row['answerKey'])),
  }


def _has_four_choices_and_its_key(row: Row) -> tf.Tensor:
  letters = row['choices']['label']
  return tf.logical_and(tf.equal(tf.size(letters), _CHOICES), tf.reduce_any(tf.equal(letters, row['answerKey'])))


ARC_EASY = Dataset(
  name='arc_easy',
  cluster=CLOSED_BOOK_QA,
  source='ai2_arc/ARC-Easy:1.0.0',
  fields=_question_and_choices,
  keep=_has_four_choices_and_its_key,
  splits=Splits(test='test'),
  templates=(
    Template('{question}\n\n{options}'),
    Template(
      'Answer this question from a science test.\n\nQuestion: {question}\n{options}\nAnswer:', option_style='letters'
    ),
    Template(
      'A pupil in primary school asks for help with homework. Which of the answers should they tick?\n\n'
      '{question}\n\n{options}',
    ),
    Template('Possible answers come first, then the question.\n\n{options}\n\n{question}'),
    Template(
      'Complete the sentence or answer the question correctly, using what you know about nature and '
      'technology: {question}\n\n{options}',
      option_style='numbers',
    ),
    Template('Quiz time! "{question}" Four suggestions, one of them right:\n{options}\nThe right one is'),
    Template('{question}\nThink of what you learned in science class and reply in a few words.'),
    Template('You have no books at hand. {question}'),
    Template(
      'Set a multiple-choice question on elementary science. The correct choice must be "{answer}", and these are '
      'all the choices:\n\n{options}',
      targets='{question}',
    ),
    Template('To which question would a science teacher expect the answer "{answer}"?', targets='{question}'),
  ),
)

ARC_CHALLENGE = Dataset(
  name='arc_challenge',
  cluster=CLOSED_BOOK_QA,
  source='ai2_arc/ARC-Challenge:1.0.0',
  fields=_question_and_choices,
  keep=_has_four_choices_and_its_key,
  splits=Splits(test='test'),
  templates=(
    Template('Pick the best reply.\n\n{question}\n\n{options}'),
    Template(
      'The next item defeats anyone who merely looks for matching keywords, so reason before you choose.\n\n'
      '{question}\n\n{options}\n\nYour choice:'
    ),
    Template(
      '{options}\n\nJust one entry of this list correctly answers or continues what follows. Copy that entry.\n\n'
      '{question}'
    ),
    Template(
      'General Science, Paper 1\nOne mark for the correct alternative, none for the other three.\n\n'
      '{question}\n{options}',
      option_style='letters',
    ),
    Template(
      'My study group cannot agree on this one:\n{question}\n\nBetween us we came up with these ideas.\n{options}\n\n'
      'Which of them holds up?'
    ),
    Template(
      'You coach a team for the science olympiad. In practice you read out the problem "{question}" and show '
      'these cards.\n\n{options}\n\nWhat does the right card say?',
      option_style='numbers',
    ),
    Template('{question}\n\nWhich response would a physicist, a biologist and a geologist alike accept?\n{options}'),
    Template(
      'Nobody has offered you any alternatives. Solve the problem, or complete the sentence, from your own grasp of '
      'science: {question}'
    ),
    Template(
      'Distractors are wrong answers that sound plausible. Here, all but "{answer}" are distractors:\n\n{options}\n\n'
      'Write the hard question that they were made for.',
      targets='{question}',
    ),
    Template(
      'The key to a middle school test says only this:\n{answer}\n\nReconstruct the item, one that took some thinking.',
      targets='{question}',
    ),
  ),
)


def _query_and_answers(row: Row) -> Fields:
  # What people type into a search engine seldom ends in a question mark.
  question = tf.strings.regex_replace(row['question'], r'[\s?]+$', '')
  return {
    'question': tf.strings.join([question, '?']),
    ANSWER: row['answer'][0],
    REFERENCES: row['answer'],
  }


NATURAL_QUESTIONS = Dataset(
  name='natural_questions',
  cluster=CLOSED_BOOK_QA,
  source='natural_questions_open:1.0.0',
  fields=_query_and_answers,
  metrics=('trivia_qa',),
  templates=(
    Template('Give a short answer: {question}'),
    Template('{question}\n\nName the person, place, date or thing that is asked for; no sentence is needed.'),
    Template('Query: {question}\nResult:'),
    Template(
      'Someone has typed "{question}" into a search engine. Spare them a long list of links and tell them what they '
      'want to know.'
    ),
    Template('I was wondering, {question} You seem to know everything, so just tell me.'),
    Template(
      'A voice assistant has lost its connection to the web and replies from memory, in very few words.\n\n'
      'User: {question}\nAssistant:'
    ),
    Template(
      'Somewhere in an encyclopedia is a passage that settles the matter below. You cannot look it up, but you have '
      'read it once.\n\n{question}'
    ),
    Template(
      'The reference desk of a public library received this inquiry:\n\n{question}\n\n'
      'Please draw up a reply that consists of the requested fact alone.'
    ),
    Template(
      'People who use a search engine do not care much for capital letters. Make up a question of theirs to which '
      '"{answer}" is a good answer.',
      targets='{question}',
    ),
    Template('{answer}\n\nWhat might have been asked, if this was the response?', targets='{question}'),
  ),
)


def _quiz_question_and_answers(row: Row) -> Fields:
  # Aliases are listed as they are written, too: TriviaQA's normalisation puts a space where SQuAD's puts nothing, so
  # that by `exact_match` or `squad` "Jean-Paul" would not match the alias "jean paul".
  answer = row['answer']
  aliases = [answer['normalized_value'][tf.newaxis], answer['normalized_aliases'], answer['aliases']]
  references, _ = tf.unique(tf.concat(aliases, axis=0))
  return {
    'question': tf.strings.strip(row['question']),
    ANSWER: answer['normalized_value'],
    REFERENCES: references,
  }


def _has_a_published_answer(row: Row) -> tf.Tensor:
  # The test rows' answers are not published: TFDS fills in "<unk>". An answer of punctuation alone is normalised away.
  return tf.reduce_all(tf.not_equal(row['answer']['normalized_value'], ['', '<unk>']))


TRIVIA_QA = Dataset(
  name='trivia_qa',
  cluster=CLOSED_BOOK_QA,
  source='trivia_qa/rc:1.1.0',
  fields=_quiz_question_and_answers,
  keep=_has_a_published_answer,
  metrics=('trivia_qa',),
  templates=(
    Template('Pub quiz, general knowledge round. {question}'),
    Template('The category is anything under the sun.\n\nQuestion: {question}\nAnswer:'),
    Template(
      'You are in the hot seat of a television show, your lifelines are used up, and the host asks:\n\n{question}\n\n'
      'Your final answer?'
    ),
    Template('Trivia card\nFront: {question}\nBack:'),
    Template('{question}\nHelp me out here, it has been on the tip of my tongue all evening.'),
    Template(
      'What follows is taken from a collection for quiz lovers. State the name or term that it asks for, in lower '
      'case.\n\n{question}'
    ),
    Template('Without consulting any source, respond to the following.\n\n{question}\n\nResponse:'),
    Template('{question}\n\nA name, a number or a brief phrase will do.'),
    Template(
      'Quiz writers like to work backwards. The solution on your notepad reads "{answer}". Compose the question.',
      targets='{question}',
    ),
    Template(
      'In this game, contestants are shown a solution and have to come up with a clue or question that leads to it.\n\n'
      'Shown: {answer}\nContestant:',
      targets='{question}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (ARC_EASY, ARC_CHALLENGE, NATURAL_QUESTIONS, TRIVIA_QA)
