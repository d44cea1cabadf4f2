"""What is particular to single methods: where they start, what they refuse, what they store."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from flan_jax import peft
from flan_jax.errors import UserError
from flan_jax.peft import io, quantized
from flan_jax.peft.lora import principal
from flan_jax.peft.partition import named_variables
from flan_jax.peft.targets import projections
from flan_jax.training import losses, optimizers, sharding
from flan_jax.training.state import plan_state
from flan_jax.training.step import make_train_step
from tests.peft.methods import METHODS, attached, base, make, stirred
from tests.training import toy

# Table 4 of Dettmers et al. 2023 (appendix E), to seven digits.
NF4 = [-1.0, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.0910500, 0.0, 0.0795803, 0.1609302,
       0.2461123, 0.3379152, 0.4407098, 0.5626170, 0.7229568, 1.0]  # fmt: skip


def attach(method):
  model = base()
  method.attach(model, nnx.Rngs(params=1))
  return model


def test_the_levels_of_nf4_are_the_papers():
  np.testing.assert_allclose(quantized.nf4_levels(), NF4, atol=1e-6)


@pytest.mark.parametrize('kind', ['int8', 'nf4'])
def test_codes_are_the_nearest_there_are(kind):
  kernel = jax.random.normal(jax.random.key(0), (128, 6)) * jnp.array([1.0, 5.0, 0.1, 1.0, 0.0, 2.0])[None, :]
  storage = quantized.STORAGES[kind](kernel, (None, None))
  codes = storage.encode(kernel)
  decoded, scales = np.asarray(storage.decode(codes)), np.asarray(storage.scales[...])
  levels = np.arange(-127, 128) if kind == 'int8' else quantized.nf4_levels()
  scale = np.repeat(scales, 128 // len(scales), axis=0)
  choices = scale[..., None] * levels[None, None, :]
  nearest = np.min(np.abs(choices - np.asarray(kernel)[..., None]), axis=-1)
  np.testing.assert_allclose(np.abs(decoded - np.asarray(kernel)), nearest, atol=1e-5)
  assert codes.dtype == (jnp.int8 if kind == 'int8' else jnp.uint8)
  assert codes.nbytes == kernel.size // (2 if kind == 'nf4' else 1)
  assert decoded.shape == kernel.shape and not decoded[:, 4].any()


def test_a_quantised_base_is_smaller_and_refuses_what_would_train_codes():
  model = attach(peft.Quantized(peft.LoRA(rank=2)))
  kernel = model.encoder.layers[0].attention.query.kernel
  assert kernel.get_value().dtype == jnp.int8 and kernel.get_metadata()['axes'] == ('embed', 'joined_kv')
  with pytest.raises(UserError, match='would train encoder/layers/0/attention/key'):
    attach(peft.Quantized(peft.Layers(targets='encoder/.*')))
  with pytest.raises(UserError, match='cannot train a quantised base'):
    peft.Quantized(peft.Full())
  with pytest.raises(UserError, match="'int8' or 'nf4'"):
    peft.Quantized(kind='int4')
  with pytest.raises(UserError, match='quantised already'):
    METHODS['int8_lora'].attach(model, nnx.Rngs(params=1))


def test_pissa_trains_the_principal_part_of_each_kernel():
  model = attach(METHODS['pissa'])
  dense = model.encoder.layers[0].attention.query
  adapter = dense.adapters['lora']
  left, values, right = np.linalg.svd(np.asarray(dense.kernel[...]))
  expected = left[:, :2] * values[:2] @ right[:2]
  np.testing.assert_allclose(adapter.scale * adapter.a[...] @ adapter.b[...], expected, atol=1e-5)
  assert {type(v) for v in io.adapter_variables(model).values()} == {peft.AdapterParam, peft.AdapterConstant}
  a, b = principal(dense.kernel[...], 16, 0.5)
  np.testing.assert_allclose(0.5 * a @ b, dense.kernel[...], atol=1e-5)


def test_rank_and_alpha_go_by_pattern_and_rank_stabilised_lora_by_the_root():
  model = attach(peft.LoRA(rank=4, alpha=8.0, targets='.*attention/(query|value)', rank_pattern={'.*cross|.*/value': 1},
                           alpha_pattern={'encoder/.*': 2.0}, rank_stabilized=True))
  query, value = (getattr(model.encoder.layers[0].attention, part).adapters['lora'] for part in ('query', 'value'))
  assert query.a.shape == (16, 4) and query.scale == 2.0 / 4**0.5
  assert value.a.shape == (16, 1) and value.scale == 2.0
  assert model.decoder.layers[0].self_attention.query.adapters['lora'].scale == 8.0 / 2.0
  with pytest.raises(UserError, match="rank_pattern 'encoder/mlp' of LoRA matches none of its targets"):
    attach(peft.LoRA(rank_pattern={'encoder/mlp': 3}))
  with pytest.raises(UserError, match=r'rank of LoRA \(17\) is more than .*16x16 has'):
    attach(peft.LoRA(rank=17))


def test_lora_plus_moves_b_faster():
  def moved(ratio):
    method = peft.LoRA(rank=2, b_learning_rate_ratio=ratio)
    plan = plan_state(make('t5_1_1'), method, optimizers.adamw(1e-2), sharding.Partitioner(num_devices=1), 0)
    step = make_train_step(plan.blueprint, optimizers.adamw(1e-2), losses.LossConfig(),
                           rate_scales=method.learning_rate_scales(plan.blueprint.trainable))
    batch = {k: v for k, v in next(toy.CountingBatches()).items() if k != 'provenance'}
    before = plan.init()
    after, _ = step(plan.init(), sharding.put_batch(batch, sharding.batch_sharding(plan.mesh)))
    return {name: np.asarray(after.trainable[name]) - np.asarray(value) for name, value in before.trainable.items()}

  once, fast = moved(1.0), moved(4.0)
  for name in once:
    np.testing.assert_allclose(fast[name], (4.0 if name.endswith('/b') else 1.0) * once[name], atol=1e-7)


def test_prompts_start_where_they_are_told(tmp_path):
  embedding = np.asarray(base().token_embedder.embedding[...])

  def start(stack='encoder', **options):
    method = peft.PromptTuning(length=4, **options).bound(lambda text: [ord(c) - 90 for c in text])
    return np.asarray(getattr(attach(method), stack).prompts['prompt'].embedding[...])

  def rows_of_vocabulary(rows):
    return all(any(np.array_equal(row, known) for known in embedding[3:]) for row in rows)

  text = start(init='text', text='abc')
  np.testing.assert_array_equal(text, embedding[[7, 8, 9, 7]])
  labels = start(init='labels', labels=('a', 'bc'))
  np.testing.assert_allclose(labels[:2], [embedding[7], embedding[8:10].mean(axis=0)], atol=1e-7)
  assert rows_of_vocabulary(labels[2:]) and rows_of_vocabulary(start(init='vocabulary'))
  uniform = start(init='uniform', where='decoder', stack='decoder')
  assert np.abs(uniform).max() <= 0.5 and uniform.std() > 0.2
  saved = np.arange(64, dtype=np.float32).reshape(4, 16)
  np.save(tmp_path / 'prompt.npy', saved)
  safetensors.numpy.save_file({'encoder': saved, 'decoder': saved + 1}, tmp_path / 'prompt.safetensors')
  np.testing.assert_array_equal(start(init='file', file=str(tmp_path / 'prompt.npy')), saved)
  both = start('decoder', init='file', where='both', file=str(tmp_path / 'prompt.safetensors'))
  np.testing.assert_array_equal(both, saved + 1)


@pytest.mark.parametrize('hidden', [6, 2])
def test_the_network_of_p_tuning_starts_at_words_of_the_vocabulary(hidden):
  model = attach(peft.PTuning(length=4, hidden=hidden, init='vocabulary'))
  prompt, embedding = model.encoder.prompts['p_tuning'](), np.asarray(model.token_embedder.embedding[...])
  distances = np.linalg.norm(np.asarray(prompt)[:, None] - embedding[None, 3:], axis=2).min(axis=1)
  assert np.all(distances < 1e-4) == (hidden == 6)  # two features cannot tell four words apart
  assert np.all(distances < np.linalg.norm(embedding, axis=1).max())


def test_prefixes_start_at_the_keys_and_values_of_words():
  model = attach(peft.PrefixTuning(length=3, init='vocabulary'))
  encoder, decoder = model.encoder.layers[0], model.decoder.layers[0]
  first = [np.asarray(part) for part in encoder.attention.key_value_prompts['prefix']()]
  plain = base()
  words = plain.token_embedder(jnp.arange(3, 32)[None])
  layer = plain.encoder.layers[0]
  for made, projection in zip(first, (layer.attention.key, layer.attention.value), strict=True):
    known = np.asarray(projection(layer.pre_attention_layer_norm(words)))[0]
    distances = np.abs(made.reshape(3, -1)[:, None] - known[None]).max(axis=2)
    assert np.all(distances.min(axis=1) < 1e-5)
    chosen = distances.argmin(axis=1) + 3
  assert len(set(chosen)) == 3
  # The decoder's attention to the encoder has seen what the encoder makes of the same words.
  states = plain.encode(jnp.asarray(chosen)[None]).states
  _, values = decoder.encoder_decoder_attention.key_value_prompts['prefix']()
  expected = plain.decoder.layers[0].encoder_decoder_attention.value(states)
  np.testing.assert_allclose(values.reshape(3, -1), expected[0], atol=1e-5)
  assert not any(dense.adapters for dense in projections(model).values())  # whoever listened has left
  made = attach(peft.PrefixTuning(length=3, init='vocabulary', reparameterized=True, hidden=6))
  fitted = made.encoder.layers[0].attention.key_value_prompts['prefix']()
  np.testing.assert_allclose(fitted, first, atol=1e-4)


def test_prompts_that_cannot_be_meant_are_one_sentence(tmp_path):
  with pytest.raises(UserError, match="'encodr'.*'encoder'"):
    peft.PromptTuning(where='encodr')
  with pytest.raises(UserError, match='needs text'):
    peft.PromptTuning(init='text')
  with pytest.raises(UserError, match='needs the vocabulary'):
    attach(peft.PromptTuning(init='text', text='a'))
  with pytest.raises(UserError, match='no tokens'):
    peft.PromptTuning(init='labels', labels=('',)).bound(lambda _: [])
  with pytest.raises(UserError, match='cannot be read'):
    attach(peft.PromptTuning(init='file', file=str(tmp_path / 'none.npy')))
  np.save(tmp_path / 'small.npy', np.zeros((3, 16)))
  with pytest.raises(UserError, match=r'shape \[3, 16\], and should have \[4, 16\]'):
    attach(peft.PromptTuning(length=4, init='file', file=str(tmp_path / 'small.npy')))


def test_the_trunk_of_a_prefix_is_shared_and_stored_once():
  model = stirred('prefix_mlp')
  trunks = {name for name in io.adapter_variables(model) if name.endswith('/trunk/embedding')}
  assert len(trunks) == 3  # one for each kind of attention
  before = model.encoder.layers[0].attention.key_value_prompts['prefix']()[0]
  model.encoder.layers[0].attention.key_value_prompts['prefix'].trunk.embedding[...] = jnp.zeros((3, 16))
  assert not np.allclose(before, model.encoder.layers[0].attention.key_value_prompts['prefix']()[0])
  only = attach(peft.PrefixTuning(length=3, kinds=('cross',)))
  assert {name.split('/')[3] for name in io.adapter_variables(only)} == {'encoder_decoder_attention'}


def test_methods_go_together_or_say_why_not():
  with pytest.raises(UserError, match='two methods of the composition change the projection'):
    attach(peft.Compose((peft.LoRA(), peft.IA3())))
  attach(peft.Compose((peft.LoRA(targets='.*/query'), peft.IA3(), peft.Norms(), METHODS['prefix'], METHODS['houlsby'])))
  with pytest.raises(UserError, match='at least two'):
    peft.Compose((peft.LoRA(),))
  with pytest.raises(UserError, match='each method once'):
    peft.Compose((peft.LoRA(), peft.LoRA(rank=2)))
  with pytest.raises(UserError, match='full fine-tuning'):
    peft.Compose((peft.LoRA(), peft.Full()))
  both = METHODS['lora_and_prompt']
  assert both.prompt_lengths == {'inputs': 2}
  names = list(io.saved_variables(attached('lora_and_prompt'), both))
  assert any('/lora/' in name for name in names) and 'encoder/prompts/prompt/embedding' in names


@pytest.mark.parametrize(('method', 'message'), [
  (lambda: peft.Layers(targets='encodr/.*'), "matches no parameter; the closest paths are"),
  (lambda: peft.Norms(targets='('), 'malformed'),
  (lambda: peft.IA3(input_targets='mlp'), "the input_targets regex 'mlp' matches no projection"),
  (lambda: peft.Bottleneck(targets='encoder'), 'matches no sub-layer'),
  (lambda: peft.Bottleneck('houlsbi'), "'houlsby'"),
  (lambda: peft.Bottleneck(width=0), 'at least 1'),
  (lambda: peft.Bottleneck(dropout=1.0), r'\[0, 1\)'),
  (lambda: peft.PrefixTuning(kinds=('self',)), "no kind of attention 'self'"),
  (lambda: peft.PrefixTuning(length=0), 'at least 1'),
  (lambda: peft.PrefixTuning(init='words'), "init of prefix tuning must be 'normal' or 'vocabulary'"),
  (lambda: peft.PTuning(init='words'), "init of P-tuning must be 'normal' or 'vocabulary'"),
  (lambda: peft.PTuning(encoder='gru'), "'mlp' or 'lstm'"),
  (lambda: peft.LoRA(init='svd'), 'kaiming, pissa'),
  (lambda: peft.LoRA(b_learning_rate_ratio=0.0), 'positive'),
])  # fmt: skip
def test_what_cannot_be_meant_is_one_sentence(method, message):
  with pytest.raises(UserError, match=message):
    attach(method())


def test_a_composition_that_cannot_be_merged_is_left_whole():
  """Also where what cannot be merged stands behind another method, or inside one."""
  last = peft.Quantized(METHODS['prompt'], targets='encoder/layers/0/mlp/wo')
  method = peft.Compose((peft.LoRA(rank=2), last))
  assert not method.merges and peft.Compose((peft.LoRA(), peft.Norms())).merges
  model = attach(method)
  before = {name: np.asarray(v.get_value()) for name, (_, v) in named_variables(model).items()}
  with pytest.raises(UserError, match="'prompt_tuning' cannot be merged"):
    peft.merge_adapter(model, method)
  after = {name: np.asarray(v.get_value()) for name, (_, v) in named_variables(model).items()}
  assert after.keys() == before.keys() and toy.same_params(after, before)


def test_a_method_is_attached_once():
  model = attached('lora')
  with pytest.raises(UserError, match="has the adapter 'lora' already"):
    METHODS['lora'].attach(model, nnx.Rngs(params=2))


@pytest.mark.parametrize('name', ['lora', 'pissa', 'int8_lora', 'lora_and_prompt'])
def test_training_starts_from_the_weights_that_it_is_given(name):
  """What depends on the base (principal parts, codes, words of a prompt) is of those weights, not of random ones."""
  method = METHODS[name]
  plan = plan_state(make('t5_1_1'), method, optimizers.adamw(), sharding.Partitioner(num_devices=1), 0)
  given = base(seed=7)
  kernel = np.asarray(given.encoder.layers[0].attention.query.kernel[...])
  embedding = np.asarray(given.token_embedder.embedding[...])
  state = plan.start({path: jnp.array(v.get_value()) for path, (_, v) in named_variables(given).items()})
  model = plan.blueprint.merge(state.params)
  query = model.encoder.layers[0].attention.query
  np.testing.assert_allclose(query.weight(), kernel, atol=np.abs(kernel).max() / 127 if name == 'int8_lora' else 0)
  if name == 'pissa':
    left, values, right = np.linalg.svd(kernel)
    adapter = query.adapters['lora']
    np.testing.assert_allclose(adapter.scale * adapter.a[...] @ adapter.b[...], left[:, :2] * values[:2] @ right[:2],
                               atol=1e-5)
  if name == 'lora_and_prompt':
    prompt = np.asarray(model.encoder.prompts['prompt'].embedding[...])
    assert all(any(np.array_equal(row, word) for word in embedding) for row in prompt)
