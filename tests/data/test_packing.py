"""Packing gives SeqIO's rows, bit for bit."""

import numpy as np
import pytest
import seqio
import tensorflow as tf

from flan_jax.data import packing


def examples(count, longest, seed=0, padded=0):
  """Random examples of three features; with `padded`, some end in zeros."""
  draw = np.random.default_rng(seed)

  def vector(high):
    values = draw.integers(1, 99, draw.integers(1, high + 1))
    return np.pad(values, [0, draw.integers(0, padded + 1)]).astype(np.int32)

  return [{'inputs': vector(longest), 'targets': vector(6), 'record': draw.integers(1, 99, 7).astype(np.int32)}
          for _ in range(count)]


def stream(rows):
  spec = {name: tf.TensorSpec([None], tf.int32) for name in ('inputs', 'targets', 'record')}
  return tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=spec)


def same(found, expected):
  assert len(found) == len(expected)
  for row, other in zip(found, expected, strict=True):
    assert row.keys() == other.keys()
    assert all((row[name] == other[name]).all() and row[name].dtype == other[name].dtype for name in row)


@pytest.mark.parametrize(('count', 'lengths'), [
  (700, {'inputs': 64, 'targets': 16, 'record': 35}),  # several of SeqIO's batches, full and not
  (64, {'inputs': 64, 'targets': 64, 'record': 63}),
  (130, {'inputs': 64, 'targets': 16, 'record': 7}),  # no row holds two
  (40, {'inputs': 1024, 'targets': 256, 'record': 896}),
  (1, {'inputs': 40, 'targets': 8, 'record': 7}),
])  # fmt: skip
def test_rows_are_those_of_seqio(count, lengths):
  rows = examples(count, longest=40)
  found = list(packing.pack(stream(rows), lengths).as_numpy_iterator())
  same(found, list(seqio.utils.trim_and_pack_dataset(stream(rows), lengths).as_numpy_iterator()))
  assert sum(int(row['record_segment_ids'].max()) for row in found) == count


def test_zeros_at_the_end_of_an_example_take_no_room():
  lengths = {'inputs': 64, 'targets': 16, 'record': 35}
  rows = examples(200, longest=40, padded=9)
  bare = [{name: values[values != 0] for name, values in row.items()} for row in rows]
  same(list(packing.pack(stream(rows), lengths).as_numpy_iterator()),
       list(packing.pack(stream(bare), lengths).as_numpy_iterator()))


def test_features_that_are_not_asked_for_are_left_out():
  lengths = {'inputs': 64, 'targets': 16}
  (row, *_) = packing.pack(stream(examples(5, longest=40)), lengths).as_numpy_iterator()
  assert row.keys() == {f'{name}{end}' for name in lengths for end in ('', '_segment_ids', '_positions')}


def test_nothing_packs_to_nothing():
  assert not list(packing.pack(stream([]), {'inputs': 8, 'targets': 8, 'record': 7}).as_numpy_iterator())
