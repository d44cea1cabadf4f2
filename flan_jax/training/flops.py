"""Model FLOPs of a step: what its matrices must multiply, whatever the hardware or the compiler makes of it."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import jax
from flax import nnx

from flan_jax.models import T5
from flan_jax.models.attention import Attention
from flan_jax.models.layers import Dense
from flan_jax.models.slots import ProjectionAdapter, named_modules
from flan_jax.peft.partition import Blueprint

EMBEDDING = 'token_embedder/embedding'


@dataclasses.dataclass(frozen=True)
class Flops:
  """Floating point operations, a multiplication and an addition counting as two.

  Attributes:
    forward: of the forward pass.
    backward: of the gradients with respect to activations and to what trains.
  """

  forward: float
  backward: float

  @property
  def total(self) -> float:
    """Both passes."""
    return self.forward + self.backward


@dataclasses.dataclass(frozen=True)
class Sizes:
  """Rows and lengths of a batch as the matrices see them: padding counts, soft prompts are not in it.

  Attributes:
    rows: of the encoder.
    inputs: tokens of an encoder row.
    decoder_rows: rows of the decoder, a multiple of the encoder's where several answers read one input.
    targets: tokens of a decoder row.
    in_place: whether the rows have room for soft prompts (packed batches), which are put before them otherwise.
  """

  rows: int
  inputs: int
  decoder_rows: int
  targets: int
  in_place: bool = False

  @classmethod
  def of(cls, batch: Mapping[str, Any]) -> 'Sizes':
    """Those of a batch, or of shapes like one; of many hosts the global ones, where the arrays are global."""
    (rows, inputs), (decoder_rows, targets) = batch['encoder_input_tokens'].shape, batch['decoder_target_tokens'].shape
    return cls(rows, inputs, decoder_rows, targets, any(name.endswith('_prompt_positions') for name in batch))


def step_flops(blueprint: Blueprint, sizes: Sizes) -> Flops:
  """Counts one training step over a batch.

  A matrix of d_in x d_out that n positions pass takes 2 n d_in d_out forward, as much again backward where its input
  needs a gradient (something before it trains), and as much again where the matrix itself trains. So full fine-tuning
  takes 6 N a position, N being the parameters of the matrices it passes, and LoRA about 4 N: no frozen matrix gets a
  gradient, and below the first adapter no activation does. The sum is over

    - the projections of all layers, queries, outputs and feed-forward over their own side's positions, keys and values
      of the cross-attention over the encoder's,
    - attention itself, 4 q k heads head_dim a row and layer (scores and mixing), each of its four gradients half of it,
      where what it leads to trains; masked positions count, as the products are full,
    - the output head over all target positions, tied or not,
    - the matrices of adapters (LoRA's two, a bottleneck's two), and the positions that soft prompts and prefixes add.

  Not counted: the embedding (a lookup), norms, softmax, activations, dropout, the loss and the optimizer; what is
  computed twice to save memory; and what a step does once whatever the batch (DoRA's norms, the network that makes a
  prompt). XLA counts elementwise work too, and so finds up to 2 % more at a width of 256 and less above.

  Args:
    blueprint: the model, adapters attached, and what trains.
    sizes: of the batch.

  Returns:
    The FLOPs on all devices together.
  """
  return _Count(_abstract(blueprint), blueprint.trainable, sizes).run()


def forward_flops(blueprint: Blueprint, sizes: Sizes) -> float:
  """Counts one forward pass, such as rank classification makes; see `step_flops`."""
  return step_flops(blueprint, sizes).forward


class _Count:
  """Walks the model in the order of its arithmetic, knowing of every activation whether it needs a gradient."""

  def __init__(self, model: T5, trainable: Collection[str], sizes: Sizes):
    self.model, self.config, self.sizes = model, model.config, sizes
    self.trainable = trainable
    self.projections = dict(named_modules(model, Dense))
    self.attentions = dict(named_modules(model, Attention))
    self.forward = self.backward = 0.0

  def run(self) -> Flops:
    """Counts everything once."""
    sizes, embeds = self.sizes, self.trains('token_embedder')
    before = 0 if sizes.in_place else _positions(self.model.encoder)
    keys, live = sizes.inputs + before, embeds or self.trains('encoder/prompts')
    for number in range(self.config.num_encoder_layers):
      path = f'encoder/layers/{number}'
      normed = live or self.trains(f'{path}/pre_attention_layer_norm')
      live |= self.attention(f'{path}/attention', normed, normed, sizes.rows, keys, keys, self.bias('encoder', path))
      live |= self.mlp(f'{path}/mlp', live or self.trains(f'{path}/pre_mlp_layer_norm'), sizes.rows * keys)
    states = live or self.trains('encoder/encoder_norm')
    before = 0 if sizes.in_place else _positions(self.model.decoder)
    queries, live = sizes.targets + before, embeds or self.trains('decoder/prompts')
    for number in range(self.config.num_decoder_layers):
      path, rows = f'decoder/layers/{number}', sizes.decoder_rows
      normed = live or self.trains(f'{path}/pre_self_attention_layer_norm')
      live |= self.attention(f'{path}/self_attention', normed, normed, rows, queries, queries,
                             self.bias('decoder', path))
      normed = live or self.trains(f'{path}/pre_cross_attention_layer_norm')
      folded = rows // sizes.rows * queries  # several answers to one input are queries side by side
      live |= self.attention(f'{path}/encoder_decoder_attention', normed, states, sizes.rows, folded, keys, False)
      live |= self.mlp(f'{path}/mlp', live or self.trains(f'{path}/pre_mlp_layer_norm'), rows * queries)
    self.head(live or self.trains('decoder/decoder_norm'))
    return Flops(self.forward, self.backward)

  def trains(self, path: str) -> bool:
    """Whether anything at a path or below it trains."""
    return any(name == path or name.startswith(f'{path}/') for name in self.trainable)

  def bias(self, stack: str, layer: str) -> bool:
    """Whether the position bias of a layer trains."""
    return self.trains(f'{stack}/relpos_bias') or self.trains(f'{layer}/relpos_bias')

  def product(self, flops: float, *gradients: bool) -> None:
    """Counts a product, and as much again for each gradient that is needed."""
    self.forward += flops
    self.backward += flops * sum(gradients)

  def head(self, live: bool) -> None:
    """Counts the output head."""
    positions = self.sizes.decoder_rows * self.sizes.targets
    if self.config.logits_via_embedding:
      size = self.config.vocab_size * self.config.emb_dim
      self.product(2.0 * positions * size, live, EMBEDDING in self.trainable)
    else:
      self.dense('decoder/logits_dense', live, positions)

  def dense(self, path: str, live: bool, positions: int) -> bool:
    """Counts a projection with its adapters; returns whether its output needs a gradient."""
    dense = self.projections[path]
    features_in, features_out = dense.shape
    for name, adapter in dense.adapters.items():
      scales_input = type(adapter).before is not ProjectionAdapter.before
      live |= scales_input and self.trains(f'{path}/adapters/{name}')
    self.product(2.0 * positions * features_in * features_out, live, f'{path}/kernel' in self.trainable)
    for name, adapter in dense.adapters.items():
      self.low_rank(f'{path}/adapters/{name}', adapter, features_in, live, positions)
    return live or self.trains(path)

  def low_rank(self, path: str, adapter: nnx.Module, features_in: int, live: bool, positions: int) -> None:
    """Counts the pairs of matrices of an adapter: one reads the input, its partner what that one makes."""
    matrices = [(f'{path}/{name}', shape) for name, shape in _matrices(adapter)]
    readers = [one for one in matrices if one[1][0] == features_in]
    writers = [one for one in matrices if one[1][0] != features_in]
    for (reader, first), (writer, second) in zip(readers, writers, strict=True):
      trains = reader in self.trainable
      self.product(2.0 * positions * first[0] * first[1], live, trains)
      self.product(2.0 * positions * second[0] * second[1], live or trains, writer in self.trainable)

  def attention(self, path: str, live: bool, states: bool, rows: int, queries: int, keys: int, bias: bool) -> bool:
    """Counts an attention sub-layer; returns whether its output needs a gradient.

    Args:
      path: of the sub-layer.
      live: whether the queries' input needs a gradient.
      states: the same of what keys and values are made of.
      rows: that attend to keys of their own.
      queries: of a row.
      keys: of a row, prefixes not counted.
      bias: whether the position bias trains.
    """
    layer, prefix = self.attentions[path], self.trains(f'{path}/key_value_prompts')
    query_live = self.dense(f'{path}/query', live, rows * queries)
    key_live = self.dense(f'{path}/key', states, rows * keys) or prefix
    value_live = self.dense(f'{path}/value', states, rows * keys) or prefix
    seen = keys + sum(_length(prompt) for prompt in layer.key_value_prompts.values())
    weights_live = query_live or key_live or bias
    self.product(2.0 * rows * queries * seen * self.config.joined_kv, key_live, query_live)
    self.product(2.0 * rows * queries * seen * self.config.joined_kv, weights_live, value_live)
    made = self.dense(f'{path}/out', weights_live or value_live, rows * queries)
    return self.sublayer(path, layer, live, made, rows * queries)

  def mlp(self, path: str, live: bool, positions: int) -> bool:
    """Counts a feed-forward sub-layer; returns whether its output needs a gradient."""
    count = len(self.config.mlp_activations)
    branches = ('wi',) if count == 1 else tuple(f'wi_{i}' for i in range(count))
    hidden = [self.dense(f'{path}/{name}', live, positions) for name in branches]
    made = self.dense(f'{path}/wo', any(hidden), positions)
    layer: Any = self.model
    for part in path.split('/'):
      layer = layer[int(part)] if part.isdigit() else getattr(layer, part)
    return self.sublayer(path, layer, live, made, positions)

  def sublayer(self, path: str, layer: Any, live: bool, made: bool, positions: int) -> bool:
    """Counts the adapters behind a sub-layer; returns whether what it adds to the residual stream needs a gradient."""
    for name, adapter in layer.sublayer_adapters.items():
      source = live if getattr(adapter, 'parallel', False) else made
      self.low_rank(f'{path}/sublayer_adapters/{name}', adapter, self.config.emb_dim, source, positions)
    return made or self.trains(path)


def _matrices(module: nnx.Module) -> Iterator[tuple[str, tuple[int, ...]]]:
  """The matrices of an adapter by name, in the order of their names."""
  for path, variable in sorted(nnx.to_flat_state(nnx.state(module)), key=lambda item: str(item[0])):
    if len(variable.shape) == 2:
      yield '/'.join(map(str, path)), variable.shape


def _positions(stack: Any) -> int:
  """Positions of the soft prompts of a stack."""
  return sum(_length(prompt) for prompt in stack.prompts.values())


def _length(prompt: Any) -> int:
  """Positions of a soft prompt or of a prefix; of prompts that rows have of their own, the room for the longest."""
  made = nnx.eval_shape(lambda module: module(), prompt)
  return int(made[0].shape[0] if isinstance(made, tuple) else made.shape[-2])


def of_step(blueprint: Blueprint, arrays: Mapping[str, jax.Array]) -> float | None:
  """FLOPs of a training step over global arrays; None for a model that is no T5, whose formula nobody has written."""
  return step_flops(blueprint, Sizes.of(arrays)).total if isinstance(_abstract(blueprint), T5) else None


def _abstract(blueprint: Blueprint) -> Any:
  """The model with shapes for arrays."""
  shapes: Any = blueprint.shapes()
  return blueprint.merge(shapes)
