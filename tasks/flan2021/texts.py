"""Tidying texts inside the TensorFlow graph, as several clusters need it."""

from collections.abc import Callable

import tensorflow as tf

from flan_jax.data.dataset import Fields, Row


def one_line(text: tf.Tensor) -> tf.Tensor:
  """Puts a text, or each of several, on one line: each run of white space becomes a space."""
  return tf.strings.strip(tf.strings.regex_replace(text, r'\s+', ' '))


def written(texts: tf.Tensor) -> tf.Tensor:
  """Puts each of several texts on one line and leaves out those that are blank."""
  texts = one_line(texts)
  return tf.boolean_mask(texts, tf.not_equal(texts, ''))


def numbered(texts: tf.Tensor) -> tf.Tensor:
  """Lists texts, one a line, behind their numbers: "1. ..."."""
  numbers = tf.strings.as_string(1 + tf.range(tf.size(texts)))
  return tf.strings.reduce_join(tf.strings.join([numbers, '. ', texts]), separator='\n')


def filled(fields: Callable[[Row], Fields]) -> Callable[[Row], tf.Tensor]:
  """Returns a `Dataset.keep` that leaves out rows with a blank field: they have nothing to read or nothing to say."""

  def keep(row: Row) -> tf.Tensor:
    return tf.reduce_all(tf.not_equal(tf.stack(list(fields(row).values())), ''))

  return keep
