"""LoRA: a trainable low-rank product beside frozen projections (Hu et al. 2021), and what grew out of it.

rsLoRA scales by alpha / sqrt(rank) (Kalajdzievski 2023). LoRA+ lets `b` learn faster than `a` (Hayou et al. 2024).
PiSSA starts from the principal singular vectors (Meng et al. 2024).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.errors import UserError
from flan_jax.models.layers import Dense
from flan_jax.models.slots import ProjectionAdapter
from flan_jax.peft.arrays import check_rate, dropped
from flan_jax.peft.base import AdapterConstant, AdapterParam, Method
from flan_jax.peft.targets import compiled, fill, filled, match_projections

SLOT = 'lora'
INITIALISATIONS = ('kaiming', 'pissa')


class LoRAAdapter(ProjectionAdapter):
  """Adds `scale * dropout(x) @ a @ b` to a projection's output.

  `a` starts uniform as PEFT's does (Kaiming with a = sqrt(5): bound 1/sqrt(in)), `b` at zero, so that the model is
  unchanged at the start. With `pissa` they start at the principal part of the kernel, which is subtracted again
  (`start_a`, `start_b`): the kernel stays as it is, where the paper writes the rest into it.

  Attributes:
    a: Float[in, rank].
    b: Float[rank, out].
    scale: of the update.
    dropout: rate on the adapter's input.
  """

  def __init__(self, dense: Dense, rank: int, scale: float, dropout: float, init: str, rngs: nnx.Rngs):
    features_in, features_out = dense.shape
    axis_in, axis_out = dense.axes
    self.scale, self.dropout = scale, dropout
    self.starts_principal = init == 'pissa'
    if self.starts_principal:
      a, b = principal(dense.weight(), rank, scale)
      self.start_a = AdapterConstant(a, axes=(axis_in, 'lora_rank'))
      self.start_b = AdapterConstant(b, axes=('lora_rank', axis_out))
    else:
      bound = features_in**-0.5
      a = jax.random.uniform(rngs.params(), (features_in, rank), jnp.float32, -bound, bound)
      b = jnp.zeros((rank, features_out), jnp.float32)
    self.a = AdapterParam(a, axes=(axis_in, 'lora_rank'))
    self.b = AdapterParam(b, axes=('lora_rank', axis_out))

  def after(self, x: Float[Array, '... in'], y: Float[Array, '... out'], kernel: Array,
            *, rngs: nnx.Rngs | None = None) -> Float[Array, '... out']:
    """The projection's output plus the low-rank update; see `ProjectionAdapter.after`."""
    del kernel
    return y + self.update(dropped(x, self.dropout, rngs)).astype(y.dtype)

  def update(self, x: Float[Array, '... in']) -> Float[Array, '... out']:
    """What is added to the projection's output."""
    update = (x @ self.a[...].astype(x.dtype)) @ self.b[...].astype(x.dtype)
    if self.starts_principal:
      update -= (x @ self.start_a[...].astype(x.dtype)) @ self.start_b[...].astype(x.dtype)
    return update * jnp.asarray(self.scale, x.dtype)

  def delta(self) -> Float[Array, 'in out']:
    """What has to be added to the kernel to do without the adapter."""
    product = self.a[...] @ self.b[...]
    if self.starts_principal:
      product -= self.start_a[...] @ self.start_b[...]
    return self.scale * product

  def factors(self) -> tuple[Float[Array, 'in factors'], Float[Array, 'factors out']]:
    """Two matrices whose product is `delta`, the scale in the second; PiSSA's start is subtracted by twice the rank."""
    a, b = self.a[...], self.scale * self.b[...]
    if self.starts_principal:
      a = jnp.concatenate([a, self.start_a[...]], axis=1)
      b = jnp.concatenate([b, -self.scale * self.start_b[...]], axis=0)
    return a, b

  def merged(self, kernel: Float[Array, 'in out']) -> Float[Array, 'in out']:
    """The kernel that does what kernel and adapter do."""
    return kernel + self.delta().astype(kernel.dtype)


def principal(kernel: Float[Array, 'in out'], rank: int, scale: float) -> tuple[
    Float[Array, 'in rank'], Float[Array, 'rank out']]:
  """Two factors whose product times `scale` is the principal part of a kernel."""
  left, values, right = jnp.linalg.svd(kernel.astype(jnp.float32), full_matrices=False)
  root = jnp.sqrt(values[:rank] / scale)
  return left[:, :rank] * root[None, :], root[:, None] * right[:rank]


@dataclasses.dataclass(frozen=True)
class LoRA(Method):
  """Low-rank adaptation of chosen projections.

  Attributes:
    rank: columns of `a` and rows of `b`.
    alpha: the update is scaled by alpha / rank.
    dropout: rate on the adapter's input.
    targets: regex over whole projection paths; the default is PEFT's choice for T5, query and value everywhere.
    rank_pattern: other ranks, by regex over whole projection paths; the first that matches counts.
    alpha_pattern: other alphas, likewise.
    rank_stabilized: scale by alpha / sqrt(rank) instead (rsLoRA).
    b_learning_rate_ratio: the learning rate of `b` over that of `a` (LoRA+, which suggests 16).
    init: 'kaiming', or 'pissa'.
  """

  name: ClassVar[str] = 'lora'
  adapter: ClassVar[type[LoRAAdapter]] = LoRAAdapter
  rank: int = 8
  alpha: float = 16.0
  dropout: float = 0.0
  targets: str = r'.*attention/(query|value)'
  rank_pattern: Mapping[str, int] = dataclasses.field(default_factory=dict)
  alpha_pattern: Mapping[str, float] = dataclasses.field(default_factory=dict)
  rank_stabilized: bool = False
  b_learning_rate_ratio: float = 1.0
  init: Literal['kaiming', 'pissa'] = 'kaiming'

  def __post_init__(self) -> None:
    """Raises UserError for values that cannot be meant."""
    for rank in (self.rank, *self.rank_pattern.values()):
      if rank < 1:
        raise UserError(f'the rank of LoRA must be at least 1, not {rank}')
    check_rate(self.dropout, 'LoRA')
    if self.b_learning_rate_ratio <= 0:
      raise UserError(f'b_learning_rate_ratio of LoRA must be positive, not {self.b_learning_rate_ratio}')
    if self.init not in INITIALISATIONS:
      raise UserError(f'init of LoRA must be one of {", ".join(INITIALISATIONS)}, not {self.init!r}')

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Puts an adapter named 'lora' in the slot of every matching projection."""
    found = match_projections(model, self.targets)
    for option in ('rank_pattern', 'alpha_pattern'):
      for pattern in getattr(self, option):
        if not any(compiled(pattern, option).fullmatch(path) for path in found):
          raise UserError(f'{option} {pattern!r} of LoRA matches none of its targets, such as {next(iter(found))}')
    for path, dense in found.items():
      rank, scale = self.rank_and_scale(path)
      if rank > min(dense.shape):
        raise UserError(f'the rank of LoRA ({rank}) is more than {path} of {"x".join(map(str, dense.shape))} has')
      fill(dense.adapters, SLOT, self.adapter(dense, rank, scale, self.dropout, self.init, rngs), path)

  def rank_and_scale(self, path: str) -> tuple[int, float]:
    """The rank at a projection, and what its update is multiplied by."""
    rank = _first(self.rank_pattern, path, self.rank)
    alpha = _first(self.alpha_pattern, path, self.alpha)
    return rank, alpha / (rank**0.5 if self.rank_stabilized else rank)

  def learning_rate_scales(self, names: Sequence[str]) -> dict[str, float]:
    """LoRA+: `b` learns faster."""
    if self.b_learning_rate_ratio == 1.0:
      return {}
    return {name: self.b_learning_rate_ratio for name in names if name.endswith(f'/adapters/{SLOT}/b')}

  def merge(self, model: nnx.Module) -> None:
    """Folds every adapter into its kernel and removes it."""
    for dense, name, adapter in filled(model, LoRAAdapter):
      dense.set_weight(adapter.merged(dense.weight()))
      del dense.adapters[name]


def _first(patterns: Mapping[str, Any], path: str, otherwise: Any) -> Any:
  return next((value for pattern, value in patterns.items() if compiled(pattern).fullmatch(path)), otherwise)
