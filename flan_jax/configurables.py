"""Everything that gin can configure, by name; the packages themselves do not know gin."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gin
import seqio

from flan_jax import arguments, models, peft
from flan_jax.comparison import entries
from flan_jax.data import huggingface_vocabulary, tokenizer_files, vocabulary
from flan_jax.errors import UserError
from flan_jax.heldout import arms, curves
from flan_jax.runs import adapt, compare_peft, evaluate, finetune, infer, interactive, of_checkpoint, zero_shot
from flan_jax.training import losses, optimizers, schedules, sharding
from tasks.quickstart.vocabulary import quickstart_vocabulary


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
  'seqio': (seqio.SentencePieceVocabulary, seqio.ByteVocabulary),
  'data': (
    huggingface_vocabulary.HuggingFaceVocabulary, tokenizer_files.vocabulary_of, vocabulary.padded_size,
  ),
  'quickstart': (quickstart_vocabulary,),
  'runs': (
    adapt.adapt, compare_peft.compare_peft, entries.Entry, evaluate.evaluate, finetune.finetune, infer.infer,
    interactive.interact, of_checkpoint.model_of_checkpoint, of_checkpoint.vocabulary_of_checkpoint, arms.Arm,
    arms.Stage, curves.clusters_curve, curves.exemplars_curve, curves.sizes_curve, curves.templates_curve,
    zero_shot.zero_shot,
  ),
}  # fmt: skip


@functools.cache
def register() -> dict[str, Callable[..., Any]]:
  """Registers all configurables with gin, once, and returns them by full name."""
  found = {}
  for module, members in _MEMBERS.items():
    for member in members:
      name = f'{module}.{member.__name__}'
      built = _function(member, name)
      found[name] = gin.external_configurable(built, name=member.__name__, module=module)
  return found
