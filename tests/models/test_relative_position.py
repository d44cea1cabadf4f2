"""Buckets against transformers', and the Toeplitz layout against one lookup per pair."""

import numpy as np
import pytest
from flax import nnx

from flan_jax.models.relative_position import RelativePositionBias, bucket

torch = pytest.importorskip('torch')


@pytest.mark.parametrize('bidirectional', [True, False])
@pytest.mark.parametrize(('buckets', 'distance'), [(32, 128), (8, 20)])
def test_buckets_are_those_of_transformers(bidirectional, buckets, distance):
  from transformers.models.t5.modeling_t5 import T5Attention

  offsets = np.arange(-300, 301)
  theirs = T5Attention._relative_position_bucket(torch.tensor(offsets), bidirectional, buckets, distance)
  ours = bucket(offsets, bidirectional=bidirectional, num_buckets=buckets, max_distance=distance)
  np.testing.assert_array_equal(ours, theirs.numpy())


@pytest.mark.parametrize(('queries', 'keys'), [(5, 5), (3, 7), (7, 3), (1, 1)])
def test_bias_is_one_lookup_for_each_pair(queries, keys):
  table = nnx.Rngs(0).params.normal((3, 8))
  bias = RelativePositionBias(table, bidirectional=True, max_distance=20)(queries, keys)
  offsets = np.arange(keys)[None, :] - np.arange(queries)[:, None]
  pairs = np.asarray(table)[:, bucket(offsets, bidirectional=True, num_buckets=8, max_distance=20)]
  np.testing.assert_array_equal(bias[0], pairs)
