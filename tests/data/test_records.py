"""Rows are those of TFDS's own reader, in its order."""

import numpy as np
import pytest
import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data import records

ROWS, FILES = 400, 5


class ManyFiles(tfds.core.GeneratorBasedBuilder):
  """Rows with lists, over several files."""

  VERSION = tfds.core.Version('1.0.0')
  pkg_dir_path = None

  def _info(self):
    return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({
      'text': tfds.features.Text(), 'number': np.int64, 'words': tfds.features.Sequence(tfds.features.Text()),
      'nested': {'kind': tfds.features.ClassLabel(names=['a', 'b'])},
    }))  # fmt: skip

  def _split_generators(self, dl_manager):
    return {'train': self._generate_examples()}

  def _generate_examples(self):
    for number in range(ROWS):
      words = [f'w{place}' for place in range(number % 4)]
      yield number, {'text': f'row {number}', 'number': number, 'words': words, 'nested': {'kind': number % 2}}


@pytest.fixture(scope='module', params=['tfrecord', 'parquet'])
def builder(request, tmp_path_factory):
  made = ManyFiles(data_dir=str(tmp_path_factory.mktemp(request.param)), file_format=request.param)
  made.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=FILES))
  return made


def same(found, expected):
  assert len(found) == len(expected) > 0
  for row, other in zip(found, expected, strict=True):
    assert tf.nest.map_structure(lambda a, b: np.array_equal(a, b), row, other) == tf.nest.map_structure(
      lambda _: True, other
    )


@pytest.mark.parametrize('shuffle', [False, True])
@pytest.mark.parametrize('bounds', [(None, None), (90, 333), (3, 4)])
def test_rows_and_order_are_those_of_tfds(builder, shuffle, bounds):
  assert len(builder.info.splits['train'].filepaths) == FILES
  instruction = tfds.core.ReadInstruction('train', from_=bounds[0], to=bounds[1], unit='abs')
  config = tfds.ReadConfig(add_tfds_id=True, shuffle_seed=3, skip_prefetch=True)
  expected = builder.as_dataset(split=instruction, shuffle_files=shuffle, read_config=config)
  found = records.read(builder, instruction, shuffle, seed=3)
  assert found.element_spec == expected.element_spec
  same(list(found.as_numpy_iterator()), list(expected.as_numpy_iterator()))


def test_shards_hold_every_row_once(builder):
  whole = tfds.core.ReadInstruction('train')
  shards = [records.read(builder, whole, shard_info=seqio.ShardInfo(index, 2)) for index in range(2)]
  numbers = [{int(row['number']) for row in shard.as_numpy_iterator()} for shard in shards]
  assert not numbers[0] & numbers[1] and numbers[0] | numbers[1] == set(range(ROWS))


def test_files_are_shuffled_anew_in_every_epoch(builder):
  twice = records.read(builder, tfds.core.ReadInstruction('train'), shuffle=True, seed=1).repeat(2)
  numbers = [int(row['number']) for row in twice.as_numpy_iterator()]
  assert numbers[:ROWS] != numbers[ROWS:] and sorted(numbers[:ROWS]) == sorted(numbers[ROWS:]) == list(range(ROWS))


def test_rows_remember_their_records_until_something_is_done_to_them(builder):
  rows = records.read(builder, tfds.core.ReadInstruction('train'))
  undecoded = records.Undecoded.of(rows)
  assert (undecoded is not None) == (builder.info.file_format == tfds.core.FileFormat.TFRECORD)
  assert records.Undecoded.of(rows.repeat()) is None
  if undecoded is not None:
    first = undecoded.decode(next(iter(undecoded.records)))
    same([{k: v.numpy() if tf.is_tensor(v) else {'kind': v['kind'].numpy()} for k, v in first.items()}],
         list(rows.take(1).as_numpy_iterator()))  # fmt: skip
