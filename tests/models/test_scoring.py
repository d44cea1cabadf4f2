"""Scores against a log-softmax of full logits, options together against options alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.models import (
  Generator,
  Scorer,
  option_log_likelihoods,
  shift_right,
  target_log_likelihood,
  token_log_likelihoods,
)
from tests.models.conftest import rows, tiny_model


def test_token_scores_are_the_log_softmax(model):
  source, target = rows(0, 5, 3), rows(1, 4, 2)
  scores = token_log_likelihoods(model, source, target)
  full = nnx.log_softmax(model.decode(model.encode(source), shift_right(target)))
  expected = jnp.take_along_axis(full, target[..., None], axis=-1)[..., 0]
  np.testing.assert_allclose(scores, jnp.where(target > 0, expected, 0.0), rtol=1e-5, atol=1e-6)
  assert (np.array(scores)[1, 2:] == 0).all()


@pytest.mark.parametrize('tied', [True, False])
def test_options_together_are_options_alone(tied):
  model, source = tiny_model(logits_via_embedding=tied), rows(0, 5, 3)
  options = rows(1, 4, 2, 3, 1, 4, 0).reshape(2, 3, 4)
  together = jax.jit(lambda s, o: option_log_likelihoods(model, s, o))(source, options)
  alone = jnp.stack([target_log_likelihood(model, source, options[:, i]) for i in range(3)], axis=1)
  np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
  assert float(together[1, 2]) == 0


def test_scorer_serves_ragged_rows_in_order(model):
  inputs = [[5, 6, 7, 1], list(range(2, 19)), [8, 1], [9, 1]]
  options = [[[4, 1], [5, 6, 1]], [[7, 1]], [], [[3, 1], [4, 1], [5, 5, 5, 1]]]
  together = Scorer(model, batch_size=3).options(inputs, options)
  assert [row.shape for row in together] == [(2,), (1,), (0,), (3,)]
  for source, choices, scores in zip(inputs, options, together, strict=True):
    for option, score in zip(choices, scores, strict=True):
      alone = target_log_likelihood(model, jnp.asarray([source]), jnp.asarray([option]))
      np.testing.assert_allclose(score, alone[0], rtol=1e-5)
  np.testing.assert_allclose(Scorer(model).targets(inputs[:2], [[4, 1], [7, 1]])[1], together[1][0], rtol=1e-5)


def test_probabilities_of_all_one_token_texts_sum_to_one(model):
  every = jnp.arange(1, 30)[:, None].reshape(1, 29, 1)
  scores = option_log_likelihoods(model, rows(0, 5), every)
  full = nnx.softmax(model.decode(model.encode(rows(0, 5)), jnp.zeros((1, 1), jnp.int32)))[0, 0]
  np.testing.assert_allclose(jnp.sum(jnp.exp(scores)) + full[0], 1.0, rtol=1e-5)


def test_as_many_options_as_inputs(model):
  with pytest.raises(ValueError, match='2 inputs but 1'):
    Scorer(model).options([[5, 1], [6, 1]], [[[4, 1]]])


def test_what_is_greedy_is_what_greedy_decoding_writes(model):
  inputs = [[5, 6, 7, 1], list(range(2, 19)), [9, 1]]
  written = Generator(model, max_decode_len=3)(inputs)
  options = [[row, [*row[:-1], row[-1] % 20 + 2], row[:1]] for row in written]
  judged = Scorer(model, batch_size=3).judged_options(inputs, options)
  assert [found.greedy.tolist() for found in judged] == [[True, False, True]] * 3
  for found, scores in zip(judged, Scorer(model, batch_size=3).options(inputs, options), strict=True):
    np.testing.assert_allclose(found.log_likelihoods, scores, rtol=1e-6)
