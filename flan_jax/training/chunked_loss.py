"""The loss of a model on a batch without ever holding all of its logits.

The logits of 16 x 512 targets over mT5's 250,000 pieces are 8 GB, their gradient as much again. Here a scan takes a
chunk of every row's targets at a time: logits, loss, and at once the gradients of the chunk's decoder outputs and of
the head, which the backward pass only has to scale, since nothing but the loss is differentiated (as Hsu et al. 2024,
Liger, do on GPUs). The arithmetic is that of the whole: nothing is computed twice.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.models.depth import DropoutKeys
from flan_jax.models.layers import Dense, Embed
from flan_jax.models.t5 import T5, head_logits
from flan_jax.training import losses
from flan_jax.training.losses import LossConfig, LossSums

Sums = Callable[..., LossSums]
Rest = tuple[Array, Array, Array | None]  # of one chunk or all: targets, weights, key data


def batch_sums(model: T5, batch: Mapping[str, Array], config: LossConfig, *, rngs: Any = None) -> LossSums:
  """Runs a model on a batch and sums its loss and counts.

  Args:
    model: the network.
    batch: seqio's feature names.
    config: the loss; `logits_bytes` decides whether the logits come in chunks.
    rngs: a source of dropout keys, or None.

  Returns:
    LossSums of float32 scalars. Only `loss` may be differentiated.
  """
  outputs = model.outputs(batch, rngs=rngs)
  key = None if rngs is None else rngs.dropout()
  chunks = count(batch['decoder_target_tokens'].shape, model.config.vocab_size, config)
  if chunks == 1:
    keys: Any = None if key is None else DropoutKeys(key)
    return losses.loss_sums(head_logits(model.head, outputs, rngs=keys), batch, config)
  return _chunked(model.head, outputs, batch, config, key, chunks)


def count(shape: tuple[int, ...], vocab_size: int, config: LossConfig) -> int:
  """Returns how many chunks the targets of a batch are cut into; never more than a row has targets."""
  rows, length = shape
  needed = rows * length * vocab_size * 4 / jax.device_count()
  return min(length, max(1, -int(-needed // config.logits_bytes)))


def _chunked(head: Embed | Dense, outputs: Float[Array, 'batch length embed'], batch: Mapping[str, Array],
             config: LossConfig, key: Array | None, chunks: int) -> LossSums:  # fmt: skip
  graphdef, state = nnx.split(head)

  def sums(state: Any, outputs: Array, rest: Rest) -> LossSums:
    targets, weights, key_data = rest
    keys: Any = None if key_data is None else DropoutKeys(jax.random.wrap_key_data(key_data))
    logits = head_logits(nnx.merge(graphdef, state), outputs, rngs=keys)
    return losses.token_sums(logits, targets, weights, config)

  targets = batch['decoder_target_tokens']
  weights = losses.token_weights(batch, config.weighting)
  key_data = None if key is None else jax.random.key_data(jax.random.split(key, chunks))
  found = _scanned(sums, state, _cut(outputs, chunks), (_cut(targets, chunks), _cut(weights, chunks), key_data))
  return LossSums(found.loss, *map(jax.lax.stop_gradient, found[1:]))


def _cut(x: Array, chunks: int) -> Array:
  """[batch, length, ...] as [chunks, batch, length of a chunk, ...]; zeros at the end where that does not go evenly."""
  rows, length = x.shape[:2]
  each = -(-length // chunks)
  room = jnp.pad(x, ((0, 0), (0, each * chunks - length), *[(0, 0)] * (x.ndim - 2)))
  return jnp.swapaxes(room.reshape(rows, chunks, each, *x.shape[2:]), 0, 1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scanned(sums: Sums, state: Any, outputs: Array, rest: Rest) -> LossSums:
  """Sums over the chunks, without gradients."""

  def body(total: LossSums, part: tuple[Array, Rest]) -> tuple[LossSums, None]:
    return jax.tree.map(jnp.add, total, sums(state, *part)), None

  return jax.lax.scan(body, losses.no_sums(), (outputs, rest))[0]


def _forward(sums: Sums, state: Any, outputs: Any, rest: Any) -> tuple[LossSums, Any]:
  """Sums over the chunks, and the gradients of the loss of what is differentiated: frozen weights get none."""
  leaves, tree = jax.tree.flatten(state)
  values = [leaf.value for leaf in leaves]
  trained = [index for index, leaf in enumerate(leaves) if leaf.perturbed]
  moving = [values[index] for index in trained]

  def loss(moving: list[Array], outputs: Array, rest: Rest) -> tuple[Array, LossSums]:
    whole = list(values)
    for index, value in zip(trained, moving, strict=True):
      whole[index] = value
    found = sums(jax.tree.unflatten(tree, whole), outputs, rest)
    return found.loss, found

  gradient = jax.grad(loss, argnums=(0, 1), has_aux=True)

  def body(carry: tuple[LossSums, list[Array]], part: Any) -> tuple[tuple[LossSums, list[Array]], Array]:
    (of_head, of_outputs), found = gradient(moving, *part)
    wide = [total + new.astype(jnp.float32) for total, new in zip(carry[1], of_head, strict=True)]
    return (jax.tree.map(jnp.add, carry[0], found), wide), of_outputs

  start = (losses.no_sums(), [jnp.zeros(value.shape, jnp.float32) for value in moving])
  parts = jax.tree.map(lambda leaf: leaf.value, (outputs, rest))
  (total, of_head), of_outputs = jax.lax.scan(body, start, parts)
  of_state: list[Array | None] = [None] * len(values)
  for index, new in zip(trained, of_head, strict=True):
    of_state[index] = new.astype(values[index].dtype)
  return total, (jax.tree.unflatten(tree, of_state), of_outputs)


def _backward(sums: Sums, kept: Any, cotangent: Any) -> tuple[Any, ...]:
  """Scales the gradients that the forward pass found."""
  del sums
  scale = cotangent.loss
  if isinstance(scale, jax.custom_derivatives.SymbolicZero):
    return (None,) * 3
  of_state, of_outputs = jax.tree.map(lambda gradient: gradient * scale.astype(gradient.dtype), kept)
  return of_state, of_outputs, None


_scanned.defvjp(_forward, _backward, symbolic_zeros=True)
