"""Real TFDS rows by role, and what is missing said in one sentence that names it."""

import shlex

import pytest
import seqio
import tensorflow_datasets as tfds
import urllib3
from tensorflow_datasets.core.download import downloader

from flan_jax.data import prepare, source
from flan_jax.data.source import ROW_ID, TfdsRows
from flan_jax.data.splits import Splits, resolve
from flan_jax.errors import UserError
from tasks import flan2021
from tests.data.conftest import data_dir

SST2 = ('mine', 'glue/sst2:2.0.0', Splits())


class Unreachable(tfds.core.GeneratorBasedBuilder):
  """A dataset on a host that no network knows (the domain is reserved for that)."""

  name = 'flan_jax_unreachable'
  VERSION = tfds.core.Version('1.0.0')

  def _info(self):
    return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({'text': tfds.features.Text()}))

  def _split_generators(self, dl_manager):
    dl_manager.download('http://flan-jax.invalid/rows.zip')
    raise AssertionError('that download cannot succeed')

  def _generate_examples(self):
    return iter(())


def _error(rows, action=lambda rows: rows.builder):
  with pytest.raises(UserError) as raised:
    action(rows)
  assert '\n' not in str(raised.value)
  return str(raised.value)


def test_a_missing_data_dir_is_named_and_not_made(tmp_path):
  folder = tmp_path / 'nowhere'
  with data_dir(folder):
    message = _error(TfdsRows(*SST2))
  assert message.startswith(f"Dataset 'mine': there is no folder {folder} to read 'glue/sst2:2.0.0' from; ")
  assert not folder.exists()


def test_a_dataset_that_nobody_knows_is_named_with_the_folder(tmp_path):
  with data_dir(tmp_path):
    message = _error(TfdsRows('mine', 'no_such_thing:1.0.0', Splits()))
  assert "Dataset 'mine': TFDS has no 'no_such_thing:1.0.0'" in message
  assert str(tmp_path) in message


def test_a_dataset_that_cannot_be_fetched_is_given_up_soon(tmp_path, monkeypatch):
  pauses = []
  monkeypatch.setattr(urllib3.util.retry.Retry, 'sleep', lambda self, *_: pauses.append(self.get_backoff_time()))
  monkeypatch.setattr(downloader, 'MAX_RETRIES', downloader.MAX_RETRIES)  # given back afterwards
  monkeypatch.setenv('no_proxy', '*')
  with data_dir(tmp_path):
    message = _error(TfdsRows('mine', 'flan_jax_unreachable:1.0.0', Splits()))
  assert message.startswith("Dataset 'mine': flan_jax_unreachable/1.0.0 is not prepared in ")
  assert str(tmp_path) in message
  assert 'could not fetch it (ConnectionError: ' in message
  assert f"tfds.builder('flan_jax_unreachable:1.0.0', data_dir='{tmp_path}').download_and_prepare()" in message
  assert len(pauses) == source.RETRIES
  assert sum(pauses) < 2


def test_the_command_that_prepares_a_dataset_is_named_and_does_what_it_says(tmp_path):
  folder = tmp_path / 'with space'
  builder = tfds.builder('glue/sst2:2.0.0', data_dir=str(folder))
  said = []
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(tfds.core.DatasetBuilder, 'download_and_prepare', lambda self, **_: said.append(str(self.data_path)))
    program, flag, code = shlex.split(prepare.command(builder))
    exec(code, {})
  assert (program, flag) == ('python', '-c')
  assert said == [str(folder / 'glue' / 'sst2' / '2.0.0')]
  assert prepare.advice(builder) == f'{prepare.command(builder)} prepares it where there is a network'


def test_files_that_have_to_be_got_by_hand_are_said_with_their_place(tmp_path):
  folder = tmp_path / 'tfds'
  folder.mkdir()
  with data_dir(folder):
    message = _error(TfdsRows('mine', 'samsum:1.0.0', Splits()))
  assert message.startswith("Dataset 'mine': samsum/1.0.0 is not prepared in ")
  assert f'by hand are in {folder / "downloads" / "manual"} (TFDS: "Download https://arxiv.org/' in message
  assert f"tfds.builder('samsum:1.0.0', data_dir='{folder}').download_and_prepare()" in message


def test_another_data_dir_counts_from_the_moment_that_it_is_set(real_data, tmp_path):
  rows = TfdsRows(*SST2)
  with data_dir(tmp_path / 'nowhere'):
    _error(rows)
  with data_dir(real_data / 'tfds'):
    assert rows.num_input_examples('test') == 872
  with data_dir(tmp_path / 'nowhere'):
    _error(rows)


def test_a_role_without_its_tfds_split_is_named_with_the_splits_that_there_are(real_tfds):
  rows = TfdsRows('mine', 'glue/qnli:2.0.0', Splits())
  for action in (lambda r: r.num_input_examples('train'), lambda r: r.get_dataset('train')):
    message = _error(rows, action)
    assert "'mine' has no 'train' rows: glue/qnli:2.0.0 in " in message
    assert str(real_tfds / 'glue' / 'qnli' / '2.0.0') in message
    assert "TFDS splits test, validation, and 'train' is declared as 'train[:-200]'" in message
  assert rows.num_input_examples('test') == 5463


def test_a_role_that_is_not_declared_is_named(real_tfds):
  message = _error(TfdsRows('mine', 'glue/sst2:2.0.0', Splits(validation=None)), lambda r: r.rows('validation'))
  assert "'mine' has no 'validation' rows" in message
  assert "'validation' is declared as None" in message


def test_why_rows_are_missing_is_said_without_fetching_any(real_tfds, monkeypatch):
  monkeypatch.setattr(source, '_prepare', lambda *_: pytest.fail('it fetches'))
  assert TfdsRows(*SST2).why_missing('train') is None
  assert "has no 'train' rows" in TfdsRows('mine', 'glue/qnli:2.0.0', Splits()).why_missing('train')
  absent = TfdsRows('mine', 'piqa:1.0.0', Splits()).why_missing('train')
  assert absent == f"Dataset 'mine': piqa/1.0.0 is not prepared in {real_tfds / 'piqa' / '1.0.0'}."


def test_a_role_that_is_left_without_rows_is_an_error(real_tfds):
  rows = TfdsRows('mine', 'glue/sst2:2.0.0', Splits(train='train[5:5]'))
  assert "has no 'train' rows" in _error(rows, lambda r: r.get_dataset('train'))


@pytest.mark.parametrize('name', ['cb', 'copa', 'trec'])
def test_rows_are_those_of_the_declared_slices(name, real_tfds):
  dataset = next(d for d in flan2021.DATASETS if d.name == name)
  rows = TfdsRows(dataset.name, dataset.source, dataset.splits)
  builder = tfds.builder(dataset.source, data_dir=str(real_tfds))
  sizes = {split: info.num_examples for split, info in builder.info.splits.items()}
  ids = {}
  for role, found in resolve(dataset.splits, sizes, name).items():
    read = list(rows.get_dataset(role, shuffle=False).as_numpy_iterator())
    assert len(read) == len(found) == rows.num_input_examples(role)
    ids[role] = [row[ROW_ID].decode() for row in read]
    assert [int(row_id.rsplit('__', 1)[1]) for row_id in ids[role]] == list(range(found.start, found.stop))
  assert not set(ids['train']) & set(ids['validation'])


def test_shuffling_and_sharding_keep_every_row_once(real_tfds):
  rows = TfdsRows('mine', 'super_glue/cb:1.0.2', Splits())
  assert len(rows.list_shards('train')) == 1
  plain = {row[ROW_ID] for row in rows.get_dataset('test', shuffle=False).as_numpy_iterator()}
  shuffled = [row[ROW_ID] for row in rows.get_dataset('test', shuffle=True, seed=1).as_numpy_iterator()]
  shard = rows.get_dataset('test', shuffle=False, shard_info=seqio.ShardInfo(0, 1)).as_numpy_iterator()
  assert set(shuffled) == plain and len(shuffled) == 56
  assert {row[ROW_ID] for row in shard} == plain
