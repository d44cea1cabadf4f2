"""Fields from rows: the same by blocks of records as row by row, and what the filter refuses is counted."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data import extract, records
from flan_jax.data.dataset import Dataset
from flan_jax.data.template import Template
from flan_jax.errors import UserError
from tasks import flan2021

BY_NAME = {dataset.name: dataset for dataset in flan2021.DATASETS}


def declared(keep=None):
  return Dataset(
    name='mine', cluster='any', source='trec:1.0.0', keep=keep,
    fields=lambda row: {'question': row['text'], 'words': row['text'],
                        'options': tf.strings.split(row['text']), 'answer': tf.strings.split(row['text'])[0]},
    templates=(Template('{question} {options}'),),
  )  # fmt: skip


def rows(dataset, folder, split='train'):
  builder = tfds.builder(dataset.source, data_dir=str(folder))
  return records.read(builder, tfds.core.ReadInstruction(split))


def examples(dataset, stream, count):
  return list(extract.extract_fields(dataset)(stream).take(count).as_numpy_iterator())


def same(found, expected):
  assert len(found) == len(expected) > 0
  for one, other in zip(found, expected, strict=True):
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def every(n):
  """Keeps the rows whose text is a multiple of n bytes long."""
  return lambda row: tf.strings.length(row['text']) % n == 0


@pytest.mark.parametrize('keep', [None, every(2), every(31), every(10_000)], ids=['all', 'half', 'few', 'none'])
def test_a_block_of_records_gives_what_each_row_gives(keep, real_data):
  dataset = declared(keep)
  stream = rows(dataset, real_data / 'tfds')
  by_block, by_row = (extract.extract_fields(dataset)(s) for s in (stream, stream.take(-1)))
  found, expected = list(by_block.as_numpy_iterator()), list(by_row.as_numpy_iterator())
  if keep is None or found:
    same(found, expected)
  else:
    assert not expected
  lengths = [len(row['text']) for row in stream.as_numpy_iterator()]
  n = {None: 1}.get(keep) or next(k for k in (2, 31, 10_000) if len(found) == sum(size % k == 0 for size in lengths))
  places = [place for place, size in enumerate(lengths) if size % n == 0]
  assert [int(example['filtered']) for example in found] == np.diff([-1, *places]).__sub__(1).tolist()


@pytest.mark.parametrize('name', ['copa', 'aeslc', 'record', 'wsc', 'sentiment140', 'multirc', 'arc_easy'])
def test_declared_datasets_by_block_and_by_row(name, real_data):
  dataset = BY_NAME[name]
  split = 'test' if name == 'sentiment140' else 'train'
  stream = rows(dataset, real_data / 'tfds', split)
  same(examples(dataset, stream, 300), examples(dataset, stream.take(-1), 300))


def test_a_mistake_in_fields_is_one_sentence(real_data):
  dataset = Dataset(name='mine', cluster='any', source='trec:1.0.0', templates=(Template('{question}'),),
                    fields=lambda row: {'question': row['txet'], 'answer': row['text']})  # fmt: skip
  for stream in (rows(dataset, real_data / 'tfds'), rows(dataset, real_data / 'tfds').take(-1)):
    with pytest.raises(UserError, match="Dataset 'mine': a row has no field 'txet'"):
      extract.extract_fields(dataset)(stream)
