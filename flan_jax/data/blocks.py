"""Blocks of rows, and rows again: what a step of tf.data costs is paid once for many."""

from collections.abc import Collection

import tensorflow as tf


def ragged(lists: tf.Tensor | tf.RaggedTensor) -> tf.RaggedTensor:
  """Returns lists as ragged ones: of a length that is known beforehand, they come from a batch as a matrix."""
  return lists if isinstance(lists, tf.RaggedTensor) else tf.RaggedTensor.from_tensor(lists)


# Steps of ours have no Python control flow over tensors: converting them would only cost seconds at every start.
as_written = tf.autograph.experimental.do_not_convert

BLOCK = 128  # rows that go through a step together
_NOTHING = '\0\0'  # no text of a dataset; it fills lists of texts up and comes off again


def in_blocks(rows: tf.data.Dataset, size: int) -> tf.data.Dataset:
  """Batches rows, their lists as ragged ones: what `ragged_batch` gives, by padding, which takes no step for each row.

  Args:
    rows: scalars and lists of strings by name.
    size: rows of a block; the last may have fewer.
  """
  if any(isinstance(spec, tf.RaggedTensorSpec) for spec in rows.element_spec.values()):
    return rows.ragged_batch(size)  # rows of blocks that were taken apart
  lists = [name for name, spec in rows.element_spec.items() if not spec.shape.is_fully_defined()]
  fill = {name: tf.constant(_NOTHING) if name in lists else None for name in rows.element_spec}

  @as_written
  def bare(block: dict[str, tf.Tensor]) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    return block | {name: tf.RaggedTensor.from_tensor(block[name], padding=_NOTHING) for name in lists}

  blocks = rows.padded_batch(size, padding_values=fill)
  return blocks.map(bare) if lists else blocks


def stackable(value: tf.Tensor) -> tf.TypeSpec:
  """The type of a row's value, as `tf.map_fn` wants it to stack the values of many rows."""
  if value.shape.is_fully_defined():
    return tf.TensorSpec(value.shape, value.dtype)
  return tf.RaggedTensorSpec(value.shape, value.dtype, ragged_rank=0)


@as_written
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

  @as_written
  def chosen(block: dict[str, tf.Tensor | tf.RaggedTensor]) -> dict[str, tf.Tensor]:
    return _dense({name: block[name] for name in wanted})

  return blocks.map(chosen).unbatch()
