"""Seven integers that say where an example came from, and survive packing."""

import numpy as np
import tensorflow as tf

from flan_jax.data import provenance, provenance_records
from flan_jax.data.provenance import Counts, Provenance

ID = 'sst2-train.tfrecord-00003-of-00017__41'


def record(task='sst2', template=3, row_id=ID, filtered=0):
  encoded = provenance_records.encode(task, tf.constant([template], tf.int32), tf.constant([row_id]),
                                      tf.constant([filtered]))
  return encoded[0]


def cut(*bits):
  records = record()[tf.newaxis]
  for bit in bits:
    records = provenance_records.flag(records, bit, tf.constant([True]))
  return records[0]


def test_a_record_reads_back_as_what_was_written():
  packed = np.concatenate([record(filtered=5), record('rte', -1), np.zeros(provenance.WIDTH, np.int32)])
  found = provenance.decode(packed[None], ['rte', 'sst2'])
  assert found == [Provenance('sst2', 3, 3, 41, 0, 5, 0), Provenance('rte', -1, 3, 41, 0, 0, 0)]
  assert str(found[0]) == 'sst2 (template 3, shard 3, row 41)'


def test_a_block_is_encoded_row_by_row():
  ids = ['a-train.tfrecord-00000-of-00001__7', 'b-test.array_record-00012-of-00020__9']
  block = provenance_records.encode('sst2', tf.constant([0, 2]), tf.constant(ids), tf.constant([1, 0]))
  assert provenance.decode(block.numpy(), ['sst2']) == [
    Provenance('sst2', 0, 0, 7, 0, 1, 0), Provenance('sst2', 2, 12, 9, 0, 0, 0),
  ]  # fmt: skip


def test_no_number_is_zero_which_packing_takes_for_padding():
  assert (record(template=-1, row_id='a-train.tfrecord-00000-of-00001__0').numpy() != 0).all()


def test_cuts_are_flagged_and_counted():
  kept = provenance_records.flag(record()[tf.newaxis], provenance.INPUTS_TRUNCATED, tf.constant([False]))[0]
  packed = np.stack([cut(1), cut(1, 2), kept])
  assert [origin.truncated for origin in provenance.decode(packed, ['sst2'])] == [True, True, False]
  assert provenance.count_truncated(packed) == 2
  assert str(provenance.decode(packed, ['sst2'])[1]).endswith('inputs and targets cut)')


def test_what_happened_is_counted_by_task():
  short = provenance_records.leave_out(record('rte', filtered=2)[tf.newaxis], tf.constant([3]))[0]
  packed = np.concatenate([cut(1), np.zeros(7, np.int32), short, cut(2), record('rte', filtered=1)])
  found = provenance.count(packed)
  assert found[provenance.task_id('sst2')] == Counts(examples=2, inputs_cut=1, targets_cut=1)
  assert found[provenance.task_id('rte')] == Counts(examples=2, filtered=3, exemplars_left_out=3)
  assert found[provenance.task_id('rte')] + Counts(1, 1, 1, 1, 1) == Counts(3, 1, 1, 4, 4)


def test_a_task_that_is_not_listed_keeps_its_number():
  (found,) = provenance.decode(record().numpy(), [])
  assert found.task == f'task #{provenance.task_id("sst2")}'
