"""The config.json of a Hugging Face T5, mT5, ByT5 or umT5, and our config, both ways.

What we cannot compute as transformers does is refused by name: another architecture, an activation that is not among
ours, a head that differs from the embedding and yet has its logits scaled.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from flan_jax.errors import UserError, did_you_mean
from flan_jax.models.config import T5Config

CONFIG = 'config.json'
# By model_type: the architecture that we read, the class of it as config.json has it, and whether transformers scales
# the logits of such a model where its head is the embedding.
ARCHITECTURES = {
  't5': 'T5ForConditionalGeneration',
  'mt5': 'MT5ForConditionalGeneration',
  'umt5': 'UMT5ForConditionalGeneration',
}
# transformers' names; its 'gated-gelu' alone means the tanh approximation that T5 1.1 was trained with, plain 'gelu'
# and what else it calls 'gelu' are the exact function, which we do not have.
_ACTIVATIONS = {
  'relu': ('relu',),
  'silu': ('silu',),
  'gelu_new': ('gelu',),
  'gated-relu': ('relu', 'linear'),
  'gated-silu': ('silu', 'linear'),
  'gated-gelu': ('gelu', 'linear'),
  'gated-gelu_new': ('gelu', 'linear'),
}
_SIZES = {  # ours: theirs, and what transformers takes where the file does not say
  'vocab_size': ('vocab_size', 32128),
  'emb_dim': ('d_model', 512),
  'num_heads': ('num_heads', 8),
  'head_dim': ('d_kv', 64),
  'mlp_dim': ('d_ff', 2048),
  'num_encoder_layers': ('num_layers', 6),
  'relative_attention_num_buckets': ('relative_attention_num_buckets', 32),
  'relative_attention_max_distance': ('relative_attention_max_distance', 128),
  'dropout_rate': ('dropout_rate', 0.1),
  'layer_norm_epsilon': ('layer_norm_epsilon', 1e-6),
}


def read_config(folder: pathlib.Path) -> dict[str, Any]:
  """Returns a model folder's config.json.

  Raises:
    UserError: where there is none, or it cannot be read.
  """
  path = folder / CONFIG
  try:
    config = json.loads(path.read_text(encoding='utf-8'))
  except OSError as error:
    raise UserError(f'{path} cannot be read: {error.strerror}') from error
  except ValueError as error:
    raise UserError(f'{path} is not JSON: {error}') from error
  if not isinstance(config, dict):
    raise UserError(f'{path} holds no JSON object')
  return config


def scales_logits(config: Mapping[str, Any]) -> bool:
  """Whether transformers multiplies the decoder's output by d_model**-0.5 before the head.

  Its fifth version ties every head unless the file holds another one, and takes `tie_word_embeddings` for the question
  whether to scale; what it saves itself says `scale_decoder_outputs`. mT5 never scales.
  """
  if config.get('model_type') == 'mt5':
    return False
  said = config.get('scale_decoder_outputs')
  return bool(said) if said is not None else config.get('tie_word_embeddings', True) is not False


def from_hf_config(config: Mapping[str, Any], *, own_head: bool, where: str = CONFIG) -> T5Config:
  """Returns the shape that a config.json describes; the dtype of activations is our own default.

  Args:
    config: of transformers.
    own_head: whether the weights hold an `lm_head.weight` that is not the embedding.
    where: the file, for messages.

  Raises:
    UserError: where the architecture, the activation or a size is none that we can compute.
  """
  problems = _problems(config)
  scaled = scales_logits(config)
  if own_head and scaled:
    problems.append('its head is not the embedding and yet its logits are scaled (tie_word_embeddings or '
                    'scale_decoder_outputs is true), which no T5 of ours does')
  if problems:
    raise UserError(f'{where}: ' + '; '.join(problems) + '.')
  sizes = {ours: config.get(theirs, usual) for ours, (theirs, usual) in _SIZES.items()}
  decoder = config.get('num_decoder_layers')
  try:
    return T5Config(
      **sizes,
      num_decoder_layers=sizes['num_encoder_layers'] if decoder is None else decoder,
      mlp_activations=_ACTIVATIONS[_feed_forward(config)],
      logits_via_embedding=scaled,
      relative_bias_per_layer=config['model_type'] == 'umt5',
    )
  except UserError as error:
    raise UserError(f'{where}: {error}') from error


def to_hf_config(config: T5Config, model_type: str | None = None, dtype: str = 'float32') -> dict[str, Any]:
  """Returns the config.json of a model of this shape.

  Args:
    config: the shape.
    model_type: 't5', 'mt5' or 'umt5'; by the shape where None (mT5 and ByT5 have the network of T5 1.1).
    dtype: of the weights.

  Raises:
    UserError: where transformers has no such network.
  """
  model_type = model_type or ('umt5' if config.relative_bias_per_layer else 't5')
  problems = []
  if (model_type == 'umt5') != config.relative_bias_per_layer:
    problems.append(f'{model_type} cannot have relative_bias_per_layer={config.relative_bias_per_layer}')
  if model_type == 'mt5' and config.logits_via_embedding:
    problems.append('mt5 does not scale its logits: logits_via_embedding must be False')
  names = {activations: name for name, activations in reversed(_ACTIVATIONS.items()) if not name.endswith('gelu_new')}
  names[('gelu',)] = 'gelu_new'
  if config.mlp_activations not in names:
    problems.append(f'transformers has no feed-forward block with activations {config.mlp_activations}; it has '
                    f'{", ".join(map(str, names))}')
  if problems:
    raise UserError('this model cannot be written for transformers: ' + '; '.join(problems) + '.')
  tied = config.logits_via_embedding
  return {
    'architectures': [ARCHITECTURES[model_type]],
    'model_type': model_type,
    **{theirs: getattr(config, ours) for ours, (theirs, _) in _SIZES.items()},
    'num_decoder_layers': config.num_decoder_layers,
    'feed_forward_proj': names[config.mlp_activations],
    'is_encoder_decoder': True,
    'tie_word_embeddings': tied,
    **({} if model_type == 'mt5' else {'scale_decoder_outputs': tied}),
    'pad_token_id': 0,
    'eos_token_id': 1,
    'decoder_start_token_id': 0,
    'initializer_factor': 1.0,
    'use_cache': True,
    'torch_dtype': dtype,
  }


def _problems(config: Mapping[str, Any]) -> list[str]:
  problems = []
  kind = config.get('model_type')
  if kind not in ARCHITECTURES:
    problems.append(f'model_type {kind!r} is no T5 ({did_you_mean(str(kind), ARCHITECTURES)})')
  else:
    named = config.get('architectures') or [ARCHITECTURES[kind]]
    if ARCHITECTURES[kind] not in named:
      problems.append(f'architectures {named} is not {ARCHITECTURES[kind]}, the one with a decoder and a head')
  if _feed_forward(config) not in _ACTIVATIONS:
    problems.append(f'feed_forward_proj {_feed_forward(config)!r} is not known; known are {", ".join(_ACTIVATIONS)}')
  start = config.get('decoder_start_token_id', 0)
  if start not in (0, None):
    problems.append(f'decoder_start_token_id is {start}; ours start from padding, 0')
  if config.get('pad_token_id', 0) not in (0, None):
    problems.append(f'pad_token_id is {config["pad_token_id"]}; ours is 0')
  return problems


def _feed_forward(config: Mapping[str, Any]) -> str:
  usual = 'relu' if config.get('model_type') == 't5' else 'gated-gelu'
  return str(config.get('feed_forward_proj', usual))


def caveats(config: T5Config) -> tuple[str, ...]:
  """Returns a line for each reason why some transformers makes another model of a folder of this shape."""
  if config.relative_bias_per_layer and not config.logits_via_embedding:
    return ('transformers 5.3 to 5.23 scale the logits of every umT5, this one too; 5.24 does not',)
  return ()
