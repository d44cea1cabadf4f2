"""How a person prepares the rows of a TFDS dataset: the command, and what must be put where by hand before it."""

import pathlib

import tensorflow_datasets as tfds


def command(builder: tfds.core.DatasetBuilder) -> str:
  """Returns the shell command that downloads and prepares a dataset.

  TFDS's own `tfds build` does the same, but does not even start without Apache Beam, which is no dependency of ours.

  Args:
    builder: of the dataset.
  """
  name, _, version = builder.info.full_name.rpartition('/')
  return (f'python -c "import tensorflow_datasets as tfds; tfds.builder(\'{name}:{version}\', '
          f'data_dir=\'{_data_dir(builder)}\').download_and_prepare()"')


def advice(builder: tfds.core.DatasetBuilder) -> str:
  """Returns what to do about a dataset without rows, as part of a sentence.

  Args:
    builder: of the dataset.
  """
  by_hand = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
  if not by_hand:
    return f'{command(builder)} prepares it where there is a network'
  said = ' '.join(by_hand.split()).rstrip('.')
  folder = _data_dir(builder) / 'downloads' / 'manual'  # where TFDS looks
  return f'{command(builder)} prepares it once the files that have to be got by hand are in {folder} (TFDS: "{said}")'


def _data_dir(builder: tfds.core.DatasetBuilder) -> pathlib.Path:
  """The TFDS data dir: above name, config (if any) and version."""
  return pathlib.Path(builder.data_path).parents[builder.info.full_name.count('/')]
