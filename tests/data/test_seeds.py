"""The stream of seeds is the one that SeqIO's mapped functions see."""

import seqio
import tensorflow as tf

from flan_jax.data.seeds import seeds_of_rows


@seqio.map_over_dataset(num_seeds=1)
def seen_by_seqio(_, seed):
  return seed


def pairs(dataset, count=20):
  return [tuple(int(number) for number in pair) for pair in dataset.take(count).as_numpy_iterator()]


def test_rows_get_the_seeds_that_seqio_gives():
  rows = tf.data.Dataset.range(20)
  with seqio.map_seed_manager(7):
    expected = [pairs(seen_by_seqio(rows)), pairs(seen_by_seqio(rows))]
  with seqio.map_seed_manager(7):
    assert [pairs(seeds_of_rows()), pairs(seen_by_seqio(rows))] == expected  # and those after it get the next ones
  assert len(set(expected[0])) == 20 and expected[0] != expected[1]


def test_without_a_seed_they_are_drawn_anew():
  with seqio.map_seed_manager(None):
    assert pairs(seeds_of_rows()) != pairs(seeds_of_rows())
