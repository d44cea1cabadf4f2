"""IA3, peft's and ours."""

from typing import Any

from flan_jax.errors import UserError
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
from flan_jax.peft import IA3

FACTORS = 'adapters/ia3/factors'


def from_peft(options: Options, tensors: Arrays) -> FromPeft:
  """From peft's IA3; see `peft_adapters.from_peft`."""
  peft_options.check_options(options, {'target_modules', 'exclude_modules', 'feedforward_modules'})
  universe = t5_places.projections()
  parts = split(tensors, universe, 'theirs', ('ia3_l',))
  targeted, inward = peft_options.targeting(options), peft_options.feedforward(options)
  complete(parts, targeted, universe, 'theirs')
  arrays = {}
  for place, found in parts.items():
    factors = found['ia3_l']
    if factors.ndim != 2 or factors.shape[0 if inward(place) else 1] != 1:
      raise UserError(f"peft's ia3_l of {place.theirs} is {list(factors.shape)}, and feedforward_modules make it "
                      f'{"[1, in]" if inward(place) else "[out, 1]"}')  # fmt: skip
    arrays[f'{place.ours}/{FACTORS}'] = factors.reshape(-1)
  outputs = {p: parts[p] for p in parts if not inward(p)}
  inputs = {p: parts[p] for p in parts if inward(p)}
  if not outputs:
    raise UserError("peft's IA3 scales nothing but inputs (every target is in feedforward_modules), which the one here "
                    'cannot do')  # fmt: skip
  usual = IA3()
  method = IA3(
    targets=our_targets(lambda p: targeted(p) and not inward(p), outputs, usual.targets),
    input_targets=our_targets(lambda p: targeted(p) and inward(p), inputs, usual.input_targets) if inputs else '',
  )
  return method, arrays, ()


def to_peft(method: Any, arrays: Arrays) -> ToPeft:
  """From our IA3; see `peft_adapters.to_peft`."""
  universe = t5_places.projections()
  parts = split(arrays, universe, 'ours', (FACTORS,))
  outward, inward = matching(method.targets), matching(method.input_targets)
  complete(parts, lambda p: outward(p) or inward(p), universe, 'ours')
  tensors = {f'{PREFIX}{place.theirs}.ia3_l': found[FACTORS][None, :] if inward(place) else found[FACTORS][:, None]
             for place, found in parts.items()}  # fmt: skip
  inputs = {p: parts[p] for p in parts if inward(p)}
  chosen: str | list[str] = their_targets(inward, inputs) if inputs else []
  read = peft_options.feedforward({'feedforward_modules': chosen})
  if any(read(p) != inward(p) for p in parts):  # the list would mean more, see `feedforward`
    chosen = t5_places.regex(t5_places.spread(inward, universe, inputs), universe, 'theirs')
  targets = their_targets(lambda p: outward(p) or inward(p), parts)
  return {'peft_type': 'IA3', 'target_modules': targets, 'feedforward_modules': chosen}, tensors, ()
