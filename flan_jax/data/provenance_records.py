"""The records of `provenance`, written for blocks of examples by TensorFlow."""

import tensorflow as tf

from flan_jax.data import provenance


def encode(task: str, template: tf.Tensor, row_id: tf.Tensor, filtered: tf.Tensor) -> tf.Tensor:
  """Returns the records of a block of examples, with no flag set.

  Args:
    task: its name.
    template: int32 [rows].
    row_id: string [rows], TFDS's own ids.
    filtered: int32 [rows], rows left out before each.

  Returns:
    int32 [rows, 7].
  """
  numbers = tf.strings.regex_replace(row_id, r'^.*-(\d+)-of-\d+\D*__(\d+)$', r'\1 \2')
  shard_row = tf.strings.to_number(tf.strings.split(numbers).to_tensor(shape=[None, 2]), tf.int32)
  count = tf.shape(template)
  fields = [template, shard_row[:, 0], shard_row[:, 1], tf.zeros(count, tf.int32), filtered, tf.zeros(count, tf.int32)]
  return tf.stack([tf.fill(count, provenance.task_id(task)), *(field + provenance.SHIFT for field in fields)], axis=1)


def flag(record: tf.Tensor, bit: int, condition: tf.Tensor) -> tf.Tensor:
  """Sets a flag of the records [rows, 7] where the condition [rows] holds."""
  return record + tf.cast(condition, tf.int32)[:, tf.newaxis] * tf.constant([0, 0, 0, 0, bit, 0, 0], tf.int32)


def leave_out(record: tf.Tensor, exemplars: tf.Tensor) -> tf.Tensor:
  """Writes how many exemplars had no room, int32 [rows], into records [rows, 7]."""
  return record + exemplars[:, tf.newaxis] * tf.constant([0, 0, 0, 0, 0, 0, 1], tf.int32)
