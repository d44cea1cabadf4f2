"""What `Generator` and `Scorer` share: a model held as plain arrays, and functions of it compiled once a shape."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from flan_jax.models.t5 import T5


class Runner:
  """Holds a model's structure and weights apart, so that no NNX object crosses jit and new weights cost no compile."""

  def __init__(self, model: T5, *, batch_size: int = 32):
    """Takes a model and the most rows to run at once."""
    if batch_size < 1:
      raise ValueError(f'batch_size must be at least 1, not {batch_size}')
    self.batch_size = batch_size
    self._compiled: dict[Any, Callable] = {}
    self.graphdef, self.state = nnx.split(model)

  def update(self, model: T5) -> None:
    """Takes a model's new weights; what is compiled stays, unless adapters came or went."""
    graphdef, self.state = nnx.split(model)
    if graphdef != self.graphdef:
      self.graphdef = graphdef
      self._compiled.clear()

  def compiled(self, function: Callable, **static: Any) -> Callable:
    """Returns `function(model, *arrays, **static)` as a jitted function of the arrays, on the current weights."""
    name = (function, *sorted(static.items()))
    if name not in self._compiled:
      graphdef = self.graphdef
      self._compiled[name] = jax.jit(lambda state, *arrays: function(nnx.merge(graphdef, state), *arrays, **static))
    return functools.partial(self._compiled[name], self.state)
