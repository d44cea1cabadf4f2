"""The embedded suite as a TFDS builder: generated once into the data dir, the same rows on every machine."""

import contextlib
import hashlib
import io
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
CHECKSUMS = pathlib.Path(__file__).with_name('checksums.json')


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

  def _download_and_prepare(self, **kwargs: object) -> None:
    # Here the rows are still in TFDS's incomplete folder, which goes away with an error: wrong rows never get a name.
    super()._download_and_prepare(**kwargs)
    config, found = self.builder_config.name, checksum(self)
    expected = json.loads(CHECKSUMS.read_text()).get(config, '')
    if found != expected:
      raise UserError(
        f'{self.info.full_name} would not hold the rows of version {VERSION} (SHA-256 {found[:12]}..., expected '
        f'{expected[:12]}...): this Python draws other random numbers.'
      )

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


def prepare(data_dir: str | pathlib.Path | None = None) -> list[str]:
  """Prepares every dataset of the suite that the data dir lacks, without a word; what is there already stays.

  Safe to be killed at any moment: TFDS gives a dataset its name once it is whole and checked (see `FlanQuickstart`).

  Args:
    data_dir: a TFDS data dir; TFDS's own default where None.

  Returns:
    The datasets that were made now.

  Raises:
    UserError: where the rows drawn are not those that the suite's version stands for; none of them stay behind.
  """
  tfds.disable_progress_bar()
  # Nothing is downloaded; a folder without its description is the rest of a damaged copy and is made anew.
  config = tfds.download.DownloadConfig(download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS)
  builders = {name: FlanQuickstart(config=name, data_dir=data_dir) for name in GENERATORS}
  made = {name: builder for name, builder in builders.items() if not builder.info.splits}
  for builder in made.values():
    with contextlib.redirect_stdout(io.StringIO()):  # where TFDS announces itself
      builder.download_and_prepare(download_config=config)
  return list(made)


def checksum(builder: tfds.core.DatasetBuilder) -> str:
  """Returns the SHA-256 of the prepared rows, read back from disk, split by split."""
  digest = hashlib.sha256()
  for split in sorted(builder.info.splits):
    for batch in builder.as_dataset(split=split, shuffle_files=False).ragged_batch(1000):
      columns = [column.numpy().tolist() for column in batch.values()]
      for values in zip(*columns, strict=True):
        row = {name: _text(value) for name, value in zip(batch, values, strict=True)}
        digest.update(json.dumps(row, sort_keys=True).encode())
  return digest.hexdigest()


def _text(value: bytes | Iterable[bytes]) -> str | list[str]:
  return value.decode() if isinstance(value, bytes) else [item.decode() for item in value]
