"""Reading comprehension with commonsense: the text alone does not give the answer.

ReCoRD (Zhang et al. 2018) and Cosmos QA (Huang et al. 2019).
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, OPTIONS, REFERENCES, Dataset, Fields, Row
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import READING_COMPREHENSION_WITH_COMMONSENSE

_BLANK = '____'


def _record_fields(row: Row) -> Fields:
  # The passage ends where the newspaper's summary points begin, as in FLAN. An entity goes by several names ("Morgan",
  # "Tracy Morgan"), which are options of their own: any of them is right, and the first is the target.
  return {
    'passage': tf.strings.strip(tf.strings.regex_replace(row['passage'], r'(?s)@highlight.*', '')),
    'query': tf.strings.regex_replace(row['query'], '@placeholder', _BLANK),
    OPTIONS: row['entities'],
    ANSWER: row['answers'][0],
    REFERENCES: row['answers'],
  }


def _record_has_its_answer_among_the_entities(row: Row) -> tf.Tensor:
  # Rows of the unlabelled test have no answers; for those that have them, an answer can only be ranked as an option.
  return tf.reduce_any(tf.equal(row['entities'][:, tf.newaxis], row['answers'][tf.newaxis, :1]))


def _record_query(row: Row) -> tf.Tensor:
  return tf.strings.as_string(row['idx']['query'])  # counted through all passages


RECORD = Dataset(
  name='record',
  cluster=READING_COMPREHENSION_WITH_COMMONSENSE,
  source='super_glue/record:1.0.2',
  fields=_record_fields,
  keep=_record_has_its_answer_among_the_entities,
  metrics=('record',),
  group=_record_query,
  # Letters and numbers do not serve here: a passage can have more entities than there are letters.
  templates=(
    Template(
      '{passage}\n\nA sentence from later in the report has a gap: {query}\n\nWho or what is missing?\n\n{options}'
    ),
    Template('Put one of the names on the line.\n\n{query}\n\nBackground: {passage}\n\n{options}'),
    Template(
      '{options}\n\nWhich of these is meant? To find out, consult the news story and then turn to the sentence with '
      'the blank.\n\nNews story: {passage}\n\nSentence: {query}'
    ),
    Template(
      'An editor spilled coffee on the last line of an article, so that a name can no longer be read. Restore it.\n\n'
      'Article:\n{passage}\n\nLast line:\n{query}\n\n{options}'
    ),
    Template(
      'Combine what is reported here with what you know about the world, and complete the statement.\n\n'
      'Reported: {passage}\n\nStatement: {query}\n{options}\nMissing from the statement:'
    ),
    Template('Cloze test: {query}\n{options}\n\nText for the test: {passage}\n\nSolution:', option_style='inline'),
    Template(
      'I saw this in the paper:\n\n"{passage}"\n\nMy sister, who had read on, told me more, but she mumbled at one '
      'point. What I heard was this:\n\n{query}\n\nWhat was it that I did not catch?\n{options}'
    ),
    Template('{passage}\n\n{query}\n\nName the person, place, organization or thing that ____ stands for.'),
    Template(
      '{passage}\n\nContinue with a sentence that mentions {answer}, but leave a gap (____) where that name belongs.',
      targets='{query}',
    ),
    Template('Which news story might precede this line, if ____ is {answer}?\n\n{query}', targets='{passage}'),
  ),
)


def _cosmos_qa_fields(row: Row) -> Fields:
  return {
    'context': tf.strings.strip(row['context']),
    'question': tf.strings.strip(row['question']),
    OPTIONS: tf.strings.strip(tf.stack([row[f'answer{number}'] for number in range(4)])),
    LABEL: row['label'],
  }


COSMOS_QA = Dataset(
  name='cosmos_qa',
  cluster=READING_COMPREHENSION_WITH_COMMONSENSE,
  source='cosmos_qa:1.0.0',
  fields=_cosmos_qa_fields,
  templates=(
    Template('{context}\n\n{question}\n\nWhich reply fits the story best?\n{options}'),
    Template('Blog post: {context}\n\nTo be read between the lines: {question}\n\n{options}', option_style='letters'),
    Template(
      'People rarely spell everything out. Infer what this writer leaves unsaid.\n\n{question}\n\n'
      'The writer: "{context}"\n\n{options}'
    ),
    Template('{options}\n\nOn which of these would you bet?\n\nSituation: {context}\nQuestion: {question}'),
    Template(
      'Rely on common sense and on the account below. {question}\n{options}\n\nAccount: {context}',
      option_style='numbers',
    ),
    Template(
      'Dear diary,\n\n{context}\n\nImagine a psychologist who comes across this entry and thinks: {question} '
      'What would such a person conclude?\n\n{options}'
    ),
    Template('Picture the scene.\n\n{context}\n\n{question} Say in a sentence what is most plausible.'),
    Template('Anecdote:\n{context}\n\nComprehension check:\n{question}\n{options}\nBest answer:'),
    Template('{context}\n\nWhat could one ask about this, to be told the following? {answer}', targets='{question}'),
    Template(
      'Tell a short story from your own life. Listeners should be able to work out the reply to a question, '
      'although the story does not state it.\n\nTheir question: {question}\nThe reply: {answer}',
      targets='{context}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (RECORD, COSMOS_QA)
