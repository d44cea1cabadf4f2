"""Digests of arrays, computed where they live: a flipped bit in a file or a different base model is noticed."""

import hashlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

_UNSIGNED = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32, 8: jnp.uint32}


def array_digest(array: Array) -> UInt32[Array, '']:
  """A 32-bit sum of an array's bits, each element times an odd weight of its position.

  Every single flipped bit changes it, since an odd multiple of a power of two below 2^32 is not 0 modulo 2^32. It is
  meant against accidents, not against malice.

  Args:
    array: of any shape and dtype.

  Returns:
    The digest; equal arrays have equal digests however they are sharded.
  """
  if array.dtype == jnp.bool:
    array = array.astype(jnp.uint8)
  bits = jax.lax.bitcast_convert_type(array, _UNSIGNED[array.dtype.itemsize]).astype(jnp.uint32)
  for axis in range(bits.ndim):
    bits = bits * (2 * jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis) + 1)
  return jnp.sum(bits, dtype=jnp.uint32)


@jax.jit
def digests(arrays: Mapping[str, Array]) -> UInt32[Array, ' arrays']:
  """The digests of named arrays, in the order of their names."""
  return jnp.stack([array_digest(arrays[name]) for name in sorted(arrays)])


def fingerprint(params: Mapping[str, Array]) -> str:
  """One short hexadecimal word for a set of named arrays: names, shapes, dtypes and values.

  Args:
    params: the arrays, for instance all base parameters of a model.

  Returns:
    Sixteen hexadecimal digits.
  """
  values = np.asarray(digests(dict(params)))
  text = ';'.join(f'{name}:{tuple(params[name].shape)}:{params[name].dtype}:{value}'
                  for name, value in zip(sorted(params), values, strict=True))
  return hashlib.sha256(text.encode()).hexdigest()[:16]
