"""The embedded suite: the rows that its version stands for, held-out prompts that train nowhere, words all known."""

import collections
import json
import re

import pytest
import seqio

from flan_jax.data import registry, vocabulary
from flan_jax.data.rows import rows
from flan_jax.errors import UserError
from flan_jax.heldout import training_sets
from flan_jax.heldout.arms import Arm, Stage
from flan_jax.training import optimizers
from tasks import quickstart
from tasks.quickstart import builder, generators
from tasks.quickstart.rows import OPPOSITE
from tasks.quickstart.vocabulary import quickstart_vocabulary
from tests.data.conftest import data_dir, restored

HELD_OUT = ('nli', 'paraphrase')
EMBEDDINGS = 384  # rows of gin_configs/models/quickstart.gin
LENGTHS = {'inputs': 64, 'targets': 16}


@pytest.fixture(scope='module')
def suite(tmp_path_factory):
  """The whole suite, made once and in force."""
  folder = tmp_path_factory.mktemp('suite')
  assert builder.prepare(folder) == list(generators.GENERATORS)
  with data_dir(folder), restored(vocabulary._ACTIVE):
    vocabulary.use_vocabulary(quickstart_vocabulary())
    yield folder


def test_what_is_prepared_is_left_alone(suite):
  assert builder.prepare(suite) == []


def test_rows_are_those_of_the_pinned_checksums(suite):
  pinned = json.loads(builder.CHECKSUMS.read_text())
  found = {name: builder.checksum(builder.FlanQuickstart(config=name, data_dir=suite)) for name in ('nli', 'reading')}
  assert found == {name: pinned[name] for name in found} and pinned.keys() == generators.GENERATORS.keys()


def test_rows_of_another_checksum_are_refused_and_leave_nothing(tmp_path, monkeypatch):
  pinned = {**json.loads(builder.CHECKSUMS.read_text()), 'boolean_qa': 'f' * 64}
  (tmp_path / 'checksums.json').write_text(json.dumps(pinned))
  monkeypatch.setattr(builder, 'CHECKSUMS', tmp_path / 'checksums.json')
  with pytest.raises(UserError, match='flan_quickstart/boolean_qa.*expected ffffffffffff'):
    builder.prepare(tmp_path / 'data')
  assert not list((tmp_path / 'data').rglob('*.tfrecord*'))


def test_questions_of_the_test_rows_never_train():
  for config in ('boolean_qa', 'nli', 'words_same', 'title'):
    train, test = builder.rows(config)
    assert not {builder._key(row) for row in train} & {builder._key(row) for row in test}
    assert len({builder._key(row) for row in test}) == len(test) == builder.TEST_ROWS


@pytest.mark.parametrize('config', sorted(set(generators.GENERATORS) - {'reading'}))
def test_yes_and_no_are_equally_frequent(config):
  train, test = builder.rows(config)
  for drawn in (train, test):
    share = collections.Counter(row['answer'] for row in drawn)['yes'] / len(drawn)
    assert 0.4 < share < 0.6


def test_opposite_datasets_answer_with_the_other_option_of_the_same_rows(suite):
  names = [dataset.name for dataset in quickstart.DATASETS if dataset.name.endswith(OPPOSITE)]
  assert len(names) == 9
  for name in names:
    plain, opposite = (rows(f'{task}.template_0', 'test', 20) for task in (name.removesuffix(OPPOSITE), name))
    assert [row.row_id for row in plain] == [row.row_id for row in opposite]
    for one, other in zip(plain, opposite, strict=True):
      assert sorted(one.options) == sorted([one.answer, other.answer]) == ['no', 'yes']


def test_no_held_out_prompt_trains_with_other_words_filled_in():
  def skeletons(held_out):
    return {re.sub(r'\{\w+\}', '_', template.inputs) for dataset in quickstart.DATASETS
            if (dataset.cluster in HELD_OUT) == held_out for template in dataset.templates}

  assert not skeletons(True) & skeletons(False)


@pytest.mark.slow
def test_every_word_is_known_and_every_example_fits(suite):
  words = quickstart_vocabulary()
  assert words.vocab_size <= EMBEDDINGS
  for dataset in quickstart.DATASETS:
    shown = rows(dataset.name, 'test', 60, task_feature_lengths=LENGTHS)
    assert {row.template for row in shown} == set(range(len(dataset.templates)))
    for row in shown:
      assert not row.truncated
      options = [token for option in row.option_tokens for token in option]
      assert words.unk_id not in [*row.inputs, *words.encode(row.targets_pretokenized), *options]


def test_held_out_clusters_take_no_part_in_training():
  tasks = registry.tasks_of('quickstart.without_nli')
  clusters = {registry.task_info(task).dataset.cluster for task in tasks}
  assert not clusters & set(HELD_OUT) and len(clusters) == 7


def test_the_first_stage_leaves_out_exactly_the_opposites():
  tuned = Arm('tuned', 'tuned')
  training = training_sets.datasets(tuned, quickstart.FAMILY, 'nli')
  stage = Stage(1, optimizers.adamw(), leave_out=f'.*{OPPOSITE}')
  first = training_sets.stage_tasks(stage, tuned, quickstart.FAMILY, training)
  assert sorted(first) == sorted(d.name for d in training if not d.name.endswith(OPPOSITE))
  assert len(first) == 9 and len(training) == 16


def test_all_datasets_are_mixed_evenly(suite):
  mixture = seqio.MixtureRegistry.get('quickstart.without_nli')
  assert {mixture.get_rate(task) for task in mixture.tasks} == {1.0}
