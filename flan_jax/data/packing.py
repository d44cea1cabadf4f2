"""Several examples to a row, as SeqIO packs them, a row at a step instead of an example.

SeqIO's packing (`seqio.utils.trim_and_pack_dataset`) walks over the examples one by one and appends each to tensors
that grow. Where an example goes depends on lengths alone: here a loop over rows finds where each ends, and all tokens
are then put in their places at once. The rows are the same, bit for bit.
"""

from collections.abc import Mapping

import tensorflow as tf

from flan_jax.data.blocks import as_written

Lengths = Mapping[str, int]


def pack(examples: tf.data.Dataset, lengths: Lengths) -> tf.data.Dataset:
  """Packs examples greedily: each goes into the row of the one before it, where all its features fit.

  Args:
    examples: int32 vectors by feature, none longer than its length, zeros nowhere in them but at their ends.
    lengths: of each feature's rows.

  Returns:
    Rows: each feature padded with zeros, `<feature>_segment_ids` (1 for the first example of a row, 0 for padding) and
    `<feature>_positions` (within the example).
  """
  # So many examples, each of at least one token, fill a row. SeqIO starts a row with every batch too.
  count = max(lengths.values())

  @as_written
  def block(padded: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    batch = {name: tf.RaggedTensor.from_tensor(values, padding=0) for name, values in padded.items()}
    row, segment, starts = _assign(batch, lengths)
    packed: dict[str, tf.Tensor] = {}
    for name, length in lengths.items():
      packed |= _place(name, batch[name], row, segment, starts[name], length)
    return packed

  if examples.element_spec.keys() != lengths.keys():
    examples = examples.map(as_written(lambda row: {name: row[name] for name in lengths}))
  return examples.padded_batch(count).map(block).unbatch()


def _assign(
  batch: Mapping[str, tf.RaggedTensor], lengths: Lengths
) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
  """Gives each example of a batch its row, its segment in the row, and where its features start in it."""
  sizes = tf.stack([batch[name].row_lengths() for name in lengths], axis=1)
  count = tf.shape(sizes, tf.int64)[0]
  ends = tf.concat([tf.zeros([1, len(lengths)], tf.int64), tf.cumsum(sizes)], axis=0)  # [examples + 1, features]
  limits = tf.constant(list(lengths.values()), tf.int64)

  def next_row(firsts: tf.TensorArray, rows: tf.Tensor, first: tf.Tensor) -> tuple:
    reach = tf.searchsorted(tf.transpose(ends), (ends[first] + limits)[:, tf.newaxis], side='right', out_type=tf.int64)
    return firsts.write(rows, first), rows + 1, tf.reduce_min(reach) - 1

  firsts, _, _ = tf.while_loop(
    lambda _, __, first: first < count,
    next_row,
    (tf.TensorArray(tf.int64, size=0, dynamic_size=True), tf.constant(0), tf.constant(0, tf.int64)),
    parallel_iterations=1,
  )
  first = firsts.stack()  # [rows], the first example of each
  place = tf.range(count)
  row = tf.searchsorted(first, place, side='right', out_type=tf.int64) - 1
  start = tf.gather(ends, place) - tf.gather(ends, tf.gather(first, row))
  return row, place - tf.gather(first, row) + 1, {name: start[:, i] for i, name in enumerate(lengths)}


def _place(
  name: str, values: tf.RaggedTensor, row: tf.Tensor, segment: tf.Tensor, start: tf.Tensor, length: int
) -> dict[str, tf.Tensor]:
  """Puts one feature of a batch of examples into rows."""
  example = values.value_rowids()
  position = tf.ragged.range(values.row_lengths()).flat_values
  index = tf.stack([tf.gather(row, example), tf.gather(start, example) + position], axis=1)
  shape = tf.stack([row[-1] + 1, tf.constant(length, tf.int64)])

  def spread(numbers: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.scatter_nd(index, tf.cast(numbers, tf.int32), shape), [None, length])

  return {
    name: spread(values.flat_values),
    f'{name}_segment_ids': spread(tf.gather(segment, example)),
    f'{name}_positions': spread(position),
  }
