"""The formula of model FLOPs against XLA's own count of the program."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.models import T5, T5Config
from flan_jax.peft.partition import make_blueprint
from flan_jax.training import flops, losses
from flan_jax.training.state import build_model
from flan_jax.training.step import summed_gradient
from tests.training import toy

# Wide enough that elementwise work, which XLA counts and the formula does not, is a small part.
WIDE = T5Config(vocab_size=1024, emb_dim=256, num_heads=4, head_dim=64, mlp_dim=512, num_encoder_layers=2,
                num_decoder_layers=2, dropout_rate=0.0, dtype='float32')
SHALLOW = dataclasses.replace(WIDE, num_encoder_layers=1, num_decoder_layers=1)
ELEMENTWISE = 1.02  # XLA may count so much more, and nothing less
METHODS = {
  'full': peft.Full(),
  'lora': peft.LoRA(rank=8),
  'lora_of_the_decoder': peft.LoRA(rank=8, targets='decoder/.*/query'),
  'pissa': peft.LoRA(rank=2, init='pissa'),
  'ia3': peft.IA3(),
  'bitfit': peft.BitFit(),
  'norms': peft.Norms(),
  'last_layer': peft.Layers(targets='decoder/layers/1/mlp/.*'),
  'houlsby': peft.Bottleneck(width=32),
  'parallel': peft.Bottleneck('parallel', width=32),
  'prompt': peft.PromptTuning(length=16, where='both', init='uniform'),
  'p_tuning': peft.PTuning(length=16, hidden=5),
  'prefix': peft.PrefixTuning(length=16),
  'int8_lora': peft.Quantized(peft.LoRA(rank=8)),
}


def program(config, method, rows, inputs, targets, decoder_rows=None):
  """The blueprint, and the gradient of a batch as XLA gets it, without the optimizer."""
  model = nnx.eval_shape(lambda: build_model(lambda rngs: T5(config, rngs=rngs), method, 0))
  blueprint = make_blueprint(model, method.trainable_filter())
  shapes = blueprint.shapes()
  parts = [{name: shapes[name] for name in names} for names in (blueprint.trainable, blueprint.frozen)]
  batch = {'encoder_input_tokens': jax.ShapeDtypeStruct((rows, inputs), jnp.int32)}
  for name in ('decoder_input_tokens', 'decoder_target_tokens'):
    batch[name] = jax.ShapeDtypeStruct((decoder_rows or rows, targets), jnp.int32)

  def gradient(trainable, frozen, batch):
    return summed_gradient(blueprint, losses.LossConfig(), trainable, frozen, batch, jax.random.key(0))

  return blueprint, batch, jax.jit(gradient).lower(*parts, batch)


@pytest.mark.parametrize('name', METHODS)
def test_every_method_counts_what_its_gradient_multiplies(name):
  blueprint, batch, lowered = program(WIDE, METHODS[name], 4, 64, 48)
  ratio = lowered.cost_analysis()['flops'] / flops.step_flops(blueprint, flops.Sizes.of(batch)).total
  assert 1.0 <= ratio <= ELEMENTWISE, ratio


@pytest.mark.parametrize('config, method, rows, inputs, targets', [
  (SHALLOW, peft.Full(), 2, 128, 32),
  (dataclasses.replace(SHALLOW, mlp_activations=('relu',), logits_via_embedding=True), peft.Full(), 4, 32, 64),
  (dataclasses.replace(SHALLOW, num_heads=2, mlp_dim=1024), peft.LoRA(rank=16, targets='.*'), 3, 96, 16),
], ids=['t5_1_1', 't5_1_0', 'lora_everywhere'])
def test_the_compiled_program_does_what_the_formula_says(config, method, rows, inputs, targets):
  blueprint, batch, lowered = program(config, method, rows, inputs, targets)
  ratio = lowered.compile().cost_analysis()['flops'] / flops.step_flops(blueprint, flops.Sizes.of(batch)).total
  assert 1.0 <= ratio <= ELEMENTWISE, ratio


def test_lora_saves_the_gradients_of_frozen_weights_and_a_late_layer_all_below_it():
  found = {}
  for name in ('full', 'lora', 'last_layer'):
    blueprint, batch, _ = program(WIDE, METHODS[name], 4, 64, 48)
    found[name] = flops.step_flops(blueprint, flops.Sizes.of(batch))
  assert found['full'].backward == 2 * found['full'].forward
  assert found['full'].forward < found['lora'].forward < 1.05 * found['full'].forward
  assert 0.9 < found['lora'].backward / found['lora'].forward < 1.0
  assert found['last_layer'].backward < 0.25 * found['full'].forward


def test_rows_of_several_answers_share_the_encoder():
  blueprint, _, _ = program(SHALLOW, peft.Full(), 4, 64, 8)
  model = blueprint.merge(blueprint.shapes())
  graph, state = nnx.split(model)

  def scored(state, inputs, targets):
    model = nnx.merge(graph, state)
    return model.decode(model.encode(inputs), targets)

  for options in (1, 4):
    tokens = [jax.ShapeDtypeStruct(shape, jnp.int32) for shape in ((4, 64), (4 * options, 8))]
    found = jax.jit(scored).lower(state, *tokens).cost_analysis()['flops']
    assert 1.0 <= found / flops.forward_flops(blueprint, flops.Sizes(4, 64, 4 * options, 8)) <= ELEMENTWISE


def test_packed_rows_have_room_for_prompts_and_others_grow_by_them():
  blueprint, batch, _ = program(toy.CONFIG, peft.PromptTuning(length=3, init='uniform'), 2, 8, 4)
  packed = {**batch, 'encoder_prompt_positions': batch['encoder_input_tokens']}
  room = {**packed, 'encoder_input_tokens': jax.ShapeDtypeStruct((2, 11), jnp.int32)}
  count = {name: flops.step_flops(blueprint, flops.Sizes.of(arrays)).total
           for name, arrays in (('unpacked', batch), ('packed', packed), ('room', room))}
  assert count['packed'] < count['unpacked'] == count['room']
