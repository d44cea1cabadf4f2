"""The random seeds that SeqIO gives to the examples of a task, as a stream."""

import seqio
import tensorflow as tf


def seeds_of_rows() -> tf.data.Dataset:
  """Returns the seeds that the next `seqio.map_over_dataset(num_seeds=1)` would give to its examples, pairs of int64.

  SeqIO hands a seed out to each call of a mapped function only; a function over blocks needs as many as there are rows.
  As SeqIO does, it takes two seeds from those of `seqio.utils.map_seed_manager`, or draws anew where there is none.
  """
  first = seqio.utils._NEXT_MAP_SEED  # the only way to them
  pair = (None, None) if first is None else (first, first + 1)
  if first is not None:
    seqio.utils._NEXT_MAP_SEED = first + 2
  return tf.data.Dataset.zip(tuple(tf.data.Dataset.random(seed) for seed in pair))
