"""Soft prompts, peft's and ours."""

from typing import Any

import numpy as np

from flan_jax.errors import UserError
from flan_jax.interop import peft_options
from flan_jax.interop.peft_options import Options
from flan_jax.interop.peft_weights import Arrays, FromPeft, ToPeft
from flan_jax.peft import PromptTuning

PROMPT = 'prompt_embeddings'
OUR_PROMPT = 'encoder/prompts/prompt/embedding'


def from_peft(options: Options, tensors: Arrays) -> FromPeft:
  """From peft's prompt tuning or P-tuning; see `peft_adapters.from_peft`."""
  peft_options.check_options(options, {'num_virtual_tokens', 'num_transformer_submodules'})
  if set(tensors) != {PROMPT}:
    raise UserError(f"peft's file of a soft prompt should hold {PROMPT} alone, and holds {', '.join(sorted(tensors))}")
  length, copies = options.get('num_virtual_tokens'), options.get('num_transformer_submodules') or 2
  prompt = tensors[PROMPT]
  if not isinstance(length, int) or prompt.ndim != 2 or prompt.shape[0] != length * copies:
    raise UserError(f"peft's {PROMPT} is {list(prompt.shape)}, and num_virtual_tokens={length} with "
                    f'num_transformer_submodules={copies} do not make so many rows')  # fmt: skip
  notes = []
  if copies > 1:
    notes.append(f'the last {length * (copies - 1)} of the {len(prompt)} rows of {PROMPT} are left out: peft makes '
                 'room for the decoder but never reads it')  # fmt: skip
  if options['peft_type'] == 'P_TUNING':
    notes.append("P-tuning's prompt encoder is not in peft's files, only the prompt that it made: it arrives as a soft "
                 'prompt')  # fmt: skip
  method = PromptTuning(length=length, where='encoder', init='uniform')
  return method, {OUR_PROMPT: np.ascontiguousarray(prompt[:length])}, tuple(notes)


def to_peft(method: Any, arrays: Arrays) -> ToPeft:
  """From our PromptTuning; see `peft_adapters.to_peft`."""
  if method.where != 'encoder':
    raise UserError(f'a soft prompt with where={method.where!r} cannot be converted: peft prompts the encoder only')
  if set(arrays) != {OUR_PROMPT}:
    raise UserError(f'an adapter of prompt tuning should hold {OUR_PROMPT} alone, not {", ".join(sorted(arrays))}')
  prompt = arrays[OUR_PROMPT]
  if prompt.shape[0] != method.length:
    raise UserError(f'the soft prompt is {list(prompt.shape)}, and the config gives it {method.length} positions')
  options = {'peft_type': 'PROMPT_TUNING', 'num_virtual_tokens': method.length, 'num_transformer_submodules': 1,
             'token_dim': int(prompt.shape[1])}  # fmt: skip
  return options, {PROMPT: prompt}, ()
