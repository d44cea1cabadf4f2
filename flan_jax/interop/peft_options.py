"""What the options in a config of Hugging Face's peft mean, and which of them nothing here could do."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from flan_jax.errors import UserError
from flan_jax.interop.t5_places import Place

Options = Mapping[str, Any]

# They say where an adapter comes from or how it starts to train, not what it does.
WITHOUT_EFFECT = frozenset({
  'auto_mapping', 'base_model_name_or_path', 'inference_mode', 'peft_type', 'peft_version', 'revision',
  'runtime_config', 'task_type', 'eva_config', 'init_ia3_weights', 'init_lora_weights', 'loftq_config', 'megatron_core',
  'qalora_group_size', 'encoder_dropout', 'encoder_hidden_size', 'encoder_num_layers',
  'encoder_reparameterization_type', 'num_attention_heads', 'num_layers', 'prompt_tuning_init',
  'prompt_tuning_init_text', 'token_dim', 'tokenizer_kwargs', 'tokenizer_name_or_path',
})  # fmt: skip
# Where peft is told no modules it takes these for a T5.
DEFAULT_TARGETS: Mapping[str, tuple[str, ...]] = {
  'LORA': ('q', 'v'), 'IA3': ('k', 'v', 'wo'), 'LN_TUNING': ('layer_norm', 'final_layer_norm')}  # fmt: skip
KEEPS_THE_BASE = (True, False, None, 'gaussian', 'eva', 'orthogonal')


def check_options(options: Options, used: Collection[str]) -> None:
  """Refuses what has no counterpart here.

  Args:
    options: a config of peft's.
    used: the options that the conversion carries over.

  Raises:
    UserError: if any other option is set to something that changes what the adapter does, or is not known.
  """
  task = options.get('task_type')
  if task not in (None, 'SEQ_2_SEQ_LM'):
    raise UserError(f"peft's adapter is for the task type {task}; only adapters of encoder-decoders (SEQ_2_SEQ_LM) "
                    'can be converted')  # fmt: skip
  start = options.get('init_lora_weights')
  if start not in KEEPS_THE_BASE:
    raise UserError(f"peft's init_lora_weights={start!r} changes the base weights before training, and its files do "
                    "not hold that change; save it with peft's path_initial_model_for_weight_conversion, which makes a "
                    'plain LoRA of it')  # fmt: skip
  for option, value in sorted(options.items()):
    if option not in used and option not in WITHOUT_EFFECT and not _neutral(value):
      raise UserError(f"peft's option {option}={value!r} has no counterpart here: the adapter cannot be converted")


def _neutral(value: Any) -> bool:
  return value in (None, False, 'none') or (isinstance(value, (str, list, dict)) and not value)


def targeting(options: Options) -> Callable[[Place], bool]:
  """Which modules `target_modules` and `exclude_modules` mean: a text is a regex, a list holds last parts of names."""
  chosen = options.get('target_modules') or DEFAULT_TARGETS[options['peft_type']]
  excluded = options.get('exclude_modules') or ()
  return lambda place: _named(chosen, place.theirs) and not _named(excluded, place.theirs)


def feedforward(options: Options) -> Callable[[Place], bool]:
  """Which modules IA3 scales the input of. In a list peft looks at the mere end of a name: 'o' means 'wo', too."""
  chosen = options.get('feedforward_modules')
  ends = ('wo',) if chosen is None else chosen
  if isinstance(ends, str):
    return lambda place: _full(ends, place.theirs)
  return lambda place: any(place.theirs.endswith(end) for end in ends)


def pattern_value(patterns: Mapping[str, Any], name: str, otherwise: Any) -> Any:
  """What a rank_pattern or alpha_pattern says of a module; the first that matches the end of its name counts."""
  return next((value for key, value in patterns.items() if _full(rf'(.*\.)?({key})', name)), otherwise)


def _named(chosen: str | Collection[str], name: str) -> bool:
  if isinstance(chosen, str):
    return _full(chosen, name)
  return any(name == end or name.endswith(f'.{end}') for end in chosen)


def _full(pattern: str, name: str) -> bool:
  try:
    return re.fullmatch(pattern, name) is not None
  except re.error as error:
    raise UserError(f"the regex {pattern!r} in peft's config is malformed: {error}") from error
