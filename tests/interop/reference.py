"""transformers models with random weights for a `T5Config`, and our model with the same weights."""

import jax
import numpy as np
import pytest
from flax import nnx

from flan_jax.interop import huggingface
from flan_jax.models import T5

torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')
torch.set_num_threads(1)  # threads cost a tiny model more than they bring, and its tests run beside others

CLASSES = {
  'mt5': (transformers.MT5Config, transformers.MT5ForConditionalGeneration),
  'umt5': (transformers.UMT5Config, transformers.UMT5ForConditionalGeneration),
}
T5_CLASSES = (transformers.T5Config, transformers.T5ForConditionalGeneration)


def reference(config, kind, seed=0):
  """A transformers model of the same shape with random weights, its head untied by hand where ours is."""
  settings, model_class = CLASSES.get(kind, T5_CLASSES)
  torch.manual_seed(seed)
  model = model_class(
    settings(
      vocab_size=config.vocab_size,
      d_model=config.emb_dim,
      d_kv=config.head_dim,
      d_ff=config.mlp_dim,
      num_layers=config.num_encoder_layers,
      num_decoder_layers=config.num_decoder_layers,
      num_heads=config.num_heads,
      relative_attention_num_buckets=config.relative_attention_num_buckets,
      relative_attention_max_distance=config.relative_attention_max_distance,
      layer_norm_epsilon=config.layer_norm_epsilon,
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


def with_weights_of(theirs, config) -> T5:
  """Our model of this shape with a transformers model's weights."""
  graphdef, state = nnx.split(nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0))))
  ours = nnx.merge(graphdef, jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state))
  huggingface.load_parameters(ours, huggingface.from_huggingface(weights_of(theirs), config))
  return ours
