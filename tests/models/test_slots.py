"""Every slot does its work, leaves base paths alone, and counts in cached decoding as in teacher forcing."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.models import Dense, beam_search, greedy, shift_right, slots
from flan_jax.models.attention import Attention
from flan_jax.models.mlp import Mlp
from tests.models.conftest import rows, tiny_model


class LowRank(slots.ProjectionAdapter):
  def __init__(self, d_in, d_out, rngs):
    self.a = nnx.Param(0.5 * rngs.params.normal((d_in, 2)))
    self.b = nnx.Param(0.5 * rngs.params.normal((2, d_out)))

  def after(self, x, y, kernel, *, rngs=None):
    assert kernel.shape == (x.shape[-1], y.shape[-1])
    return y + x @ self.a[...] @ self.b[...]


class Scale(slots.ProjectionAdapter):
  def before(self, x):
    return x * 1.5


class Bottleneck(slots.SublayerAdapter):
  def __call__(self, x, y, *, rngs=None):
    return y + 0.3 * jnp.tanh(x)


class Prefix(slots.KeyValuePrompt):
  def __init__(self, length, heads, width, rngs):
    self.keys = nnx.Param(rngs.params.normal((length, heads, width)))
    self.values = nnx.Param(rngs.params.normal((length, heads, width)))

  def __call__(self, *, rngs=None):
    return self.keys[...], self.values[...]


class Prompt(slots.InputPrompt):
  def __init__(self, length, width, rngs):
    self.embedding = nnx.Param(rngs.params.normal((length, width)))

  def __call__(self, *, rngs=None):
    return self.embedding[...]


def fill_projections(model):
  for index, (_, dense) in enumerate(slots.named_modules(model, Dense)):
    dense.adapters['low_rank'] = LowRank(*dense.kernel.shape, nnx.Rngs(index))
    dense.adapters['scale'] = Scale()


def fill_sublayers(model):
  for kind in (Attention, Mlp):
    for _, layer in slots.named_modules(model, kind):
      layer.sublayer_adapters['bottleneck'] = Bottleneck()


def fill_key_values(model):
  for index, (_, layer) in enumerate(slots.named_modules(model, Attention)):
    layer.key_value_prompts['prefix'] = Prefix(3, 2, 8, nnx.Rngs(index))
    layer.key_value_prompts['second'] = Prefix(1, 2, 8, nnx.Rngs(100 + index))


def fill_encoder_prompt(model):
  model.encoder.prompts['prompt'] = Prompt(3, 16, nnx.Rngs(5))


def fill_decoder_prompt(model):
  model.decoder.prompts['prompt'] = Prompt(3, 16, nnx.Rngs(6))
  model.decoder.prompts['second'] = Prompt(1, 16, nnx.Rngs(7))


def fill_everything(model):
  for fill in (fill_projections, fill_sublayers, fill_key_values, fill_encoder_prompt, fill_decoder_prompt):
    fill(model)


FILLS = [
  fill_projections, fill_sublayers, fill_key_values, fill_encoder_prompt, fill_decoder_prompt, fill_everything
]  # fmt: skip


def paths(model):
  return {'/'.join(map(str, path)) for path, _ in nnx.to_flat_state(nnx.state(model))}


@pytest.mark.parametrize('fill', FILLS)
def test_a_filled_slot_changes_the_logits_and_moves_no_path(model, fill):
  source, target = rows(0, 5, 3), rows(1, 4, 4)
  before, base = model.decode(model.encode(source), target), paths(model)
  fill(model)
  after = model.decode(model.encode(source), target)
  assert after.shape == before.shape
  assert float(jnp.max(jnp.abs(after - before))) > 1e-2
  assert base <= paths(model)


@pytest.mark.parametrize('fill', FILLS)
def test_cached_decoding_agrees_with_teacher_forcing(model, fill):
  fill(model)
  source = rows(0, 5, 3)
  decoded = greedy(model, source, max_decode_len=5, eos_id=-1)
  logits = model.decode(model.encode(source), shift_right(decoded.tokens))
  np.testing.assert_array_equal(jnp.argmax(logits, axis=-1), decoded.tokens)
  beams = beam_search(model, source, num_beams=2, max_decode_len=4, alpha=0.0, eos_id=-1)
  flat = beams.tokens.reshape(4, 4)
  log_probs = nnx.log_softmax(model.decode(model.encode(source), shift_right(flat)))
  sums = jnp.sum(jnp.take_along_axis(log_probs, flat[..., None], axis=-1), axis=(1, 2))
  np.testing.assert_allclose(beams.scores.reshape(-1), sums, rtol=1e-4)


def test_low_rank_adapter_equals_its_merged_kernel(model):
  source, target = rows(0, 5), rows(1, 4)
  for index, (_, dense) in enumerate(slots.named_modules(model, Dense)):
    dense.adapters['low_rank'] = LowRank(*dense.kernel.shape, nnx.Rngs(index))
  attached = model.decode(model.encode(source), target)
  for _, dense in slots.named_modules(model, Dense):
    adapter = dense.adapters['low_rank']
    dense.kernel[...] = dense.kernel[...] + adapter.a[...] @ adapter.b[...]
    del dense.adapters['low_rank']
  merged = model.decode(model.encode(source), target)
  assert float(jnp.max(jnp.abs(attached - merged)) / jnp.max(jnp.abs(merged))) < 1e-5


@pytest.mark.parametrize(('fill', 'stack'), [(fill_encoder_prompt, 'encoder'), (fill_decoder_prompt, 'decoder')])
def test_a_prompt_of_token_embeddings_is_those_tokens(model, fill, stack):
  fill(model)
  tokens = jnp.array([7, 9, 11])
  prompt = getattr(model, stack).prompts
  for name in list(prompt):
    del prompt[name]
  prompt['tokens'] = Prompt(3, 16, nnx.Rngs(0))
  prompt['tokens'].embedding[...] = model.token_embedder(tokens)
  source, target = rows(0, 5), rows(1, 4)
  prompted = model.decode(model.encode(source), target)
  del prompt['tokens']
  if stack == 'encoder':
    spelled = model.decode(model.encode(jnp.concatenate([tokens[None], source], axis=1)), target)
  else:
    spelled = model.decode(model.encode(source), jnp.concatenate([tokens[None], target], axis=1))[:, 3:]
  np.testing.assert_allclose(prompted, spelled, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize('fill', [fill_encoder_prompt, fill_decoder_prompt])
def test_prompts_refuse_packed_batches(model, fill):
  fill(model)
  ones = jnp.ones((1, 4), jnp.int32)
  batch = {'encoder_input_tokens': 5 * ones, 'decoder_input_tokens': 6 * ones}
  with pytest.raises(UserError, match='packing'):
    model({**batch, 'encoder_segment_ids': ones, 'decoder_segment_ids': ones})


def test_an_unwritten_prompt_says_what_it_lacks(model):
  model.encoder.prompts['empty'] = slots.InputPrompt()
  with pytest.raises(TypeError, match='InputPrompt'):
    model.encode(rows(0, 5))
  with pytest.raises(TypeError, match='KeyValuePrompt'):
    slots.KeyValuePrompt()()


def test_do_nothing_adapters_do_nothing():
  model, source = tiny_model(), rows(0, 5)
  before = model.encode(source).states
  for _, dense in slots.named_modules(model, Dense):
    dense.adapters['nothing'] = slots.ProjectionAdapter()
  for _, layer in slots.named_modules(model, Mlp):
    layer.sublayer_adapters['nothing'] = slots.SublayerAdapter()
  np.testing.assert_array_equal(model.encode(source).states, before)
