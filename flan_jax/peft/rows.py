"""One batch with a different adapter for each row, at inference.

Every row is answered as if it ran alone with its adapter. The base's matrix products run once for the whole batch; what
adapters add is gathered by row (`row_modules`). Which adapter a row uses is data: another assignment compiles nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Int

from flan_jax.errors import UserError, did_you_mean
from flan_jax.models.layers import Dense
from flan_jax.peft import io
from flan_jax.peft.adapter_set import Adapter
from flan_jax.peft.base import Method, is_adapter
from flan_jax.peft.dora import DoRAAdapter
from flan_jax.peft.ia3 import InputScale, OutputScale, Scale
from flan_jax.peft.lora import LoRAAdapter
from flan_jax.peft.row_modules import AdapterRows, RowInputScale, RowLoRA, RowOutputScale, RowPrompt
from flan_jax.peft.targets import fill, filled, projections

STACKS = ('encoder', 'decoder')
SCALES = ((InputScale, 'row_input_scale', RowInputScale), (OutputScale, 'row_output_scale', RowOutputScale))


class NotByRow(UserError):
  """An adapter that a whole batch has or has not: `AdapterSet.switch` serves it."""


class RowAdapters:
  """The adapters that a model holds side by side, and which of them each row of the next batch uses.

  Attributes:
    names: in the order of their ids.
    rows: the model's one variable of ids; a jitted function takes it as an argument among the model's arrays.
  """

  def __init__(self, names: Sequence[str], rows: AdapterRows):
    self.names = tuple(names)
    self.rows = rows

  def ids(self, names: Sequence[str | None]) -> Int[np.ndarray, 'batch']:
    """Returns the id of each row's adapter, -1 for None (the plain base).

    Raises:
      UserError: for a name that is not among the adapters.
    """
    unknown = [name for name in names if name is not None and name not in self.names]
    if unknown:
      raise UserError(f'there is no adapter {unknown[0]!r}. {did_you_mean(str(unknown[0]), self.names)}'.rstrip())
    return np.array([-1 if name is None else self.names.index(name) for name in names], np.int32)

  def assign(self, names: Sequence[str | None]) -> None:
    """Chooses in place the adapter of each row of the next batch, None for the plain base.

    A batch may have a whole multiple of these rows (options, beams): each name counts for that many neighbours. One
    name alone counts for every row.

    Raises:
      UserError: for a name that is not among the adapters, or no rows.
    """
    if not names:
      raise UserError('no rows to assign adapters to: give one name, or None, for each row of the batch')
    self.rows.set_value(jnp.asarray(self.ids(names)))


def attach_rows(model: nnx.Module, adapters: Mapping[str, Adapter]) -> RowAdapters:
  """Puts several adapters side by side into a base model, in place; `detach` gives the base back.

  LoRA (of any ranks, scales and targets, PiSSA included), IA3, soft prompts (of any lengths; P-tuning's are computed
  here once) and compositions of these can be mixed in one batch. All rows use the plain base until `assign`.

  Args:
    model: the base, without adapters.
    adapters: a method and its arrays by name, such as `io.read_fitting` and `AdapterSet` return.

  Returns:
    What assigns them to rows.

  Raises:
    NotByRow: if one of them cannot differ by row; the model stays as it is.
    UserError: if there are none, the model has adapters already, or one does not fit.
  """
  if not adapters:
    raise UserError('attach_rows needs at least one adapter')
  if io.adapter_variables(model):
    raise UserError('the model has adapters already: detach or merge them before others are attached')
  trials = [_alone(model, name, *adapter) for name, adapter in adapters.items()]
  rows = AdapterRows(jnp.full(1, -1, jnp.int32), axes=('batch',))
  found = [projections(trial) for trial in trials]
  for path, dense in projections(model).items():
    _fill_projection(path, dense, [list(denses[path].adapters.values()) for denses in found], rows)
  network: Any = model
  for stack in STACKS:
    prompts = [getattr(trial, stack).prompt(1, jnp.float32, rngs=None) for trial in trials]
    if any(prompt is not None for prompt in prompts):
      parts = [None if prompt is None else prompt.embeddings[0] for prompt in prompts]
      embed = network.token_embedder.embedding.shape[1]
      fill(getattr(network, stack).prompts, 'row_prompt', RowPrompt(parts, embed, rows), stack)
  return RowAdapters(tuple(adapters), rows)


def _alone(model: nnx.Module, name: str, method: Method, arrays: Mapping[str, Any]) -> Any:
  """A twin of the base with one adapter, checked to consist of what can differ by row."""
  problem = f'the adapter {name!r} ({method.name}) cannot differ by row: LoRA, IA3 and soft prompts can'
  trial: Any = io.attached(model, method)
  if any(dense.storage for dense in projections(trial).values()):
    raise NotByRow(f'{problem}, on a base that is not quantised')
  io.check_arrays(trial, method, arrays, f'the adapter {name!r}')
  io.put_arrays(trial, method, arrays)
  for owner, slot, module in filled(trial, nnx.Module):
    known = isinstance(module, (LoRAAdapter, Scale)) and not isinstance(module, DoRAAdapter)
    if not known and slot not in getattr(owner, 'prompts', ()):
      raise NotByRow(problem)
  if not all(is_adapter(variable) for variable in io.saved_variables(trial, method).values()):
    raise NotByRow(problem)
  return trial


def _fill_projection(path: str, dense: Dense, adapters: list[list[Any]], rows: AdapterRows) -> None:
  """Stacks what the adapters have at one projection; most have nothing there, or one module."""

  def those(kind: type[Any]) -> list[Any]:
    found = [next((module for module in modules if isinstance(module, kind)), None) for modules in adapters]
    return found if any(module is not None for module in found) else []

  loras = those(LoRAAdapter)
  if loras:
    factors = [(jnp.zeros((dense.shape[0], 0)), jnp.zeros((0, dense.shape[1]))) if module is None else module.factors()
               for module in [*loras, None]]
    rank = max(a.shape[1] for a, _ in factors)
    a = jnp.stack([jnp.pad(a, ((0, 0), (0, rank - a.shape[1]))) for a, _ in factors])
    b = jnp.stack([jnp.pad(b, ((0, rank - b.shape[0]), (0, 0))) for _, b in factors])
    fill(dense.adapters, 'row_lora', RowLoRA(a, b, dense.axes, rows), path)
  for kind, slot, make in SCALES:
    found = those(kind)
    if found:
      ones = jnp.ones(dense.shape[kind.side], jnp.float32)
      stacked = jnp.stack([ones if module is None else module.factors[...] for module in [*found, None]])
      fill(dense.adapters, slot, make(stacked, dense.axes, rows), path)
