"""Summarization: AESLC, the subject line of an e-mail (Zhang and Tetreault 2019)."""

import tensorflow as tf

from flan_jax.data.dataset import Dataset, Fields, Row
from flan_jax.data.splits import HELD_BACK, Splits
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import SUMMARIZATION


def _one_line(text: tf.Tensor) -> tf.Tensor:
  """Puts a text on one line: each run of white space becomes a space."""
  return tf.strings.strip(tf.strings.regex_replace(text, r'\s+', ' '))


def _body_and_subject(row: Row) -> Fields:
  return {'body': _one_line(row['email_body']), ANSWER: _one_line(row['subject_line'])}


def _has_body_and_subject(row: Row) -> tf.Tensor:
  lengths = [tf.strings.length(_one_line(row[name])) for name in ('email_body', 'subject_line')]
  return tf.reduce_all(tf.stack(lengths) > 0)


AESLC = Dataset(
  name='aeslc',
  cluster=SUMMARIZATION,
  source='aeslc:1.0.0',
  fields=_body_and_subject,
  keep=_has_body_and_subject,
  splits=Splits(train='train', validation=f'validation[-{HELD_BACK}:]', test='test'),
  metrics=('rouge',),
  templates=(
    Template('Write a subject line for this e-mail.\n\n{body}'),
    Template('{body}\n\nWhat is this message about? Answer in the style of a subject line.'),
    Template('E-mail: {body}\nSubject:'),
    Template(
      'Your inbox shows nothing but the beginnings of messages, which is a nuisance. Give the one below a short '
      'title that tells its receiver what to expect.\n\nMessage:\n{body}\n\nTitle:'
    ),
    Template('Sum up the mail in a handful of words: {body}'),
    Template(
      'Somebody forgot to fill in the "Subject" field before sending the following. Fill it in for them.\n\n"{body}"'
    ),
    Template('{body}\n\nGenerate a concise heading for the text above, as it would stand at the top of an e-mail.'),
    Template('Mail body: {body}\n\nWhich words would its author most likely have put in the subject line?'),
    Template('Draft the e-mail that goes with the subject "{answer}".', targets='{body}'),
    Template(
      'An office worker opens a message headed as follows.\n\n{answer}\n\nWhat does the message itself say?',
      targets='{body}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (AESLC,)
