"""LoRA and DoRA, peft's and ours."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from flan_jax.errors import UserError
from flan_jax.interop import peft_options, t5_places
from flan_jax.interop.peft_options import Options
from flan_jax.interop.peft_weights import (
  PREFIX,
  Arrays,
  FromPeft,
  Parts,
  ToPeft,
  complete,
  matching,
  our_targets,
  split,
  their_targets,
)
from flan_jax.interop.t5_places import Place, Side
from flan_jax.peft import DoRA, LoRA
from flan_jax.peft.targets import compiled

OPTIONS = frozenset({'r', 'lora_alpha', 'lora_dropout', 'use_rslora', 'use_dora', 'rank_pattern', 'alpha_pattern',
                     'target_modules', 'exclude_modules'})  # fmt: skip


def from_peft(options: Options, tensors: Arrays) -> FromPeft:
  """From peft's LoRA or DoRA; see `peft_adapters.from_peft`."""
  _refuse_embeddings(tensors)
  peft_options.check_options(options, OPTIONS)
  dora = bool(options.get('use_dora'))
  parts = split(tensors, t5_places.projections(), 'theirs',
                 ('lora_A.weight', 'lora_B.weight', *(('lora_magnitude_vector',) if dora else ())))  # fmt: skip
  targeted = peft_options.targeting(options)
  complete(parts, targeted, t5_places.projections(), 'theirs')
  rank, alpha = int(options.get('r', 8)), float(options.get('lora_alpha', 8))
  ranks = _by_pattern(options.get('rank_pattern') or {}, rank)
  alphas = _by_pattern(options.get('alpha_pattern') or {}, alpha)
  arrays = {}
  for place, found in parts.items():
    a, b, *magnitude = found.values()
    if a.ndim != 2 or b.ndim != 2 or not a.shape[0] == b.shape[1] == ranks(place):
      raise UserError(f'lora_A {list(a.shape)} and lora_B {list(b.shape)} of {place.theirs} do not have the rank '
                      f'{ranks(place)} that the config gives them')  # fmt: skip
    arrays[f'{place.ours}/adapters/lora/a'] = np.ascontiguousarray(a.T)
    arrays[f'{place.ours}/adapters/lora/b'] = np.ascontiguousarray(b.T)
    for vector in magnitude:
      arrays[f'{place.ours}/adapters/lora/magnitude'] = vector
  method = (DoRA if dora else LoRA)(
    rank=rank,
    alpha=alpha,
    dropout=float(options.get('lora_dropout', 0.0)),
    targets=our_targets(targeted, parts, LoRA().targets),
    rank_pattern=_patterns(ranks, parts, rank, 'ours'),
    alpha_pattern=_patterns(alphas, parts, alpha, 'ours'),
    rank_stabilized=bool(options.get('use_rslora')),
  )
  return method, arrays, ()


def _refuse_embeddings(tensors: Arrays) -> None:
  for name in tensors:
    if name.endswith('.base_layer.weight'):
      module = name.removeprefix(PREFIX).removesuffix('.base_layer.weight')
      raise UserError(f"peft saved the base weights of {module} beside the adapter, where there is no place for them "
                      'here; if they are unchanged, save it again with save_embedding_layers=False')  # fmt: skip
    module, found, _ = name.removeprefix(PREFIX).partition('.lora_embedding_')
    if found:
      raise UserError(f"peft's LoRA on the embedding {module} has no counterpart here: only projections have slots")


def to_peft(method: Any, arrays: Arrays) -> ToPeft:
  """From our LoRA or DoRA; see `peft_adapters.to_peft`."""
  pissa, dora = method.init == 'pissa', isinstance(method, DoRA)
  parts = split(arrays, t5_places.projections(), 'ours',
                 ('adapters/lora/a', 'adapters/lora/b', *(('adapters/lora/magnitude',) if dora else ()),
                  *(('adapters/lora/start_a', 'adapters/lora/start_b') if pissa else ())))  # fmt: skip
  targeted = matching(method.targets)
  complete(parts, targeted, t5_places.projections(), 'ours')
  # PiSSA's a @ b - start_a @ start_b is a product of twice the rank, and the scale alpha / rank must not change.
  more_rank, more_alpha = (2, 2**0.5 if method.rank_stabilized else 2) if pissa else (1, 1)
  rank, alpha = method.rank * more_rank, _plain(method.alpha * more_alpha)
  ranks = _by_our_pattern({key: value * more_rank for key, value in method.rank_pattern.items()}, rank)
  alphas = _by_our_pattern({key: _plain(value * more_alpha) for key, value in method.alpha_pattern.items()}, alpha)
  tensors = {}
  for place, found in parts.items():
    a, b = found['adapters/lora/a'], found['adapters/lora/b']
    if pissa:
      a = np.concatenate([a, found['adapters/lora/start_a']], axis=1)
      b = np.concatenate([b, -found['adapters/lora/start_b']], axis=0)
    if not a.shape[1] == b.shape[0] == ranks(place):
      raise UserError(f'a {list(a.shape)} and b {list(b.shape)} of {place.ours} do not have the rank that the config '
                      'gives them')  # fmt: skip
    tensors[f'{PREFIX}{place.theirs}.lora_A.weight'] = np.ascontiguousarray(a.T)
    tensors[f'{PREFIX}{place.theirs}.lora_B.weight'] = np.ascontiguousarray(b.T)
    if dora:
      tensors[f'{PREFIX}{place.theirs}.lora_magnitude_vector'] = found['adapters/lora/magnitude']
  options = {
    'peft_type': 'LORA',
    'r': rank,
    'lora_alpha': alpha,
    'lora_dropout': method.dropout,
    'target_modules': their_targets(targeted, parts),
    'rank_pattern': _patterns(ranks, parts, rank, 'theirs'),
    'alpha_pattern': _patterns(alphas, parts, alpha, 'theirs'),
    'use_rslora': method.rank_stabilized,
    'use_dora': dora,
    'bias': 'none',
  }
  return options, tensors, tuple(_lora_notes(method))


def _lora_notes(method: Any) -> Iterable[str]:
  if method.init == 'pissa':
    yield f'PiSSA leaves as a plain adapter of twice its rank ({2 * method.rank}), which does the same'
  if method.b_learning_rate_ratio != 1.0:
    yield "b_learning_rate_ratio is left out: peft's configs do not hold LoRA+, and it matters to training only"


def _by_pattern(patterns: Mapping[str, Any], otherwise: Any) -> Callable[[Place], Any]:
  return lambda place: type(otherwise)(peft_options.pattern_value(patterns, place.theirs, otherwise))


def _by_our_pattern(patterns: Mapping[str, Any], otherwise: Any) -> Callable[[Place], Any]:
  return lambda place: next((v for key, v in patterns.items() if compiled(key).fullmatch(place.ours)), otherwise)


def _patterns(value: Callable[[Place], Any], parts: Parts, usual: Any, side: Side) -> dict[str, Any]:
  return t5_places.patterns({p: value(p) for p in parts}, usual, value, t5_places.projections(), side)


def _plain(number: float) -> float:
  return int(number) if number == int(number) else number
