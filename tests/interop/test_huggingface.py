"""Logits against transformers on copied random weights, and weights that survive the way there and back."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.interop import huggingface
from flan_jax.models import shift_right
from tests.interop.reference import reference, torch, weights_of, with_weights_of
from tests.models.conftest import rows, tiny_config, tiny_model

SHAPES = {
  't5_1_0': {'mlp_activations': ('relu',), 'logits_via_embedding': True},
  't5_1_1': {},
  'mt5': {'num_heads': 3, 'head_dim': 4, 'vocab_size': 50},
  'byt5': {'num_encoder_layers': 3, 'num_decoder_layers': 1, 'vocab_size': 384, 'head_dim': 4},
  'umt5': {'relative_bias_per_layer': True},
}


@pytest.mark.parametrize('kind', SHAPES)
def test_logits_are_those_of_transformers(kind):
  config = tiny_config(**SHAPES[kind])
  theirs = reference(config, kind)
  ours = with_weights_of(theirs, config)
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
