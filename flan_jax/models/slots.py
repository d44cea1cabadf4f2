"""Attachment points: where a parameter-efficient method hooks into a T5 without touching its base weights.

Every slot is an `nnx.Dict`, empty in a plain model, filled by name, applied in the order of insertion, and emptied with
`del slot[name]`. Base parameter paths never move, and an empty slot adds no computation. There are five kinds:

  slot                          where                                              filled with
  `Dense.adapters`              every projection: query, key, value, out, wi*,     `ProjectionAdapter`
                                wo, logits_dense
  `.sublayer_adapters`          every `Attention` and every `Mlp`                  `SublayerAdapter`
  `Attention.key_value_prompts` every attention                                    `KeyValuePrompt`
  `Dense.storage`               every projection                                   `KernelStorage`
  `Encoder.prompts`,            the head of a stack's input                        `InputPrompt`
  `Decoder.prompts`

The base classes here do nothing; a method overrides what it needs (any module with the same methods will do). All of
them work in training, scoring and cached decoding. `rngs` is None when dropout is off.
"""

from collections.abc import Iterator
from typing import TypeVar

from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from flan_jax.errors import UserError

M = TypeVar('M', bound=nnx.Module)


class ProjectionAdapter(nnx.Module):
  """Changes a projection's input, its output, or both (LoRA, IA3, DoRA)."""

  def before(self, x: Float[Array, '... d_in']) -> Float[Array, '... d_in']:
    """Returns what the projection reads instead of its input x."""
    return x

  def after(
    self,
    x: Float[Array, '... d_in'],
    y: Float[Array, '... d_out'],
    kernel: Float[Array, 'd_in d_out'],
    *,
    rngs: nnx.Rngs | None = None,
  ) -> Float[Array, '... d_out']:
    """Returns what the model reads instead of the projection's output.

    Args:
      x: the projection's input, after every adapter's `before`.
      y: the projection's output so far: x @ kernel, then the adapters before this one; a bias comes after them.
      kernel: the frozen weight (not cast to the activations' dtype).
      rngs: a source of dropout keys (`rngs.dropout()`), or None.
    """
    del x, kernel, rngs
    return y


class KernelStorage(nnx.Module):
  """How a projection's kernel is stored where it is not plain numbers (QLoRA, Dettmers et al. 2023).

  Attributes:
    shape: d_in and d_out.
  """

  shape: tuple[int, ...]

  def decode(self, codes: Array) -> Float[Array, 'd_in d_out']:
    """Returns the kernel that the codes stand for."""
    del codes
    raise TypeError(f'{type(self).__name__} does not define decode: it must return a kernel')


class RowIds(nnx.Variable):
  """Int[batch]: which of several adapters each row uses, for slots that hold them all; -1 for none.

  A model has at most one, shared by its slots. `Generator` and `Scorer` set it to what they are told of their rows.
  """


def by_row(x: Float[Array, 'rows *middle features'], ids: Int[Array, 'batch']) -> Float[Array, 'batch items features']:
  """Lays the activations of neighbouring rows that share one entry of `RowIds` side by side.

  Raises:
    UserError: if the rows are no multiple of the entries.
  """
  check_rows(x.shape[0], ids.shape[0])
  return x.reshape(ids.shape[0], -1, x.shape[-1])


def check_rows(rows: int, assigned: int) -> None:
  """Raises UserError if the rows of a batch are no multiple of those that adapters were assigned to."""
  if rows % assigned:
    raise UserError(f'{assigned} rows were assigned an adapter, and the batch has {rows}: assign one to every row')


class SublayerAdapter(nnx.Module):
  """Changes what an attention or feed-forward sub-layer adds to the residual stream (Houlsby et al. 2019)."""

  def __call__(
    self, x: Float[Array, '... embed'], y: Float[Array, '... embed'], *, rngs: nnx.Rngs | None = None
  ) -> Float[Array, '... embed']:
    """Returns the new output of the sub-layer.

    Args:
      x: the sub-layer's input, after its layer norm (what a parallel adapter reads).
      y: the sub-layer's output, before dropout and the residual sum (what a serial adapter reads).
      rngs: a source of dropout keys, or None.
    """
    del x, rngs
    return y


class KeyValuePrompt(nnx.Module):
  """Extra positions that every query may attend to, at zero position bias (prefix tuning, Li & Liang 2021)."""

  def __call__(
    self, *, rngs: nnx.Rngs | None = None
  ) -> tuple[Float[Array, 'prompt heads head_dim'], Float[Array, 'prompt heads head_dim']]:
    """Returns the extra keys and values."""
    del rngs
    raise TypeError(f'{type(self).__name__} does not define __call__: it must return extra keys and values')


class InputPrompt(nnx.Module):
  """Extra embeddings at the head of a stack's input (prompt tuning, Lester et al. 2021)."""

  def __call__(self, *, rngs: nnx.Rngs | None = None) -> Float[Array, '*batch prompt embed']:
    """Returns the extra embeddings; the tokens follow them, and their outputs are dropped from the logits.

    They are the same for all rows, or each row's own: then a batch may have a multiple of their rows, and each counts
    for so many neighbours.
    """
    del rngs
    raise TypeError(f'{type(self).__name__} does not define __call__: it must return extra embeddings')

  def visible(self) -> Bool[Array, 'batch prompt'] | None:
    """Returns which positions are there for each row, where every row has its own prompt; None for all."""
    return None


def named_modules(model: nnx.Module, kind: type[M]) -> Iterator[tuple[str, M]]:
  """Yields every module of one class with its path, such as ('encoder/layers/0/attention/query', Dense)."""
  for path, module in nnx.iter_modules(model):
    if isinstance(module, kind):
      yield '/'.join(str(part) for part in path), module
