"""P-tuning: a soft prompt that a small network makes from trainable embeddings (Liu et al. 2021)."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.errors import UserError
from flan_jax.models.slots import InputPrompt
from flan_jax.peft.base import AdapterParam, Method
from flan_jax.peft.prompt_tuning import STACKS, check_prompt, frequent_words, room
from flan_jax.peft.targets import fill

SLOT = 'p_tuning'


class Linear(nnx.Module):
  """A projection with a bias, both of the method.

  Attributes:
    kernel: Float[in, out].
    bias: Float[out].
  """

  def __init__(self, features_in: int, features_out: int, rngs: nnx.Rngs, axes: tuple[str, str | None]):
    initial = features_in**-0.5 * jax.random.normal(rngs.params(), (features_in, features_out), jnp.float32)
    self.kernel = AdapterParam(initial, axes=axes)
    self.bias = AdapterParam(jnp.zeros(features_out, jnp.float32), axes=axes[1:])

  def __call__(self, x: Float[Array, 'length in']) -> Float[Array, 'length out']:
    """x @ kernel + bias."""
    return x @ self.kernel[...] + self.bias[...][None, :]

  def fit(self, x: Float[Array, 'length in'], wanted: Float[Array, 'length out']) -> None:
    """Sets the smallest kernel that makes these outputs of these inputs, or comes nearest where they are too many."""
    self.kernel.set_value(jnp.linalg.pinv(x) @ (wanted - self.bias[...][None, :]))


class LSTM(nnx.Module):
  """One direction of an LSTM over the positions of a prompt."""

  def __init__(self, width: int, hidden: int, rngs: nnx.Rngs):
    self.gates = Linear(width + hidden, 4 * hidden, rngs, ('adapter_hidden', None))

  def __call__(self, x: Float[Array, 'length width']) -> Float[Array, 'length hidden']:
    """The hidden state of each position."""
    hidden = self.gates.bias.shape[0] // 4
    kernel, bias = self.gates.kernel[...], self.gates.bias[...]

    def step(carry: tuple[Array, Array], row: Array) -> tuple[tuple[Array, Array], Array]:
      state, cell = carry
      inward, forget, candidate, out = jnp.split(jnp.concatenate([row, state]) @ kernel + bias, 4)
      cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(inward) * jnp.tanh(candidate)
      state = jax.nn.sigmoid(out) * jnp.tanh(cell)
      return (state, cell), state

    zeros = jnp.zeros(hidden, jnp.float32)
    return jax.lax.scan(step, (zeros, zeros), x)[1]


class EncodedPrompt(InputPrompt):
  """Embeddings through an MLP, or through a bidirectional LSTM and an MLP.

  Attributes:
    embedding: Float[length, hidden].
  """

  def __init__(self, length: int, hidden: int, embed: int, encoder: str, rngs: nnx.Rngs):
    initial = jax.random.normal(rngs.params(), (length, hidden), jnp.float32)
    self.embedding = AdapterParam(initial, axes=(None, 'adapter_hidden'))
    if encoder == 'lstm':
      self.forward = LSTM(hidden, hidden, rngs)
      self.backward = LSTM(hidden, hidden, rngs)
    widths = [2 * hidden if encoder == 'lstm' else hidden, hidden, hidden, embed]
    axes = [('adapter_hidden', None), ('adapter_hidden', None), ('adapter_hidden', 'embed')]
    self.layers = nnx.List([
      Linear(*pair, rngs, names) for pair, names in zip(itertools.pairwise(widths), axes, strict=True)
    ])  # fmt: skip
    self.encoder = encoder

  def __call__(self, *, rngs: nnx.Rngs | None = None) -> Float[Array, 'length embed']:
    """The embeddings that the network makes."""
    del rngs
    return self.layers[-1](self.features())

  def features(self) -> Float[Array, 'length hidden']:
    """What the last layer reads."""
    x = self.embedding[...]
    if self.encoder == 'lstm':
      x = jnp.concatenate([self.forward(x), self.backward(x[::-1])[::-1]], axis=1)
    for layer in list(self.layers)[:-1]:
      x = jax.nn.relu(layer(x))
    return x


@dataclasses.dataclass(frozen=True)
class PTuning(Method):
  """A soft prompt behind a prompt encoder.

  Attributes:
    length: positions, of each stack.
    where: 'encoder', 'decoder' or 'both'.
    hidden: width of the prompt encoder.
    encoder: 'mlp' (PEFT's default) or 'lstm' (the paper's: a bidirectional LSTM before the MLP).
    init: 'normal': all layers at random; 'vocabulary': the last one is fitted, so that the prompt starts at embeddings
      of frequent words.
  """

  name: ClassVar[str] = 'p_tuning'
  length: int = 20
  where: Literal['encoder', 'decoder', 'both'] = 'encoder'
  hidden: int = 128
  encoder: Literal['mlp', 'lstm'] = 'mlp'
  init: Literal['normal', 'vocabulary'] = 'normal'

  def __post_init__(self) -> None:
    """Raises UserError for values that cannot be meant."""
    check_prompt(self.length, self.where, 'the prompt of P-tuning')
    if self.hidden < 1:
      raise UserError(f'hidden of P-tuning must be at least 1, not {self.hidden}')
    if self.encoder not in ('mlp', 'lstm'):
      raise UserError(f"encoder of P-tuning must be 'mlp' or 'lstm', not {self.encoder!r}")
    if self.init not in ('normal', 'vocabulary'):
      raise UserError(f"init of P-tuning must be 'normal' or 'vocabulary', not {self.init!r}")

  @property
  def prompt_lengths(self) -> Mapping[str, int]:
    """The prompt's positions before each example."""
    return room(self.length, self.where)

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Puts a prompt in the slot of each chosen stack."""
    network: Any = model
    embedding = network.token_embedder.embedding[...]
    for stack in STACKS[self.where]:
      prompt = EncodedPrompt(self.length, self.hidden, embedding.shape[1], self.encoder, rngs)
      if self.init == 'vocabulary':
        words = frequent_words(len(embedding), self.length, rngs)
        prompt.layers[-1].fit(prompt.features(), embedding[words].astype(jnp.float32))
      fill(getattr(network, stack).prompts, SLOT, prompt, stack)
