"""The shape of a T5X model: sizes from its arrays, the rest from the `config.gin` beside them, read as text.

Nothing in that file is looked up or run: only literals count, and macros that stand for literals. What it does not say
is as T5X has it for the family that the arrays show.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from flan_jax.errors import UserError, did_you_mean
from flan_jax.interop.t5x_gin import FILE, Bindings
from flan_jax.models.config import ACTIVATIONS, DTYPES, T5Config

Shapes = Mapping[str, jax.ShapeDtypeStruct]
# What T5X's network has in its code rather than in its config.
T5X_FIXES: Mapping[str, Any] = {
  'relative_attention_num_buckets': 32, 'relative_attention_max_distance': 128, 'layer_norm_epsilon': 1e-6,
}  # fmt: skip
# No array shows these: how a layer computes, in which order, and what it keeps.
_UNSEEN = ('mlp_activations', 'dtype', 'scan_layers', 'remat_policy')
_STACKED = ('encoder/encoder/', 'decoder/decoder/')
# Where a size shows, as (names, rank, axis). Many arrays show most sizes, and the most frequent value wins, so that one
# wrong array is reported as one and not as all the others.
_SIZES: Mapping[str, tuple[tuple[str, int, int], ...]] = {
  'vocab_size': (('token_embedder/embedding', 2, 0), ('decoder/logits_dense/kernel', 2, 1)),
  'emb_dim': (
    ('token_embedder/embedding', 2, 1), ('decoder/logits_dense/kernel', 2, 0), (r'.*/\w+_norm/scale', 1, 0),
    (r'.*/layers_\d+/.*(query|key|value|wi|wi_\d)/kernel', 2, 0), (r'.*/layers_\d+/.*(out|wo)/kernel', 2, 1),
    (r'.*/\w+_norm/scale', 2, 0), (r'.*(query|key|value)/kernel', 4, 0), (r'.*(wi|wi_\d)/kernel', 3, 0),
  ),
  'num_heads': (
    ('.*/rel_embedding', 2, 0), ('.*/rel_embedding', 3, 0), (r'.*(query|key|value)/kernel', 4, 2),
    ('.*/out/kernel', 4, 0),
  ),
  'head_dim': ((r'.*(query|key|value)/kernel', 4, 3), ('.*/out/kernel', 4, 2)),
  'joined_kv': ((r'.*/(query|key|value)/kernel', 2, 1), ('.*/out/kernel', 2, 0)),
  'mlp_dim': (
    (r'.*/mlp/wi(_\d)?/kernel', 2, 1), ('.*/mlp/wo/kernel', 2, 0), (r'.*/mlp/wi(_\d)?/kernel', 3, 2),
    ('.*/mlp/wo/kernel', 3, 0),
  ),
  'relative_attention_num_buckets': (('.*/rel_embedding', 2, 1), ('.*/rel_embedding', 3, 2)),
}  # fmt: skip


class Shape(NamedTuple):
  """What the files say of a model.

  Attributes:
    config: its shape.
    scanned: whether its layers are stacked.
    problems: where `config.gin` and the arrays contradict each other.
    notes: what could not be read from `config.gin`, in sentences.
  """

  config: T5Config
  scanned: bool
  problems: tuple[str, ...]
  notes: tuple[str, ...]


def infer(found: Shapes, gin: Bindings, where: str) -> Shape:
  """Returns the shape of the model that arrays under T5X's names belong to.

  Args:
    found: the arrays.
    gin: what is bound beside them.
    where: for messages.

  Raises:
    UserError: if the arrays do not show a size, or the file names an activation that we do not have.
  """
  scanned = any(name.startswith(_STACKED) for name in found)
  bound = {**T5X_FIXES, **{n.removeprefix('T5Config.'): v for n, v in gin.values.items() if isinstance(v, int)}}
  sizes = {size: _vote(found, size, bound.get(size)) for size in _SIZES}
  for stack in ('encoder', 'decoder'):
    sizes[f'num_{stack}_layers'] = _layers(found, stack) or bound.get(f'num_{stack}_layers')
  if not sizes['head_dim'] and sizes['joined_kv'] and sizes['num_heads']:
    sizes['head_dim'] = sizes['joined_kv'] // sizes['num_heads']
  sizes.pop('joined_kv')
  unknown = [size for size, value in sizes.items() if not value]
  if unknown:
    raise UserError(f'{where} does not hold the arrays of a T5: nothing in it tells {", ".join(unknown)}')
  activations = _activations(found, gin, where)
  fields: dict[str, Any] = {
    **sizes,
    **_rest(gin),
    'mlp_activations': activations,
    'logits_via_embedding': not any(name.startswith('decoder/logits_dense/') for name in found),
    'relative_bias_per_layer': scanned or any(re.match(r'\w+/layers_\d+/relpos_bias/', name) for name in found),
  }
  try:
    config = T5Config(**fields)
  except TypeError as error:
    raise UserError(f'{where}: {FILE} binds something of a wrong type to T5Config: {error}') from error
  notes = [f'{FILE} binds {name} to something that is not a literal: the default of T5X is taken' for name in gin.other]
  return Shape(config, scanned, tuple(_contradictions(config, gin, found)), tuple(notes))


def _vote(found: Shapes, size: str, bound: int | None) -> int | None:
  votes: Counter[int] = Counter()
  for pattern, rank, axis in _SIZES[size]:
    regex = re.compile(pattern)
    votes.update(a.shape[axis] for name, a in found.items() if regex.fullmatch(name) and len(a.shape) == rank)
  votes.update([] if bound is None else [bound])  # last: where all else is even, the arrays win
  return votes.most_common(1)[0][0] if votes else None


def _layers(found: Shapes, stack: str) -> int | None:
  numbered = [int(n[1]) for name in found if (n := re.match(rf'{stack}/layers_(\d+)/', name))]
  if numbered:
    return max(numbered) + 1
  stacked = [a.shape[1] for name, a in found.items() if name.startswith(f'{stack}/{stack}/') and len(a.shape) > 1]
  return Counter(stacked).most_common(1)[0][0] if stacked else None


def _activations(found: Shapes, gin: Bindings, where: str) -> tuple[str, ...]:
  """The names bound, or T5 1.1's where there are two branches and T5 1.0's where there is one."""
  branches = max([0, *(int(n[1]) + 1 for name in found if (n := re.search(r'/mlp/wi_(\d)/kernel', name)))])
  default = ('gelu', 'linear') if branches else ('relu',)
  named = gin.values.get('T5Config.mlp_activations', default)
  names = tuple(named) if isinstance(named, (list, tuple)) else (named,)
  unknown = [name for name in names if name not in ACTIVATIONS]
  if unknown:
    raise UserError(f'{where}: {FILE} names the activation {unknown[0]!r}, which this program has not. '
                    f'{did_you_mean(str(unknown[0]), ACTIVATIONS)}')  # fmt: skip
  return names


def _rest(gin: Bindings) -> dict[str, Any]:
  """What no array shows."""
  names = ('dropout_rate', 'relative_attention_max_distance', 'dtype')
  bound = {name: gin.values[f'T5Config.{name}'] for name in names if f'T5Config.{name}' in gin.values}
  if bound.get('dtype') not in DTYPES:
    bound.pop('dtype', None)
  return bound


def _contradictions(config: T5Config, gin: Bindings, found: Shapes) -> list[str]:
  problems = []
  for field in dataclasses.fields(config):
    bound = gin.values.get(f'T5Config.{field.name}')
    value = getattr(config, field.name)
    if field.name not in _UNSEEN and bound is not None and bound != value:
      problems.append(f'{FILE} has {field.name}={bound!r} and the arrays show {value!r}')
  if gin.values.get('T5Config.scan_layers') is False and any(name.startswith(_STACKED) for name in found):
    problems.append(f'{FILE} has scan_layers=False and the layers are stacked')
  return problems


def inexpressible(config: T5Config, *, scanned: bool) -> list[str]:
  """Returns what T5X's network fixes in its code and this model has otherwise; it would compute something else."""
  problems = [
    f"{name} is {getattr(config, name)!r}, and T5X's network has {value!r} in its code"
    for name, value in T5X_FIXES.items()
    if getattr(config, name) != value
  ]
  if config.relative_bias_per_layer and not scanned:
    problems.append("relative_bias_per_layer is True, which only T5X's scanned network has")
  return problems
