"""Sentiment: is an opinion favourable? SST-2, phrases of film reviews (Socher et al. 2013)."""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.template import Template
from tasks.flan2021.clusters import SENTIMENT


def _sentence(row: Row) -> Fields:
  # Every training row of SST-2 ends in a space.
  return {'sentence': tf.strings.strip(row['sentence']), LABEL: row['label']}


SST2 = Dataset(
  name='sst2',
  cluster=SENTIMENT,
  source='glue/sst2:2.0.0',
  fields=_sentence,
  options=('negative', 'positive'),
  templates=(
    Template("Film review: {sentence}\n\nIs the reviewer's opinion negative or positive?\n{options}"),
    Template('"{sentence}"\n\nWhat is the sentiment of this remark about a film?\n\n{options}', option_style='letters'),
    Template('Choose the word that describes the tone of the extract.\n\n{options}\n\nExtract: {sentence}\nTone:'),
    Template(
      'A cinema prints lines from reviews on its posters and wants only the flattering ones. '
      'Before it decides, label this line:\n\n{sentence}\n\n{options}',
    ),
    Template('{sentence}\nHow did whoever wrote this feel about the picture? {options}', option_style='inline'),
    Template('Classify the following words of a critic as positive or negative.\n\n{sentence}'),
    Template(
      'Suppose a friend sent you this about last night\'s movie: "{sentence}" '
      'Would you call it a good or a bad report?\n\n{options}\n\nLabel:',
      option_style='numbers',
    ),
    Template('Write one line from a {answer} movie review.', targets='{sentence}'),
    Template(
      'You review films for a newspaper. The editor asks for a phrase that leaves readers in no doubt that '
      'your verdict is {answer}. What do you hand in?',
      targets='{sentence}',
    ),
    Template('Sentiment: {answer}\nAn example of criticism with that sentiment:', targets='{sentence}'),
  ),
)

DATASETS: tuple[Dataset, ...] = (SST2,)
