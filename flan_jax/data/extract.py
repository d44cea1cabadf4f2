"""The first step of every task: a source's rows become the declared fields, rows that `keep` refuses left out.

`fields` and `keep` see one row. A step of tf.data for each row costs several times what most of them compute, so that
records as TFDS stores them are decoded and looked at inside one step for a whole block, one after the other.
"""

from collections.abc import Callable

import tensorflow as tf

from flan_jax.data.blocks import BLOCK, as_written, in_blocks, rows_of, stackable
from flan_jax.data.check import explained
from flan_jax.data.dataset import Dataset, Fields, Row
from flan_jax.data.records import Record, Undecoded
from flan_jax.data.roles import ROW_ID

FILTERED = 'filtered'  # of an example: how many rows `keep` refused between the example before it and this one

Preprocessor = Callable[[tf.data.Dataset], tf.data.Dataset]


def extract_fields(dataset: Dataset) -> Preprocessor:
  """Returns the step from a source's rows to the declared fields, `tfds_id`, and how many rows were left out before."""

  def step(rows: tf.data.Dataset) -> tf.data.Dataset:
    with explained(dataset, rows.element_spec):
      undecoded = Undecoded.of(rows)
      examples = _by_row(dataset, rows) if undecoded is None else rows_of(_by_block(dataset, undecoded))
    for template in dataset.templates:
      template.check(frozenset(examples.element_spec), f'Dataset {dataset.name!r}')
    return examples

  return step


def blocks_of_fields(dataset: Dataset, rows: tf.data.Dataset) -> tf.data.Dataset:
  """The same as `extract_fields` gives, a block of rows at a time: lists are ragged, or matrices of a known width."""
  with explained(dataset, rows.element_spec):
    undecoded = Undecoded.of(rows)
    return in_blocks(_by_row(dataset, rows), BLOCK) if undecoded is None else _by_block(dataset, undecoded)


def _example(dataset: Dataset, row: Row) -> Fields:
  return dataset.example(row) | {ROW_ID: row[ROW_ID]}


def _by_row(dataset: Dataset, rows: tf.data.Dataset) -> tf.data.Dataset:
  """Extracts from rows that are decoded."""
  if dataset.keep is None:
    return rows.map(lambda row: _example(dataset, row) | {FILTERED: tf.constant(0)})
  keep = dataset.keep

  def judge(gone: tf.Tensor, row: Row) -> tuple[tf.Tensor, tuple[Row, tf.Tensor, tf.Tensor]]:
    kept = keep(row)
    return tf.where(kept, 0, gone + 1), (row, gone, kept)

  judged = rows.scan(tf.constant(0), judge).filter(lambda _, __, kept: kept)
  return judged.map(lambda row, gone, _: _example(dataset, row) | {FILTERED: gone})


def _by_block(dataset: Dataset, undecoded: Undecoded) -> tf.data.Dataset:
  """Extracts from records, a block in one step; `fields` sees only rows that `keep` lets through."""
  traced = tf.function(lambda record: _example(dataset, undecoded.decode(record)))
  traced = traced.get_concrete_function(undecoded.records.element_spec)
  spec = {name: stackable(value) for name, value in traced.structured_outputs.items()}
  keep = None if dataset.keep is None else _traced_keep(dataset.keep, undecoded)

  @as_written
  def block(gone: tf.Tensor, records: Record) -> tuple[tf.Tensor, Fields]:
    filtered = tf.zeros(tf.shape(records[0]), tf.int32)
    if keep is not None:
      kept = tf.map_fn(lambda record: keep(record), records, fn_output_signature=tf.bool, parallel_iterations=1)
      gone, records, filtered = without_refused(gone, records, kept)
    fields = tf.map_fn(lambda record: traced(record), records, fn_output_signature=spec, parallel_iterations=1)
    return gone, fields | {FILTERED: filtered}

  return undecoded.records.batch(BLOCK).scan(tf.constant(0), block)


def _traced_keep(keep: Callable[[Row], tf.Tensor], undecoded: Undecoded) -> Callable[[Record], tf.Tensor]:
  judge = tf.function(lambda record: tf.reshape(keep(undecoded.decode(record)), []))
  return judge.get_concrete_function(undecoded.records.element_spec)


def without_refused(
  gone: tf.Tensor, records: tuple[tf.Tensor, ...], kept: tf.Tensor
) -> tuple[tf.Tensor, tuple[tf.Tensor, ...], tf.Tensor]:
  """Leaves records out of a block.

  Args:
    gone: how many went at the end of the block before.
    records: values of the block's records, by record.
    kept: bool [records], those that stay.

  Returns:
    How many went at its end, the others, and how many went just before each of them, those of blocks before included.
  """
  refused = tf.cumsum(tf.cast(~kept, tf.int32)) + gone  # up to each record
  before = tf.boolean_mask(refused, kept)
  filtered = before - tf.concat([[0], before], axis=0)[:-1]
  total = tf.concat([[gone], refused], axis=0)[-1]
  stay = tuple(tf.boolean_mask(values, kept) for values in records)
  return total - tf.concat([[0], before], axis=0)[-1], stay, filtered
