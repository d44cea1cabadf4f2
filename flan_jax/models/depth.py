"""Through the layers of a stack: one after the other or as a scan, with activations kept or computed again.

Both ways read the same parameters under the same paths. Unrolled is faster and the default; a scan compiles one layer
whatever the depth. Recomputing trades time for memory (Chen et al. 2016), by T5X's names.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from flan_jax.errors import UserError

RunLayer = Callable[[Any, Array, Array, Any], Array]  # (layer, residual stream, bias, rngs) -> residual stream
Stream = Float[Array, 'rows length embed']
Bias = Float[Array, '#rows heads length length']


class DropoutKeys:
  """Gives `nnx.Rngs(dropout=key)`'s keys in the same order, counting in Python.

  Flax counts in a traced variable, which makes tracing a deep model quadratic in its depth, and which a layer that is
  recomputed or scanned could not advance.
  """

  def __init__(self, key: Key[Array, '']):
    self._key, self._count = key, 0

  def dropout(self) -> Key[Array, '']:
    """The next key."""
    self._count += 1
    return jax.random.fold_in(self._key, self._count - 1)


def unrolled(run: RunLayer, layers: Sequence[nnx.Module], x: Stream, biases: Sequence[Bias], policy: str,
             rngs: Any) -> Stream:  # fmt: skip
  """Runs the layers one by one.

  Args:
    run: one layer.
    layers: of the stack.
    x: the residual stream.
    biases: of the layers' self-attentions.
    policy: of `config.REMAT_POLICIES`.
    rngs: a source of dropout keys, or None.

  Returns:
    The residual stream after the last layer.
  """
  for layer, bias in zip(layers, biases, strict=True):

    def one(x: Stream, bias: Bias, layer: nnx.Module = layer) -> Stream:
      return run(layer, x, bias, rngs)

    x = recomputed(one, policy)(x, bias)
  return x


def scanned(run: RunLayer, layers: Sequence[nnx.Module], x: Stream, biases: Sequence[Bias],
            policy: str, rngs: Any) -> Stream:  # fmt: skip
  """Runs the layers in a scan over their stacked parameters; dropout draws other masks than unrolled.

  Args:
    run: one layer.
    layers: of the stack.
    x: the residual stream.
    biases: of the layers' self-attentions; one array where they share it.
    policy: of `config.REMAT_POLICIES`.
    rngs: a source of dropout keys, or None.

  Returns:
    The residual stream after the last layer.

  Raises:
    UserError: if the layers differ, as where only some of them have an adapter.
  """
  graphdef, state = stacked(layers)
  shared = biases[0] if all(bias is biases[0] for bias in biases) else None
  key = None if rngs is None else rngs.dropout()

  def body(x: Stream, part: Any) -> tuple[Stream, None]:
    own, bias, index = part
    keys = None if key is None else DropoutKeys(jax.random.fold_in(key, index))
    return run(nnx.merge(graphdef, own), x, bias if shared is None else shared, keys), None

  each = None if shared is not None else jnp.stack(list(biases))
  return jax.lax.scan(recomputed(body, policy), x, (state, each, jnp.arange(len(layers))))[0]


def stacked(layers: Sequence[nnx.Module]) -> tuple[nnx.GraphDef, Any]:
  """Returns the one description of layers that are alike, and their parameters stacked along a new first axis.

  Raises:
    UserError: if they are not alike.
  """
  parts = [nnx.split(layer) for layer in layers]
  graphdef = parts[0][0]
  states = [jax.tree.leaves(state) for _, state in parts]
  shapes = [[(leaf.shape, leaf.dtype) for leaf in leaves] for leaves in states]
  for index, (other, _) in enumerate(parts):
    if other != graphdef or shapes[index] != shapes[0]:
      raise UserError(f'scan_layers needs layers that are alike, and layer {index} differs from layer 0 (an adapter on '
                      'some layers only?): set models.T5Config.scan_layers = False')  # fmt: skip
  leaves = [jnp.stack(same) for same in zip(*states, strict=True)]
  return graphdef, jax.tree.unflatten(jax.tree.structure(parts[0][1]), leaves)


def recomputed(function: Callable[..., Any], policy: str) -> Callable[..., Any]:
  """Returns the function with its activations kept (`none`), kept where projections end (`minimal`), or dropped."""
  if policy == 'none':
    return function
  keep = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if policy == 'minimal' else None
  return jax.checkpoint(function, policy=keep)
