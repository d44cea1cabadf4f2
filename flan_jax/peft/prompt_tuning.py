"""Prompt tuning: trainable embeddings at the head of the input of encoder, decoder, or both (Lester et al. 2021)."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import nnx
from jaxtyping import Array, Float, Int

from flan_jax.errors import UserError, did_you_mean
from flan_jax.models.slots import InputPrompt
from flan_jax.peft.base import AdapterParam, Method
from flan_jax.peft.targets import fill

SLOT = 'prompt'
STACKS = {'encoder': ('encoder',), 'decoder': ('decoder',), 'both': ('encoder', 'decoder')}
SIDES = {'encoder': 'inputs', 'decoder': 'targets'}  # the feature whose tokens a stack reads
INITIALISATIONS = ('uniform', 'vocabulary', 'labels', 'text', 'file')
FREQUENT = 5000  # SentencePiece sorts its words by frequency; Lester et al. sample among so many
SPECIAL = 3  # padding, EOS, unknown


class Prompt(InputPrompt):
  """The embeddings themselves.

  Attributes:
    embedding: Float[length, embed].
  """

  def __init__(self, embedding: Float[Array, 'length embed']):
    self.embedding = AdapterParam(embedding, axes=(None, 'embed'))

  def __call__(self, *, rngs: nnx.Rngs | None = None) -> Float[Array, 'length embed']:
    """The embeddings."""
    del rngs
    return self.embedding[...]


def check_prompt(length: int, where: str, owner: str) -> None:
  """Raises UserError for a length or a place that cannot be meant."""
  if length < 1:
    raise UserError(f'the length of {owner} must be at least 1, not {length}')
  if where not in STACKS:
    raise UserError(f'where {where!r} of {owner} is not known. {did_you_mean(where, STACKS)}')


def frequent_words(vocab_size: int, count: int, rngs: nnx.Rngs) -> Int[Array, ' count']:
  """Samples ids of words among the frequent ones, each once if there are enough."""
  ids = jnp.arange(SPECIAL, min(FREQUENT, vocab_size))
  return jax.random.choice(rngs.params(), ids, (count,), replace=count > len(ids))


def room(length: int, where: str) -> dict[str, int]:
  """How many positions a prompt takes before each example, by feature."""
  return {SIDES[stack]: length for stack in STACKS[where]}


@dataclasses.dataclass(frozen=True)
class PromptTuning(Method):
  """A soft prompt of a fixed length; packed examples each see it.

  Attributes:
    length: positions, of each stack.
    where: 'encoder', 'decoder' or 'both'.
    init: 'uniform' in [-0.5, 0.5]; 'vocabulary': embeddings of frequent words; 'labels': of the names of classes, one
      position each, then of frequent words; 'text': of a text's tokens, repeated as often as they fit; 'file'.
    labels: for 'labels', names of classes; a name of several tokens starts at their mean.
    text: for 'text'.
    file: for 'file', a .npy of [length, embed], or a .safetensors with one such array for each stack.
    tokens: the token ids of labels or text, one tuple for each position; filled in by the run's vocabulary.
  """

  name: ClassVar[str] = 'prompt_tuning'
  length: int = 100
  where: Literal['encoder', 'decoder', 'both'] = 'encoder'
  init: Literal['uniform', 'vocabulary', 'labels', 'text', 'file'] = 'vocabulary'
  labels: Sequence[str] = ()
  text: str = ''
  file: str = ''
  tokens: Sequence[Sequence[int]] = ()

  def __post_init__(self) -> None:
    """Raises UserError for values that cannot be meant."""
    check_prompt(self.length, self.where, 'a soft prompt')
    if self.init not in INITIALISATIONS:
      raise UserError(f'init {self.init!r} of a soft prompt is not known. {did_you_mean(self.init, INITIALISATIONS)}')
    if self.init in ('labels', 'text', 'file') and not getattr(self, self.init):
      raise UserError(f'init {self.init!r} of a soft prompt needs {self.init}')

  def bound(self, encode: Callable[[str], Sequence[int]]) -> 'PromptTuning':
    """The same with the token ids of its labels or its text."""
    if self.init == 'labels':
      found = tuple(tuple(encode(label)) for label in self.labels)
    elif self.init == 'text':
      found = tuple((token,) for token in encode(self.text))
    else:
      return self
    if not found or not all(found):
      raise UserError(f'the {self.init} of a soft prompt have no tokens in this vocabulary')
    return dataclasses.replace(self, tokens=found)

  @property
  def prompt_lengths(self) -> Mapping[str, int]:
    """The prompt's positions before each example."""
    return room(self.length, self.where)

  def attach(self, model: nnx.Module, rngs: nnx.Rngs) -> None:
    """Puts a prompt in the slot of each chosen stack."""
    network: Any = model
    for stack in STACKS[self.where]:
      start = self._start(network.token_embedder.embedding[...].astype(jnp.float32), stack, rngs)
      fill(getattr(network, stack).prompts, SLOT, Prompt(start), stack)

  def _start(self, embedding: Float[Array, 'vocab embed'], stack: str, rngs: nnx.Rngs) -> Float[Array, 'length embed']:
    embed = embedding.shape[1]
    if self.init == 'uniform':
      return jax.random.uniform(rngs.params(), (self.length, embed), jnp.float32, -0.5, 0.5)
    if self.init == 'file':
      return jnp.asarray(read_prompt(self.file, stack, (self.length, embed)))
    sampled = embedding[frequent_words(len(embedding), self.length, rngs)]
    if self.init == 'vocabulary':
      return sampled
    if not self.tokens:
      raise UserError(f'init {self.init!r} of a soft prompt needs the vocabulary: call bound, as runs do')
    rows = jnp.stack([jnp.mean(embedding[jnp.asarray(ids)], axis=0) for ids in self.tokens])
    if self.init == 'text':
      return jnp.tile(rows, (-(-self.length // len(rows)), 1))[: self.length]
    return jnp.concatenate([rows, sampled])[: self.length]


def read_prompt(file: str, stack: str, shape: tuple[int, int]) -> np.ndarray:
  """Reads a prompt from a .npy, or from a .safetensors under the stack's name.

  Raises:
    UserError: if the file is missing, unreadable, lacks the stack, or holds another shape.
  """
  path = pathlib.Path(file)
  try:
    if path.suffix == '.npy':
      found = np.load(path, allow_pickle=False)
    else:
      arrays = safetensors.numpy.load_file(path)
      names = [name for name in arrays if stack in name] or (list(arrays) if len(arrays) == 1 else [])
      if len(names) != 1:
        raise UserError(f'the prompt file {path} has no single array for the {stack}; it holds {", ".join(arrays)}')
      found = arrays[names[0]]
  except (OSError, ValueError, safetensors.SafetensorError) as error:
    raise UserError(f'the prompt file {path} cannot be read: {error}') from error
  if tuple(found.shape) != shape:
    raise UserError(f'the prompt in {path} has shape {list(found.shape)}, and should have {list(shape)}')
  return found.astype(np.float32)
