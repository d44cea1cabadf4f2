"""Conversational question answering: CoQA (Reddy et al. 2019) and QuAC (Choi et al. 2018)."""

import tensorflow as tf

from flan_jax.data.dataset import REFERENCES, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import CONVERSATIONAL_QA
from tasks.flan2021.texts import numbered, one_line

_NO_ANSWER = 'CANNOTANSWER'


def _coqa_fields(row: Row) -> Fields:
  # A row is a whole dialogue, and becomes one example: all questions in, all answers out, as in FLAN.
  return {
    'story': tf.strings.strip(row['story']),
    'questions': numbered(one_line(row['questions'])),
    ANSWER: numbered(one_line(row['answers']['input_text'])),
  }


COQA = Dataset(
  name='coqa',
  cluster=CONVERSATIONAL_QA,
  source='coqa:1.0.0',
  fields=_coqa_fields,
  splits=Splits(train='train[:-100]', validation='train[-100:]', test='test'),
  metrics=('squad',),
  templates=(
    Template(
      '{story}\n\nAnswer these questions one after another; later ones may refer back to earlier ones.\n\n{questions}'
    ),
    Template('Text:\n{story}\n\nInterview:\n{questions}\n\nList the replies, with numbers.'),
    Template(
      'A child has been listening to you read, and now asks one thing after the other. Reply to each briefly, under '
      'its number.\n\nWhat you read: {story}\n\nWhat the child asks:\n{questions}'
    ),
    Template(
      '{questions}\n\nThe text that follows contains all that is needed to deal with the above. Write down the '
      'answers in the same order.\n\n{story}'
    ),
    Template('Part 1: the text\n\n{story}\n\nPart 2: the questions\n\n{questions}\n\nPart 3: your numbered answers'),
    Template(
      'Two friends talk about something that one of them has just read:\n\n"{story}"\n\n'
      'The other friend wants to know, step by step:\n\n{questions}\n\nWhat does the first one say each time? '
      'Number the statements.'
    ),
    Template(
      'Respond to every numbered line in a few words, with nothing to go by but the passage.\n\nPassage: {story}\n\n'
      'Lines:\n{questions}'
    ),
    Template(
      'You are a chat assistant, and this document is your only source:\n\n{story}\n\nThe log of a session shows what '
      'the user typed, turn by turn, while your own messages are missing. Supply them.\n\n{questions}'
    ),
    Template(
      '{story}\n\nBelow you see one side of a conversation about this, the answers. Reconstruct the questions.\n\n'
      '{answer}',
      targets='{questions}',
    ),
    Template(
      'Compose a text on which a dialogue like this one could be based.\n\nAsked:\n{questions}\n\nAnswered:\n{answer}',
      targets='{story}',
    ),
  ),
)


def _quac_fields(row: Row) -> Fields:
  # Rows are single questions, and nothing in them says which dialogue they are from: earlier turns cannot be shown.
  # Sections end with the word CANNOTANSWER, so that "no answer" has a place in the text; it is no part of the article.
  passage = tf.strings.strip(tf.strings.regex_replace(row['context'], rf'\s*{_NO_ANSWER}\s*$', ''))
  background = tf.strings.strip(row['background'])
  answers = tf.concat([[row['orig_answer']['text']], row['answers']['text']], axis=0)
  answers = tf.strings.strip(tf.boolean_mask(answers, tf.not_equal(answers, _NO_ANSWER)))
  return {
    'title': tf.strings.strip(row['title']),
    'section': tf.strings.strip(row['section_title']),
    'passage': passage,
    'article': tf.strings.strip(tf.strings.join([background, passage], separator='\n\n')),
    ANSWER: answers[0],
    'question': tf.strings.strip(row['question']),
    REFERENCES: tf.unique(answers).y,
  }


def _quac_has_answer(row: Row) -> tf.Tensor:
  # Without the earlier turns, "And why?" may lack an answer or merely its context: no target could tell them apart.
  return tf.not_equal(row['orig_answer']['text'], _NO_ANSWER)


QUAC = Dataset(
  name='quac',
  cluster=CONVERSATIONAL_QA,
  source='quac:1.0.0',
  fields=_quac_fields,
  keep=_quac_has_answer,
  metrics=('trivia_qa',),
  templates=(
    Template('{title}\n{section}\n\n{passage}\n\n{question}\nAnswer in the words of the section.'),
    Template(
      '{article}\n\nA student who knows only that this is about {title} asks: {question}\n\n'
      'Reply with a quotation from the text.'
    ),
    Template(
      'In the middle of a conversation on {title}, somebody turns to you: {question}\n\n'
      'You have the following to go by.\n\n{passage}'
    ),
    Template('Question: {question}\nSubject: {title}\nHeading: {section}\nSource: {passage}\nAnswer from the source:'),
    Template(
      'Mark the part of the article that deals with what is asked, and copy it.\n\nArticle:\n{article}\n\n'
      'Asked:\n{question}'
    ),
    Template(
      'Student: I am curious about {title}. {question}\n\nTeacher (reading): {passage}\n\n'
      'Teacher (having found the spot):'
    ),
    Template(
      'Where the question has a word such as "he", "she", "they" or "it", think of the subject of the text.\n\n'
      '{question}\n\n{article}'
    ),
    Template(
      'You show visitors around an exhibition and carry a sheet of notes on {title}, under the heading "{section}":'
      '\n\n{passage}\n\nVisitor: {question}\n\nTell the visitor what the notes have to say on that, verbatim.'
    ),
    Template(
      'Somebody inquires about {title} without having seen this text:\n\n{passage}\n\n'
      'What was the question, if they are told the following?\n\n{answer}',
      targets='{question}',
    ),
    Template(
      '"{answer}"\n\nThis is how someone replied while looking at the section "{section}" of a page on {title}. '
      'Guess what they had been asked.',
      targets='{question}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (COQA, QUAC)
