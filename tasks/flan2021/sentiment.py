"""Sentiment: is an opinion favourable?

SST-2, phrases of film reviews (Socher et al. 2013); Sentiment140, tweets (Go et al. 2009); IMDB, whole film reviews
(Maas et al. 2011); Yelp polarity, reviews of businesses (Zhang et al. 2015).
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tasks.flan2021.clusters import SENTIMENT

_POLARITY = ('negative', 'positive')


def _sentence(row: Row) -> Fields:
  # Every training row of SST-2 ends in a space.
  return {'sentence': tf.strings.strip(row['sentence']), LABEL: row['label']}


SST2 = Dataset(
  name='sst2',
  cluster=SENTIMENT,
  source='glue/sst2:2.0.0',
  fields=_sentence,
  options=_POLARITY,
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

_NEUTRAL = 2  # of polarities from 0 (negative) to 4 (positive)


def _tweet(row: Row) -> Fields:
  return {'tweet': tf.strings.strip(row['text']), LABEL: tf.cast(row['polarity'] > _NEUTRAL, tf.int64)}


def _is_not_neutral(row: Row) -> tf.Tensor:
  return tf.not_equal(row['polarity'], _NEUTRAL)


SENTIMENT140 = Dataset(
  name='sentiment140',
  cluster=SENTIMENT,
  source='sentiment140:1.0.0',
  fields=_tweet,
  keep=_is_not_neutral,  # neither answer would be right; 139 of the 498 test rows
  splits=Splits(test='test'),
  options=_POLARITY,
  templates=(
    Template('Tweet: {tweet}\n\nWas whoever posted this in a negative or in a positive mood?\n\n{options}'),
    Template(
      'Picture the face of the person typing this. A frown counts as negative and a smile as positive.\n\n{tweet}\n\n'
      '{options}',
      option_style='letters',
    ),
    Template('{options}\n\nWhich of the two comes through in the following status update?\n\n{tweet}'),
    Template(
      'At a help desk, short messages are put into two trays according to the feeling behind them.\n\n'
      '"{tweet}"\n\n{options}\n\nTray for this message:'
    ),
    Template('How is this user feeling? "{tweet}" {options}', option_style='inline'),
    Template(
      'Instructions for annotators: label a post by the attitude of its author and not by its topic.\n\n'
      'Post: {tweet}\n{options}\nLabel:',
      option_style='numbers',
    ),
    Template(
      'You come across this while scrolling through your feed:\n\n{tweet}\n\n'
      'Does it sound glad or upset? Call the first positive and the second negative.\n\n{options}'
    ),
    Template('{tweet}\n\nOne word will do: is that positive or negative?'),
    Template('Type a tweet with a {answer} ring to it.', targets='{tweet}'),
    Template(
      'On a microblog there is room for a sentence or two in which to let off steam or to share some joy. '
      'An analyst reads what someone has written there and notes: "{answer}". What had they written?',
      targets='{tweet}',
    ),
  ),
)


def _film_review(row: Row) -> Fields:
  # Paragraphs are set apart by line breaks in HTML.
  return {
    'review': tf.strings.strip(tf.strings.regex_replace(row['text'], r'\s*(?:<br />\s*)+', '\n')),
    LABEL: row['label'],
  }


IMDB_REVIEWS = Dataset(
  name='imdb_reviews',
  cluster=SENTIMENT,
  source='imdb_reviews/plain_text:1.0.0',
  fields=_film_review,
  splits=Splits(test='test'),
  options=_POLARITY,
  templates=(
    Template('{review}\n\nDo these lines praise the film (positive) or pan it (negative)?\n\n{options}'),
    Template(
      'A film festival would like to know whether its audience went home happy. Code the comment below.\n\n'
      'Comment: {review}\n\n{options}\n\nCode:',
      option_style='letters',
    ),
    Template('{options}\n\nOne of these words sums up what a viewer made of a movie. Which?\n\n{review}'),
    Template(
      'Long reviews tend to sway to and fro. Weigh everything that is said here, then state on which side the '
      'balance comes down.\n\n{review}\n\n{options}',
      option_style='numbers',
    ),
    Template(
      'If the scale runs from one star to ten, would you expect a rating in the upper half (positive) or in the lower '
      'half (negative) to go with this text?\n\n"{review}"\n\n{options}'
    ),
    Template('{review}\n\nAttitude of the writer towards the film? {options}', option_style='inline'),
    Template(
      'My sister is deciding what to watch tonight and has found this on the internet:\n\n{review}\n\n'
      'Is it good news or bad news about the movie? Say positive for good news and negative for bad news.\n\n{options}'
    ),
    Template('Thumbs up (positive) or thumbs down (negative)?\n\n{review}'),
    Template(
      'Write a user review for a film database. On the whole it should be {answer}, and it may go into plot, cast and '
      'direction.',
      targets='{review}',
    ),
    Template('Having left the cinema with a {answer} impression, a viewer puts this online:', targets='{review}'),
  ),
)


def _business_review(row: Row) -> Fields:
  # The csv file's escapes are still in the text: \"" for a quotation mark and \n for a new line.
  text = tf.strings.regex_replace(row['text'], r'\\""', '"')
  return {'review': tf.strings.strip(tf.strings.regex_replace(text, r'\\n', '\n')), LABEL: row['label']}


def _has_text(row: Row) -> tf.Tensor:
  return tf.strings.length(_business_review(row)['review']) > 0


YELP_POLARITY_REVIEWS = Dataset(
  name='yelp_polarity_reviews',
  cluster=SENTIMENT,
  source='yelp_polarity_reviews:0.2.0',
  fields=_business_review,
  keep=_has_text,  # an empty review has no polarity
  splits=Splits(test='test'),
  options=_POLARITY,
  templates=(
    Template(
      'A customer of a local business reports:\n\n{review}\n\nWas the experience a negative or a positive one?\n\n'
      '{options}'
    ),
    Template(
      'You own the place that is described below. Have you reason to be pleased (positive) or to be worried '
      '(negative)?\n\n{review}\n\n{options}',
      option_style='letters',
    ),
    Template('{options}\n\nSort the feedback into one of the categories named at the top.\n\nFeedback: {review}'),
    Template(
      'The stars were lost when somebody copied this from the web. We call a poor rating negative and a good rating '
      'positive. Which did the writer give?\n\n{review}\n\n{options}',
      option_style='numbers',
    ),
    Template(
      '{review}\n\nWill this person come back? Put down a satisfied guest as positive and an angry one as negative.\n'
      '{options}\nPut down as:'
    ),
    Template(
      'The following was found on a page where people discuss restaurants, hairdressers, garages and the like.\n\n'
      '"{review}"\n\nWhat do you make of the tone? {options}',
      option_style='inline',
    ),
    Template('Opinion mining.\n\nInput: {review}\n\nOutput, that is to say the polarity of the input:\n{options}'),
    Template('{review}\n\nThe manager has no time to read this and asks you only: negative or positive?'),
    Template(
      'Tell others about a shop, a restaurant or a service that you have used. Your opinion of it is {answer}.',
      targets='{review}',
    ),
    Template('Rating: {answer}\n\nWhat the client has to say in explanation:', targets='{review}'),
  ),
)

DATASETS: tuple[Dataset, ...] = (SST2, SENTIMENT140, IMDB_REVIEWS, YELP_POLARITY_REVIEWS)
