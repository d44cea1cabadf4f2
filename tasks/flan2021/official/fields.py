"""What the official FLAN 2021 code takes from a row (`flan/tasks.py`), byte for byte and mistakes included.

Told in our words and with the same TensorFlow string operations, since their regular expressions (RE2), their idea of a
letter and their rounding are part of the result. Fields carry the names of the official placeholders; the main target
is the answer whatever its official name. Columns that are taken as they are need no function: see `columns`.
"""

from collections.abc import Callable

import tensorflow as tf

from flan_jax.data.dataset import LABEL, OPTIONS, REFERENCES, Fields, Row
from flan_jax.data.template import ANSWER
from tasks.flan2021.texts import numbered

_MOST_OPINIONS = 10


def columns(*same: str, **renamed: str) -> Callable[[Row], Fields]:
  """Returns the function that copies columns of a row.

  Args:
    *same: columns that are placeholders under their own names.
    **renamed: for other names, the column: `text='passage'`; `label` and `answer` are special as everywhere.
  """
  sources = dict.fromkeys(same) | dict(renamed)

  def fields(row: Row) -> Fields:
    return {name: row[column or name] for name, column in sources.items()}

  return fields


def bool_q(row: Row) -> Fields:
  """The label is a bool."""
  label = tf.cast(row['answer'], tf.int64)
  return {'title': row['title'], 'text': row['passage'], 'question': row['question'], LABEL: label}


def wsc273(row: Row) -> Fields:
  """Cut at the pronoun; a space is put between the noun and what follows, be it a full stop."""
  # Positions count characters, and are taken for bytes.
  before = tf.strings.substr(row['text'], 0, row['pronoun_start'])
  after = tf.strings.strip(tf.strings.substr(row['text'], row['pronoun_end'], -1))
  nouns = tf.stack([row['option1_normalized'], row['option2_normalized']])
  return {
    'context': tf.strings.strip(before),
    OPTIONS: tf.strings.join([nouns, tf.fill(tf.shape(nouns), after)], separator=' '),
    LABEL: row['label'],
  }


def natural_questions(row: Row) -> Fields:
  """A question mark is added, be there one or not; several templates add another."""
  return {'question': tf.strings.join([row['question'], '?']), ANSWER: row['answer'][0], REFERENCES: row['answer']}


def record(row: Row) -> Fields:
  """Continuations: an option is an entity with what follows the gap."""
  parts = tf.strings.split(row['query'], '@placeholder')
  answers = tf.strings.join([row['answers'], parts[1]])
  return {
    'passage': tf.strings.split(row['passage'], '\n@highlight')[0],
    'query': tf.strings.strip(parts[0]),
    OPTIONS: tf.strings.join([row['entities'], parts[1]]),
    ANSWER: answers[0],
    REFERENCES: answers,
  }


def trivia_qa(row: Row) -> Fields:
  """The aliases count as normalised only."""
  answer = row['answer']
  return {'question': row['question'], ANSWER: answer['normalized_value'], REFERENCES: answer['normalized_aliases']}


def arc(row: Row) -> Fields:
  """The key is taken for the position of the choice."""
  return {'question': row['question'], OPTIONS: row['choices']['text'], LABEL: row['answerKey']}


def has_four_choices(row: Row) -> tf.Tensor:
  """ARC: other rows are left out."""
  return tf.equal(tf.size(row['choices']['text']), 4)


def aeslc(row: Row) -> Fields:
  """Line breaks of the body become spaces, those of the subject vanish."""
  return {
    'body': tf.strings.regex_replace(row['email_body'], '\n', ' '),
    ANSWER: tf.strings.regex_replace(row['subject_line'], '\n', ''),
  }


def has_mail(row: Row) -> tf.Tensor:
  """AESLC: a row is left out where body and subject are empty, both of them."""
  return tf.strings.length(tf.strings.join([row['email_body'], row['subject_line']])) > 0


def cnn_dailymail(row: Row) -> Fields:
  """What stands before the first dateline or year is kept, which often is the dateline's own place and nothing else."""
  text = row['article']
  for separator in ('2013 . ', '2014 . ', '2012 . ', ') -- '):
    text = tf.strings.split(text, separator)[0]
  return {'text': text, ANSWER: row['highlights']}


def is_whole(row: Row) -> tf.Tensor:
  """Gigaword: rows with a rare word or a digit masked are left out, those with `<unk>` are not."""
  text = tf.strings.join([row['document'], row['summary']])
  masked = [tf.strings.regex_full_match(text, pattern) for pattern in ('.*UNK.*', '.*#.*')]
  return tf.logical_not(tf.logical_or(*masked))


def rotten_tomatoes(row: Row) -> Fields:
  """Blank reviews count."""
  reviews = row['_critics']['value']
  return {
    'movie': tf.strings.regex_replace(row['_movie_name'], '_', ' '),
    'first_review': reviews[0],
    'numbered_reviews': numbered(reviews[:_MOST_OPINIONS]),
    ANSWER: row['_critic_consensus'],
  }


def idebate(row: Row) -> Fields:
  """Blank arguments count."""
  return {
    'debate_name': row['_debate_name'],
    'argument_sentences': numbered(row['_argument_sentences']['value'][:_MOST_OPINIONS]),
    ANSWER: row['_claim'],
  }


def coqa(row: Row) -> Fields:
  """A whole dialogue."""
  return {
    'text': row['story'],
    'numbered_questions': numbered(row['questions']),
    ANSWER: numbered(row['answers']['input_text']),
  }


def samsum(row: Row) -> Fields:
  """What lies between the first < and the last > of a line goes."""
  dialogue = tf.strings.regex_replace(row['dialogue'], '\r\n', '\n')
  return {'dialogue': tf.strings.regex_replace(dialogue, '<.*>', ' '), ANSWER: row['summary']}


def _squad(row: Row, answers: tf.Tensor) -> Fields:
  title = tf.strings.regex_replace(row['title'], '_', ' ')
  texts = {'title': title, 'context': row['context'], 'question': row['question']}
  return {**texts, ANSWER: answers[0], REFERENCES: answers}


def squad_v1(row: Row) -> Fields:
  """The first answer is the target."""
  return _squad(row, row['answers']['text'])


def squad_v2(row: Row) -> Fields:
  """The same, and one word where there is no answer."""
  answers = row['answers']['text']
  impossible = row['is_impossible']
  found = answers[: tf.where(impossible, 0, tf.size(answers))]
  return _squad(row, tf.concat([found, tf.repeat(['unanswerable'], tf.cast(impossible, tf.int32))], axis=0))


def quac(row: Row) -> Fields:
  """CANNOTANSWER stays, in the section and as a target."""
  texts = {name: row[name] for name in ('title', 'background', 'context', 'question')}
  return {**texts, ANSWER: row['orig_answer']['text']}


def sentiment140(row: Row) -> Fields:
  """Neutral tweets are negative."""
  return {'text': row['text'], LABEL: tf.cast(row['polarity'] >= 3, tf.int64)}


def story_cloze(row: Row) -> Fields:
  """The row counts its endings from 1."""
  return {'context': row['context'], OPTIONS: row['endings'], LABEL: row['label'] - 1}


def imdb_reviews(row: Row) -> Fields:
  """Each HTML line break becomes one of ours."""
  return {'text': tf.strings.regex_replace(row['text'], '<br />', '\n'), LABEL: row['label']}


def qqp(row: Row) -> Fields:
  """A doubled quotation mark becomes an apostrophe; a pair around the whole question stays."""
  questions = {name: tf.strings.regex_replace(row[name], '""', "'") for name in ('question1', 'question2')}
  return {**questions, LABEL: row['label']}


def copa(row: Row) -> Fields:
  """`glm_premise` is for the baseline's continuations: "because" or "so" in place of the last character."""
  options = tf.stack([row['choice1'], row['choice2']])
  return {'premise': row['premise'], 'question': row['question'], **glm_premise(row), OPTIONS: options,
          LABEL: row['label']}  # fmt: skip


def glm_premise(row: Row) -> Fields:
  """COPA's premise as the beginning of a sentence."""
  connector = tf.strings.regex_replace(row['question'], 'cause', ' because')
  connector = tf.strings.regex_replace(connector, 'effect', ' so')
  return {'glm_premise': tf.strings.regex_replace(row['premise'], '.$', connector)}


def winogrande(row: Row) -> Fields:
  """Continuations: an option is a noun with what follows the gap."""
  parts = tf.strings.split(row['sentence'], '_')
  nouns = tf.stack([row['option1'], row['option2']])
  return {'context': parts[0], OPTIONS: tf.strings.join([nouns, parts[1]]), LABEL: row['label']}


def yelp(row: Row) -> Fields:
  r"""The csv file's `\""` becomes a quotation mark and its `\n` a space."""
  text = tf.strings.regex_replace(row['text'], r'\\""', '"')
  return {'text': tf.strings.regex_replace(text, r'\\n', ' '), LABEL: row['label']}


def cosmos_qa(row: Row) -> Fields:
  """Four answers, each in a column of its own."""
  options = tf.stack([row[f'answer{number}'] for number in range(4)])
  return {'context': row['context'], 'question': row['question'], OPTIONS: options, LABEL: row['label']}


def _target(row: Row) -> Fields:
  return {ANSWER: row['target'], REFERENCES: tf.concat([row['references'], row['target'][tf.newaxis]], axis=0)}


def common_gen(row: Row) -> Fields:
  """The concepts, in one line and in several."""
  concepts = {
    name: tf.strings.reduce_join(row['concepts'], separator=separator)
    for name, separator in (('concepts', ', '), ('concepts_newline', '\n'))
  }
  return {**concepts, **_target(row)}


def dart(row: Row) -> Fields:
  """Anything in brackets goes from the line, and nothing from the list."""
  line = tf.strings.reduce_join(row['tripleset'], separator='; ')
  return {
    'tripleset': tf.strings.regex_replace(line, r'\[(.*?)\]', ''),
    'tripleset_newline': tf.strings.reduce_join(row['tripleset'], separator='\n'),
    **_target(row),
  }


def e2e_nlg(row: Row) -> Fields:
  """`name[The Mill]` becomes `name = The Mill`."""
  opened = tf.strings.regex_replace(row['meaning_representation'], r'\[', ' = ')
  return {'meaning_representation': tf.strings.regex_replace(opened, r'\]', ''), **_target(row)}


def web_nlg_en(row: Row) -> Fields:
  """The triples in one line, made readable."""
  line = tf.strings.regex_replace(tf.strings.reduce_join(row['input'], separator='; '), '_', ' ')
  return {'input_string': tf.strings.regex_replace(line, r' \| ', ', '), **_target(row)}


def true_case(row: Row) -> Fields:
  """Letters beyond ASCII keep their case."""
  return {'lower': tf.strings.lower(row['en']), ANSWER: row['en']}


def fix_punct(row: Row) -> Fields:
  """Letters beyond ASCII vanish with the punctuation."""
  return {'no_punct': tf.strings.regex_replace(row['en'], r'[^\w\s]', ''), ANSWER: row['en']}


def word_segment(row: Row) -> Fields:
  """Spaces go, other white space stays."""
  return {'no_space': tf.strings.regex_replace(row['en'], ' ', ''), ANSWER: row['en']}


def differs(fields: Callable[[Row], Fields]) -> Callable[[Row], tf.Tensor]:
  """Text formatting: rows with nothing to restore are left out."""

  def keep(row: Row) -> tf.Tensor:
    damaged, sentence = fields(row).values()
    return tf.not_equal(damaged, sentence)

  return keep


def stsb(row: Row) -> Fields:
  """The score is rounded by its decimals: halves to the even number."""
  score = tf.strings.as_string(row['label'], precision=0)
  return {'sentence1': row['sentence1'], 'sentence2': row['sentence2'], ANSWER: score}


def piqa(row: Row) -> Fields:
  """Two ways to a goal."""
  return {'goal': row['goal'], OPTIONS: tf.stack([row['sol1'], row['sol2']]), LABEL: row['label']}


def openbookqa(row: Row) -> Fields:
  """The question comes with its fact."""
  question = row['question']
  options = tf.stack([question[f'choice_{letter}'] for letter in 'ABCD'])
  return {'question': question['stem'], 'fact': row['fact1'], OPTIONS: options, LABEL: row['answerKey']}


def hellaswag(row: Row) -> Fields:
  """Anything in brackets that is followed by white space goes: a tag of WikiHow's, or a remark."""
  context = tf.strings.regex_replace(row['context'], r'\[header\]\s', '')
  return {
    'context': tf.strings.regex_replace(context, r'\[.*?\]\s', '\n'),
    OPTIONS: tf.strings.regex_replace(row['endings'], r'\[.*?\]\s', ''),
    'activity_label': row['activity_label'],
    LABEL: row['label'],
  }


def has_label(row: Row) -> tf.Tensor:
  """SNLI and HellaSwag: rows without a label are left out."""
  return row['label'] >= 0
