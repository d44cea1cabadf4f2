"""Prefix tuning: trainable keys and values before those of every attention (Li & Liang 2021).

On an encoder-decoder the paper puts prefixes on three kinds of attention: the encoder's, the decoder's, and the
decoder's on the encoder. Prefixes are seen by every query at zero position bias, packed examples included.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.errors import UserError, did_you_mean
from flan_jax.models.attention import Attention
from flan_jax.models.slots import KeyValuePrompt, named_modules
from flan_jax.peft.base import AdapterParam, Method
from flan_jax.peft.p_tuning import Linear
from flan_jax.peft.targets import fill, matching

SLOT = 'prefix'
KINDS = {'encoder': 'attention', 'decoder': 'self_attention', 'cross': 'encoder_decoder_attention'}


class Prefix(KeyValuePrompt):
  """Keys and values as they are.

  Attributes:
    keys: Float[length, heads, head_dim].
    values: Float[length, heads, head_dim].
  """

  def __init__(self, length: int, heads: int, head_dim: int, stddev: float, rngs: nnx.Rngs):
    keys, values = stddev * jax.random.normal(rngs.params(), (2, length, heads, head_dim), jnp.float32)
    self.keys = AdapterParam(keys, axes=(None, 'heads', None))
    self.values = AdapterParam(values, axes=(None, 'heads', None))

  def __call__(
    self, *, rngs: nnx.Rngs | None = None
  ) -> tuple[Float[Array, 'length heads head_dim'], Float[Array, 'length heads head_dim']]:
    """The keys and the values."""
    del rngs
    return self.keys[...], self.values[...]


class Trunk(nnx.Module):
  """What all prefixes of one kind of attention share: embeddings and a hidden layer (the paper's reparameterisation).

  Attributes:
    embedding: Float[length, embed].
    hidden: projection to the width of the MLP.
  """

  def __init__(self, length: int, embed: int, width: int, rngs: nnx.Rngs):
    self.embedding = AdapterParam(jax.random.normal(rngs.params(), (length, embed), jnp.float32), axes=(None, None))
    self.hidden = Linear(embed, width, rngs)

  def __call__(self) -> Float[Array, 'length width']:
    """The hidden layer's output."""
    return jnp.tanh(self.hidden(self.embedding[...]))


class EncodedPrefix(KeyValuePrompt):
  """Keys and values that a layer's own projection makes from the shared trunk.

  Attributes:
    trunk: shared by all layers, and stored once.
    out: projection to keys and values.
  """

  def __init__(self, trunk: Trunk, heads: int, head_dim: int, rngs: nnx.Rngs):
    self.trunk = trunk
    self.out = Linear(trunk.hidden.bias.shape[0], 2 * heads * head_dim, rngs)
    self.heads = heads

  def __call__(
    self, *, rngs: nnx.Rngs | None = None
  ) -> tuple[Float[Array, 'length heads head_dim'], Float[Array, 'length heads head_dim']]:
    """The keys and the values."""
    del rngs
    made = self.out(self.trunk())
    made = made.reshape(made.shape[0], 2, self.heads, -1)
    return made[:, 0], made[:, 1]


@dataclasses.dataclass(frozen=True)
class PrefixTuning(Method):
  """Prefixes of keys and values on chosen kinds of attention.

  Attributes:
    length: positions of a prefix.
    kinds: of attention: 'encoder', 'decoder' and 'cross', as in the paper.
    reparameterized: make the prefixes by an MLP, which the paper found steadier to train.
    hidden: width of that MLP.
    stddev: of the initial keys and values, where they are not made by the MLP.
  """

  name: ClassVar[str] = 'prefix_tuning'
  length: int = 20
  kinds: tuple[str, ...] = ('encoder', 'decoder', 'cross')
  reparameterized: bool = False
  hidden: int = 512
  stddev: float = 0.5

  def __post_init__(self) -> None:
    """Raises UserError for values that cannot be meant."""
    if self.length < 1 or self.hidden < 1:
      raise UserError(f'length and hidden of prefix tuning must be at least 1, not {self.length} and {self.hidden}')
    if not self.kinds:
      raise UserError(f'prefix tuning needs some kinds of attention: {", ".join(KINDS)}')
    for kind in self.kinds:
      if kind not in KINDS:
        raise UserError(f'prefix tuning knows no kind of attention {kind!r}. {did_you_mean(kind, KINDS)}')

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Puts a prefix in the slot of every attention of the chosen kinds."""
    attentions = dict(named_modules(model, Attention))
    for kind in self.kinds:
      found = matching(attentions, rf'.*/{KINDS[kind]}', 'attention', 'kinds')
      trunk: Any = None
      for path, attention in found.items():
        embed, joined = attention.query.shape
        head_dim = joined // attention.num_heads
        if self.reparameterized:
          trunk = trunk or Trunk(self.length, embed, self.hidden, rngs)
          prefix: KeyValuePrompt = EncodedPrefix(trunk, attention.num_heads, head_dim, rngs)
        else:
          prefix = Prefix(self.length, attention.num_heads, head_dim, self.stddev, rngs)
        fill(attention.key_value_prompts, SLOT, prefix, path)
