"""Which keys a query may see: padding, packed segments, and the future."""

import numpy as np
from jaxtyping import Array, Bool, Int


def visible_tokens(tokens: Int[Array, 'batch length']) -> Bool[Array, 'batch length']:
  """Returns True at every token that is not padding (id 0)."""
  return tokens > 0


def key_mask(visible: Bool[Array, 'batch key']) -> Bool[Array, 'batch 1 1 key']:
  """Returns the mask of an unpacked batch: every query sees the same keys."""
  return visible[:, None, None, :]


def segment_mask(
  query_segments: Int[Array, 'batch query'], key_segments: Int[Array, 'batch key']
) -> Bool[Array, 'batch 1 query key']:
  """Returns the mask of a packed batch: a query sees the keys of its own example; segment 0 is padding."""
  same = query_segments[:, None, :, None] == key_segments[:, None, None, :]
  return same & (key_segments > 0)[:, None, None, :]


def causal_mask(length: int) -> Bool[np.ndarray, '1 1 length length']:
  """Returns the mask of teacher forcing: a query sees itself and what came before."""
  return np.tri(length, dtype=bool)[None, None]


def descendant_mask(ends: Int[Array, 'batch length']) -> Bool[Array, 'batch 1 length length']:
  """Returns which keys' descendants end behind each query: of trees laid out depth first, for a causal mask to cut."""
  places = np.arange(ends.shape[1], dtype=np.int32)
  return (ends[:, None, :] > places[None, :, None])[:, None]
