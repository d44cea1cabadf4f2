"""The loss against formulas written out in numpy, and its weightings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.training import losses


def naive(logits, targets, z_loss, smoothing):
  logits = logits.astype(np.float64)
  log_z = np.log(np.exp(logits).sum(-1))
  vocab = logits.shape[-1]
  soft = np.full(logits.shape, smoothing / (vocab - 1))
  np.put_along_axis(soft, targets[..., None], 1 - smoothing, -1)
  entropy = -np.sum(np.where(soft > 0, soft * np.log(np.where(soft > 0, soft, 1)), 0), -1)
  return -np.sum(soft * (logits - log_z[..., None]), -1) - entropy + z_loss * log_z**2


@pytest.mark.parametrize('z_loss', [0.0, 1e-2])
@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_cross_entropy_equals_the_one_hot_formula(z_loss, smoothing):
  random = np.random.default_rng(0)
  logits = random.normal(0, 3, (2, 5, 7)).astype(np.float32)
  targets = random.integers(0, 7, (2, 5)).astype(np.int32)
  found, _ = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(targets), z_loss=z_loss, label_smoothing=smoothing)
  np.testing.assert_allclose(found, naive(logits, targets, z_loss, smoothing), rtol=1e-5, atol=1e-5)


def test_golden_number_of_a_uniform_prediction():
  found, auxiliary = losses.cross_entropy(jnp.zeros((1, 8)), jnp.asarray([3]), z_loss=1e-4)
  np.testing.assert_allclose(found, [2.0794415 + 1e-4 * 2.0794415**2], rtol=1e-6)
  np.testing.assert_allclose(auxiliary, [1e-4 * 2.0794415**2], rtol=1e-6)


def test_a_perfect_smoothed_prediction_costs_nothing():
  soft = np.full((1, 4), 0.1 / 3)
  soft[0, 2] = 0.9
  found, _ = losses.cross_entropy(jnp.log(jnp.asarray(soft, jnp.float32)), jnp.asarray([2]), label_smoothing=0.1)
  np.testing.assert_allclose(found, [0.0], atol=1e-6)


def test_gradient_builds_no_one_hot_and_equals_softmax_minus_target():
  logits = jax.random.normal(jax.random.key(0), (3, 6))
  targets = jnp.asarray([0, 5, 2])
  gradient = jax.grad(lambda x: losses.cross_entropy(x, targets)[0].sum())(logits)
  np.testing.assert_allclose(gradient, jax.nn.softmax(logits) - np.eye(6, dtype=np.float32)[np.asarray(targets)],
                             atol=1e-6)


def test_sqrt_length_weights_each_packed_example_by_its_own_length():
  batch = {'decoder_target_tokens': jnp.asarray([[5, 6, 7, 8, 9, 0]]),
           'decoder_segment_ids': jnp.asarray([[1, 2, 2, 2, 2, 0]])}
  np.testing.assert_allclose(losses.token_weights(batch, 'sqrt_length'), [[1, 0.5, 0.5, 0.5, 0.5, 0]], rtol=1e-6)
  np.testing.assert_allclose(losses.token_weights(batch, 'token'), [[1, 1, 1, 1, 1, 0]])


def test_padding_changes_nothing():
  logits = jax.random.normal(jax.random.key(1), (1, 3, 6))
  batch = {'decoder_target_tokens': jnp.asarray([[4, 5, 0]])}
  short = losses.loss_sums(logits[:, :2], {'decoder_target_tokens': jnp.asarray([[4, 5]])}, losses.LossConfig())
  whole = losses.loss_sums(logits, batch, losses.LossConfig())
  np.testing.assert_allclose(np.asarray(whole), np.asarray(short), rtol=1e-6)


def test_normalizer_is_the_weight_or_the_given_number():
  sums = losses.LossSums(*[jnp.float32(x) for x in (6.0, 0.0, 3.0, 1.0, 3.0)])
  assert losses.normalizer(sums, losses.LossConfig()) == 3.0
  assert losses.normalizer(sums, losses.LossConfig(loss_normalizing_factor=12.0)) == 12.0


def test_an_unknown_weighting_is_named():
  with pytest.raises(UserError, match="'sqrt_lenght'.*'sqrt_length'"):
    losses.LossConfig(weighting='sqrt_lenght')
