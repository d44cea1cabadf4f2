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
  """Draws the rows of a dataset: (train, test).

  Test rows are all different and none of them trains. Where the world is too small for that (what kind of thing a
  word names, which words are synonyms) there is nothing to infer an unseen fact from: test asks for the facts that
  training states.
  """
  draw = random.Random(f'{NAME}/{config}:{VERSION}')
  generate = GENERATORS[config]
  test = {_key(row): row for row in itertools.islice(iter(lambda: generate(draw), None), 2 * TEST_ROWS)}
  if len(test) >= TEST_ROWS:
    test = dict(itertools.islice(test.items(), TEST_ROWS))
    fresh = (row for row in iter(lambda: generate(draw), None) if _key(row) not in test)
    return list(itertools.islice(fresh, TRAIN_ROWS)), list(test.values())
  return [generate(draw) for _ in range(TRAIN_ROWS)], [generate(draw) for _ in range(TEST_ROWS)]


def _key(row: Row) -> str:
  """What makes a row itself: all but the order of its options."""
  return json.dumps({name: value for name, value in row.items() if name != 'options'}, sort_keys=True)


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
        f'{builder.info.full_name} in {builder.data_path} does not hold the rows of version '
        f'{VERSION} (SHA-256 {made[config][:12]}..., expected {str(expected.get(config))[:12]}...): '
        'this Python draws other random numbers.'
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
