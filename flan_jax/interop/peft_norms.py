"""The scales of layer norms, peft's and ours."""

from typing import Any

from flan_jax.interop import peft_options, t5_places
from flan_jax.interop.peft_options import Options
from flan_jax.interop.peft_weights import (
  PREFIX,
  Arrays,
  FromPeft,
  ToPeft,
  complete,
  matching,
  our_targets,
  split,
  their_targets,
)
from flan_jax.peft import Norms


def from_peft(options: Options, tensors: Arrays) -> FromPeft:
  """From peft's LN tuning; see `peft_adapters.from_peft`."""
  peft_options.check_options(options, {'target_modules', 'exclude_modules'})
  parts = split(tensors, t5_places.norms(), 'theirs', ('ln_tuning_layers.weight',))
  targeted = peft_options.targeting(options)
  complete(parts, targeted, t5_places.norms(), 'theirs')
  arrays = {f'{place.ours}/scale': found['ln_tuning_layers.weight'] for place, found in parts.items()}
  return Norms(targets=our_targets(targeted, parts, Norms().targets, tail='/scale')), arrays, ()


def to_peft(method: Any, arrays: Arrays) -> ToPeft:
  """From our Norms; see `peft_adapters.to_peft`."""
  parts = split(arrays, t5_places.norms(), 'ours', ('scale',))
  targeted = matching(method.targets, tail='/scale')
  complete(parts, targeted, t5_places.norms(), 'ours')
  tensors = {f'{PREFIX}{place.theirs}.ln_tuning_layers.weight': found['scale'] for place, found in parts.items()}
  return {'peft_type': 'LN_TUNING', 'target_modules': their_targets(targeted, parts, t5_places.norms())}, tensors, ()
