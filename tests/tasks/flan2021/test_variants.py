"""Every dataset that has real rows, through every variant of one part and some of several, the roles in turn."""

import itertools
import random

import pytest
import seqio
import tensorflow_datasets as tfds

from flan_jax.data import provenance, registry, variants
from flan_jax.data.options import STYLES
from flan_jax.data.splits import resolve
from flan_jax.data.variants import Variant
from tasks.flan2021 import DATASETS
from tests.data.conftest import data_dir, real_tfds  # noqa: F401  a fixture
from tests.tasks.test_flan2021 import MADE_UP

LENGTHS = {'inputs': 1024, 'targets': 256}
EXAMPLES = 3  # of each variant; the ordinary one reads all
DRAWN = 2  # variants of several parts for each dataset: all are 448 for one with options, a second each
DATASETS_WITH_ROWS = [dataset for dataset in DATASETS if dataset.name not in MADE_UP]


def chosen(dataset):
  """The variants that differ from the ordinary one in one thing, and some combinations, drawn."""
  found = list(variants.of_dataset(dataset))
  simple = [variant for variant in found if variant.suffix.count('.') <= 1]
  several = [variant for variant in found if variant.suffix.count('.') > 1]
  return simple + random.Random(dataset.name).sample(several, DRAWN)


def roles(dataset, folder):
  builder = tfds.builder(dataset.source, data_dir=str(folder))
  found = resolve(dataset.splits, {name: info.num_examples for name, info in builder.info.splits.items()}, dataset.name)
  return {role: len(rows) for role, rows in found.items() if len(rows)}


@pytest.fixture(params=DATASETS_WITH_ROWS, ids=lambda dataset: dataset.name)
def real(request, real_data, real_tfds):  # noqa: F811
  """A dataset, and the number of rows of each role in the folder that has training rows, or else any."""
  folders = {name: roles(request.param, real_data / name) for name in ('tfds', 'tfds_tiny')}
  name = max(folders, key=lambda name: ('train' in folders[name], len(folders[name]), sum(folders[name].values())))
  with data_dir(real_data / name):
    yield request.param, folders[name]


@pytest.mark.slow
def test_the_ordinary_variant_gives_every_row_that_is_kept(real):
  dataset, sizes = real
  task = f'flan2021.{dataset.name}'
  for role, rows in sizes.items():
    stream = seqio.TaskRegistry.get(task).get_dataset(LENGTHS, split=role, shuffle=False, try_in_mem_cache=False)
    seen = gone = 0
    for example in stream.as_numpy_iterator():
      seen, gone = seen + 1, gone + int(example['filtered'])
    assert dataset.keep is not None or (seen, gone) == (rows, 0)
    assert 0 < seen <= rows - gone  # rows left out behind the last one kept come with none


@pytest.mark.slow
def test_every_variant_on_real_rows(real):
  dataset, sizes = real
  roles = itertools.cycle(sizes)
  for variant in chosen(dataset):
    if variant.shots and 'train' not in sizes:
      continue  # this copy has no training rows for exemplars to come from
    info = registry.task_info(f'flan2021.{dataset.name}{variant.suffix}')
    task = seqio.TaskRegistry.get(info.name)
    stream = task.get_dataset(LENGTHS, split=next(roles), shuffle=False, try_in_mem_cache=False)
    for example in stream.take(EXAMPLES).as_numpy_iterator():
      check(info, example)


def check(info, example):
  variant, dataset = info.variant, info.dataset
  prompt = example['inputs_pretokenized'].decode()
  eos = registry.FEATURES['inputs'].vocabulary.eos_id
  assert prompt.strip() and example['inputs'][-1] == eos and len(example['inputs']) <= LENGTHS['inputs']
  check_template(info, example, prompt)
  check_options(variant, dataset, example, prompt)
  (record,) = provenance.decode(example['provenance'], [info.name])
  assert (record.task, record.template) == (info.name, example['template'])
  if variant.shots:
    exemplars = example['exemplars'].tolist()
    assert example['tfds_id'] not in exemplars and len(set(exemplars)) == len(exemplars)
    assert len(exemplars) + record.exemplars_left_out == variant.exemplars(dataset)
    assert prompt.count('Input: ') >= 1 + len(exemplars)


def check_template(info, example, prompt):
  if info.variant.prompting != 'instructions':
    assert example['template'] == provenance.NO_TEMPLATE
    assert prompt.startswith(f'{info.dataset.name}\n') or info.variant.prompting == 'fields_only'
    return
  assert example['template'] in info.templates
  if not info.dataset.templates[example['template']].inverted and info.variant == Variant(info.variant.templates):
    assert example['answer'].decode() in example['targets_pretokenized'].decode()


def check_options(variant, dataset, example, prompt):
  headers = {style.header for style in STYLES.values()}
  if variant.prompting == 'instructions' and dataset.classifies:
    template = dataset.templates[example['template']]
    assert any(header in prompt for header in headers) == (template.shows_options and variant.options)
  if variant.rank:
    assert len(example['targets']) == len(example['is_correct']) == len(example['options'])
    right = {option for option, good in zip(example['options'], example['is_correct'], strict=True) if good}
    assert right == set(example['options']) & set(example['references'])
