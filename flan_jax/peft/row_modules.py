"""Slot modules that hold several adapters and give each row of a batch its own (after Wen & Chaudhuri 2023, FLoRA).

Their arrays are stacked along a new first axis whose last entry does nothing, so that the id -1 means the plain base.
Where activations have a multiple of the ids as rows, each id counts for that many neighbours: the options, beams or
samples of one input. The arrays of a row are gathered once for all of its neighbours.
"""

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from flan_jax.models.slots import InputPrompt, ProjectionAdapter, RowIds, by_row
from flan_jax.peft.base import AdapterConstant


class AdapterRows(RowIds, AdapterConstant):
  """The ids of a batch's rows, as one of the variables that belong to adapters."""


class RowLoRA(ProjectionAdapter):
  """Adds `x @ a @ b` of each row's own `a` and `b`; scales are in `b`, and smaller ranks are padded with zeros.

  Attributes:
    a: Float[adapters + 1, in, rank].
    b: Float[adapters + 1, rank, out].
    rows: shared by all modules of a model.
  """

  def __init__(self, a: Array, b: Array, axes: Sequence[str | None], rows: AdapterRows):
    self.a = AdapterConstant(a, axes=(None, axes[0], 'lora_rank'))
    self.b = AdapterConstant(b, axes=(None, 'lora_rank', axes[1]))
    self.rows = rows

  def after(self, x: Float[Array, 'rows *middle in'], y: Float[Array, 'rows *middle out'], kernel: Array,
            *, rngs: nnx.Rngs | None = None) -> Float[Array, 'rows *middle out']:
    """The projection's output plus each row's update; see `ProjectionAdapter.after`."""
    del kernel, rngs
    ids = self.rows[...]
    hidden = jnp.einsum('bni,bir->bnr', by_row(x, ids), _own(self.a, ids).astype(x.dtype))
    update = jnp.einsum('bnr,bro->bno', hidden, _own(self.b, ids).astype(x.dtype))
    return y + update.reshape(y.shape).astype(y.dtype)


class RowScale(ProjectionAdapter):
  """Each row's own factors along one side of a projection.

  Attributes:
    side: 0 for the input's features, 1 for the output's.
    factors: Float[adapters + 1, in] or Float[adapters + 1, out].
    rows: shared by all modules of a model.
  """

  side: ClassVar[int]

  def __init__(self, factors: Array, axes: Sequence[str | None], rows: AdapterRows):
    self.factors = AdapterConstant(factors, axes=(None, axes[self.side]))
    self.rows = rows

  def scaled(self, x: Float[Array, 'rows *middle features']) -> Float[Array, 'rows *middle features']:
    """Activations times the factors of their rows."""
    ids = self.rows[...]
    return (by_row(x, ids) * _own(self.factors, ids)[:, None, :].astype(x.dtype)).reshape(x.shape)


class RowInputScale(RowScale):
  """Multiplies a projection's input by each row's factors."""

  side = 0

  def before(self, x: Float[Array, 'rows *middle in']) -> Float[Array, 'rows *middle in']:
    """The input times the factors."""
    return self.scaled(x)


class RowOutputScale(RowScale):
  """Multiplies a projection's output by each row's factors."""

  side = 1

  def after(self, x: Float[Array, 'rows *middle in'], y: Float[Array, 'rows *middle out'], kernel: Array,
            *, rngs: nnx.Rngs | None = None) -> Float[Array, 'rows *middle out']:
    """The output times the factors; see `ProjectionAdapter.after`."""
    del x, kernel, rngs
    return self.scaled(y)


class RowPrompt(InputPrompt):
  """Each row's own soft prompt; the shorter ones end where the longest does, and have nothing before.

  Attributes:
    embeddings: Float[adapters + 1, length, embed].
    lengths: how many positions each adapter has (static); 0 for the plain base.
    rows: shared by all modules of a model.
  """

  def __init__(self, prompts: Sequence[Float[Array, 'length embed'] | None], embed: int, rows: AdapterRows):
    lengths = [0 if prompt is None else prompt.shape[0] for prompt in prompts]
    padded = [jnp.zeros((0, embed)) if prompt is None else prompt for prompt in [*prompts, None]]
    room = [((max(lengths) - part.shape[0], 0), (0, 0)) for part in padded]
    stacked = jnp.stack([jnp.pad(part, before) for part, before in zip(padded, room, strict=True)])
    self.embeddings = AdapterConstant(stacked, axes=(None, None, 'embed'))
    self.lengths = (*lengths, 0)
    self.rows = rows

  def __call__(self, *, rngs: nnx.Rngs | None = None) -> Float[Array, 'batch length embed']:
    """The prompts of the rows."""
    del rngs
    return _own(self.embeddings, self.rows[...])

  def visible(self) -> Bool[Array, 'batch length']:
    """Which positions each row has."""
    own = jnp.take(jnp.asarray(self.lengths, jnp.int32), self.rows[...], mode='wrap')
    length = self.embeddings.shape[1]
    return jnp.arange(length)[None, :] >= length - own[:, None]


def _own(stacked: nnx.Variable, ids: Int[Array, 'batch']) -> Float[Array, 'batch *shape']:
  """The entries of the rows; -1 wraps round to the last, which does nothing."""
  return jnp.take(stacked[...], ids, axis=0, mode='wrap')
