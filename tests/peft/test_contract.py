"""What every fine-tuning method must do, on both versions of T5."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.errors import UserError
from flan_jax.models import beam_search, greedy, shift_right
from flan_jax.peft import io
from flan_jax.peft.partition import make_blueprint, named_variables, parameter_table
from flan_jax.training import losses, optimizers, sharding
from flan_jax.training.state import TrainState, plan_state
from flan_jax.training.step import accumulated_gradient, make_train_step
from tests.peft.methods import (
  CONFIGS,
  IDENTITY,
  MERGEABLE,
  METHODS,
  QUICK,
  attached,
  base,
  batch,
  make,
  packed,
  stirred,
)
from tests.training import toy

every_method = pytest.mark.parametrize('name', METHODS)
every_method_in_training = pytest.mark.parametrize(
  'name', [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in METHODS])
every_model = pytest.mark.parametrize('kind', CONFIGS)


def pairs(names):
  """Every method on both versions of T5; on 1.0, which differs little to a method, all but one of a kind are slow."""
  usual = [(name, kind) for name in names for kind in CONFIGS]
  return pytest.mark.parametrize(('name', 'kind'), [
    pytest.param(*pair, marks=() if pair[1] == 't5_1_1' or pair[0] in QUICK else pytest.mark.slow) for pair in usual])


every_pair = pairs(METHODS)
every_adapting_pair = pairs([name for name in METHODS if name != 'full'])


def trained(name, kind, steps=3, partitioner=None, optimizer=None):
  optimizer = optimizer or optimizers.adamw(1e-2)
  method = METHODS[name]
  plan = plan_state(make(kind), method, optimizer, partitioner or sharding.Partitioner(num_devices=1), 0)
  scales = method.learning_rate_scales(plan.blueprint.trainable)
  step = make_train_step(plan.blueprint, optimizer, losses.LossConfig(), rate_scales=scales)
  state, source = plan.init(), toy.CountingBatches()
  for _ in range(steps):
    arrays = {k: v for k, v in next(source).items() if k != 'provenance'}
    state, metrics = step(state, sharding.put_batch(arrays, sharding.batch_sharding(plan.mesh)))
  return plan, state, metrics


def values(model):
  return {name: np.asarray(v.get_value()) for name, (_, v) in named_variables(model).items()}


@every_model
@pytest.mark.parametrize('name', IDENTITY)
def test_at_the_start_the_model_is_the_base(name, kind):
  np.testing.assert_array_equal(attached(name, kind)(batch()), base(kind)(batch()))


@every_model
def test_dora_starts_at_the_base_up_to_the_rounding_of_a_norm(kind):
  np.testing.assert_allclose(attached('dora', kind)(batch()), base(kind)(batch()), rtol=1e-6, atol=1e-6)


@every_adapting_pair
def test_a_moved_adapter_changes_the_logits_and_no_base_path(name, kind):
  model = stirred(name, kind)
  assert float(jnp.max(jnp.abs(model(batch()) - base(kind)(batch())))) > 1e-3
  attached_names = set(io.adapter_variables(model))
  assert set(named_variables(base(kind))) == set(named_variables(model)) - attached_names


@every_model
@every_method_in_training
def test_only_what_trains_moves_in_a_hundred_steps_and_has_an_optimizer_state(name, kind):
  plan, state, metrics = trained(name, kind, steps=100)
  before = plan.init()
  assert toy.same_params(before.frozen, state.frozen)
  assert np.isfinite(float(metrics['grad_norm'])) and float(metrics['grad_norm']) > 0
  moved = [n for n, v in state.trainable.items() if not np.array_equal(v, before.trainable[n])]
  assert len(moved) >= 0.9 * len(state.trainable)
  trains = sum(v.size for v in state.trainable.values())
  moments = sum(leaf.size for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim)
  assert moments == 2 * trains == 2 * parameter_table(plan.blueprint).trainable
  if name not in ('full', 'norms', 'layers'):
    assert all(plan.blueprint.is_adapter(n) for n in state.trainable)


@every_adapting_pair
def test_saved_and_loaded_equals_trained(name, kind, tmp_path):
  model, fresh, method = stirred(name, kind), base(kind), METHODS[name]
  peft.save_adapter(model, tmp_path / 'adapter', method)
  assert peft.load_adapter(fresh, tmp_path / 'adapter') == method
  np.testing.assert_array_equal(fresh(batch()), model(batch()))
  saved = io.read_adapter(tmp_path / 'adapter')[1]
  assert saved.keys() == io.saved_variables(model, method).keys()
  assert sum(v.size for v in saved.values()) < 0.6 * sum(v.size for v in values(model).values())


@every_adapting_pair
def test_another_base_is_refused_and_left_as_it_was(name, kind, tmp_path):
  peft.save_adapter(stirred(name, kind), tmp_path / 'adapter', METHODS[name])
  other = base(kind, seed=7)
  with pytest.raises(UserError, match='trained on base weights'):
    peft.load_adapter(other, tmp_path / 'adapter')
  left, untouched = values(other), values(base(kind, seed=7))
  assert left.keys() == untouched.keys() and toy.same_params(left, untouched)
  peft.load_adapter(other, tmp_path / 'adapter', force=True)


@every_pair
def test_merged_equals_attached_or_is_refused(name, kind):
  model = stirred(name, kind)
  before, logits = values(model), model(batch())
  if name not in MERGEABLE:
    with pytest.raises(UserError, match='cannot be merged'):
      peft.merge_adapter(model, METHODS[name])
    assert toy.same_params(values(model), before)
    return
  peft.merge_adapter(model, METHODS[name])
  assert not io.adapter_variables(model)
  added = named_variables(model).keys() - named_variables(base(kind)).keys()
  assert not named_variables(base(kind)).keys() - named_variables(model).keys()
  assert bool(added) == any(name.endswith('/adapters/bias/bias') for name in before)
  assert all(name.endswith('/bias') and f'{name.removesuffix("bias")}kernel' in before for name in added)
  np.testing.assert_allclose(model(batch()), logits, atol=1e-5 * float(jnp.max(jnp.abs(logits))))


@every_pair
def test_packed_equals_unpacked(name, kind):
  model, rows = stirred(name, kind), batch()
  alone = np.asarray(model(rows))
  both, places = packed(rows, METHODS[name].prompt_lengths, width=16)
  together = np.asarray(model(both))
  for number, (row, start, count) in enumerate(places):
    np.testing.assert_allclose(together[row, start:start + count], alone[number, :count], atol=2e-5)


@every_pair
def test_cached_decoding_agrees_with_teacher_forcing(name, kind):
  model = stirred(name, kind)
  source = batch()['encoder_input_tokens'][:2]
  decoded = greedy(model, source, max_decode_len=4, eos_id=-1)
  logits = model.decode(model.encode(source), shift_right(decoded.tokens))
  np.testing.assert_array_equal(jnp.argmax(logits, axis=-1), decoded.tokens)


@every_method_in_training
def test_beams_score_as_teacher_forcing_does(name):
  model = stirred(name)
  source = batch()['encoder_input_tokens'][:2]
  beams = beam_search(model, source, num_beams=2, max_decode_len=3, alpha=0.0, eos_id=-1)
  flat = beams.tokens.reshape(4, 3)
  log_probs = nnx.log_softmax(model.decode(model.encode(source), shift_right(flat)))
  sums = jnp.sum(jnp.take_along_axis(log_probs, flat[..., None], axis=-1), axis=(1, 2))
  np.testing.assert_allclose(beams.scores.reshape(-1), sums, rtol=1e-4)


@every_method_in_training
def test_eight_devices_give_the_weights_of_one(name):
  sgd = optimizers.from_optax('sgd', 0.1, momentum=0.9)  # Adam would blow up the rounding of small gradients
  _, one, _ = trained(name, 't5_1_1', optimizer=sgd)
  _, many, _ = trained(name, 't5_1_1', optimizer=sgd, partitioner=sharding.Partitioner(num_partitions=2))
  assert one.trainable.keys() == many.trainable.keys()
  for path, value in one.trainable.items():
    np.testing.assert_allclose(value, many.trainable[path], atol=1e-5, rtol=1e-3, err_msg=path)


@every_method_in_training
def test_micro_batches_give_the_gradient_of_the_whole(name):
  model, method = stirred(name), METHODS[name]
  blueprint = make_blueprint(model, method.trainable_filter())
  trainable, frozen = blueprint.split(model)
  state = TrainState(jnp.int32(0), trainable, frozen, None, jnp.zeros(2, jnp.uint32), jnp.bool(False))
  sums = [accumulated_gradient(blueprint, losses.LossConfig(), state, batch(), jax.random.key(0), parts)
          for parts in (1, 4)]
  for path in trainable:
    np.testing.assert_allclose(sums[0][0][path], sums[1][0][path], atol=1e-5, rtol=1e-4, err_msg=path)


@every_method_in_training
def test_recomputing_activations_changes_no_gradient(name):
  model, method = stirred(name), METHODS[name]
  blueprint = make_blueprint(model, method.trainable_filter())
  trainable, frozen = blueprint.split(model)

  def loss(params):
    return losses.loss_sums(blueprint.merge(params, frozen)(batch()), batch(), losses.LossConfig()).loss

  kept, recomputed = jax.grad(loss)(trainable), jax.grad(jax.checkpoint(loss))(trainable)
  for path in trainable:
    np.testing.assert_allclose(kept[path], recomputed[path], atol=1e-6, rtol=1e-5, err_msg=path)


@every_method_in_training
def test_stopped_and_resumed_ends_with_the_same_bits(name, tmp_path):
  shared = {'make_model': make('t5_1_1'), 'method': METHODS[name], 'checkpoint_period': 2}
  whole = toy.run(tmp_path / 'whole', 4, **shared)
  toy.run(tmp_path / 'parts', 2, **shared)
  parts = toy.run(tmp_path / 'parts', 4, **shared)
  assert toy.same_params(whole.state.trainable, parts.state.trainable)
  assert toy.same_params(whole.state.frozen, parts.state.frozen)
  assert (tmp_path / 'whole' / 'adapter').exists() == (name != 'full')


@every_method
def test_methods_survive_their_config(name):
  method = METHODS[name]
  assert peft.from_config(json.loads(json.dumps(method.config))) == method


@every_method
def test_the_blueprint_splits_and_merges_without_loss(name):
  model = stirred(name)
  blueprint = make_blueprint(model, METHODS[name].trainable_filter())
  np.testing.assert_array_equal(blueprint.merge(*blueprint.split(model))(batch()), model(batch()))
