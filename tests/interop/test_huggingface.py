"""Logits against transformers on copied random weights, and weights that survive the way there and back."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.interop import huggingface
from flan_jax.models import T5, shift_right
from tests.models.conftest import rows, tiny_config, tiny_model

torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')

SHAPES = {
  't5_1_0': {'mlp_activations': ('relu',), 'logits_via_embedding': True},
  't5_1_1': {},
  'mt5': {'num_heads': 3, 'head_dim': 4, 'vocab_size': 50},
  'byt5': {'num_encoder_layers': 3, 'num_decoder_layers': 1, 'vocab_size': 384, 'head_dim': 4},
  'umt5': {'relative_bias_per_layer': True},
}


def reference(config, kind):
  """A transformers model of the same shape with random weights, its head untied by hand where ours is."""
  family = {'mt5': transformers.MT5ForConditionalGeneration, 'umt5': transformers.UMT5ForConditionalGeneration}
  settings = transformers.UMT5Config if kind == 'umt5' else transformers.T5Config
  settings = transformers.MT5Config if kind == 'mt5' else settings
  torch.manual_seed(0)
  model = family.get(kind, transformers.T5ForConditionalGeneration)(
    settings(
      vocab_size=config.vocab_size,
      d_model=config.emb_dim,
      d_kv=config.head_dim,
      d_ff=config.mlp_dim,
      num_layers=config.num_encoder_layers,
      num_decoder_layers=config.num_decoder_layers,
      num_heads=config.num_heads,
      feed_forward_proj='gated-gelu' if len(config.mlp_activations) == 2 else 'relu',
      tie_word_embeddings=config.logits_via_embedding,
      decoder_start_token_id=0,
    )
  ).eval()
  if not config.logits_via_embedding:
    # A config of transformers 5 says tied whatever it was given, and umT5 scales its logits by that word.
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) * config.emb_dim**-0.5)
    assert model.lm_head.weight is not model.shared.weight
  with torch.no_grad():
    for name, value in model.named_parameters():
      if 'relative_attention_bias' in name or 'layer_norm' in name:
        value.add_(0.3 * torch.randn_like(value))
  return model


def weights_of(model):
  return {name: value.detach().numpy().copy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize('kind', SHAPES)
def test_logits_are_those_of_transformers(kind):
  config = tiny_config(**SHAPES[kind])
  theirs = reference(config, kind)
  ours = T5(config, rngs=nnx.Rngs(1))
  huggingface.load_parameters(ours, huggingface.from_huggingface(weights_of(theirs), config))
  source, target = rows(0, 40, 17), rows(1, 20, 11)
  with torch.no_grad():
    expected = theirs(
      input_ids=torch.tensor(np.array(source)).long(),
      attention_mask=torch.tensor(np.array(source > 0)).long(),
      decoder_input_ids=torch.tensor(np.array(shift_right(target))).long(),
    ).logits.numpy()
  logits = ours.decode(ours.encode(source), shift_right(target))
  real = np.array(target > 0)
  scale = max(1.0, float(np.abs(expected).max()))
  assert np.abs(np.array(logits) - expected)[real].max() / scale < 1e-5


@pytest.mark.parametrize('kind', ['t5_1_0', 't5_1_1', 'umt5'])
def test_weights_survive_the_way_back(kind):
  config = tiny_config(**SHAPES[kind])
  theirs = weights_of(reference(config, kind))
  back = huggingface.to_huggingface(huggingface.from_huggingface(theirs, config), config)
  assert set(back) == set(theirs)
  for name, value in theirs.items():
    np.testing.assert_array_equal(back[name], value)


def test_missing_unknown_and_misshapen_weights_are_named():
  config, model = tiny_config(), tiny_model()
  weights = huggingface.to_huggingface(huggingface.base_parameters(model), config)
  without = {name: value for name, value in weights.items() if name != 'lm_head.weight'}
  with pytest.raises(UserError, match=r'1 are missing: lm_head\.weight'):
    huggingface.from_huggingface(without, config)
  with pytest.raises(UserError, match=r'not known to this config: extra'):
    huggingface.from_huggingface({**weights, 'extra': np.zeros(1)}, config)
  with pytest.raises(UserError, match='not a copy'):
    huggingface.from_huggingface({**weights, 'decoder.embed_tokens.weight': np.zeros((30, 16))}, config)
  params = huggingface.base_parameters(model)
  with pytest.raises(UserError, match=r'encoder_norm/scale has shape \(3,\)'):
    huggingface.load_parameters(model, {**params, 'encoder/encoder_norm/scale': np.zeros(3)})


def test_loading_leaves_adapters_alone():
  class Marked(nnx.Param):
    pass

  model = tiny_model()
  params = huggingface.base_parameters(model)
  model.encoder.layers[0].mlp.wo.adapters['own'] = nnx.Dict(weight=Marked(jnp.full(2, 7.0)))
  huggingface.load_parameters(model, {path: value + 1 for path, value in params.items()})
  np.testing.assert_array_equal(model.encoder.layers[0].mlp.wo.adapters['own']['weight'][...], [7.0, 7.0])
  np.testing.assert_array_equal(model.encoder.encoder_norm.scale[...], np.full(16, 2.0))
