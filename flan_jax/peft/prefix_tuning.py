"""Prefix tuning: trainable keys and values before those of every attention (Li & Liang 2021).

On an encoder-decoder the paper puts prefixes on three kinds of attention: the encoder's, the decoder's, and the
decoder's on the encoder. Prefixes are seen by every query at zero position bias, packed examples included.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from flan_jax.errors import UserError, did_you_mean
from flan_jax.models.attention import Attention
from flan_jax.models.slots import KeyValuePrompt, ProjectionAdapter, named_modules
from flan_jax.peft.base import AdapterParam, Method
from flan_jax.peft.p_tuning import Linear
from flan_jax.peft.prompt_tuning import frequent_words
from flan_jax.peft.targets import fill, matching

SLOT = 'prefix'
KINDS = {'encoder': 'attention', 'decoder': 'self_attention', 'cross': 'encoder_decoder_attention'}


class Prefix(KeyValuePrompt):
  """Keys and values as they are.

  Attributes:
    keys: Float[length, heads, head_dim].
    values: Float[length, heads, head_dim].
  """

  def __init__(self, keys: Float[Array, 'length heads head_dim'], values: Float[Array, 'length heads head_dim']):
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
    self.embedding = AdapterParam(jax.random.normal(rngs.params(), (length, embed), jnp.float32), axes=(None, 'embed'))
    self.hidden = Linear(embed, width, rngs, ('embed', None))

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
    self.out = Linear(trunk.hidden.bias.shape[0], 2 * heads * head_dim, rngs, ('adapter_hidden', 'joined_kv'))
    self.heads = heads

  def __call__(
    self, *, rngs: nnx.Rngs | None = None
  ) -> tuple[Float[Array, 'length heads head_dim'], Float[Array, 'length heads head_dim']]:
    """The keys and the values."""
    del rngs
    made = self.out(self.trunk())
    made = made.reshape(made.shape[0], 2, self.heads, -1)
    return made[:, 0], made[:, 1]

  def fit(self, keys: Float[Array, 'length heads head_dim'], values: Float[Array, 'length heads head_dim']) -> None:
    """Sets the layer's own projection so that it makes these keys and values."""
    self.out.fit(self.trunk(), jnp.stack([keys, values], axis=1).reshape(len(keys), -1))


class Listener(ProjectionAdapter):
  """Notes what a projection puts out, and changes nothing."""

  def __init__(self, note: Callable[[Array], None]):
    self.note = note

  def after(self, x: Float[Array, '... in'], y: Float[Array, '... out'], kernel: Array,
            *, rngs: nnx.Rngs | None = None) -> Float[Array, '... out']:
    """The output as it is; see `ProjectionAdapter.after`."""
    del x, kernel, rngs
    self.note(y)
    return y


def activations(
  model: Any, attentions: Mapping[str, Attention], words: Int[Array, ' length']
) -> dict[str, list[Float[Array, 'length heads head_dim']]]:
  """The keys and values that attentions have of a text, read by encoder and decoder alike.

  Args:
    model: that they belong to.
    attentions: by path.
    words: token ids.
  """
  heard: dict[str, list[Array]] = {path: [] for path in attentions}
  projections = [(dense, path) for path, attention in attentions.items() for dense in (attention.key, attention.value)]
  for dense, path in projections:
    dense.adapters[SLOT] = Listener(heard[path].append)
  model({'encoder_input_tokens': words[None], 'decoder_input_tokens': words[None]})
  for dense, _ in projections:
    del dense.adapters[SLOT]

  def of_words(y: Float[Array, '1 longer joined_kv'], attention: Attention) -> Float[Array, 'length heads head_dim']:
    return y[0, -len(words):].astype(jnp.float32).reshape(len(words), attention.num_heads, -1)  # behind soft prompts

  return {path: [of_words(y, attentions[path]) for y in found] for path, found in heard.items()}


@dataclasses.dataclass(frozen=True)
class PrefixTuning(Method):
  """Prefixes of keys and values on chosen kinds of attention.

  Attributes:
    length: positions of a prefix.
    kinds: of attention: 'encoder', 'decoder' and 'cross', as in the paper.
    reparameterized: make the prefixes by an MLP, which the paper found steadier to train.
    hidden: width of that MLP.
    stddev: of the initial keys and values, where they are 'normal' and not made by the MLP.
    init: 'normal': keys and values, or the MLP, at random; 'vocabulary': the keys and values that the base has of
      frequent words in their place (the paper's best), which the MLP is fitted to make.
  """

  name: ClassVar[str] = 'prefix_tuning'
  length: int = 20
  kinds: tuple[str, ...] = ('encoder', 'decoder', 'cross')
  reparameterized: bool = False
  hidden: int = 512
  stddev: float = 0.5
  init: Literal['normal', 'vocabulary'] = 'normal'

  def __post_init__(self) -> None:
    """Raises UserError for values that cannot be meant."""
    if self.length < 1 or self.hidden < 1:
      raise UserError(f'length and hidden of prefix tuning must be at least 1, not {self.length} and {self.hidden}')
    if self.init not in ('normal', 'vocabulary'):
      raise UserError(f"init of prefix tuning must be 'normal' or 'vocabulary', not {self.init!r}")
    if not self.kinds:
      raise UserError(f'prefix tuning needs some kinds of attention: {", ".join(KINDS)}')
    for kind in self.kinds:
      if kind not in KINDS:
        raise UserError(f'prefix tuning knows no kind of attention {kind!r}. {did_you_mean(kind, KINDS)}')

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Puts a prefix in the slot of every attention of the chosen kinds."""
    network: Any = model
    attentions = dict(named_modules(model, Attention))
    starts: dict[str, list[Array]] = {}
    if self.init == 'vocabulary':
      words = frequent_words(network.token_embedder.embedding.shape[0], self.length, rngs)
      starts = activations(network, attentions, words)
    for kind in self.kinds:
      found = matching(attentions, rf'.*/{KINDS[kind]}', 'attention', 'kinds')
      trunk = Trunk(self.length, next(iter(found.values())).query.shape[0], self.hidden, rngs) \
          if self.reparameterized else None
      for path, attention in found.items():
        fill(attention.key_value_prompts, SLOT, self._prefix(attention, trunk, starts.get(path), rngs), path)

  def _prefix(self, attention: Attention, trunk: Trunk | None, start: Sequence[Array] | None,
              rngs: nnx.Rngs) -> KeyValuePrompt:
    """One attention's prefix, at the keys and values that it starts from, if there are any."""
    heads, head_dim = attention.num_heads, attention.query.shape[1] // attention.num_heads
    if trunk is None:
      shape = (2, self.length, heads, head_dim)
      return Prefix(*(start or self.stddev * jax.random.normal(rngs.params(), shape, jnp.float32)))
    prefix = EncodedPrefix(trunk, heads, head_dim, rngs)
    if start:
      prefix.fit(*start)
    return prefix
