"""The embedded suite as a TFDS builder: generated once into the data dir, the same rows on every machine."""

import hashlib
import itertools
import json
import pathlib
import random
from collections.abc import Iterable, Iterator

import tensorflow_datasets as tfds

from flan_jax.errors import UserError
from tasks.quickstart.generators import GENERATORS, Row
from tasks.quickstart.rows import NAME, VERSION

TRAIN_ROWS, TEST_ROWS = 6000, 600
_PATIENCE = 3000  # draws without a new row after which a dataset is taken to be exhausted
_CHECKSUMS = pathlib.Path(__file__).with_name('checksums.json')


class FlanQuickstart(tfds.core.GeneratorBasedBuilder):
  """Procedurally generated English tasks for a first instruction-tuning run that needs no download."""

  name = NAME
  VERSION = tfds.core.Version(VERSION)
  BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name, version=VERSION) for name in GENERATORS]  # noqa: RUF012

  def _info(self) -> tfds.core.DatasetInfo:
    row = GENERATORS[self.builder_config.name](random.Random(0))
    features = {
      name: tfds.features.Sequence(tfds.features.Text()) if isinstance(value, list) else tfds.features.Text()
      for name, value in row.items()
    }
    return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

  def _split_generators(self, dl_manager: object) -> dict[str, Iterator[tuple[int, Row]]]:
    del dl_manager  # nothing is downloaded
    train, test = rows(self.builder_config.name)
    return {'train': enumerate(train), 'test': enumerate(test)}

  def _generate_examples(self) -> Iterator[tuple[int, Row]]:
    return iter(())


def rows(config: str) -> tuple[list[Row], list[Row]]:
  """Draws the distinct rows of a dataset: (train, test), with no row in both.

  A dataset whose world is small gives fewer, and a fifth of them to the test split.
  """
  draw = random.Random(f'{NAME}/{config}:{VERSION}')
  found: dict[str, Row] = {}
  last_new = 0
  for attempt in itertools.count():
    if len(found) == TRAIN_ROWS + TEST_ROWS or attempt - last_new > _PATIENCE:
      break
    row = GENERATORS[config](draw)
    # The order of the options does not make a row new.
    key = json.dumps({name: value for name, value in row.items() if name != 'options'}, sort_keys=True)
    if key not in found:
      found[key] = row
      last_new = attempt
  distinct = list(found.values())
  test_rows = min(TEST_ROWS, len(distinct) // 5)
  return distinct[test_rows:], distinct[:test_rows]


def prepare(data_dir: str | pathlib.Path | None = None) -> dict[str, str]:
  """Prepares every dataset of the suite that the data dir lacks, and checks the rows of those it has made.

  Args:
    data_dir: a TFDS data dir; TFDS's own default where None.

  Returns:
    The checksum of each dataset that was made now.

  Raises:
    UserError: where rows made now are not those that the suite's version stands for.
  """
  made = {}
  expected = json.loads(_CHECKSUMS.read_text())
  for config in GENERATORS:
    builder = FlanQuickstart(config=config, data_dir=data_dir)
    if builder.is_prepared():
      continue
    builder.download_and_prepare()
    made[config] = checksum(builder)
    if made[config] != expected.get(config):
      raise UserError(
        f'{builder.info.full_name} in {builder.data_path} does not hold the rows of version {VERSION} (SHA-256 '
        f'{made[config][:12]}..., expected {str(expected.get(config))[:12]}...): this Python draws other random numbers.'
      )
  return made


def checksum(builder: tfds.core.DatasetBuilder) -> str:
  """Returns the SHA-256 of the prepared rows, read back from disk, split by split."""
  digest = hashlib.sha256()
  for split in sorted(builder.info.splits):
    for row in tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False)):
      digest.update(json.dumps({name: _text(value) for name, value in row.items()}, sort_keys=True).encode())
  return digest.hexdigest()


def _text(value: bytes | Iterable[bytes]) -> str | list[str]:
  return value.decode() if isinstance(value, bytes) else [item.decode() for item in value]
