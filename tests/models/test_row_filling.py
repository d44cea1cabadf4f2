import numpy as np
import pytest

from flan_jax.models.row_filling import Size, fill, rounded
from tests.models.conftest import tiny_config

CONFIG = tiny_config(vocab_size=1000, emb_dim=128, num_heads=4, head_dim=32, mlp_dim=256)


def random_sizes(count, source, target):
  random = np.random.default_rng(0)
  pairs = zip(random.integers(*source, count), random.integers(*target, count), strict=True)
  return [Size(int(source), int(target)) for source, target in pairs]


def used(filled, sizes):
  """Share of the encoder's and of the decoder's places that hold items."""
  total = np.sum([sizes[item] for row in filled.rows for item in row], axis=0)
  return total / (len(filled.rows) * np.array(filled.shape))


@pytest.mark.parametrize(('source', 'target'), [((20, 150), (3, 60)), ((1, 4), (1, 3)), ((30, 2000), (2, 250))])
def test_every_item_is_in_one_row_that_holds_it(source, target):
  sizes = random_sizes(200, source, target)
  found = list(fill(sizes, CONFIG))
  assert sorted(item for filled in found for row in filled.rows for item in row) == list(range(200))
  for filled in found:
    for row in filled.rows:
      assert (np.sum([sizes[item] for item in row], axis=0) <= filled.shape).all()


def test_mixed_short_items_fill_one_shape():
  sizes = random_sizes(400, (25, 150), (3, 60))
  (filled,) = fill(sizes, CONFIG)
  assert used(filled, sizes).min() > 0.8


def test_equal_items_that_fill_a_row_stay_alone():
  (filled,) = fill([Size(128, 21)] * 64, CONFIG)
  assert filled.shape == (128, 24)
  assert all(len(row) == 1 for row in filled.rows)


def test_a_few_long_items_do_not_widen_the_rows_of_many_short_ones():
  found = list(fill([Size(40, 4)] * 400 + [Size(2000, 4)] * 3, CONFIG))
  assert [filled.shape.source >= 2000 for filled in found] == [False, True]


def test_a_known_shape_is_taken_where_it_costs_little_more():
  sizes = random_sizes(200, (25, 150), (3, 60))
  (best,) = fill(sizes, CONFIG)
  near = Size(best.shape.source, best.shape.target + 8)
  for known, taken in (([near], near), ([Size(2048, 512)], best.shape), ([Size(100, 100)], best.shape)):
    (found,) = fill(sizes, CONFIG, known)
    assert found.shape == taken
  assert sorted(item for row in found.rows for item in row) == list(range(200))


def test_nothing_fills_nothing():
  assert list(fill([], CONFIG)) == []


def test_sizes_are_rounded_in_steps():
  assert [rounded(size, 2) for size in (1, 5, 6, 7, 9, 129, 192, 193)] == [1, 6, 6, 8, 12, 192, 192, 256]
  assert rounded(3, 4, 8) == 8
