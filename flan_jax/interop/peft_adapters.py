"""Adapters of Hugging Face's peft and ours, both ways, as a config and named numpy arrays (files: `peft_files`).

  peft          here             the numbers
  LORA          LoRA, DoRA       lora_A [rank, in], lora_B [out, rank] and lora_magnitude_vector [out] there;
                                 a [in, rank], b [rank, out] and magnitude [out] here
  IA3           IA3              ia3_l, [1, in] where the input is scaled and [out, 1] elsewhere; factors here
  PROMPT_TUNING PromptTuning     prompt_embeddings; embedding here
  P_TUNING      PromptTuning     the same: peft's files hold what the prompt encoder made, not the encoder
  LN_TUNING     Norms            ln_tuning_layers.weight; the norm's own scale here

Everything else is refused, and so are weights too few and weights too many: what a file holds arrives or is named.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from flan_jax.errors import UserError
from flan_jax.interop import peft_ia3, peft_lora, peft_norms, peft_prompts
from flan_jax.interop.peft_options import Options
from flan_jax.interop.peft_weights import Arrays, FromPeft, ToPeft
from flan_jax.peft.io import method_of

# Why a method that both have is not the same on both sides.
DIFFERENT = {
  'PREFIX_TUNING': "peft's prefixes sit before the decoder's tokens and get relative position biases as tokens do, "
                   'those here are seen at zero bias',
}  # fmt: skip
DIFFERENT['prefix_tuning'] = DIFFERENT['PREFIX_TUNING']


class Adapter(NamedTuple):
  """An adapter of either side.

  Attributes:
    config: what adapter_config.json holds.
    arrays: by name.
    notes: sentences about what the other side has no place for.
  """

  config: dict[str, Any]
  arrays: dict[str, np.ndarray]
  notes: tuple[str, ...] = ()


def from_peft(config: Mapping[str, Any], tensors: Arrays, base_model: str | None = None) -> Adapter:
  """Converts an adapter of peft's for a T5.

  Args:
    config: its adapter_config.json.
    tensors: its adapter_model.safetensors.
    base_model: the base model's name, to be remembered; that of the config unless given.

  Returns:
    The adapter as `flan_jax.peft.io.write_adapter` writes it, in float32. It has no fingerprint of its base.

  Raises:
    UserError: where peft's method or an option has no counterpart here, or tensors are missing, too many or misshapen.
  """
  kind = config.get('peft_type')
  _convertible(kind, FROM_PEFT, "peft's method")
  method, arrays, notes = FROM_PEFT[str(kind)](config, {n: t.astype(np.float32) for n, t in tensors.items()})
  name = base_model or config.get('base_model_name_or_path')
  extra = {'base_fingerprint': None, 'base_model': name, 'parameters': int(sum(a.size for a in arrays.values()))}
  return Adapter({'format': 1, **method.config, **extra}, arrays, notes)


def to_peft(config: Mapping[str, Any], arrays: Arrays, base_model: str | None = None) -> Adapter:
  """Converts an adapter of ours to peft's.

  Args:
    config: its adapter_config.json.
    arrays: its adapter.safetensors.
    base_model: peft's base_model_name_or_path; what the config remembers unless given.

  Returns:
    The adapter as peft loads it.

  Raises:
    UserError: where peft has no counterpart of the method, or arrays are missing, too many or misshapen.
  """
  method = method_of(config)
  _convertible(method.name, TO_PEFT, 'the method')
  options, tensors, notes = TO_PEFT[method.name](method, arrays)
  name = base_model or config.get('base_model')
  common = {'task_type': 'SEQ_2_SEQ_LM', 'base_model_name_or_path': name, 'inference_mode': True}
  return Adapter(dict(sorted({**common, **options}.items())), tensors, notes)


def _convertible(kind: Any, known: Iterable[str], whose: str) -> None:
  if kind not in known:
    why = DIFFERENT.get(str(kind), 'it has no counterpart')
    raise UserError(f'{whose} {kind} cannot be converted: {why}. Those that can be: {", ".join(known)}')


FROM_PEFT: Mapping[str, Callable[[Options, Arrays], FromPeft]] = {
  'LORA': peft_lora.from_peft, 'IA3': peft_ia3.from_peft, 'PROMPT_TUNING': peft_prompts.from_peft,
  'P_TUNING': peft_prompts.from_peft, 'LN_TUNING': peft_norms.from_peft}  # fmt: skip
TO_PEFT: Mapping[str, Callable[[Any, Arrays], ToPeft]] = {
  'lora': peft_lora.to_peft, 'dora': peft_lora.to_peft, 'ia3': peft_ia3.to_peft,
  'prompt_tuning': peft_prompts.to_peft, 'norms': peft_norms.to_peft}  # fmt: skip
