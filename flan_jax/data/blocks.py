"""Blocks of rows, and rows again: what a step of tf.data costs is paid once for many."""

from collections.abc import Collection

import tensorflow as tf


def ragged(lists: tf.Tensor | tf.RaggedTensor) -> tf.RaggedTensor:
  """Returns lists as ragged ones: of a length that is known beforehand, they come from a batch as a matrix."""
  return lists if isinstance(lists, tf.RaggedTensor) else tf.RaggedTensor.from_tensor(lists)


@tf.autograph.experimental.do_not_convert
def _dense(row: dict[str, tf.Tensor | tf.RaggedTensor]) -> dict[str, tf.Tensor]:
  return {name: value.to_tensor() if isinstance(value, tf.RaggedTensor) else value for name, value in row.items()}


def rows_of(blocks: tf.data.Dataset) -> tf.data.Dataset:
  """Takes blocks apart into their rows, lists of lists padded with zeros."""
  rows = blocks.unbatch()
  nested = any(isinstance(spec, tf.RaggedTensorSpec) and spec.ragged_rank for spec in rows.element_spec.values())
  return rows.map(_dense) if nested else rows


def padded_rows_of(blocks: tf.data.Dataset, wanted: Collection[str]) -> tf.data.Dataset:
  """Takes blocks apart into rows that keep the padding of their block, which costs a tenth of taking it off.

  Args:
    blocks: of dense and ragged features.
    wanted: the features to keep: integers, so that padding is zeros.

  Returns:
    Rows of vectors with zeros at their ends, as many as the longest of the block needs.
  """

  @tf.autograph.experimental.do_not_convert
  def chosen(block: dict[str, tf.Tensor | tf.RaggedTensor]) -> dict[str, tf.Tensor]:
    return _dense({name: block[name] for name in wanted})

  return blocks.map(chosen).unbatch()
