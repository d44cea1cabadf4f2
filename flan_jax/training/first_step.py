"""The first step of a process: compiled by itself, so that what it takes is known and does not count as training."""

import functools
import time
from collections.abc import Mapping
from typing import Any

import jax

from flan_jax.training.state import TrainState

WORTH_TELLING = 1.0  # seconds
_HIT = '/jax/compilation_cache/cache_hits'


@functools.cache
def _hits() -> list[str]:
  """Grows by one whenever JAX finds something in its compilation cache."""
  found: list[str] = []

  def note(event: str, **_: Any) -> None:
    if event == _HIT:
      found.append(event)

  jax.monitoring.register_event_listener(note)
  return found


def compile_step(step_fn: Any, state: TrainState, arrays: Mapping[str, jax.Array]) -> str | None:
  """Traces and compiles a step ahead of its first call, which then finds it compiled.

  Args:
    step_fn: from `make_train_step`.
    state: that it will be called with.
    arrays: the batch.

  Returns:
    A line that says how long it took, where that is worth telling.
  """
  hits, began = len(_hits()), time.monotonic()
  step_fn.lower(state, arrays).compile()
  took = time.monotonic() - began
  if took < WORTH_TELLING:
    return None
  if len(_hits()) > hits:
    return f'the compiled step was in the cache; {took:.1f} s to trace and load it'
  return f'compiled the step in {took:.1f} s'
