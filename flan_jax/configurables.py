"""Everything that gin can configure, by name; the packages themselves do not know gin.

What needs TensorFlow is named here and imported only where a run is called that needs it: training from batches that
were written beforehand does without. There the names stand for themselves, since model files mention a vocabulary.
"""

import contextlib
import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import gin

from flan_jax import arguments, models, peft
from flan_jax.errors import UserError
from flan_jax.runs import finetune_exported, of_checkpoint
from flan_jax.training import losses, optimizers, schedules, sharding


def _function(constructor: Callable[..., Any], name: str) -> Callable[..., Any]:
  """Wraps a function or class to check what gin hands to it; gin would also register a subclass in a class's place."""
  signature = inspect.signature(constructor)

  @functools.wraps(constructor, updated=())
  def build(*args: Any, **kwargs: Any) -> Any:
    given = signature.bind_partial(*args, **kwargs).arguments
    problems = [f'{name} needs a value for {parameter!r}: bind {name}.{parameter}.'
                for parameter in arguments.missing(constructor, given)]
    problems += [f'{_place(name, parameter)} {problem}.'
                 for parameter, problem in arguments.misfits(constructor, given).items()]
    if problems:
      raise UserError('\n'.join(problems))
    return constructor(*args, **kwargs)

  build.__signature__ = signature  # type: ignore[attr-defined]
  return build


def _place(name: str, parameter: str) -> str:
  """Where a person set a parameter: the macro that it is bound to, if it is, and the parameter."""
  try:
    bound = str(gin.query_parameter(f'{name}.{parameter}'))
  except ValueError:
    bound = ''
  return f'{bound[1:]} ({name}.{parameter})' if bound.startswith('%') else f'{name}.{parameter}'


_MEMBERS: dict[str, tuple[Callable[..., Any], ...]] = {
  'models': (models.T5Config,),
  'peft': tuple(peft.Method.registry.values()),
  'training': (
    losses.LossConfig, optimizers.adafactor, optimizers.adamw, optimizers.from_optax, sharding.Partitioner,
    sharding.standard_logical_axis_rules,
  ),
  'schedules': (
    schedules.constant, schedules.linear_warmup, schedules.rsqrt, schedules.linear, schedules.cosine, schedules.factors,
  ),
  'runs': (finetune_exported.finetune_exported, of_checkpoint.model_of_checkpoint),
}  # fmt: skip

_OF_TENSORFLOW: dict[str, tuple[str, ...]] = {  # module:name, imported when they are needed
  'seqio': ('seqio:SentencePieceVocabulary', 'seqio:ByteVocabulary'),
  'data': (
    'flan_jax.data.huggingface_vocabulary:HuggingFaceVocabulary', 'flan_jax.data.tokenizer_files:vocabulary_of',
    'flan_jax.data.vocabulary:padded_size',
  ),
  'quickstart': ('tasks.quickstart.vocabulary:quickstart_vocabulary',),
  'runs': (
    'flan_jax.runs.adapt:adapt', 'flan_jax.runs.compare_peft:compare_peft', 'flan_jax.comparison.entries:Entry',
    'flan_jax.runs.evaluate:evaluate', 'flan_jax.runs.export_batches:export_batches', 'flan_jax.runs.finetune:finetune',
    'flan_jax.runs.infer:infer', 'flan_jax.runs.interactive:interact',
    'flan_jax.runs.vocabulary_of:vocabulary_of_checkpoint', 'flan_jax.heldout.arms:Arm', 'flan_jax.heldout.arms:Stage',
    'flan_jax.heldout.curves:clusters_curve', 'flan_jax.heldout.curves:exemplars_curve',
    'flan_jax.heldout.curves:sizes_curve', 'flan_jax.heldout.curves:templates_curve',
    'flan_jax.runs.zero_shot:zero_shot',
  ),
}  # fmt: skip


@functools.cache
def register() -> dict[str, Callable[..., Any]]:
  """Registers all configurables with gin, once, and returns them by full name."""
  found = dict(_without_tensorflow())
  # Where a run without TensorFlow came before in this process, stand-ins have the names.
  taken = register_without_tensorflow.cache_info().currsize
  with gin.unlock_config(), gin.config.interactive_mode() if taken else contextlib.nullcontext():
    for module, members in _OF_TENSORFLOW.items():
      for member in members:
        place, _, name = member.partition(':')
        found |= _registered(module, getattr(importlib.import_module(place), name))
  return found


@functools.cache
def register_without_tensorflow() -> dict[str, Callable[..., Any]]:
  """Registers what needs no TensorFlow, and a stand-in for each of the others, which a configuration may mention."""
  if register.cache_info().currsize:
    return register()
  names = [(module, member.partition(':')[2]) for module, members in _OF_TENSORFLOW.items() for member in members]
  stand_ins = {f'{module}.{name}': gin.external_configurable(_stand_in(f'{module}.{name}'), name=name, module=module)
               for module, name in names}
  return _without_tensorflow() | stand_ins


@functools.cache
def _without_tensorflow() -> dict[str, Callable[..., Any]]:
  found: dict[str, Callable[..., Any]] = {}
  for module, members in _MEMBERS.items():
    for member in members:
      found |= _registered(module, member)
  return found


def _registered(module: str, member: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
  name = f'{module}.{member.__name__}'
  return {name: gin.external_configurable(_function(member, name), name=member.__name__, module=module)}


def _stand_in(name: str) -> Callable[..., Any]:
  def build(**_: Any) -> Any:
    raise UserError(f'{name} needs TensorFlow, and training from EXPORTED_BATCHES does without: do not bind it to '
                    'anything that this run uses.')

  return build
