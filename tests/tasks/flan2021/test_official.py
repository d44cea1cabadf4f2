"""Official patterns on real rows: the bytes that the official code would make of the same rows in the same order."""

import dataclasses
import pathlib

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.official import drop_incomplete, read_official_templates
from flan_jax.errors import UserError
from tasks.flan2021 import DATASETS
from tasks.flan2021.official import official_datasets
from tasks.flan2021.official.table import TABLE
from tests.tasks.flan2021 import made_up, official_rules
from tests.tasks.test_flan2021 import MADE_UP

FILE = pathlib.Path(__file__).with_name('official_patterns.py')
PATTERNS = read_official_templates(FILE)
OURS = {dataset.name: dataset for dataset in DATASETS}
TEMPLATED = {dataset.name: dataset for dataset in official_datasets(FILE, DATASETS)}
FAITHFUL = {dataset.name: dataset for dataset in official_datasets(FILE, DATASETS, faithful=True)}
REAL = [name for name in OURS if name not in MADE_UP]
# The same bytes without the switch as well, on all the real rows that there are.
EQUAL_ANYWAY = ()


def _real_rows(source, splits, folder) -> tf.data.Dataset:
  rows = None
  for part in ('tfds', 'tfds_tiny'):
    builder = tfds.builder(source, data_dir=str(folder / part))
    for split in sorted({text.split('[')[0] for _, text in splits.items()} & set(builder.info.splits)):
      found = builder.as_dataset(split=split, shuffle_files=False)
      rows = found if rows is None else rows.concatenate(found)
  assert rows is not None
  return rows


def _rendered(dataset, rows) -> list[list[list[str]]]:
  """Row by row, what our templates make of it: [inputs, targets] each."""

  @tf.autograph.experimental.do_not_convert
  def render(row):
    fields = dataset.example(row)
    return tf.stack([tf.stack(template.render(fields)) for template in dataset.templates])

  kept = rows.filter(dataset.keep) if dataset.keep else rows
  return [[[text.decode() for text in pair] for pair in pairs] for pairs in kept.map(render).as_numpy_iterator()]


def _expected(name, rows) -> list[list[list[str]]]:
  """What the official code makes of it under each pattern."""
  found = [row for row in map(official_rules.text, rows.as_numpy_iterator()) if official_rules.keeps(name, row)]
  return [
    [[official_rules.filled(text, fields) for text in pair] for pair in PATTERNS[TABLE[name].key]]
    for fields in (official_rules.official(name, row) for row in found)
  ]


@pytest.mark.parametrize('name', REAL)
def test_faithful_examples_are_the_official_ones_on_real_rows(name, real_data):
  dataset = FAITHFUL[name]
  rows = _real_rows(dataset.source, dataset.splits, real_data).take(400)
  expected = _expected(name, rows)
  assert expected
  assert _rendered(dataset, rows) == expected


@pytest.mark.parametrize('name', MADE_UP)
def test_faithful_examples_are_the_official_ones_on_rows_of_the_declared_features(name):
  rows = made_up.rows(name, FAITHFUL[name].source, 12)
  expected = _expected(name, rows)
  assert len(expected) == 12
  assert _rendered(FAITHFUL[name], rows) == expected


@pytest.mark.parametrize('name', OURS)
def test_every_placeholder_of_the_table_is_a_field_in_both_modes(name):
  """A pattern for each placeholder that the table knows, on rows of the declared features."""
  entry = TABLE[name]
  assert set(entry.names) | set(entry.constants) >= {
    placeholder for pair in PATTERNS[entry.key] for text in pair for placeholder in _names(text)
  } - {'options_', 'options_str'}


def _names(text):
  return {part.split('}')[0] for part in text.split('{')[1:]}
