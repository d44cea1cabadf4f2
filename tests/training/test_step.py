"""The step: accumulation and sharding change nothing, frozen weights stay, a fault halts it."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.peft import Full, LoRA
from flan_jax.training import losses, optimizers, sharding
from flan_jax.training.state import plan_state
from flan_jax.training.step import DropoutKeys, make_train_step
from tests.training import toy


def few_steps(method=None, partitioner=None, parts=1, steps=2, batches=None, loss=None, make=toy.make_plain_model):
  optimizer = optimizers.from_optax('sgd', 0.1, momentum=0.9)
  plan = plan_state(make, method or Full(), optimizer, partitioner or sharding.Partitioner(num_devices=1), 0)
  step = make_train_step(plan.blueprint, optimizer, loss or losses.LossConfig(), parts)
  state, source = plan.init(), batches or toy.CountingBatches()
  for _ in range(steps):
    batch = {k: v for k, v in next(source).items() if k != 'provenance'}
    state, metrics = step(state, sharding.put_batch(batch, sharding.batch_sharding(plan.mesh)))
  return plan, state, metrics


def assert_close(one, other, tolerance=2e-6):
  for name in one:
    np.testing.assert_allclose(one[name], other[name], atol=tolerance, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize('weighting', losses.WEIGHTINGS)
def test_microbatches_equal_the_large_batch(weighting):
  loss = losses.LossConfig(weighting=weighting)
  _, whole, there = few_steps(loss=loss)
  _, parts, here = few_steps(parts=4, loss=loss)
  assert_close(whole.trainable, parts.trainable)
  np.testing.assert_allclose(float(there['loss']), float(here['loss']), rtol=1e-5)


def test_microbatches_must_divide_the_rows():
  with pytest.raises(UserError, match=r'num_microbatches \(3\)'):
    few_steps(parts=3)


@pytest.mark.parametrize('partitions', [1, 2])
def test_eight_devices_equal_one(partitions):
  _, one, _ = few_steps()
  plan, many, _ = few_steps(partitioner=sharding.Partitioner(num_partitions=partitions), parts=1)
  assert plan.mesh.size == 8
  assert_close(one.trainable, many.trainable)
  kernel = many.trainable['encoder/layers/0/mlp/wi_0/kernel']
  assert kernel.sharding.shard_shape(kernel.shape) == (16, 32 // partitions)


def test_moments_lie_with_their_parameters_and_lora_is_sharded_too():
  plan, state, _ = few_steps(LoRA(rank=2), sharding.Partitioner(num_partitions=2))
  name = 'encoder/layers/0/attention/query/adapters/lora/b'
  assert state.trainable[name].sharding.spec[1] == 'model'
  moments = [leaf for path, leaf in jax.tree_util.tree_flatten_with_path(state.opt_state)[0] if name in str(path)]
  assert moments and all(m.sharding.spec == state.trainable[name].sharding.spec for m in moments)
  assert plan.abstract.trainable[name].sharding == state.trainable[name].sharding


def test_frozen_weights_stay_and_have_no_optimizer_state():
  plan, state, _ = few_steps(LoRA(rank=2), make=toy.make_model)
  assert toy.same_params(plan.init().frozen, state.frozen)
  sizes = {leaf.size for leaf in jax.tree.leaves(state.opt_state)}
  assert max(sizes) == 2 * 16
  assert set(state.trainable) == {n for n in plan.blueprint.variables if '/adapters/lora/' in n}
  assert not toy.same_params(plan.init().trainable, state.trainable)


def test_base_weights_depend_on_the_seed_and_not_on_the_method():
  full = plan_state(toy.make_model, Full(), optimizers.adamw(), sharding.Partitioner(), 3).init()
  lora = plan_state(toy.make_model, LoRA(), optimizers.adamw(), sharding.Partitioner(), 3).init()
  other = plan_state(toy.make_model, Full(), optimizers.adamw(), sharding.Partitioner(), 4).init()
  assert toy.same_params(full.trainable, lora.frozen)
  assert not toy.same_params(full.trainable, other.trainable)


def test_a_fault_freezes_the_state_before_it():
  _, before, _ = few_steps(steps=2, batches=toy.CountingBatches(poison_at=3))
  _, after, _ = few_steps(steps=5, batches=toy.CountingBatches(poison_at=3))
  assert bool(after.halted) and int(after.step) == 2
  assert toy.same_params(before.trainable, after.trainable)


def test_dropout_differs_by_step_and_repeats_by_seed():
  _, one, _ = few_steps(make=toy.make_model)
  _, two, _ = few_steps(make=toy.make_model)
  assert toy.same_params(one.trainable, two.trainable)
  _, plain, _ = few_steps()
  assert not toy.same_params(one.trainable, plain.trainable)


def test_rules_and_meshes_are_checked():
  with pytest.raises(UserError, match=r'num_partitions \(3\)'):
    sharding.Partitioner(num_partitions=3).mesh()
  mesh = sharding.Partitioner(num_partitions=2).mesh()
  rules = sharding.standard_logical_axis_rules(1, 2)
  assert sharding.partition_spec(('embed', 'mlp'), (16, 32), mesh, rules) == jax.P('data', 'model')
  assert sharding.partition_spec(('embed', 'mlp'), (15, 32), mesh, rules) == jax.P(None, 'model')


def test_train_state_round_trips_as_a_pytree():
  _, state, _ = few_steps()
  again = jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(state))
  assert dataclasses.fields(again) == dataclasses.fields(state)
  assert list(again.trainable) == sorted(state.trainable)


def test_dropout_keys_are_those_of_flax_in_the_same_order():
  ours, theirs = DropoutKeys(jax.random.key(3)), nnx.Rngs(dropout=jax.random.key(3))
  for _ in range(4):
    assert (jax.random.key_data(ours.dropout()) == jax.random.key_data(theirs.dropout())).all()


def test_rows_must_go_evenly_over_devices_and_micro_batches():
  mesh = sharding.Partitioner(num_partitions=2).mesh()
  sharding.check_rows(8, mesh, 4)
  for rows, parts, told in ((6, 1, 'multiple of the 4 devices that share it, e.g. 8'), (0, 1, 'e.g. 4'),
                            (8, 3, r'num_microbatches \(3\) must divide'), (8, 0, r'num_microbatches \(0\)')):
    with pytest.raises(UserError, match=told):
      sharding.check_rows(rows, mesh, parts)
