"""Through the ranges in which T5s in 16 bits turn into NaN: residual streams of 1e5, rows without a single key."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.models import T5, Generator
from flan_jax.peft import Full, LoRA
from flan_jax.training import losses, optimizers, sharding
from flan_jax.training.state import plan_state
from flan_jax.training.step import make_train_step
from tests.models.conftest import rows, tiny_config, tiny_model

NARROW = ['bfloat16', 'float16']
LARGEST = 65504.0  # of float16


def outgrown(**changes):
  """A model whose feed-forward blocks add more than float16 holds to the residual stream, as trained T5s do."""
  return grown(tiny_model(**changes))


def grown(model):
  for layer in (*model.encoder.layers, *model.decoder.layers):
    layer.mlp.wo.kernel.set_value(layer.mlp.wo.kernel[...] * 3e5)
  return model


def batch():
  tokens, targets = rows(0, 9, 5, 1, 7), rows(1, 4, 6, 1, 3)
  tokens = tokens.at[2].set(0)  # nothing to attend to
  return {'encoder_input_tokens': tokens, 'decoder_target_tokens': targets,
          'decoder_input_tokens': jnp.pad(targets[:, :-1], ((0, 0), (1, 0)))}  # fmt: skip


def test_the_residual_stream_is_out_of_range():
  """What the other tests rest on; `encoder_norm` hides it from the outputs."""
  model = outgrown()
  x = model.token_embedder(batch()['encoder_input_tokens'])
  added = model.encoder.layers[0].mlp(model.encoder.layers[0].pre_mlp_layer_norm(x))
  assert float(jnp.abs(added).max()) > 2 * LARGEST


@pytest.mark.parametrize('dtype', NARROW)
@pytest.mark.parametrize(
  'changes', [{}, {'attention': 'fused'}, {'scan_layers': True, 'remat_policy': 'full'}], ids=str
)
def test_logits_stay_near_those_of_float32(dtype, changes):
  wanted = outgrown()(batch())
  found = outgrown(dtype=dtype, **changes)(batch())
  assert found.dtype == jnp.float32
  tolerance = {'bfloat16': 6e-2, 'float16': 1e-2}[dtype]
  assert float(jnp.abs(found - wanted).max()) < tolerance * float(jnp.abs(wanted).max())


@pytest.mark.slow
@pytest.mark.parametrize('dtype', NARROW)
@pytest.mark.parametrize('method', [Full(), LoRA(rank=2)], ids=lambda method: method.name)
def test_training_goes_through_it_and_learns_as_float32_does(dtype, method):
  def train(dtype):
    optimizer, config = optimizers.adamw(3e-2), tiny_config(dtype=dtype, logits_via_embedding=False)
    plan = plan_state(lambda rngs: grown(T5(config, rngs=rngs)), method, optimizer,
                      sharding.Partitioner(num_devices=1), 0)
    step = make_train_step(plan.blueprint, optimizer, losses.LossConfig())
    state, found = plan.init(), []
    for _ in range(30):
      state, metrics = step(state, batch())
      found.append(float(metrics['loss'] / metrics['weight']))
      assert np.isfinite(metrics['grad_norm'])
    assert not state.halted
    return found

  wanted, found = train('float32'), train(dtype)
  assert np.isfinite(found).all()
  np.testing.assert_allclose(found[:2], wanted[:2], rtol=2e-2)
  learned, wanted_learned = found[0] - found[-1], wanted[0] - wanted[-1]
  assert wanted_learned > {'full': 0.5, 'lora': 0.03}[method.name] * wanted[0]
  assert learned > 0.7 * wanted_learned


@pytest.mark.parametrize('dtype', NARROW)
def test_generation_goes_through_it(dtype):
  found = Generator(outgrown(dtype=dtype), max_decode_len=5, eos_id=1, batch_size=4)
  model = outgrown(dtype=dtype)
  cached = [np.asarray(row) for row in found(np.asarray(batch()['encoder_input_tokens']))]
  assert len(cached) == 4
  start = jnp.zeros((4, 1), jnp.int32)
  first = model({'encoder_input_tokens': batch()['encoder_input_tokens'], 'decoder_input_tokens': start})[:, 0]
  assert np.isfinite(np.asarray(first)).all()
  for row in (0, 1, 3):
    assert cached[row][0] == int(jnp.argmax(first[row]))


def test_parameters_and_moments_stay_float32():
  config = tiny_config(dtype='bfloat16')
  plan = plan_state(lambda rngs: T5(config, rngs=rngs), Full(), optimizers.adamw(1e-2),
                    sharding.Partitioner(num_devices=1), 0)
  kinds = {leaf.dtype for leaf in (*plan.abstract.trainable.values(), *jnp_leaves(plan.abstract.opt_state))}
  assert kinds == {jnp.dtype('float32'), jnp.dtype('int32')}
  half = dataclasses.replace(config, param_dtype='bfloat16')
  plan = plan_state(lambda rngs: T5(half, rngs=rngs), Full(), optimizers.from_optax('sgd', 1e-2),
                    sharding.Partitioner(num_devices=1), 0)
  step = make_train_step(plan.blueprint, optimizers.from_optax('sgd', 1e-2), losses.LossConfig(), num_microbatches=4)
  assert np.isfinite(step(plan.init(), batch())[1]['loss'])


def jnp_leaves(tree):
  import jax
  return jax.tree.leaves(tree)
