"""What `Generator` and `Scorer` share: a model held as plain arrays, and functions of it compiled once a shape."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.models.slots import RowIds
from flan_jax.models.t5 import T5


class Runner:
  """Holds a model's structure and weights apart, so that no NNX object crosses jit and new weights cost no compile."""

  def __init__(self, model: T5, *, batch_size: int = 32):
    """Takes a model and the most rows to run at once."""
    if batch_size < 1:
      raise ValueError(f'batch_size must be at least 1, not {batch_size}')
    self.batch_size = batch_size
    self._compiled: dict[Any, Callable] = {}
    self.config = model.config
    self.graphdef, self.state = nnx.split(model)

  def update(self, model: T5) -> None:
    """Takes a model's new weights; what is compiled stays, unless adapters came or went."""
    graphdef, self.state = nnx.split(model)
    if graphdef != self.graphdef:
      self.graphdef = graphdef
      self._compiled.clear()

  def compiled(self, function: Callable, *, state: nnx.State | None = None, **static: Any) -> Callable:
    """Returns `function(model, *arrays, **static)` as a jitted function of the arrays.

    Args:
      function: of a model and arrays.
      state: the weights to use, from `assigned`; the current ones where None.
      **static: what does not change between calls.
    """
    name = (function, *sorted(static.items()))
    if name not in self._compiled:
      graphdef = self.graphdef
      self._compiled[name] = jax.jit(lambda state, *arrays: function(nnx.merge(graphdef, state), *arrays, **static))
    return functools.partial(self._compiled[name], self.state if state is None else state)

  def assigned(self, adapters: Sequence[int] | None, indices: Sequence[int], count: int) -> nnx.State:
    """Returns the weights with the adapters that the rows of a batch use, where the model holds several.

    Args:
      adapters: of all rows, as the `RowIds` of the slots count them; None leaves the model as it is.
      indices: which of them are in the batch.
      count: rows of the padded batch; padding uses none.

    Raises:
      UserError: if adapters are given and the model holds none to choose from.
    """
    if adapters is None:
      return self.state
    ids = np.full(count, -1, np.int32)
    ids[: len(indices)] = [adapters[index] for index in indices]
    flat: list[Any] = list(nnx.to_flat_state(self.state))
    if not any(isinstance(variable, RowIds) for _, variable in flat):
      raise UserError('rows were given adapters, but the model has none to choose from: attach them with attach_rows')
    return nnx.from_flat_state([(p, v.replace(jnp.asarray(ids)) if isinstance(v, RowIds) else v) for p, v in flat])
