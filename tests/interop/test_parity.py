"""Encoder states, logits, loss and every gradient against transformers, at many shapes of every architecture."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.interop import huggingface
from flan_jax.models import T5Config, shift_right
from flan_jax.training.losses import LossConfig, loss_sums, normalizer
from tests.interop.reference import reference, torch, with_weights_of

KINDS = {
  't5_1_0': {'mlp_activations': ('relu',), 'logits_via_embedding': True},
  't5_1_1': {},
  'mt5': {'vocab_size': 250},
  'byt5': {'vocab_size': 384},
  'umt5': {'relative_bias_per_layer': True},
}
SMALL = {
  'vocab_size': 32128,
  'emb_dim': 512,
  'num_heads': 8,
  'head_dim': 64,
  'mlp_dim': 2048,
  'num_encoder_layers': 6,
  'num_decoder_layers': 6,
}
LONGEST = 512
WITHIN, GRADIENTS_WITHIN, KINK = 1e-5, 1e-4, 2e-6


def random_config(kind, number) -> T5Config:
  """A tiny shape in which no size is the default's and the stacks differ in depth."""
  random = np.random.default_rng([number, *kind.encode()])
  encoder, decoder = random.permutation([1, 2, 3])[:2]
  half_buckets = int(random.integers(3, 12))
  sizes = {
    'vocab_size': random.integers(40, 90),
    'emb_dim': random.integers(9, 40),
    'num_heads': random.integers(2, 6),
    'head_dim': random.integers(3, 12),
    'mlp_dim': random.integers(10, 50),
    'num_encoder_layers': encoder,
    'num_decoder_layers': decoder,
    'relative_attention_num_buckets': 2 * half_buckets,
    'relative_attention_max_distance': random.integers(half_buckets + 10, 400),
  }
  plain = {name: int(size) for name, size in sizes.items()}
  epsilon = 10.0 ** -random.integers(3, 7)
  return T5Config(**{**plain, 'layer_norm_epsilon': epsilon, 'dtype': 'float32', **KINDS[kind]})


def small_config(kind) -> T5Config:
  """T5-small's sizes: 60 million parameters, fewer where the vocabulary is small."""
  return T5Config(**{**SMALL, **KINDS[kind], 'dtype': 'float32'})


def examples(config, longest, seed):
  """Ragged sources, a short row between long ones and padding within one; ragged targets."""
  random = np.random.default_rng(seed)
  source = random.integers(2, config.vocab_size, (3, longest)).astype(np.int32)
  source[1, longest // 4 :] = source[2, longest * 4 // 5 :] = source[2, longest // 5 : longest // 4] = 0
  target = random.integers(2, config.vocab_size, (3, 24)).astype(np.int32)
  target[1, 5:] = target[2, 20:] = 0
  return source, target


def differentiable_examples(config, model, longest):
  """The first examples on which no relu's input is zero up to rounding, where it has no gradient to agree upon."""
  if config.mlp_activations != ('relu',):
    return examples(config, longest, seed=0)
  least = []
  layers = [module.wi for module in model.modules() if hasattr(module, 'wi')]
  hooks = [layer.register_forward_hook(lambda *call: least.append(call[2].abs().min().item())) for layer in layers]
  for seed in range(100):
    least.clear()
    batch = examples(config, longest, seed)
    with torch.no_grad():
      source, target = (torch.tensor(tokens).long() for tokens in batch)
      model(input_ids=source, attention_mask=(source > 0).long(), labels=target)
    if min(least) > KINK:
      for hook in hooks:
        hook.remove()
      return batch
  raise AssertionError('every batch has a relu whose input is nearly zero')


def theirs_of(model, source, target):
  """Encoder states, logits and the loss over labels; and its gradients by the weights' names."""
  labels = torch.tensor(np.where(target > 0, target, -100)).long()
  source = torch.tensor(source).long()
  out = model(input_ids=source, attention_mask=(source > 0).long(), labels=labels)
  out.loss.backward()
  outputs = out.encoder_last_hidden_state.detach().numpy(), out.logits.detach().numpy(), out.loss.item()
  return outputs, {name: value.grad.numpy() for name, value in model.named_parameters()}


def ours_of(model, source, target):
  """The same of our model, with our own loss."""
  graphdef, state = nnx.split(model)
  batch = {'decoder_target_tokens': jnp.asarray(target)}

  @functools.partial(jax.value_and_grad, has_aux=True)
  def loss_of(state):
    model = nnx.merge(graphdef, state)
    encoded = model.encode(jnp.asarray(source))
    logits = model.decode(encoded, shift_right(batch['decoder_target_tokens']))
    config = LossConfig(z_loss=0.0)
    sums = loss_sums(logits, batch, config)
    return sums.loss / normalizer(sums, config), (encoded.states, logits)

  (loss, (states, logits)), gradients = jax.jit(loss_of)(state)
  outputs = np.array(states), np.array(logits), float(loss)
  return outputs, huggingface.base_parameters(nnx.merge(graphdef, gradients))


def difference(ours, expected):
  """The largest difference, relative to the largest expected value where that is above one."""
  ours, expected = np.asarray(ours), np.asarray(expected)
  assert ours.shape == expected.shape
  return np.abs(ours - expected).max() / max(1.0, np.abs(expected).max())


def differences(kind, config, longest):
  """The differences of states, logits and loss; and those of gradients, relative to each parameter's largest."""
  model = reference(config, kind)
  batch = differentiable_examples(config, model, longest)
  outputs, gradients = ours_of(with_weights_of(model, config), *batch)
  expected, theirs = theirs_of(model, *batch)
  theirs = huggingface.from_huggingface(theirs, config)
  assert gradients.keys() == theirs.keys()
  names = ('states', 'logits', 'loss')
  return (
    {name: difference(*both) for name, *both in zip(names, outputs, expected, strict=True)},
    {path: np.abs(value - theirs[path]).max() / np.abs(theirs[path]).max() for path, value in gradients.items()},
  )


def check(kind, config, longest=LONGEST):
  outputs, gradients = differences(kind, config, longest)
  assert {name: value for name, value in outputs.items() if not value < WITHIN} == {}
  assert {path: value for path, value in gradients.items() if not value < GRADIENTS_WITHIN} == {}


@pytest.mark.parametrize(
  'kind', [kind if kind in ('t5_1_1', 'umt5') else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS])
def test_network_loss_and_gradients_are_those_of_transformers(kind):
  check(kind, random_config(kind, 0))


@pytest.mark.slow
@pytest.mark.parametrize('number', [1, 2])
@pytest.mark.parametrize('kind', KINDS)
def test_other_shapes_are_those_of_transformers(kind, number):
  check(kind, random_config(kind, number))


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_a_model_of_t5_small_s_size_is_that_of_transformers(kind):
  # Of the millions of relus that long inputs make at this size, some always stand at zero.
  longest = 16 if kind == 't5_1_0' else LONGEST
  check(kind, small_config(kind), longest)


if __name__ == '__main__':
  # python -m tests.interop.test_parity prints what the tests bound.
  for kind in KINDS:
    shapes = [(random_config(kind, number), LONGEST) for number in range(3)]
    for config, longest in [*shapes, (small_config(kind), 16 if kind == 't5_1_0' else LONGEST)]:
      outputs, gradients = differences(kind, config, longest)
      print(kind, config.emb_dim, *(f'{name} {value:.1e}' for name, value in outputs.items()), end=' ')
      print(f'gradients {max(gradients.values()):.1e} ({max(gradients, key=gradients.get)})', flush=True)
