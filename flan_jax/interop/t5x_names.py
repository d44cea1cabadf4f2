"""A T5's parameters under our paths and under T5X's, in both of its layouts: a folder a layer, and layers stacked.

T5X's network without `scan` has the same arrays as ours and shares one relative bias among a stack's layers. Its
scanned network stacks all layers on axis 1, keeps heads and their width as two axes, and has a bias in every layer.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from flan_jax.interop import huggingface
from flan_jax.models.config import T5Config

STACK_AXIS = 1
_LAYER = re.compile(r'(encoder|decoder)/layers/(\d+)/(.+)')
_FLOATS = ('bfloat16', 'float16', 'float32', 'float64')


@dataclasses.dataclass(frozen=True)
class Stored:
  """One array of a T5X checkpoint and what it is to us.

  Attributes:
    name: T5X's, such as 'encoder/layers_0/mlp/wo/kernel' or, stacked, 'encoder/encoder/mlp/wo/kernel'.
    shape: as T5X stores it.
    paths: ours: one, or where it is stacked one per layer, in order.
    ours: the shape of each of them.
    stacked: whether its axis 1 counts layers.
  """

  name: str
  shape: tuple[int, ...]
  paths: tuple[str, ...]
  ours: tuple[int, ...]
  stacked: bool

  @property
  def layer_shape(self) -> tuple[int, ...]:
    """The shape of one layer as T5X stores it; of the whole where nothing is stacked."""
    return self.shape[:STACK_AXIS] + self.shape[STACK_AXIS + 1 :] if self.stacked else self.shape

  @property
  def model_axis_first(self) -> bool:
    """Whether the residual stream's width is the first axis of the two of a stacked kernel."""
    return not self.name.endswith(('/out/kernel', '/wo/kernel'))


def layout(config: T5Config, *, scanned: bool) -> dict[str, Stored]:
  """Returns every array that T5X keeps for a model of this shape, by T5X's name.

  Args:
    config: the shape.
    scanned: whether the layers are stacked.
  """
  members: dict[str, list[str]] = {}
  for path in paths(config):
    members.setdefault(_their_name(path, scanned), []).append(path)
  return {name: _stored(name, tuple(ours), config, scanned) for name, ours in members.items()}


def paths(config: T5Config) -> list[str]:
  """Returns our path of every parameter of a model of this shape."""
  return [name.ours for name in huggingface.names(config)]


def shape_of(path: str, config: T5Config) -> tuple[int, ...]:
  """Returns the shape of the parameter at one of our paths."""
  sizes = {
    'token_embedder': (config.vocab_size, config.emb_dim),
    'relpos_bias': (config.num_heads, config.relative_attention_num_buckets),
    'logits_dense': (config.emb_dim, config.vocab_size),
    'out': (config.joined_kv, config.emb_dim),
    'wo': (config.mlp_dim, config.emb_dim),
  }
  owner, parameter = path.split('/')[-2:]
  if parameter == 'scale':
    return (config.emb_dim,)
  inner = config.mlp_dim if owner.startswith('wi') else config.joined_kv
  return sizes.get(owner, (config.emb_dim, inner))


def _their_name(path: str, scanned: bool) -> str:
  found = _LAYER.fullmatch(path)
  if not found:
    return path
  stack, layer, rest = found.groups()
  return f'{stack}/{stack}/{rest}' if scanned else f'{stack}/layers_{layer}/{rest}'


def _stored(name: str, ours: tuple[str, ...], config: T5Config, scanned: bool) -> Stored:
  one = shape_of(ours[0], config)
  stacked = scanned and _LAYER.fullmatch(ours[0]) is not None
  if not stacked:
    return Stored(name, one, ours, one, False)
  heads = (config.num_heads, config.head_dim)
  owner = ours[0].split('/')[-2]
  split = {'query': (one[0], *heads), 'key': (one[0], *heads), 'value': (one[0], *heads), 'out': (*heads, one[-1])}
  first, *rest = split.get(owner, one)
  return Stored(name, (first, len(ours), *rest), ours, one, True)


def differences(found: Mapping[str, jax.ShapeDtypeStruct], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
  """Returns everything in which stored arrays are not the wanted ones, by path, in one list.

  Args:
    found: shape and dtype by path.
    wanted: shape by path.
  """
  problems = [f'{name} is missing' for name in sorted(set(wanted) - set(found))]
  problems += [f'{name} is not known' for name in sorted(set(found) - set(wanted))]
  for name in sorted(set(found) & set(wanted)):
    if tuple(found[name].shape) != wanted[name]:
      problems.append(f'{name} is {list(found[name].shape)} and should be {list(wanted[name])}')
    if str(found[name].dtype) not in _FLOATS:
      problems.append(f'{name} is {found[name].dtype} and should be a float')
  return problems


def listed(problems: Iterable[str]) -> str:
  """Returns all problems as one clause, with their number."""
  found = list(problems)
  return f'{len(found)} {"thing does" if len(found) == 1 else "things do"} not fit: {"; ".join(found)}'


def flatten(tree: Any, prefix: str = '') -> dict[str, Any]:
  """Returns the leaves of a tree of dicts by path; a dict that names a TensorStore driver is a leaf."""
  if not isinstance(tree, dict) or 'driver' in tree:
    return {prefix: tree}
  flat: dict[str, Any] = {}
  for key, value in tree.items():
    flat |= flatten(value, f'{prefix}/{key}' if prefix else str(key))
  return flat
