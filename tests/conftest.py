"""Strict JAX for every test: rank promotion raises, strict dtype promotion, eight CPU devices, warnings are errors."""

import os
import pathlib

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('MPLBACKEND', 'Agg')
os.environ['XLA_FLAGS'] = os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'

import jax
import pytest

jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_numpy_dtype_promotion', 'strict')

REAL_DATA = 'FLAN_JAX_TEST_DATA'


@pytest.fixture(scope='session')
def real_data() -> pathlib.Path:
  """The folder of real rows; tests that need it skip, and say why, where it is not given."""
  folder = os.environ.get(REAL_DATA)
  if not folder:
    pytest.skip(f'{REAL_DATA} is not set: this test runs on real TFDS rows')
  return pathlib.Path(folder).resolve()
