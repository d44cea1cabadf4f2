"""Everything that gin can configure, by name; the packages themselves do not know gin."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gin
import seqio

from flan_jax import models, peft
from flan_jax.data import vocabulary
from flan_jax.runs import evaluate, finetune, infer, zero_shot
from flan_jax.training import losses, optimizers, schedules, sharding
from tasks.quickstart.vocabulary import quickstart_vocabulary


def _function(constructor: Callable[..., Any]) -> Callable[..., Any]:
  """Wraps a class, because gin would register a subclass of it in its place."""

  @functools.wraps(constructor, updated=())
  def build(*args: Any, **kwargs: Any) -> Any:
    return constructor(*args, **kwargs)

  build.__signature__ = inspect.signature(constructor)  # type: ignore[attr-defined]
  return build


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
  'data': (vocabulary.padded_size,),
  'quickstart': (quickstart_vocabulary,),
  'runs': (finetune.finetune, evaluate.evaluate, infer.infer, zero_shot.zero_shot, zero_shot.Stage),
}  # fmt: skip


@functools.cache
def register() -> dict[str, Callable[..., Any]]:
  """Registers all configurables with gin, once, and returns them by full name."""
  found = {}
  for module, members in _MEMBERS.items():
    for member in members:
      built = _function(member)
      found[f'{module}.{member.__name__}'] = gin.external_configurable(built, name=member.__name__, module=module)
  return found
