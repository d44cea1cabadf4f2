"""Strict JAX for every test: rank promotion raises, strict dtype promotion, eight CPU devices, warnings are errors."""

import atexit
import os
import pathlib
import shutil
import tempfile

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('MPLBACKEND', 'Agg')
os.environ['XLA_FLAGS'] = os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'

# Tests compile the same few toy programs over and over: one cache serves all workers and child processes of a run. A
# size limit makes JAX lock the cache, so that nobody reads an entry that is being written.
if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
  os.environ['JAX_COMPILATION_CACHE_DIR'] = tempfile.mkdtemp(prefix='flan_jax_compiled_')
  atexit.register(shutil.rmtree, os.environ['JAX_COMPILATION_CACHE_DIR'], ignore_errors=True)
os.environ.setdefault('JAX_COMPILATION_CACHE_MAX_SIZE', str(2**30))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.2')

import hypothesis
import jax
import pytest

jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_numpy_dtype_promotion', 'strict')
hypothesis.settings.register_profile('untimed', deadline=None)  # a busy machine is not a failure
hypothesis.settings.load_profile('untimed')

REAL_DATA = 'FLAN_JAX_TEST_DATA'


@pytest.fixture(scope='session')
def real_data() -> pathlib.Path:
  """The folder of real rows; tests that need it skip, and say why, where it is not given."""
  folder = os.environ.get(REAL_DATA)
  if not folder:
    pytest.skip(f'{REAL_DATA} is not set: this test runs on real TFDS rows')
  return pathlib.Path(folder).resolve()


@pytest.fixture(scope='module', autouse=True)
def compiled_programs_go():
  """JAX keeps every program of a process: without this a worker of the whole suite grew to 6.7 GB."""
  yield
  jax.clear_caches()
