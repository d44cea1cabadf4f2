"""The checkpoints that T5X wrote."""

import pathlib

import pytest


@pytest.fixture(scope='session')
def t5x_data(real_data) -> pathlib.Path:
  """The folder of T5X's checkpoints; skips where the real data lacks it."""
  folder = real_data / 't5x_checkpoints'
  if not folder.is_dir():
    pytest.skip(f'{folder} is not there')
  return folder
