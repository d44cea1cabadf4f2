"""Model folders of transformers, read and written: real files by save_pretrained, loaded by from_pretrained."""

import json
import shutil

import numpy as np
import pytest
from packaging import version

from flan_jax.errors import UserError
from flan_jax.interop import hf_folder
from flan_jax.interop.digests import FILE
from flan_jax.interop.hf_folder import HuggingFaceWeights, write_huggingface

torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')

KINDS = ('t5_1_0', 't5_1_1', 't5_1_1_tied', 'mt5', 'mt5_tied', 'umt5')
SIZES = {'vocab_size': 40, 'd_model': 16, 'd_kv': 4, 'd_ff': 24, 'num_heads': 2, 'num_layers': 3,
         'num_decoder_layers': 2}  # fmt: skip


def their_model(kind):
  """A model of transformers with random weights; 'tied' ones share head and embedding without scaling."""
  family = kind.removesuffix('_tied')
  name = {'mt5': 'MT5', 'umt5': 'UMT5'}.get(family, 'T5')
  options = {} if family == 't5_1_0' else {'feed_forward_proj': 'gated-gelu', 'tie_word_embeddings': False}
  torch.manual_seed(KINDS.index(kind))
  config = getattr(transformers, f'{name}Config')(**SIZES, **options)
  model = getattr(transformers, f'{name}ForConditionalGeneration')(config)
  if family != 't5_1_0' and not kind.endswith('tied'):
    model.lm_head.weight = torch.nn.Parameter(torch.randn(40, 16))
    model.config.tie_word_embeddings = False  # else save_pretrained drops the head
  return model.eval()


def logits(model):
  source, target = torch.arange(2, 16).reshape(2, 7), torch.arange(5, 15).reshape(2, 5)
  with torch.no_grad():
    return model(input_ids=source, decoder_input_ids=target).logits.numpy()


def saved(kind, folder, **options):
  model = their_model(kind)
  model.save_pretrained(folder, **options)
  return model


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_written_from_a_folder_is_the_same_model_for_transformers(kind, tmp_path):
  if kind == 'umt5' and version.parse(transformers.__version__) < version.parse('5.24'):
    pytest.skip('transformers before 5.24 scales the logits of every umT5 that it loads')
  model = saved(kind, tmp_path / 'theirs')
  weights = HuggingFaceWeights(tmp_path / 'theirs')
  assert (weights.config.num_encoder_layers, weights.config.num_decoder_layers) == (3, 2)
  assert weights.config.logits_via_embedding == (kind == 't5_1_0')
  (tmp_path / 'ours').mkdir()
  write_huggingface(tmp_path / 'ours', weights, model_type=weights.model_type)
  back = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / 'ours').eval()
  assert type(back) is type(model)
  np.testing.assert_array_equal(logits(back), logits(model))
  theirs, ours = model.state_dict(), back.state_dict()
  assert theirs.keys() == ours.keys()
  assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


def test_shards_are_read_and_written(tmp_path):
  model = saved('t5_1_1', tmp_path / 'theirs', max_shard_size='4KB')
  assert (tmp_path / 'theirs' / hf_folder.INDEX).exists()
  weights = HuggingFaceWeights(tmp_path / 'theirs')
  (tmp_path / 'ours').mkdir()
  write_huggingface(tmp_path / 'ours', weights, shard_bytes=4000)
  assert len(list((tmp_path / 'ours').glob('model-*.safetensors'))) > 3
  back = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / 'ours')
  np.testing.assert_array_equal(logits(back.eval()), logits(model))
  again = HuggingFaceWeights(tmp_path / 'ours')
  assert all(np.array_equal(again.read(path), weights.read(path)) for path in weights.shapes)
  next((tmp_path / 'ours').glob('model-00002-*')).unlink()
  with pytest.raises(UserError, match=r'lacks 1 of the files .*: model-00002-of'):
    HuggingFaceWeights(tmp_path / 'ours')


def test_another_dtype_is_that_of_torch(tmp_path):
  model = saved('t5_1_1', tmp_path / 'theirs')
  (tmp_path / 'ours').mkdir()
  write_huggingface(tmp_path / 'ours', HuggingFaceWeights(tmp_path / 'theirs'), dtype='bfloat16')
  back = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / 'ours')
  assert back.dtype == torch.bfloat16  # config.json says so
  meant = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
  assert all(torch.equal(meant[name], value.to(torch.bfloat16)) for name, value in back.state_dict().items())
  again = HuggingFaceWeights(tmp_path / 'ours')
  assert {str(shape.dtype) for shape in again.shapes.values()} == {'bfloat16'}


def change(folder, **values):
  path = folder / 'config.json'
  path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(('values', 'message'), [
  ({'model_type': 'bart'}, "model_type 'bart' is no T5"),
  ({'model_type': 'mt6'}, r"is no T5 \(Did you mean 'mt5'\?\)"),
  ({'architectures': ['T5EncoderModel']}, 'is not T5ForConditionalGeneration'),
  ({'feed_forward_proj': 'gated-swish'}, "feed_forward_proj 'gated-swish' is not known"),
  ({'feed_forward_proj': 'gelu'}, "feed_forward_proj 'gelu' is not known"),
  ({'decoder_start_token_id': 7}, 'decoder_start_token_id is 7'),
  ({'scale_decoder_outputs': True}, 'its head is not the embedding and yet its logits are scaled'),
  ({'num_heads': 0}, 'num_heads must be a positive whole number'),
  ({'num_layers': 2}, r'encoder\.block\.2\.layer\.0\.SelfAttention\.q\.weight is not of this model'),
  ({'num_layers': 4}, r'encoder\.block\.3\.layer\.1\.DenseReluDense\.wo\.weight is missing'),
])  # fmt: skip
def test_a_config_that_is_none_of_ours_is_refused_by_name(values, message, tmp_path):
  saved('t5_1_1', tmp_path)
  change(tmp_path, **values)
  with pytest.raises(UserError, match=message):
    HuggingFaceWeights(tmp_path)


def test_a_shape_that_transformers_lacks_is_not_written(tmp_path):
  weights = HuggingFaceWeights(_folder('t5_1_1', tmp_path / 'theirs'))
  with pytest.raises(UserError, match='mt5 does not scale'):
    write_huggingface(tmp_path, HuggingFaceWeights(_folder('t5_1_0', tmp_path / 'tied')), model_type='mt5')
  with pytest.raises(UserError, match='umt5 cannot have relative_bias_per_layer=False'):
    write_huggingface(tmp_path, weights, model_type='umt5')


def _folder(kind, folder):
  saved(kind, folder)
  return folder


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path):
  model = saved('t5_1_1', tmp_path)
  torch.save(model.state_dict(), tmp_path / 'pytorch_model.bin')
  (tmp_path / 'model.safetensors').unlink()
  with pytest.raises(UserError, match=r'pytorch_model\.bin and not in safetensors.*save_pretrained') as told:
    HuggingFaceWeights(tmp_path)
  command = str(told.value).split('python -c ')[1].strip('"')
  exec(command)  # the command does what it says
  assert len(HuggingFaceWeights(f'{tmp_path}-safe').shapes) == len(hf_folder.huggingface.names(
    HuggingFaceWeights(f'{tmp_path}-safe').config))  # fmt: skip
  shutil.rmtree(f'{tmp_path}-safe')
  (tmp_path / 'pytorch_model.bin').unlink()
  with pytest.raises(UserError, match=r'has no weights: expected model\.safetensors'):
    HuggingFaceWeights(tmp_path)


def test_every_file_that_is_cut_off_or_changed_is_told(tmp_path):
  saved('t5_1_1', tmp_path / 'theirs', max_shard_size='12KB')
  whole = tmp_path / 'whole'
  whole.mkdir()
  write_huggingface(whole, HuggingFaceWeights(tmp_path / 'theirs'), shard_bytes=12000)
  HuggingFaceWeights(whole).check()
  files = sorted(path.name for path in whole.iterdir() if path.name != FILE)
  assert len(files) > 4
  for name in files:
    for damage in (lambda data: data[: len(data) // 2], lambda data: data[:-1], _flipped(0.3), _flipped(0.99)):
      copy = tmp_path / 'copy'
      shutil.copytree(whole, copy)
      (copy / name).write_bytes(damage((copy / name).read_bytes()))
      with pytest.raises(UserError, match=name):
        HuggingFaceWeights(copy).check()
      shutil.rmtree(copy)


def test_what_transformers_wrote_is_checked_for_its_structure(tmp_path):
  for name in ('model.safetensors', 'config.json'):
    for keep in (0, 7, 0.5, -3):
      saved('t5_1_0', tmp_path / 'copy')
      data = (tmp_path / 'copy' / name).read_bytes()
      (tmp_path / 'copy' / name).write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
      with pytest.raises(UserError, match=f'{name}.*(damaged|not JSON)'):
        HuggingFaceWeights(tmp_path / 'copy').check()
      shutil.rmtree(tmp_path / 'copy')


def _flipped(where):
  def damage(data):
    place = int(len(data) * where)
    return data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]

  return damage


def test_copies_of_the_embedding_have_to_be_copies(tmp_path):
  import safetensors.numpy

  saved('t5_1_0', tmp_path)
  arrays = safetensors.numpy.load_file(tmp_path / 'model.safetensors')
  arrays['decoder.embed_tokens.weight'] = arrays['shared.weight'].copy()
  safetensors.numpy.save_file(arrays, tmp_path / 'model.safetensors')
  HuggingFaceWeights(tmp_path)
  arrays['decoder.embed_tokens.weight'][39, 15] += 1
  safetensors.numpy.save_file(arrays, tmp_path / 'model.safetensors')
  with pytest.raises(UserError, match=r'decoder\.embed_tokens\.weight should be a copy of shared\.weight'):
    HuggingFaceWeights(tmp_path)
