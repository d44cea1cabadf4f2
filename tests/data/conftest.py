"""Real rows and T5's vocabulary in force for a test, and everything global as it was afterwards."""

import contextlib

import pytest
import seqio

from flan_jax.data import registry, vocabulary
from tasks import flan2021, quickstart  # noqa: F401  registered before any test saves the registries


@contextlib.contextmanager
def restored(container):
  """Gives a dictionary or list back its content at the end."""
  before = container.copy()
  try:
    yield container
  finally:
    container.clear()
    container.update(before) if isinstance(container, dict) else container.extend(before)


@contextlib.contextmanager
def data_dir(folder):
  """Makes a folder the TFDS data dir for a while."""
  before = seqio.utils._TFDS_DATA_DIR_OVERRIDE
  seqio.set_tfds_data_dir_override(str(folder))
  try:
    yield
  finally:
    seqio.set_tfds_data_dir_override(before)


@pytest.fixture(scope='module')
def real_tfds(real_data):
  """The folder of real TFDS rows, in force together with T5's vocabulary."""
  with data_dir(real_data / 'tfds'), restored(vocabulary._ACTIVE):
    vocabulary.use_vocabulary(seqio.SentencePieceVocabulary(str(real_data / 'vocabs' / 't5_cc_all.32000.model')))
    yield real_data / 'tfds'


@contextlib.contextmanager
def open_registries():
  """Registries that may be added to: what is registered meanwhile is gone afterwards."""
  with contextlib.ExitStack() as stack:
    for registered in (
      seqio.TaskRegistry._REGISTRY, seqio.MixtureRegistry._REGISTRY, registry._TASKS, registry._FAMILIES,
    ):  # fmt: skip
      stack.enter_context(restored(registered))
    yield


@pytest.fixture
def registries():
  """Registries that a test may add to."""
  with open_registries():
    yield


@pytest.fixture
def no_vocabulary():
  """No vocabulary chosen."""
  with restored(vocabulary._ACTIVE) as active:
    active.clear()
    yield
