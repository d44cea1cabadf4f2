"""Batches of real rows: packed, traced back to their rows, and resumed at the exact example."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from flan_jax.data import iterator, provenance, registry
from flan_jax.data.dataset import Dataset
from flan_jax.data.template import Template
from flan_jax.errors import UserError

LENGTHS = {'inputs': 96, 'targets': 16}
TASKS = ('flan2021.copa', 'flan2021.trec')  # both have templates with labelled options and inverted ones


@pytest.fixture(scope='module')
def mixture(real_tfds):
  return registry.mixture_of(TASKS)


@pytest.fixture(scope='module')
def stream(mixture):
  """Six batches, and the position before each of them."""
  batches = iterator.batches(mixture, LENGTHS, 4, seed=3)
  return [(batches.get_state(), next(batches)) for _ in range(6)]


def same(one, other):
  return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_batches_have_seqios_names_and_shapes(stream):
  batch = stream[0][1]
  sides = {'encoder': ('input_tokens', 'segment_ids', 'positions'),
           'decoder': ('input_tokens', 'target_tokens', 'loss_weights', 'segment_ids', 'positions')}  # fmt: skip
  shapes = {f'{side}_{name}': (4, 96 if side == 'encoder' else 16) for side, names in sides.items() for name in names}
  assert {name: value.shape for name, value in batch.items() if name != provenance.FEATURE} == shapes
  assert {value.dtype for value in batch.values()} == {np.dtype(np.int32)}
  assert (batch['encoder_segment_ids'].max(axis=1) > 1).any()  # packed


@pytest.mark.parametrize('position', [0, 1, 5])
def test_a_position_gives_the_batches_that_came_after_it(mixture, stream, position):
  resumed = iterator.batches(mixture, LENGTHS, 4, seed=3)
  resumed.set_state(stream[position][0])
  assert all(same(next(resumed), batch) for _, batch in stream[position:])


def test_a_stream_that_has_begun_is_not_turned_back(mixture, stream):
  begun = iterator.batches(mixture, LENGTHS, 4, seed=3)
  next(begun)
  with pytest.raises(RuntimeError, match='before the first batch'):
    begun.set_state(stream[0][0])


OTHER_PROCESS = """
import pathlib, sys
import numpy as np, seqio
from flan_jax.data import iterator, registry, vocabulary
import tasks.flan2021
folder = pathlib.Path(sys.argv[1])
seqio.set_tfds_data_dir_override(sys.argv[2] + '/tfds')
vocabulary.use_vocabulary(seqio.SentencePieceVocabulary(sys.argv[2] + '/vocabs/t5_cc_all.32000.model'))
mixture = registry.mixture_of(('flan2021.copa', 'flan2021.trec'))
batches = iterator.batches(mixture, {'inputs': 96, 'targets': 16}, 4, seed=3)
batches.set_state((folder / 'state').read_bytes())
np.savez(folder / 'batch.npz', **next(batches))
"""


@pytest.mark.slow
def test_another_process_goes_on_at_the_same_example(stream, real_data, tmp_path):
  state, batch = stream[4]
  (tmp_path / 'state').write_bytes(state)
  subprocess.run([sys.executable, '-c', OTHER_PROCESS, str(tmp_path), str(real_data)], check=True)
  assert same(dict(np.load(tmp_path / 'batch.npz')), batch)


def test_the_seed_decides_the_order(mixture, stream):
  assert same(next(iterator.batches(mixture, LENGTHS, 4, seed=3)), stream[0][1])
  assert not same(next(iterator.batches(mixture, LENGTHS, 4, seed=4)), stream[0][1])


def test_every_packed_example_is_the_row_that_its_provenance_names(mixture, stream, real_tfds):
  batches = iterator.batches(mixture, LENGTHS, 4, seed=3)
  origins = [origin for _, batch in stream for origin in batches.origins(batch)]
  segments = [segment for _, batch in stream for segment in examples(batch)]
  assert len(origins) == len(segments) > 20
  assert {origin.task for origin in origins} == set(TASKS)
  for task in TASKS:
    dataset = registry.task_info(task).dataset
    shown = [(o, tokens) for o, tokens in zip(origins, segments, strict=True) if o.task == task][:8]
    rows = {row_key(row['tfds_id']): row for row in all_rows(task)}
    for origin, (inputs, targets) in shown:
      fields = dataset.example({k: v for k, v in rows[origin.shard, origin.row].items() if k != 'tfds_id'})
      expected = dataset.templates[origin.template].render(fields)
      vocabulary = registry.FEATURES['inputs'].vocabulary
      for text, tokens, limit in zip(expected, (inputs, targets), LENGTHS.values(), strict=True):
        assert tokens == [*vocabulary.encode(text.numpy().decode())[: limit - 1], 1]


def examples(batch):
  """The input and target tokens of every packed example, row by row."""
  for row in range(len(batch['encoder_input_tokens'])):
    for segment in range(1, batch['decoder_segment_ids'][row].max() + 1):
      yield tuple(batch[tokens][row][batch[ids][row] == segment].tolist() for tokens, ids in (
        ('encoder_input_tokens', 'encoder_segment_ids'), ('decoder_target_tokens', 'decoder_segment_ids')))


def all_rows(task):
  source = registry.get_mixture_or_task(task).source
  return source.get_dataset('train', shuffle=False)


def row_key(tfds_id):
  name, row = tfds_id.numpy().decode().rsplit('__', 1)
  return int(name.rsplit('-of-', 1)[0].rsplit('-', 1)[1]), int(row)


def test_what_does_not_fit_is_cut_and_counted(real_tfds):
  batch = next(iterator.batches('flan2021.trec', {'inputs': 12, 'targets': 4}, 8, seed=0, pack=False))
  origins = iterator.batches('flan2021.trec', {'inputs': 12, 'targets': 4}, 8, seed=0, pack=False).origins(batch)
  assert batch['encoder_input_tokens'].shape == (8, 12) and len(origins) == 8
  cut = [origin.truncated for origin in origins]
  assert provenance.count_truncated(batch[provenance.FEATURE]) == sum(cut) > 0
  assert (batch['encoder_input_tokens'][np.array(cut)] == 1).any(axis=1).all()  # EOS stays


@pytest.mark.parametrize('lengths', [{}, {'inputs': 8}, {'inputs': 8, 'targets': 1}, {'inputs': 'x', 'targets': 4}])
def test_lengths_that_cannot_be_are_named(real_tfds, lengths):
  with pytest.raises(UserError, match='TASK_FEATURE_LENGTHS needs a length'):
    iterator.batches('flan2021.trec', lengths, 4)


def test_a_filter_that_refuses_every_row_is_named(registries, real_tfds):
  made = [Dataset(name=name, cluster='any', source='trec:1.0.0', keep=keep, templates=(Template('{text}'),),
                  fields=lambda row: {'text': row['text'], 'answer': row['text']})
          for name, keep in (('all', None), ('none', lambda row: tf.strings.length(row['text']) < 0))]  # fmt: skip
  registry.register_family('mine', made)
  with pytest.raises(UserError, match=r'The filter \(keep\) of mine.none refuses every row'):
    list(iterator.batches('mine', LENGTHS, 4))
