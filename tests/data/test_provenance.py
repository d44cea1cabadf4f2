"""Five integers that say where an example came from, and survive packing."""

import numpy as np
import tensorflow as tf

from flan_jax.data import provenance

ID = 'sst2-train.tfrecord-00003-of-00017__41'


def record(task='sst2', template=3, tfds_id=ID):
  return provenance.encode(task, tf.constant(template, tf.int32), tf.constant(tfds_id))


def test_a_record_reads_back_as_what_was_written():
  packed = np.concatenate([record().numpy(), record('rte', -1).numpy(), np.zeros(provenance.WIDTH, np.int32)])
  found = provenance.decode(packed[None], ['rte', 'sst2'])
  assert found == [provenance.Provenance('sst2', 3, 3, 41, 0), provenance.Provenance('rte', -1, 3, 41, 0)]
  assert str(found[0]) == 'sst2 (template 3, shard 3, row 41)'


def test_no_number_is_zero_which_packing_takes_for_padding():
  assert (record(template=-1, tfds_id='a-train.tfrecord-00000-of-00001__0').numpy() != 0).all()


def test_cuts_are_flagged_and_counted():
  cut = provenance.flag(record(), provenance.INPUTS_TRUNCATED, tf.constant(True))
  both = provenance.flag(cut, provenance.TARGETS_TRUNCATED, tf.constant(True))
  kept = provenance.flag(record(), provenance.INPUTS_TRUNCATED, tf.constant(False))
  packed = np.stack([value.numpy() for value in (cut, both, kept)])
  assert [origin.truncated for origin in provenance.decode(packed, ['sst2'])] == [True, True, False]
  assert provenance.count_truncated(packed) == 2
  assert str(provenance.decode(packed, ['sst2'])[1]).endswith('inputs and targets cut)')


def test_a_task_that_is_not_listed_keeps_its_number():
  (found,) = provenance.decode(record().numpy(), [])
  assert found.task == f'task #{provenance.task_id("sst2")}'
