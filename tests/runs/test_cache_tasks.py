"""Offline caches: what is read from them is what is read without them, example for example; whole or not there."""

import importlib.util
import json
import re

import numpy as np
import pytest
import seqio
import tensorflow_datasets as tfds

from flan_jax.data import cache, iterator, registry, vocabulary
from flan_jax.data.dataset import Dataset
from flan_jax.data.files import Jsonl
from flan_jax.data.registry import register_family
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from flan_jax.errors import UserError
from flan_jax.runs import parts
from flan_jax.runs.cache_tasks import cache_tasks
from scripts import cache_tasks as script
from scripts import train
from tests.data.conftest import data_dir, open_registries, restored
from tests.data.test_records import FILES, ROWS, ManyFiles

LENGTHS = {'inputs': 64, 'targets': 16}
REAL = ('flan2021.copa', 'flan2021.cb')
HAS_BEAM = importlib.util.find_spec('apache_beam') is not None
SMALL_MODEL = tuple(f'--gin_bindings={line}' for line in (
  'training.Partitioner.num_devices = 1', 'models.T5Config.emb_dim = 16', 'models.T5Config.num_heads = 2',
  'models.T5Config.head_dim = 8', 'models.T5Config.mlp_dim = 32', 'models.T5Config.num_encoder_layers = 1'))
TEMPLATES = tuple(Template(f'{{text}} {place} {{options}}') for place in 'abc')


@pytest.fixture(autouse=True)
def no_cache_dirs():
  """Cache folders and what tasks remember of them are as before afterwards."""
  with restored(seqio.utils._GLOBAL_CACHE_DIRECTORIES):
    yield
  for name in seqio.TaskRegistry.names():
    task = seqio.TaskRegistry.get(name)
    task._cache_dir, task._stats = None, {}


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """Two datasets: TFDS rows in several files of which a filter refuses some, and rows of one's own."""
  folder = tmp_path_factory.mktemp('made')
  ManyFiles(data_dir=str(folder)).download_and_prepare(
    download_config=tfds.download.DownloadConfig(num_shards=FILES))
  rows = [{'text': f'row {number}', 'words': [], 'kind': number % 2} for number in range(50)]
  (folder / 'own.jsonl').write_text('\n'.join(map(json.dumps, rows)))
  common = {'cluster': 'made', 'options': ('no', 'yes'), 'templates': TEMPLATES}
  many = Dataset(name='many', source='many_files:1.0.0', splits=Splits('train[30:380]', 'train[:30]', None),
                 keep=lambda row: row['number'] % 7 > 2,
                 fields=lambda row: {'text': row['text'], 'label': row['nested']['kind']}, **common)
  own = Dataset(name='own', source=Jsonl(str(folder / 'own.jsonl')), keep=lambda row: row['kind'] == row['kind'],
                fields=lambda row: {'text': row['text'], 'label': row['kind']}, **common)
  with open_registries(), data_dir(folder), restored(vocabulary._ACTIVE):
    vocabulary.use_vocabulary(seqio.ByteVocabulary())  # tells all rows apart
    register_family('made', [many, own])
    yield folder


def examples(task, cached, **options):
  """Two epochs of a task's examples, provenance and tokens."""
  dataset = seqio.TaskRegistry.get(task).get_dataset(
    sequence_length=iterator.with_provenance(LENGTHS), use_cached=cached, seed=5, try_in_mem_cache=False,
    **{'num_epochs': 2, **options})
  return list(dataset.as_numpy_iterator())


def same(left, right):
  assert len(left) == len(right) > 0
  for one, other in zip(left, right, strict=True):
    assert one.keys() == other.keys()
    assert all(np.array_equal(np.trim_zeros(one[name], 'b'), np.trim_zeros(other[name], 'b')) for name in one)


def use(folder):
  seqio.add_global_cache_dirs([str(folder)])


SHUFFLED = {'shuffle': True}


@pytest.mark.parametrize(('task', 'ways'), [
  ('made.many', ({'shuffle': False}, SHUFFLED, SHUFFLED | {'shard_info': seqio.ShardInfo(1, 2)})),
  ('made.own', (SHUFFLED,)), ('made.many.5shot', (SHUFFLED | {'num_epochs': 1},)),
  ('made.many.round_robin', (SHUFFLED | {'split': 'validation'},)),
])
def test_examples_and_their_order_are_those_of_the_rows(made, tmp_path, task, ways):
  cache_tasks([task], str(tmp_path), modules=())
  use(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == [registry.cached_as(task)]  # one for all variants
  for options in ways:
    same(examples(task, True, **options), examples(task, False, **options))


def test_seqio_reads_the_same_rows_from_it(made, tmp_path):
  cache_tasks(['made.many'], str(tmp_path), modules=())
  use(tmp_path)
  task = seqio.TaskRegistry.get('made.many')
  theirs = seqio.dataset_providers._CachedDataSource(task.cache_dir, 'train').get_dataset('train', shuffle=False)
  ours = task.preprocess_precache(task.source.get_dataset('train', shuffle=False))
  texts = [{row['text'] for row in rows.as_numpy_iterator()} for rows in (theirs, ours)]
  assert texts[0] == texts[1] and len(texts[0]) == task.get_cached_stats('train')['examples'] < ROWS
  spec = dict(theirs.element_spec)
  assert {name: value.dtype for name, value in spec.items()} == {
    name: value.dtype for name, value in ours.element_spec.items()}


def test_true_rows_are_the_same_from_a_cache(real_data, tmp_path):
  with data_dir(real_data / 'tfds'), restored(vocabulary._ACTIVE):
    vocabulary.use_vocabulary(seqio.SentencePieceVocabulary(str(real_data / 'vocabs' / 't5_cc_all.32000.model')))
    assert script.main([*REAL, f'--cache_dir={tmp_path}', f'--tfds_data_dir={real_data / "tfds"}']) == 0
    use(tmp_path)
    for task in REAL:
      same(*(examples(task, cached, num_epochs=1, shuffle=True) for cached in (True, False)))
    mixture = registry.mixture_of(REAL)
    parts.check_cached(mixture)
    cached, read = (iterator.batches(mixture, LENGTHS, 16, seed=2, use_cached=use) for use in (True, False))
    for _ in range(8):
      left, right = next(cached), next(read)
      assert all(np.array_equal(left[name], right[name]) for name in left)


def test_a_whole_cache_is_left_alone_and_another_is_built_again(made, tmp_path, capsys):
  cache_tasks(['made.many'], str(tmp_path), modules=())
  folder = tmp_path / 'made.many'
  told = capsys.readouterr().out
  assert re.search(r'made\.many: \d+ train, \d+ validation examples in \d+ files of', told)
  before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
  assert not any(name.endswith(('.partial', '.tfrecord.json')) for name in before)
  assert cache_tasks(['made.many'], str(tmp_path), modules=()) == {}
  assert f'made.many is cached in {folder}: left alone (--overwrite' in capsys.readouterr().out
  assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
  assert cache_tasks(['made.many'], str(tmp_path), modules=(), overwrite=True).keys() == {'made.many'}
  assert (folder / 'COMPLETED').stat().st_mtime_ns > before['COMPLETED']


def test_an_interrupted_cache_does_not_look_whole(made, tmp_path, monkeypatch):
  write = cache.Piece.write

  def broken(piece):
    if piece.index == 1:
      raise KeyboardInterrupt
    write(piece)

  monkeypatch.setattr(cache.Piece, 'write', broken)
  monkeypatch.setattr('flan_jax.runs.cache_tasks._writer', lambda _: lambda pieces: [piece.write() for piece in pieces])
  with pytest.raises(KeyboardInterrupt):
    cache_tasks(['made.many'], str(tmp_path), modules=())
  use(tmp_path)
  assert seqio.TaskRegistry.get('made.many').cache_dir is None
  with pytest.raises(UserError, match=r"USE_CACHED_TASKS: 'made\.many' is in none"):
    parts.check_cached('made.many')
  monkeypatch.undo()
  assert cache_tasks(['made.many'], str(tmp_path), modules=()).keys() == {'made.many'}
  assert not list((tmp_path / 'made.many').glob('*.partial'))


def test_a_cache_of_other_rows_is_refused(made, tmp_path):
  cache_tasks(['made.own'], str(tmp_path), modules=())
  path = tmp_path / 'made.own' / 'pieces.train.json'
  path.write_text(path.read_text().replace('"rows": [\n    40', '"rows": [\n    39'))
  use(tmp_path)
  with pytest.raises(UserError, match="was made of 39 'train' rows, and there are 40 now: run scripts.cache_tasks"):
    examples('made.own', True)


@pytest.mark.parametrize(('flags', 'told'), [
  (['quickstart_synonim'], "There is no task or mixture 'quickstart_synonim'. Did you mean 'quickstart_syn"),
  (['quickstart_synonym', '--module=tasks.nowhere'], "--module: cannot import 'tasks.nowhere'"),
  (['quickstart_synonym', '--tfds_data_dir=/nowhere'], "--tfds_data_dir: there is no folder '/nowhere'"),
])
def test_mistakes_are_one_sentence(tmp_path, capfd, flags, told):
  assert script.main([f'--cache_dir={tmp_path / "caches"}', *flags]) == 2
  lines = capfd.readouterr().err.splitlines()
  assert len(lines) == 1 and told in lines[0], lines
  assert not list(tmp_path.iterdir())


def test_a_cache_that_only_seqio_made_is_read_in_its_order(made, tmp_path):
  cache_tasks(['made.many'], str(tmp_path), modules=())
  for path in (tmp_path / 'made.many').glob('pieces.*'):
    path.unlink()
  use(tmp_path)
  texts = [sorted(tuple(np.trim_zeros(example['inputs'], 'b')) for example in examples(
    'made.many.template_1', cached, shuffle=False, num_epochs=1)) for cached in (True, False)]  # fmt: skip
  assert texts[0] == texts[1] and len(set(texts[0])) > 1


@pytest.mark.skipif(HAS_BEAM, reason='Apache Beam is installed')
def test_options_for_beam_need_beam(made, tmp_path):
  with pytest.raises(UserError, match=r'is for Apache Beam, which is not installed: pip install "flan_jax\[beam\]"'):
    cache_tasks(['made.many'], str(tmp_path), modules=(), pipeline_options=['--runner=FlinkRunner'])
  assert not list(tmp_path.iterdir())


def test_the_trainer_reads_caches(made, tmp_path):
  cache_tasks(['made'], str(tmp_path / 'caches'), modules=())
  assert train.main([
    '--gin_file=models/quickstart.gin', '--gin.MIXTURE_OR_TASK_NAME=made', '--gin.MIXTURE_OR_TASK_MODULE=()',
    '--gin.TRAIN_STEPS=2', f'--gin.MODEL_DIR={tmp_path / "run"}', '--gin.BATCH_SIZE=8',
    f'--gin.TASK_FEATURE_LENGTHS={LENGTHS}', '--gin.USE_CACHED_TASKS=True', *SMALL_MODEL,
    f'--seqio_additional_cache_dirs={tmp_path / "caches"}']) == 0
  assert (tmp_path / 'run' / 'checkpoint_2').is_dir()


@pytest.mark.skipif(not HAS_BEAM, reason='Apache Beam is not installed')
def test_beam_writes_the_same_files(made, tmp_path, monkeypatch):
  cache_tasks(['made.many'], str(tmp_path / 'beam'), modules=(), pipeline_options=['--runner=DirectRunner'])
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  cache_tasks(['made.many'], str(tmp_path / 'here'), modules=())
  found, expected = (sorted((tmp_path / way / 'made.many').iterdir()) for way in ('beam', 'here'))
  assert [path.name for path in found] == [path.name for path in expected]
  assert all(one.read_bytes() == other.read_bytes() for one, other in zip(found, expected, strict=True))
