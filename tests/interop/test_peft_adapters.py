"""Adapters of peft and ours do the same: same logits, same training, both ways through real files."""

import dataclasses
import json
import logging
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

import flan_jax.peft as ours
from flan_jax.errors import UserError
from flan_jax.interop import huggingface, peft_adapters, peft_files, t5_places
from flan_jax.models import T5, shift_right
from flan_jax.peft import io
from flan_jax.peft.partition import make_blueprint
from flan_jax.training import losses, optimizers
from flan_jax.training.state import TrainState
from flan_jax.training.step import make_train_step
from scripts import convert_checkpoint
from tests.interop.test_huggingface import SHAPES, reference, weights_of
from tests.models.conftest import rows, tiny_config

torch = pytest.importorskip('torch')
peft = pytest.importorskip('peft')

pytestmark = [
  pytest.mark.filterwarnings('ignore:Unsupported layer type:UserWarning'),  # peft has no in and out features of a norm
  pytest.mark.filterwarnings('ignore:.*is_gradient_checkpointing:FutureWarning'),
]
S2S = {'task_type': 'SEQ_2_SEQ_LM'}
CASES = {
  'lora': lambda: peft.LoraConfig(
    **S2S, r=4, lora_alpha=6, target_modules=['q', 'v', 'wi_0', 'wo'],
    rank_pattern={'wo': 3, r'encoder\.block\.0\..*\.q': 2}, alpha_pattern={r'decoder\..*\.v': 9}),
  'rslora': lambda: peft.LoraConfig(**S2S, r=4, lora_alpha=6, use_rslora=True, rank_pattern={'v': 2}),
  'lora_regex': lambda: peft.LoraConfig(
    **S2S, r=2, target_modules=r'lm_head|decoder\.block\.1\.layer\.[12]\..*\.(q|wi_1)', exclude_modules=['wi_1']),
  'dora': lambda: peft.LoraConfig(**S2S, r=2, lora_alpha=6, use_dora=True, target_modules=['o', 'wi_1']),
  'ia3': lambda: peft.IA3Config(**S2S),
  'prompt': lambda: peft.PromptTuningConfig(**S2S, num_virtual_tokens=3, num_transformer_submodules=1),
  'norms': lambda: peft.LNTuningConfig(**S2S),
}  # fmt: skip
METHODS = {
  'lora': ours.LoRA(rank=2, targets='decoder/.*(query|wo)', rank_pattern={'decoder/layers/1/.*': 3}, alpha=5.0),
  'pissa': ours.LoRA(rank=2, init='pissa', rank_stabilized=True, alpha_pattern={'encoder/.*': 4.0}),
  'dora': ours.DoRA(rank=2, targets='.*(attention|mlp)/.*'),
  'ia3': ours.IA3(targets='.*mlp/wo|encoder/layers/0/attention/key', input_targets='.*attention/out'),
  'prompt': ours.PromptTuning(length=3),
  'norms': ours.Norms(targets='decoder/.*norm/scale'),
}
CONFIG = tiny_config(dropout_rate=0.0)
cases = pytest.mark.parametrize('case', CASES)


def base(config=CONFIG, kind='t5_1_1'):
  """The same weights in both programs."""
  theirs = reference(config, kind)
  blueprint = make_blueprint(nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(1))), nnx.Param)
  params = huggingface.from_huggingface(weights_of(theirs), config)
  return theirs, blueprint.merge({name: jnp.asarray(value) for name, value in params.items()})


def stirred(theirs, config):
  """A model of peft's whose adapter has moved from where it starts."""
  model = peft.get_peft_model(theirs, config).eval()
  torch.manual_seed(1)
  with torch.no_grad():
    for value in model.parameters():
      if value.requires_grad:
        value.add_(0.2 * torch.randn_like(value))
  return model


def batch():
  source, target = rows(0, 9, 5, 7), rows(1, 4, 6, 3)
  return {'encoder_input_tokens': source, 'decoder_target_tokens': target, 'decoder_input_tokens': shift_right(target)}


def torch_logits(model):
  arrays = {name: torch.tensor(np.array(value)).long() for name, value in batch().items()}
  source = arrays['encoder_input_tokens']
  return model(input_ids=source, attention_mask=(source > 0).long(),
               decoder_input_ids=arrays['decoder_input_tokens']).logits  # fmt: skip


def distance(model, other):
  """The largest difference of logits of ours and peft's, over max(1, the largest logit)."""
  with torch.no_grad():
    expected = torch_logits(other).numpy()
  real = np.array(batch()['decoder_target_tokens'] > 0)
  return np.abs(np.array(model(batch())) - expected)[real].max() / max(1.0, np.abs(expected).max())


def said(difference):
  print(f'largest difference {difference:.1e}')  # pytest -s shows it: docs/peft_interop.md
  return difference


def convert(source, target, *flags):
  assert convert_checkpoint.main([f'--from={source}', f'--to={target}', *flags]) == 0


def saved(model, folder):
  model.save_pretrained(folder, save_embedding_layers=False)
  return folder


@cases
def test_an_adapter_of_pefts_gives_the_same_logits_here(case, tmp_path, caplog, capsys):
  theirs, model = base()
  theirs = stirred(theirs, CASES[case]())
  plain = distance(model, theirs)
  convert(saved(theirs, tmp_path / 'theirs'), tmp_path / 'ours')
  assert 'read back and equal' in capsys.readouterr().out
  with caplog.at_level(logging.WARNING):
    ours.load_adapter(model, tmp_path / 'ours')
  assert 'cannot be checked' in caplog.text and len(caplog.records) == 1
  assert plain > 1e-3 and said(distance(model, theirs)) < 1e-5


@pytest.mark.parametrize('name', METHODS)
def test_an_adapter_of_ours_gives_the_same_logits_in_peft(name, tmp_path):
  theirs, model = base()
  method = METHODS[name]
  method.attach(model, nnx.Rngs(params=0))
  random = np.random.default_rng(0)
  for variable in io.saved_variables(model, method).values():
    if isinstance(variable, nnx.Param):
      variable.set_value(variable.get_value() + 0.2 * jnp.asarray(random.normal(size=variable.shape), jnp.float32))
  ours.save_adapter(model, tmp_path / 'ours', method)
  plain = distance(model, theirs)
  convert(tmp_path / 'ours', tmp_path / 'theirs', '--base_model_name=some/t5')
  loaded = peft.PeftModel.from_pretrained(theirs, tmp_path / 'theirs').eval()
  assert loaded.peft_config['default'].base_model_name_or_path == 'some/t5'
  assert plain > 1e-3 and said(distance(model, loaded)) < 1e-5
  # And back again: the same adapter, with the name of its base.
  convert(tmp_path / 'theirs', tmp_path / 'again')
  config, arrays = io.read_adapter(tmp_path / 'again')
  assert config['base_model'] == 'some/t5' and config['base_fingerprint'] is None
  if name != 'pissa':
    for path, value in io.read_adapter(tmp_path / 'ours')[1].items():
      np.testing.assert_array_equal(arrays[path], value)


@pytest.mark.parametrize('kind', ['t5_1_0', 'umt5'])
def test_other_versions_of_t5(kind, tmp_path):
  config = dataclasses.replace(CONFIG, **SHAPES[kind])
  theirs, model = base(config, kind)
  inner = ['wi', 'wo'] if kind == 't5_1_0' else ['wi_1', 'wo']
  theirs = stirred(theirs, peft.LoraConfig(**S2S, r=2, target_modules=['q', *inner], rank_pattern={inner[0]: 3}))
  convert(saved(theirs, tmp_path / 'theirs'), tmp_path / 'ours')
  ours.load_adapter(model, tmp_path / 'ours')
  assert distance(model, theirs) < 1e-5


@pytest.mark.parametrize('case', [case for case in CASES if case != 'lora_regex'])
def test_ten_steps_of_adamw_end_at_the_same_weights(case, tmp_path):
  rate, decay = 1e-2, 0.01
  theirs, model = base(dataclasses.replace(CONFIG, num_encoder_layers=1, num_decoder_layers=1))
  theirs = stirred(theirs, CASES[case]())
  convert(saved(theirs, tmp_path / 'start'), tmp_path / 'ours')
  method = ours.load_adapter(model, tmp_path / 'ours')

  optimizer = torch.optim.AdamW([v for v in theirs.parameters() if v.requires_grad], lr=rate, weight_decay=decay)
  labels = torch.tensor(np.array(batch()['decoder_target_tokens'])).long()
  for _ in range(10):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(torch_logits(theirs).flatten(0, 1), labels.flatten(), ignore_index=0).backward()
    optimizer.step()

  adamw = optimizers.adamw(rate, weight_decay=decay, clip_norm=None)
  blueprint = make_blueprint(model, method.trainable_filter())
  trainable, frozen = blueprint.split(model)
  start = {name: np.asarray(value) for name, value in trainable.items()}
  state = TrainState(jnp.zeros((), jnp.int32), trainable, frozen, adamw.init(trainable),
                     jax.random.key_data(jax.random.key(0)), jnp.zeros((), jnp.bool))  # fmt: skip
  step = make_train_step(blueprint, adamw, losses.LossConfig(z_loss=0.0))
  for _ in range(10):
    state, _ = step(state, batch())

  convert(saved(theirs, tmp_path / 'end'), tmp_path / 'expected')
  expected = io.read_adapter(tmp_path / 'expected')[1]
  assert expected.keys() == state.trainable.keys()
  said(max(np.abs(value - expected[name]).max() for name, value in state.trainable.items()))
  for name, value in state.trainable.items():
    np.testing.assert_allclose(value, expected[name], atol=1e-4, rtol=0, err_msg=name)
    assert np.abs(value - start[name]).max() > 1e-2


# What cannot be converted


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """Folders of peft's, made once."""
  folder = tmp_path_factory.mktemp('peft')
  for name in ('lora', 'ia3', 'prompt', 'norms'):
    stirred(reference(CONFIG, 't5_1_1'), CASES[name]()).save_pretrained(folder / name)
  return folder


def changed(files, tmp_path, name, options=None, tensors=None):
  """A copy of one of the folders with other options, and tensors added, or left out where they are None."""
  folder = tmp_path / 'changed'
  shutil.copytree(files / name, folder)
  config = json.loads((folder / io.CONFIG).read_text())
  (folder / io.CONFIG).write_text(json.dumps({**config, **(options or {})}))
  arrays = {**safetensors.numpy.load_file(folder / peft_files.THEIR_WEIGHTS), **(tensors or {})}
  kept = {key: value for key, value in arrays.items() if value is not None}
  safetensors.numpy.save_file(kept, folder / peft_files.THEIR_WEIGHTS)
  return folder


def refused(folder, tmp_path, capsys, target='never'):
  before = sorted(path.name for path in tmp_path.iterdir())
  assert convert_checkpoint.main([f'--from={folder}', f'--to={tmp_path / target}']) == 2
  assert sorted(path.name for path in tmp_path.iterdir()) == before
  error = capsys.readouterr().err
  assert error.startswith('error: ') and error.count('\n') == 1
  return error


@pytest.mark.parametrize(('options', 'message'), [
  ({'lora_bias': True}, 'option lora_bias=True has no counterpart'),
  ({'bias': 'lora_only'}, "option bias='lora_only' has no counterpart"),
  ({'modules_to_save': ['lm_head']}, 'option modules_to_save='),
  ({'target_parameters': ['wo.weight']}, 'option target_parameters='),
  ({'layers_to_transform': [0]}, 'option layers_to_transform='),
  ({'layer_replication': [[0, 2]]}, 'option layer_replication='),
  ({'use_qalora': True}, 'option use_qalora=True'),
  ({'trainable_token_indices': [3]}, 'option trainable_token_indices='),
  ({'an_option_of_tomorrow': 1}, 'option an_option_of_tomorrow=1'),
  ({'init_lora_weights': 'pissa_niter_4'}, 'changes the base weights before training'),
  ({'task_type': 'CAUSAL_LM'}, 'task type CAUSAL_LM'),
  ({'peft_type': 'ADALORA'}, 'method ADALORA cannot be converted: it has no counterpart. Those that can be: LORA, IA3'),
  ({'peft_type': 'PREFIX_TUNING'}, 'relative position biases'),
  ({'r': 5}, 'do not have the rank 5'),
  ({'target_modules': ['q', 'wi_0', 'wo']}, '9? that the targets of the config do not explain: .*SelfAttention.v'),
  ({'target_modules': ['q', 'v', 'k', 'wi_0', 'wo']}, '6 missing: decoder.block.0.layer.0.SelfAttention.k, '),
  ({'target_modules': '('}, "the regex '\\(' in peft's config is malformed"),
  ({'use_dora': True}, '20 missing: .*lora_magnitude_vector'),
])  # fmt: skip
def test_options_without_a_counterpart_are_refused_by_name(files, options, message, tmp_path, capsys):
  assert re.search(message, refused(changed(files, tmp_path, 'lora', options), tmp_path, capsys))


@pytest.mark.parametrize(('name', 'tensors', 'message'), [
  ('lora', {'base_model.model.encoder.block.0.layer.0.SelfAttention.q.lora_A.weight': None}, '1 missing: .*q.lora_A'),
  ('lora', {'base_model.model.lm_head.weight': np.ones(2, np.float32)}, 'do not explain: .*lm_head.weight'),
  ('lora', {'base_model.model.lm_head.base_layer.weight': np.ones(2, np.float32)}, 'base weights of lm_head beside'),
  ('lora', {'base_model.model.shared.lora_embedding_A': np.ones((2, 30), np.float32)}, 'on the embedding shared'),
  ('ia3', {'base_model.model.encoder.block.0.layer.0.SelfAttention.k.ia3_l': np.ones((1, 16), np.float32)},
   r'SelfAttention.k is \[1, 16\], and feedforward_modules make it \[out, 1\]'),
  ('prompt', {'prompt_embeddings': np.ones((4, 16), np.float32)}, r'\[4, 16\], and num_virtual_tokens=3'),
  ('prompt', {'more': np.ones(1, np.float32)}, 'alone, and holds more, prompt_embeddings'),
  ('norms', {'base_model.model.encoder.final_layer_norm.ln_tuning_layers.weight': None}, '1 missing: encoder.final'),
])  # fmt: skip
def test_weights_missing_extra_or_misshapen_are_named(files, name, tensors, message, tmp_path, capsys):
  assert re.search(message, refused(changed(files, tmp_path, name, tensors=tensors), tmp_path, capsys))


@pytest.mark.parametrize(('method', 'message'), [
  (ours.PromptTuning(where='both'), "where='both' cannot be converted: peft prompts the encoder only"),
  (ours.PrefixTuning(), 'the method prefix_tuning cannot be converted: peft.s prefixes'),
  (ours.BitFit(), 'the method bitfit cannot be converted: it has no counterpart. Those that can be: lora, dora, ia3'),
  (ours.Compose((ours.LoRA(), ours.IA3())), 'the method compose cannot be converted'),
  (ours.Quantized(), 'the method quantized cannot be converted'),
  (ours.LoRA(), 'holds no weights'),
])  # fmt: skip
def test_our_methods_that_peft_lacks_are_refused_by_name(method, message):
  with pytest.raises(UserError, match=message):
    peft_adapters.to_peft({'format': 1, **method.config, 'base_fingerprint': 'x'}, {})


def test_the_half_of_a_prompt_that_peft_never_reads_is_left_out_and_said(tmp_path, capsys):
  theirs, model = base()
  theirs = stirred(theirs, peft.PromptTuningConfig(**S2S, num_virtual_tokens=3))
  convert(saved(theirs, tmp_path / 'theirs'), tmp_path / 'ours')
  assert 'note: the last 3 of the 6 rows of prompt_embeddings are left out' in capsys.readouterr().out
  ours.load_adapter(model, tmp_path / 'ours')
  assert distance(model, theirs) < 1e-5


def test_p_tuning_arrives_as_the_prompt_that_its_encoder_made(tmp_path, capsys):
  theirs, model = base()
  theirs = stirred(theirs, peft.PromptEncoderConfig(**S2S, num_virtual_tokens=3, encoder_hidden_size=5))
  convert(saved(theirs, tmp_path / 'theirs'), tmp_path / 'ours')
  assert "note: P-tuning's prompt encoder is not in peft's files" in capsys.readouterr().out
  assert ours.load_adapter(model, tmp_path / 'ours') == ours.PromptTuning(length=3, init='uniform')
  assert distance(model, theirs) < 1e-5


def test_folders_that_are_no_adapter_are_one_sentence(files, tmp_path, capsys):
  def error(source, target='never'):
    return refused(source, tmp_path, capsys, target)

  assert 'no such folder' in error(tmp_path / 'nothing')
  folder = tmp_path / 'folder'
  folder.mkdir()
  assert f'there is no checkpoint in {folder}' in error(folder)
  (folder / 'config.json').write_text('{}')
  assert 'has no weights' in error(folder)  # without an adapter's config it is taken for a model
  with pytest.raises(UserError, match=r'holds a model \(config.json\) and no adapter'):
    peft_files.convert(folder, tmp_path / 'never')
  shutil.copytree(files / 'ia3', folder / 'adapter')
  with pytest.raises(UserError, match='is a run and not an adapter; its adapter is'):
    peft_files.convert(folder, tmp_path / 'never')
  assert 'is where the adapter is read from' in error(folder / 'adapter', 'folder/adapter')
  assert 'holds other things than an adapter (adapter)' in error(files / 'ia3', 'folder')
  assert 'is a file' in error(files / 'ia3', 'folder/config.json')
  (folder / 'adapter' / peft_files.THEIR_WEIGHTS).rename(folder / 'adapter' / peft_files.PICKLE)
  assert 'adapter_model.bin is a pickle' in error(folder / 'adapter')
  (folder / 'adapter' / io.CONFIG).write_text('{"rank": 1}')
  assert "is neither peft's" in error(folder / 'adapter')
  (folder / 'adapter' / io.CONFIG).write_text('{')
  assert 'cannot be read' in error(folder / 'adapter')


def test_half_precision_becomes_single(files):
  folder = files / 'lora'
  config = json.loads((folder / io.CONFIG).read_text())
  arrays = {name: value.astype(jnp.bfloat16) for name, value in io.read_adapter(
    folder, weights=peft_files.THEIR_WEIGHTS)[1].items()}  # fmt: skip
  for value in peft_adapters.from_peft(config, arrays).arrays.values():
    assert value.dtype == np.float32


def test_an_adapter_without_the_word_on_its_base_is_still_refused(files, tmp_path):
  convert(files / 'ia3', tmp_path / 'ours')
  config = json.loads((tmp_path / 'ours' / io.CONFIG).read_text())
  del config['base_fingerprint']
  (tmp_path / 'ours' / io.CONFIG).write_text(json.dumps(config))
  with pytest.raises(UserError, match='trained on base weights None'):
    ours.load_adapter(T5(CONFIG, rngs=nnx.Rngs(0)), tmp_path / 'ours')


# Targets for any depth


@pytest.mark.parametrize('pattern', [
  r'.*attention/(query|value)', r'encoder/layers/\d+/.*', r'decoder/layers/(0|2)/mlp/wo', r'.*/layers/1/.*|.*/wo',
  r'.*/mlp/.*', r'decoder/logits_dense|.*self_attention/out',
])  # fmt: skip
def test_targets_translated_there_and_back_mean_the_same(pattern):
  universe = t5_places.projections()
  gated = [p for p in universe if p.last != 'wi' and (p.layer is None or p.layer < 3)]
  chosen = peft_adapters.peft_lora.matching(pattern)
  parts = {p: {} for p in gated if chosen(p)}
  theirs = peft_adapters.peft_lora.their_targets(chosen, parts)
  read = peft_adapters.peft_lora.peft_options.targeting({'target_modules': theirs})
  again = peft_adapters.peft_lora.matching(peft_adapters.peft_lora.our_targets(read, parts, ours.LoRA().targets))
  for place in gated:
    assert bool(chosen(place)) == read(place) == again(place), place
