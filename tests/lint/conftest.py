"""Rows of the embedded suite for declarations that are made to be found fault with."""

import contextlib

import pytest
import seqio

from flan_jax.data import registry, vocabulary
from tasks.quickstart import builder
from tests.data.conftest import data_dir, restored


@pytest.fixture(scope='session')
def suite(tmp_path_factory):
  """A TFDS data dir with two small datasets."""
  folder = tmp_path_factory.mktemp('tfds')
  for config in ('synonym', 'reading'):
    builder.FlanQuickstart(config=config, data_dir=folder).download_and_prepare()
  return folder


@pytest.fixture(scope='module')
def untouched(suite):
  """Registries, data dir and vocabulary as they were, once a module's tests are over."""
  with contextlib.ExitStack() as stack:
    for held in (seqio.TaskRegistry._REGISTRY, seqio.MixtureRegistry._REGISTRY, registry._TASKS, registry._FAMILIES,
                 vocabulary._ACTIVE):  # fmt: skip
      stack.enter_context(restored(held))
    stack.enter_context(data_dir(suite))
    yield suite
