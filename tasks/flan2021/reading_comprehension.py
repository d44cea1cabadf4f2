"""Reading comprehension: questions whose answers come from a given text.

BoolQ (Clark et al. 2019), SQuAD 1.1 (Rajpurkar et al. 2016), SQuAD 2.0 (Rajpurkar et al. 2018), DROP (Dua et al. 2019),
MultiRC (Khashabi et al. 2018) and OpenBookQA (Mihaylov et al. 2018).
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, OPTIONS, REFERENCES, Dataset, Fields, Row
from flan_jax.data.splits import OWN_TEST, Splits
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import READING_COMPREHENSION

_UNANSWERABLE = 'unanswerable'
_TFDS_DATE = r'^(\d*)-([A-Z][a-z]+)-(\d+)$'


def _distinct(texts: tf.Tensor) -> tf.Tensor:
  """Drops repeated texts; the first stays first."""
  return tf.unique(texts).y


def _bool_q_fields(row: Row) -> Fields:
  # Questions are typed as into a search engine: in lower case and without a question mark, which templates supply.
  return {
    'title': row['title'],
    'passage': row['passage'],
    'question': row['question'],
    LABEL: tf.cast(row['answer'], tf.int64),
  }


BOOL_Q = Dataset(
  name='bool_q',
  cluster=READING_COMPREHENSION,
  source='bool_q:1.0.0',
  fields=_bool_q_fields,
  options=('no', 'yes'),  # False, True
  templates=(
    Template('{passage}\n\nGoing by this encyclopedia entry, {question}?\n\n{options}'),
    Template(
      'Question: {question}?\n\nThe paragraph below, taken from the article "{title}", settles the matter.\n\n'
      '{passage}\n\n{options}',
      option_style='letters',
    ),
    Template(
      '{options}\n\nReply with one of the two words above.\n\nTopic: {title}\nTyped into a search engine: {question}\n'
      'Top result: {passage}'
    ),
    Template(
      'My friend and I have a bet on this: {question}? One of us says yes, the other one no. This is what we looked '
      'up.\n\n"{passage}"\n\nSo which of the two is it?'
    ),
    Template('Title: {title}\nText: {passage}\nTo be decided: {question}?\n{options}\nDecision:'),
    Template(
      'You work at the information desk of a library. A visitor turns to you, and the page in front of you happens to '
      'be about the very thing.\n\nVisitor: Excuse me, {question}?\n\nPage: {passage}\n\nYou:\n{options}',
      option_style='numbers',
    ),
    Template(
      'True to the facts given here and to nothing else, {question}? {options}\n\nFacts: {passage}',
      option_style='inline',
    ),
    Template(
      'Reading test, part B. Study the extract on "{title}", then circle the correct word.\n\n{passage}\n\n'
      '{question}?\n\n{options}'
    ),
    Template('{passage}\n\nThink of a question to which this text gives a clear "{answer}".', targets='{question}?'),
    Template(
      'Write an informative paragraph for an article headed "{title}". Readers who wonder "{question}?" should gather '
      'from it that the reply is {answer}.',
      targets='{passage}',
    ),
  ),
)


def _squad_passage_and_question(row: Row) -> Fields:
  return {
    'title': tf.strings.regex_replace(row['title'], '_', ' '),
    'passage': tf.strings.strip(row['context']),
    'question': tf.strings.strip(row['question']),
  }


def _squad_v1_fields(row: Row) -> Fields:
  # Training rows have one answer; of the validation rows' three and more, any counts and the first is the target.
  answers = tf.strings.strip(row['answers']['text'])
  return {**_squad_passage_and_question(row), ANSWER: answers[0], REFERENCES: _distinct(answers)}


SQUAD_V1 = Dataset(
  name='squad_v1',
  cluster=READING_COMPREHENSION,
  source='squad/v1.1:3.0.0',
  fields=_squad_v1_fields,
  metrics=('squad',),
  templates=(
    Template('{passage}\n\n{question}\n\nQuote the shortest stretch of the text that answers this.'),
    Template('Question: {question}\nParagraph: {passage}\nAnswer:'),
    Template(
      'This paragraph comes from an article called "{title}".\n\n{passage}\n\nA reader wants to know: {question}\n\n'
      'Copy out the words that tell them.'
    ),
    Template(
      'Here is a quiz question, together with an excerpt in which its solution stands word for word.\n\n'
      'Quiz question: {question}\n\nExcerpt: {passage}'
    ),
    Template(
      'Find the answer in the text. Do not use a whole sentence where a word, a name or a number will do.\n\nText:\n'
      '{passage}\n\n{question}'
    ),
    Template(
      'I have to fill in a worksheet headed "{title}", and I am stuck at this line:\n\n{question}\n\n'
      'My textbook says the following. What should I write down?\n\n{passage}'
    ),
    Template(
      'Search the passage for what is asked, and reply with the matching phrase only.\n\nAsked: {question}\n\n'
      '"{passage}"'
    ),
    Template('Teacher: Please read this aloud.\n\n{passage}\n\nTeacher: Thank you. {question}\nPupil:'),
    Template(
      '{passage}\n\nMake up an exam question about the text above. Its model answer is "{answer}".',
      targets='{question}',
    ),
    Template(
      'Write a paragraph for the entry "{title}" in an encyclopedia. It has to answer the question below.\n\n'
      '{question}\n(The answer: {answer})',
      targets='{passage}',
    ),
  ),
)


def _squad_v2_fields(row: Row) -> Fields:
  # A question that its passage does not answer comes without answers (and has misleading ones in a field apart).
  answers = tf.strings.strip(row['answers']['text'])
  answers = tf.concat([answers, tf.repeat([_UNANSWERABLE], tf.cast(tf.equal(tf.size(answers), 0), tf.int32))], axis=0)
  return {**_squad_passage_and_question(row), ANSWER: answers[0], REFERENCES: _distinct(answers)}


SQUAD_V2 = Dataset(
  name='squad_v2',
  cluster=READING_COMPREHENSION,
  source='squad/v2.0:3.0.0',
  fields=_squad_v2_fields,
  metrics=('squad',),
  # Every template says which word is expected where there is no answer: it cannot be guessed.
  templates=(
    Template('{passage}\n\n{question}\n\nIf the passage does not say, write "unanswerable".'),
    Template(
      'Some questions in this test have no solution in the text that goes with them; the right response to those is '
      '"unanswerable".\n\nText: {passage}\n\nQuestion: {question}\n\nResponse:'
    ),
    Template(
      'Article: {title}\n\n{passage}\n\nUsing nothing but this section, reply to the query below with a phrase from '
      'the section, or else with the word unanswerable.\n\nQuery: {question}'
    ),
    Template('Q: {question}\nSource: {passage}\nA ("unanswerable" where the source is silent):'),
    Template(
      'Beware of trick questions! This one may sound as though the paragraph covered it when it does not, and then '
      'you call it unanswerable. Otherwise, name the part of the paragraph that resolves it.\n\n{question}\n\n'
      '{passage}'
    ),
    Template(
      'You are an archivist who never guesses. Asked something that the record in front of you settles, you give the '
      'exact wording from it; asked anything else, you only say: unanswerable.\n\nRecord:\n{passage}\n\n'
      'Inquiry:\n{question}'
    ),
    Template(
      'Can you get the answer to "{question}" out of what follows? Give it if you can, and say "unanswerable" if you '
      'cannot.\n\n{passage}'
    ),
    Template(
      'First, look for the information in the text. Then, if it is there, copy it; if not, put down the single word '
      'unanswerable.\n\nText from the entry "{title}":\n{passage}\n\nInformation wanted: {question}'
    ),
    Template(
      '"{passage}"\n\nWhat do these lines have to say on the following, if anything? {question}\n'
      'Should there be nothing, the expected reply is: unanswerable'
    ),
    Template(
      'Paragraph: {passage}\n\nSet a question on this paragraph, or one that merely looks as if it were. Somebody who '
      'goes by the paragraph alone should respond as follows: {answer}',
      targets='{question}',
    ),
  ),
)


def _drop_texts(texts: tf.Tensor) -> tf.Tensor:
  """Writes dates as DROP's own scorer does, '5 June 1944': TFDS has '1944-June-5', or '-June-5' without a year."""
  return tf.strings.strip(tf.strings.regex_replace(tf.strings.strip(texts), _TFDS_DATE, r'\3 \2 \1'))


def _drop_fields(row: Row) -> Fields:
  # Other annotators' answers count as well, as in DROP's own evaluation; where they gave a date without a day, TFDS
  # has an empty text.
  answer = _drop_texts(row['answer'])
  answers = _distinct(tf.concat([[answer], _drop_texts(row['validated_answers'])], axis=0))
  return {
    'passage': tf.strings.strip(row['passage']),
    'question': tf.strings.strip(row['question']),
    ANSWER: answer,
    REFERENCES: tf.boolean_mask(answers, tf.strings.length(answers) > 0),
  }


def _drop_has_answer(row: Row) -> tf.Tensor:
  # TFDS loses answers that are a date without a day.
  return tf.strings.length(tf.strings.strip(row['answer'])) > 0


DROP = Dataset(
  name='drop',
  cluster=READING_COMPREHENSION,
  source='drop:2.0.0',
  fields=_drop_fields,
  keep=_drop_has_answer,
  splits=Splits(test='dev'),
  metrics=('squad',),
  templates=(
    Template('{passage}\n\nWork out the answer to this: {question}'),
    Template(
      'Read attentively, and count, add, subtract or compare where you have to.\n\nPassage: {passage}\n\n'
      'Question: {question}\nAnswer:'
    ),
    Template(
      'Sports reporters, historians and statisticians depend on exact figures and names. Show that you could be one '
      'of them.\n\n{question}\n\nYour material:\n{passage}'
    ),
    Template(
      'From the details in this report, determine the following. {question}\n\nReport: {passage}\n\n'
      'State a number, a date or a few words.'
    ),
    Template('The text may not spell it out, but everything you need is there. {question}\n\n{passage}'),
    Template(
      'Examiner: Here is your sheet.\n\n{passage}\n\nExaminer: {question} Give me just the result, please.\nCandidate:'
    ),
    Template('{question} Take the facts from here: {passage}'),
    Template(
      'Could you help me with an exercise in reasoning? We were handed this paragraph:\n\n"{passage}"\n\n'
      'Now we must say, as briefly as possible: {question}'
    ),
    Template(
      'Passage:\n{passage}\n\nInvent a question that makes people think about what the passage reports. '
      'Its solution is to be "{answer}".',
      targets='{question}',
    ),
    Template(
      'Some puzzles start from a page of facts. Write that page for the puzzle "{question}", which is solved by this: '
      '{answer}',
      targets='{passage}',
    ),
  ),
)


def _multirc_fields(row: Row) -> Fields:
  return {
    'paragraph': tf.strings.strip(row['paragraph']),
    'question': tf.strings.strip(row['question']),
    'candidate': tf.strings.strip(row['answer']),
    LABEL: row['label'],
  }


def _multirc_question(row: Row) -> tf.Tensor:
  return tf.strings.as_string(row['idx']['question'])  # counted through all paragraphs


MULTIRC = Dataset(
  name='multirc',
  cluster=READING_COMPREHENSION,
  source='super_glue/multirc:1.0.2',
  fields=_multirc_fields,
  metrics=('accuracy', 'multirc'),
  group=_multirc_question,
  options=('no', 'yes'),  # False, True: a question has several right and wrong answers, and a row has one of them
  templates=(
    Template('{paragraph}\n\n{question}\n\nSuppose somebody answers: {candidate}\n\nAre they correct?\n{options}'),
    Template(
      'Text: {paragraph}\n\nQuestion: {question}\nProposed answer: {candidate}\n\n'
      'Does the text support what is proposed?\n\n{options}',
      option_style='letters',
    ),
    Template(
      'A question can have several good answers. You decide about one of them at a time.\n\n'
      'The question: {question}\nTo be judged: {candidate}\n\nThe passage that both refer to: {paragraph}\n\n'
      'Is it a good one?\n{options}'
    ),
    Template(
      'On a worksheet, pupils tick the box in front of each right answer.\n\n{paragraph}\n\n{question}\n'
      '[ ] {candidate}\n\nWould you put a tick there?\n{options}'
    ),
    Template(
      '{options}\n\nChoose a word from the list. Asked "{question}", may someone who knows the story or article that '
      'follows reply "{candidate}"?\n\n{paragraph}'
    ),
    Template(
      'Reply: {candidate}\nMade to: {question}\nOn the basis of: {paragraph}\nAcceptable? {options}',
      option_style='inline',
    ),
    Template(
      'After reading this with her class, a teacher asked: {question}\n\n"{paragraph}"\n\n'
      'One child wrote down the following.\n\n{candidate}\n\nDid the child get it right, yes or no?'
    ),
    Template(
      'Two readers of the text below argue over the question "{question}" and whether "{candidate}" is an answer to '
      'it. Should they agree that it is?\n\n{paragraph}\n\n{options}',
      option_style='numbers',
    ),
    Template(
      '{paragraph}\n\n{question}\n\nContribute one entry to the answer key: a possible answer for which the column '
      '"Correct" contains the word "{answer}".',
      targets='{candidate}',
    ),
    Template(
      'Reading material:\n{paragraph}\n\nIn a quiz on it, a team came up with "{candidate}" and the quizmaster, asked '
      'whether this counts, said {answer}. What had the team been asked?',
      targets='{question}',
    ),
  ),
)


def _openbookqa_fields(row: Row) -> Fields:
  question = row['question']
  return {
    'question': tf.strings.strip(question['stem']),
    'fact': tf.strings.strip(row['fact1']),
    OPTIONS: tf.strings.strip(tf.stack([question[f'choice_{letter}'] for letter in 'ABCD'])),
    LABEL: row['answerKey'],
  }


OPENBOOKQA = Dataset(
  name='openbookqa',
  cluster=READING_COMPREHENSION,
  source='openbookqa:0.1.0',
  fields=_openbookqa_fields,
  splits=OWN_TEST,
  # A question is often the first half of a sentence. The fact is the "open book": some templates give it, some do not.
  templates=(
    Template('Pick the best ending or answer.\n\n{question}\n{options}'),
    Template('Core fact: {fact}\n\nApply it to this: {question}\n\n{options}', option_style='letters'),
    Template(
      'Everyday science, with nothing but common sense to help you:\n\n{question}\n\n{options}\n\n'
      'The most sensible choice:'
    ),
    Template('{options}\n\nWhich item of the list correctly completes or answers what follows? {question}'),
    Template(
      'In an open-book exam you may consult one line of your notes. The line that you chose says: "{fact}"\n\n'
      'Task: {question}\n\n{options}',
      option_style='numbers',
    ),
    Template('Q. {question}\n{options}\nA.', option_style='inline'),
    Template(
      'A curious six-year-old has begun like this: {question}\nGive the word or short phrase that the child is '
      'looking for.'
    ),
    Template(
      'Read the prompt together with each candidate below. Only one of them goes with it to make something true.\n\n'
      'Prompt: {question}\n\n{options}'
    ),
    Template(
      'Devise a test item that shows whether somebody can put a scientific principle to use.\n\nPrinciple: {fact}\n'
      'Right answer: {answer}\n\nWrite the stem of the item.',
      targets='{question}',
    ),
    Template(
      'Question or unfinished sentence: {question}\nResolved by: {answer}\n\n'
      'Which piece of general knowledge lies behind this?',
      targets='{fact}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (BOOL_Q, SQUAD_V1, SQUAD_V2, DROP, MULTIRC, OPENBOOKQA)
