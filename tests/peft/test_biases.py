"""Biases folded into the base: parameters that a plain T5 has not, and what every part of the program makes of them."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.errors import UserError
from flan_jax.interop import huggingface
from flan_jax.models import T5, Scorer, greedy, shift_right
from flan_jax.peft import io
from flan_jax.peft.partition import make_blueprint, named_variables
from flan_jax.training import checkpoints, initial, losses, optimizers, sharding
from flan_jax.training.state import plan_state
from flan_jax.training.step import make_train_step
from tests.peft.methods import CONFIGS, METHODS, base, batch, stirred
from tests.training import toy

TARGETS = peft.BitFit().targets
BIASED = dataclasses.replace(CONFIGS['t5_1_1'], projection_biases=TARGETS)
every_model = pytest.mark.parametrize('kind', CONFIGS)


def make_biased(rngs):
  return T5(BIASED, rngs=rngs)


def merged(kind='t5_1_1'):
  model = stirred('bitfit', kind)
  peft.merge_adapter(model, METHODS['bitfit'])
  return model


def values(model):
  return {name: np.asarray(v.get_value()) for name, (_, v) in named_variables(model).items()}


def save(model, folder):
  """A checkpoint of a model as a full fine-tuning of it would begin."""
  plan = plan_state(make_biased, peft.Full(), optimizers.adamw(), sharding.Partitioner(num_devices=1), 0)
  saver = checkpoints.Checkpointer(folder)
  saver.save(0, plan.start({name: jnp.array(value) for name, value in values(model).items()}), b'', {})
  saver.close()


@every_model
def test_biases_become_parameters_beside_the_kernels_and_nothing_is_rounded(kind):
  model, trained = merged(kind), stirred('bitfit', kind)
  np.testing.assert_array_equal(model(batch()), trained(batch()))
  added = named_variables(model).keys() - named_variables(base(kind)).keys()
  assert added == {name.replace('adapters/bias/', '') for name in io.adapter_variables(trained)}
  for name in added:
    variable = named_variables(model)[name][1]
    assert type(variable) is nnx.Param and name.removesuffix('bias') + 'kernel' in named_variables(model)
    assert variable.get_metadata()['axes'] == named_variables(model)[f'{name[:-4]}kernel'][1].get_metadata()['axes'][1:]


def test_the_base_comes_back_bit_for_bit_and_merging_again_gives_the_same():
  adapters, found = peft.AdapterSet(base()), io.saved_variables(stirred('bitfit'), METHODS['bitfit'])
  adapters.add('biases', METHODS['bitfit'], {name: variable.get_value() for name, variable in found.items()})
  adapters.switch('biases')
  adapters.merge()
  once = values(adapters.model)
  adapters.switch(None)
  assert toy.same_params(values(adapters.model), values(base()))
  assert nnx.graphdef(adapters.model) == nnx.graphdef(base())
  adapters.switch('biases')
  adapters.merge()
  assert toy.same_params(values(adapters.model), once)


@every_model
def test_a_merged_model_scores_and_decodes_as_the_adapter(kind):
  model, trained = merged(kind), stirred('bitfit', kind)
  inputs, options = [[5, 6, 1], [9, 8, 7, 1]], [[[7, 1], [8, 1]]] * 2
  scorer = Scorer(base(kind))
  plain = scorer.options(inputs, options)
  scorer.update(model)
  np.testing.assert_array_equal(scorer.options(inputs, options), Scorer(trained).options(inputs, options))
  assert not np.allclose(scorer.options(inputs, options), plain)
  source = batch()['encoder_input_tokens'][:2]
  decoded = greedy(model, source, max_decode_len=4, eos_id=-1)
  logits = model.decode(model.encode(source), shift_right(decoded.tokens))
  np.testing.assert_array_equal(jnp.argmax(logits, axis=-1), decoded.tokens)
  np.testing.assert_array_equal(decoded.tokens, greedy(trained, source, max_decode_len=4, eos_id=-1).tokens)


def test_a_checkpoint_of_a_merged_model_is_restored_under_projection_biases_only(tmp_path):
  model = merged()
  save(model, tmp_path)
  restored = initial.restore_model(tmp_path, make_biased)
  np.testing.assert_array_equal(restored(batch()), model(batch()))
  with pytest.raises(UserError, match=r'(?s)set models.T5Config.projection_biases.*out/bias is not of this model'):
    initial.restore_model(tmp_path, lambda rngs: T5(CONFIGS['t5_1_1'], rngs=rngs))


def test_a_model_with_biases_starts_as_one_without_and_trains_them():
  model = make_biased(nnx.Rngs(params=0))
  np.testing.assert_array_equal(model(batch()), base()(batch()))
  optimizer = optimizers.adamw(1e-2)
  plan = plan_state(make_biased, peft.Layers(targets='.*/bias'), optimizer, sharding.Partitioner(num_partitions=2), 0)
  step = make_train_step(plan.blueprint, optimizer, losses.LossConfig())
  arrays = {name: value for name, value in next(toy.CountingBatches()).items() if name != 'provenance'}
  state, _ = step(plan.init(), sharding.put_batch(arrays, sharding.batch_sharding(plan.mesh)))
  assert len(state.trainable) == len(io.saved_variables(stirred('bitfit'), METHODS['bitfit']))
  assert all(np.any(np.asarray(value)) for value in state.trainable.values())


@pytest.mark.parametrize('name', ['lora', 'dora', 'ia3', 'bitfit', 'int8_lora'])
def test_other_adapters_train_on_a_base_with_biases_and_merge_exactly(name):
  """A factor on the output is merged into the kernel alone, since the bias is added after it."""
  model, method = merged(), METHODS[name]
  method.attach(model, nnx.Rngs(params=1))
  for variable in io.saved_variables(model, method).values():
    if isinstance(variable, nnx.Param):
      variable.set_value(variable.get_value() + 0.1)
  logits = model(batch())
  peft.merge_adapter(model, method)
  assert not io.adapter_variables(model)
  np.testing.assert_allclose(model(batch()), logits, atol=1e-5 * float(jnp.max(jnp.abs(logits))))


def test_biases_of_a_quantised_base_merge():
  method = peft.Quantized(peft.BitFit())
  model = base()
  method.attach(model, nnx.Rngs(params=1))
  for variable in io.adapter_variables(model).values():
    if isinstance(variable, peft.AdapterParam):
      variable.set_value(variable.get_value() + 0.1)
  logits = model(batch())
  assert method.merges
  peft.merge_adapter(model, method)
  np.testing.assert_allclose(model(batch()), logits, atol=1e-5 * float(jnp.max(jnp.abs(logits))))
  assert make_blueprint(model, peft.AdapterParam).trainable == ()


def test_hugging_face_has_no_place_for_them():
  with pytest.raises(UserError, match='are not known to this config: decoder/.*/bias'):
    huggingface.to_huggingface(huggingface.base_parameters(merged()), CONFIGS['t5_1_1'])


def test_projection_biases_that_match_nothing_are_one_sentence():
  with pytest.raises(UserError, match="projection_biases 'mlp' matches no projection"):
    T5(dataclasses.replace(BIASED, projection_biases='mlp'), rngs=nnx.Rngs(0))
