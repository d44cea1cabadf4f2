"""Tiny models and batches that the tests of the network share."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.models import T5, T5Config

VOCAB = 30


def tiny_config(**changes) -> T5Config:
  sizes = {
    'vocab_size': VOCAB,
    'emb_dim': 16,
    'num_heads': 2,
    'head_dim': 8,
    'mlp_dim': 24,
    'num_encoder_layers': 2,
    'num_decoder_layers': 2,
    'dtype': 'float32',
  }
  return T5Config(**{**sizes, **changes})


@functools.cache
def _parts(changes: tuple) -> tuple:
  return nnx.split(T5(tiny_config(**dict(changes)), rngs=nnx.Rngs(0)))


def tiny_model(**changes) -> T5:
  """A fresh copy of a model made once."""
  return nnx.merge(*_parts(tuple(sorted(changes.items()))), copy=True)


def rows(seed: int, *lengths: int, width: int | None = None) -> jnp.ndarray:
  """Random token rows of these lengths, padded, without EOS."""
  random = np.random.default_rng(seed)
  padded = np.zeros((len(lengths), width or max(lengths)), np.int32)
  for row, length in zip(padded, lengths, strict=True):
    row[:length] = random.integers(2, VOCAB, length)
  return jnp.asarray(padded)


@pytest.fixture
def model() -> T5:
  return tiny_model()
