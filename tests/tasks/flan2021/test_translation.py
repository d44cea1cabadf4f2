"""Translation: each pair has its own language, both directions occur, and held-back rows are apart."""

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.splits import resolve
from tasks.flan2021.translation import DATASETS

BY_NAME = {dataset.name: dataset for dataset in DATASETS}
LANGUAGES = {
  'para_crawl_enes': ('es', 'Spanish'),
  'wmt14_enfr': ('fr', 'French'),
  'wmt16_translate_deen': ('de', 'German'),
  'wmt16_translate_tren': ('tr', 'Turkish'),
  'wmt16_translate_csen': ('cs', 'Czech'),
  'wmt16_translate_fien': ('fi', 'Finnish'),
  'wmt16_translate_roen': ('ro', 'Romanian'),
  'wmt16_translate_ruen': ('ru', 'Russian'),
}
every_dataset = pytest.mark.parametrize('dataset', DATASETS, ids=lambda dataset: dataset.name)


def _row(code, english, other):
  return {'en': tf.constant(english), code: tf.constant(other)}


@every_dataset
def test_the_source_has_the_language_that_is_declared(dataset, tmp_path):
  code, _ = LANGUAGES[dataset.name]
  assert set(tfds.builder(dataset.source, data_dir=str(tmp_path)).info.features) == {'en', code}


@every_dataset
def test_seven_templates_translate_into_the_language_and_three_into_english(dataset):
  code, language = LANGUAGES[dataset.name]
  example = dataset.example(_row(code, 'Good morning.', 'Xyzzy!'))
  directions = []
  for template in dataset.templates:
    inputs, targets = (text.numpy().decode() for text in template.render(example))
    assert language in inputs
    assert not any(other in inputs for _, other in LANGUAGES.values() if other != language)
    given, wanted = ('Xyzzy!', 'Good morning.') if template.inverted else ('Good morning.', 'Xyzzy!')
    assert given in inputs and wanted not in inputs
    assert targets == wanted
    directions.append('en' if template.inverted else code)
  assert (directions.count(code), directions.count('en')) == (7, 3)


@pytest.mark.parametrize(
  ('english', 'german', 'kept'), [(' Yes.\r', 'Ja. ', True), ('Yes.', ' \r', False), ('\t', 'Ja.', False)]
)
def test_white_space_is_no_text(english, german, kept):
  dataset = BY_NAME['wmt16_translate_deen']
  row = _row('de', english, german)
  assert bool(dataset.keep(row)) is kept
  if kept:
    example = dataset.example(row)
    assert (example['english'].numpy(), example['answer'].numpy()) == (b'Yes.', b'Ja.')


def test_para_crawl_holds_back_the_last_training_rows():
  rows = 21_987_267
  ranges = resolve(BY_NAME['para_crawl_enes'].splits, {'train': rows}, 'para_crawl_enes')
  assert {role: (r.split, r.start, r.stop) for role, r in ranges.items()} == {
    'train': ('train', 0, 30_000),
    'validation': ('train', rows - 1200, rows - 1000),
    'test': ('train', rows - 1000, rows),
  }


def test_wmt_validates_on_the_first_validation_rows():
  sizes = {'train': 205_756, 'validation': 1001, 'test': 3000}
  ranges = resolve(BY_NAME['wmt16_translate_tren'].splits, sizes, 'wmt16_translate_tren')
  assert {role: str(r) for role, r in ranges.items()} == {
    'train': 'train[0:30000]',
    'validation': 'validation[0:200]',
    'test': 'test[0:3000]',
  }


def test_romanian_is_the_answer(real_data):
  dataset = BY_NAME['wmt16_translate_roen']
  builder = tfds.builder(dataset.source, data_dir=str(real_data / 'tfds_tiny'))
  rows = builder.as_dataset(split='validation', shuffle_files=False).filter(dataset.keep).map(dataset.example)
  examples = list(rows.as_numpy_iterator())
  assert len(examples) == 10
  for example in examples:
    assert example['english'].isascii()
    assert not example['answer'].isascii()  # each of these sentences has a Romanian letter
