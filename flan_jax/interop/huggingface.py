"""T5 weights under Hugging Face's names and ours, both ways, as numpy arrays.

Projections there are stored as [out, in] and here as [in, out]; the position bias there is [buckets, heads] and here
[heads, buckets]. Nothing is skipped in silence: a weight that is missing or not known is an error.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx

from flan_jax import errors
from flan_jax.models.config import T5Config
from flan_jax.models.t5 import T5

Arrays = Mapping[str, np.ndarray]
# Copies of the embedding that Hugging Face's files may hold under further names.
EMBEDDING_COPIES = ('encoder.embed_tokens.weight', 'decoder.embed_tokens.weight')
_PROJECTIONS = {'query': 'q', 'key': 'k', 'value': 'v', 'out': 'o'}


class Name(NamedTuple):
  """One weight under both names; `transposed` says whether its two axes are swapped there."""

  ours: str
  theirs: str
  transposed: bool


def names(config: T5Config) -> list[Name]:
  """Returns every weight of a model of this shape under both names."""
  pairs = [Name('token_embedder/embedding', 'shared.weight', False)]
  pairs += _stack_names(config, 'encoder', config.num_encoder_layers, ('attention',))
  pairs += _stack_names(
    config, 'decoder', config.num_decoder_layers, ('self_attention', 'encoder_decoder_attention')
  )
  if not config.logits_via_embedding:
    pairs.append(Name('decoder/logits_dense/kernel', 'lm_head.weight', True))
  return pairs


def from_huggingface(weights: Arrays, config: T5Config) -> dict[str, np.ndarray]:
  """Returns our parameters, by path, of a Hugging Face T5, mT5, ByT5 or umT5.

  Args:
    weights: its state dict as numpy arrays. The further copies of the embedding (a tied head among them) are
      checked to be copies and dropped.
    config: the shape.

  Raises:
    UserError: a weight is missing or not known, or what should be a copy of the embedding is not.
  """
  pairs = names(config)
  _refuse_difference({pair.theirs for pair in pairs}, set(_without_aliases(weights, config)), 'Hugging Face weights')
  return {pair.ours: _swap(weights[pair.theirs], pair.transposed) for pair in pairs}


def to_huggingface(params: Arrays, config: T5Config) -> dict[str, np.ndarray]:
  """Returns a Hugging Face state dict, with all its copies of the embedding, of our parameters by path.

  Raises:
    UserError: a parameter is missing or not known.
  """
  pairs = names(config)
  _refuse_difference({pair.ours for pair in pairs}, set(params), 'parameters')
  weights = {pair.theirs: _swap(params[pair.ours], pair.transposed) for pair in pairs}
  embedding = weights['shared.weight']
  copies = dict.fromkeys(EMBEDDING_COPIES, embedding)
  if config.logits_via_embedding:
    copies['lm_head.weight'] = embedding
  return {**weights, **copies}


def base_parameters(model: T5) -> dict[str, np.ndarray]:
  """Returns a model's own parameters by path; those of attached adapters have other types and stay out."""
  flat = nnx.to_flat_state(nnx.state(model, lambda _, value: type(value) is nnx.Param))
  return {'/'.join(map(str, path)): np.asarray(value[...]) for path, value in flat}


def load_parameters(model: T5, params: Arrays) -> None:
  """Puts parameters, by path, into a model in place; attached adapters stay as they are.

  Raises:
    UserError: a parameter is missing, not known, or of another shape.
  """
  flat = nnx.to_flat_state(nnx.state(model, lambda _, value: type(value) is nnx.Param))
  targets = {'/'.join(map(str, path)): value for path, value in flat}
  _refuse_difference(set(targets), set(params), 'parameters')
  for path, variable in targets.items():
    if params[path].shape != variable[...].shape:
      raise errors.UserError(
        f'{path} has shape {params[path].shape}, but the config makes it {variable[...].shape}: is it the right size?'
      )
  for path, variable in targets.items():
    variable[...] = jnp.asarray(params[path], variable[...].dtype)


def _stack_names(config: T5Config, stack: str, layers: int, attentions: tuple[str, ...]) -> Iterator[Name]:
  yield Name(f'{stack}/{stack}_norm/scale', f'{stack}.final_layer_norm.weight', False)
  for layer in range(layers):
    theirs, ours = f'{stack}.block.{layer}.layer', f'{stack}/layers/{layer}'
    if layer == 0 or config.relative_bias_per_layer:
      owner = ours if config.relative_bias_per_layer else stack
      bias = f'{theirs}.0.SelfAttention.relative_attention_bias.weight'
      yield Name(f'{owner}/relpos_bias/rel_embedding', bias, True)
    for place, attention in enumerate(attentions):
      yield from _attention_names(f'{ours}/{attention}', f'{theirs}.{place}', cross=place == 1)
      norm = 'cross_attention' if place == 1 else attention
      yield Name(f'{ours}/pre_{norm}_layer_norm/scale', f'{theirs}.{place}.layer_norm.weight', False)
    place = len(attentions)
    yield Name(f'{ours}/pre_mlp_layer_norm/scale', f'{theirs}.{place}.layer_norm.weight', False)
    gated = len(config.mlp_activations) > 1
    for kernel in ('wi_0', 'wi_1', 'wo') if gated else ('wi', 'wo'):
      yield Name(f'{ours}/mlp/{kernel}/kernel', f'{theirs}.{place}.DenseReluDense.{kernel}.weight', True)


def _attention_names(ours: str, theirs: str, *, cross: bool) -> Iterator[Name]:
  kind = 'EncDecAttention' if cross else 'SelfAttention'
  for projection, letter in _PROJECTIONS.items():
    yield Name(f'{ours}/{projection}/kernel', f'{theirs}.{kind}.{letter}.weight', True)


def _without_aliases(weights: Arrays, config: T5Config) -> Iterator[str]:
  """Yields the names of the weights that are not further copies of the embedding."""
  aliases = (*EMBEDDING_COPIES, 'lm_head.weight') if config.logits_via_embedding else EMBEDDING_COPIES
  for name, value in weights.items():
    if name not in aliases:
      yield name
    elif 'shared.weight' in weights and not np.array_equal(value, weights['shared.weight']):
      raise errors.UserError(f'{name} is not a copy of shared.weight: this model does not tie them as the config says.')


def _refuse_difference(expected: set[str], given: set[str], what: str) -> None:
  """Raises UserError, naming a few, when names are missing or not known."""
  found = [('are missing', sorted(expected - given)), ('are not known to this config', sorted(given - expected))]
  told = [
    f'{len(some)} {verb}: {", ".join(some[:3])}{", ..." if len(some) > 3 else ""}' for verb, some in found if some
  ]
  if told:
    raise errors.UserError(f'Of the {what}, ' + '; '.join(told) + '.')


def _swap(value: np.ndarray, transposed: bool) -> np.ndarray:
  return np.ascontiguousarray(value.T) if transposed else np.asarray(value)
