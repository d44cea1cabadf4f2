"""A frozen base in 8 or 4 bits under adapters in full precision (QLoRA, Dettmers et al. 2023).

int8 keeps one scale for each column of a kernel. nf4 keeps sixteen levels, the quantiles of a normal distribution, and
one scale for each block of a column; two codes share a byte.
"""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int8, UInt8

from flan_jax.errors import UserError
from flan_jax.models.layers import Dense
from flan_jax.models.slots import KernelStorage
from flan_jax.peft.base import AdapterConstant, Method
from flan_jax.peft.full import Full
from flan_jax.peft.lora import LoRA
from flan_jax.peft.targets import match_projections

BLOCK = 64  # rows of a column that share a scale in nf4
_OFFSET = 0.9677083  # the outermost quantile of nf4: the mean of 1 - 1/32 and 1 - 1/30


def nf4_levels() -> Float[np.ndarray, '16']:
  """The sixteen levels of NormalFloat4 in ascending order: quantiles of a normal distribution, zero among them."""
  quantile = statistics.NormalDist().inv_cdf
  positive = [quantile(p) for p in np.linspace(_OFFSET, 0.5, 9)[:-1]]
  negative = [-quantile(p) for p in np.linspace(_OFFSET, 0.5, 8)[:-1]]
  levels = np.sort(np.array([*positive, 0.0, *negative], np.float32))
  return (levels / np.abs(levels).max()).astype(np.float32)


class Int8Storage(KernelStorage):
  """Codes times a scale for each column.

  Attributes:
    scales: Float[1, out].
  """

  def __init__(self, kernel: Float[Array, 'in out'], axes: Sequence[str | None]):
    self.shape = tuple(kernel.shape)
    largest = jnp.max(jnp.abs(kernel.astype(jnp.float32)), axis=0, keepdims=True)
    self.scales = AdapterConstant(jnp.where(largest > 0, largest / 127, 1.0), axes=(None, axes[1]))

  def encode(self, kernel: Float[Array, 'in out']) -> Int8[Array, 'in out']:
    """The nearest codes."""
    return jnp.clip(jnp.round(kernel.astype(jnp.float32) / self.scales[...]), -127, 127).astype(jnp.int8)

  def decode(self, codes: Int8[Array, 'in out']) -> Float[Array, 'in out']:
    """The kernel that the codes stand for, in float32."""
    return codes.astype(jnp.float32) * self.scales[...]


class NF4Storage(KernelStorage):
  """Levels times a scale for each block of a column.

  Attributes:
    scales: Float[blocks, out].
  """

  def __init__(self, kernel: Float[Array, 'in out'], axes: Sequence[str | None]):
    self.shape = tuple(kernel.shape)
    largest = jnp.max(jnp.abs(self._blocks(kernel.astype(jnp.float32))), axis=1)
    self.scales = AdapterConstant(jnp.where(largest > 0, largest, 1.0), axes=tuple(axes))

  def encode(self, kernel: Float[Array, 'in out']) -> UInt8[Array, 'half out']:
    """The nearest levels, the even rows in the low half of each byte."""
    scaled = self._blocks(kernel.astype(jnp.float32)) / self.scales[...][:, None, :]
    levels = nf4_levels()
    codes = jnp.searchsorted((levels[1:] + levels[:-1]) / 2, scaled.reshape(self.shape)).astype(jnp.uint8)
    return codes[0::2] | (codes[1::2] << jnp.uint8(4))

  def decode(self, codes: UInt8[Array, 'half out']) -> Float[Array, 'in out']:
    """The kernel that the codes stand for, in float32."""
    both = jnp.stack([codes & jnp.uint8(15), codes >> jnp.uint8(4)], axis=1).reshape(self.shape)
    values = self._blocks(jnp.asarray(nf4_levels())[both])
    return (values * self.scales[...][:, None, :]).reshape(self.shape)

  def _blocks(self, kernel: Float[Array, 'in out']) -> Float[Array, 'blocks rows out']:
    return kernel.reshape(-1, min(BLOCK, self.shape[0]), self.shape[1])


STORAGES: Mapping[str, type[Any]] = {'int8': Int8Storage, 'nf4': NF4Storage}


@dataclasses.dataclass(frozen=True)
class Quantized(Method):
  """Another method on a base whose kernels are quantised; base and adapters keep their paths.

  Attributes:
    inner: what is attached; LoRA at its defaults unless given.
    kind: 'int8' or 'nf4'.
    targets: regex over paths of the projections to quantise; the default leaves the output head alone.
  """

  name: ClassVar[str] = 'quantized'
  inner: Method = dataclasses.field(default_factory=LoRA)
  kind: Literal['int8', 'nf4'] = 'int8'
  targets: str = r'.*(attention|mlp)/\w+'

  def __post_init__(self) -> None:
    """Raises UserError for values that cannot be meant."""
    if self.kind not in STORAGES:
      raise UserError(f"kind of a quantised base must be 'int8' or 'nf4', not {self.kind!r}")
    if isinstance(self.inner, (Full, Quantized)):
      raise UserError(f'{self.inner.name!r} cannot train a quantised base: its weights are codes. Use LoRA, say')

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Quantises the chosen kernels in place, then attaches the other method.

    Raises:
      UserError: if nf4 cannot cut a kernel into blocks, or the other method would train codes.
    """
    found = match_projections(model, self.targets)
    trains = nnx.filterlib.to_predicate(self.inner.trainable_filter())
    for path, dense in found.items():
      if trains((*path.split('/'), 'kernel'), dense.kernel):
        raise UserError(f'{self.inner.name!r} would train {path}, which is quantised: leave it out of one of them')
      quantize(dense, self.kind, path)
    self.inner.attach(model, rngs)

  def trainable_filter(self) -> Any:
    """What the other method trains."""
    return self.inner.trainable_filter()

  def merge(self, model: nnx.Module) -> None:
    """Decodes the kernels and merges the other method into them."""
    if not self.inner.merges:
      self.inner.merge(model)  # says why, before anything is changed
    for dense in match_projections(model, self.targets).values():
      dense.set_weight(dense.weight())
    self.inner.merge(model)

  @property
  def merges(self) -> bool:
    """Whether the other method can be merged."""
    return self.inner.merges

  def bound(self, encode: Callable[[str], Sequence[int]]) -> 'Quantized':
    """The same with the token ids of the other method's texts."""
    return dataclasses.replace(self, inner=self.inner.bound(encode))

  def learning_rate_scales(self, names: Sequence[str]) -> dict[str, float]:
    """Those of the other method."""
    return self.inner.learning_rate_scales(names)

  @property
  def prompt_lengths(self) -> Mapping[str, int]:
    """Those of the other method."""
    return self.inner.prompt_lengths


def quantize(dense: Dense, kind: str, path: str) -> None:
  """Puts codes in the place of a projection's kernel.

  Raises:
    UserError: if it is quantised already, or nf4 cannot cut it into blocks.
  """
  rows = dense.shape[0]
  if dense.storage:
    raise UserError(f'{path} is quantised already ({", ".join(dense.storage)})')
  if kind == 'nf4' and (rows % min(BLOCK, rows) or rows % 2):
    raise UserError(f'nf4 needs kernels whose rows are a multiple of {BLOCK}, or fewer and even; {path} has {rows}')
  kernel = dense.kernel[...]
  storage = STORAGES[kind](kernel, dense.axes)
  dense.kernel.set_value(storage.encode(kernel))
  dense.storage[kind] = storage
