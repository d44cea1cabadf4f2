"""Schedules by golden numbers; Adafactor by hand; frozen things by construction."""

import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.training import optimizers, schedules


def at(schedule, *steps):
  return [float(schedule(jnp.int32(step))) for step in steps]


def test_schedules_by_golden_numbers():
  np.testing.assert_allclose(at(schedules.constant(3e-4), 0, 999), [3e-4, 3e-4])
  np.testing.assert_allclose(at(schedules.linear_warmup(1.0, 4), 0, 1, 3, 9), [0.25, 0.5, 1, 1])
  np.testing.assert_allclose(at(schedules.rsqrt(1.0, 4), 0, 3, 15, 63), [0.25, 1, 0.5, 0.25])
  np.testing.assert_allclose(at(schedules.linear(2.0, 10), 0, 5, 10, 20), [2, 1, 0, 0], atol=1e-7)
  np.testing.assert_allclose(at(schedules.cosine(2.0, 10, final_scale=0.1), 0, 5, 10), [2, 1.1, 0.2], rtol=1e-6)


def test_t5x_factors_by_golden_numbers():
  found = at(schedules.factors(), 0, 500, 1000, 4000)
  np.testing.assert_allclose(found, [1e-8, 0.25 / 1000**0.5, 0.5 / 1000**0.5, 0.5 / 4000**0.5], rtol=1e-5)
  every = schedules.factors('constant * decay_every', base_learning_rate=1.0, decay_factor=0.5, steps_per_decay=10)
  np.testing.assert_allclose(at(every, 9, 10, 25), [1, 0.5, 0.25])
  with pytest.raises(UserError, match=r"'rsqrt_decai'.*'rsqrt_decay'"):
    schedules.factors('constant * rsqrt_decai')


def test_a_schedule_shorter_than_its_warmup_is_refused():
  with pytest.raises(UserError, match='warm-up'):
    schedules.cosine(1.0, total_steps=10, warmup_steps=10)


def test_first_adafactor_step_by_hand():
  value = np.random.default_rng(0).normal(0, 2, (128, 128)).astype(np.float32)
  gradient = np.random.default_rng(1).normal(0, 1, (128, 128)).astype(np.float32)
  optimizer = optimizers.adafactor(1e-2)
  params = {'w': jnp.asarray(value)}
  updates, _ = optimizer.update({'w': jnp.asarray(gradient)}, optimizer.init(params), params)
  squares = gradient.astype(np.float64) ** 2
  rows, columns = squares.mean(1, keepdims=True), squares.mean(0, keepdims=True)
  update = gradient / np.sqrt(rows * columns / rows.mean())
  update /= max(1.0, np.sqrt((update**2).mean()))
  expected = -1e-2 * max(1e-3, np.sqrt((value**2).mean())) * update
  np.testing.assert_allclose(updates['w'], expected, rtol=2e-5, atol=1e-8)


def test_adafactor_keeps_no_full_second_moment_for_large_matrices():
  state = optimizers.adafactor().init({'w': jnp.zeros((256, 128))})
  import jax
  assert max(leaf.size for leaf in jax.tree.leaves(state)) == 256


def test_clipping_bounds_the_gradient():
  optimizer = optimizers.from_optax('sgd', 1.0, clip_norm=0.5)
  params = {'w': jnp.zeros(4)}
  updates, _ = optimizer.update({'w': jnp.full(4, 10.0)}, optimizer.init(params), params)
  np.testing.assert_allclose(float(optimizers.global_norm(updates)), 0.5, rtol=1e-6)


def test_optax_names_and_options_are_checked():
  with pytest.raises(UserError, match="'lionn'.*'lion'"):
    optimizers.from_optax('lionn')
  with pytest.raises(UserError, match="'momentun'.*'momentum'"):
    optimizers.from_optax('sgd', momentun=0.9)
