"""Exported rows: what was written is read, shuffled as a whole, alike on any number of hosts, from any position."""

import itertools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.exported import format
from flan_jax.exported.reader import ExportedBatches, ExportedRows
from tests.exported import made


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  place = tmp_path_factory.mktemp('exports') / 'made'
  made.export(place)
  return place


@pytest.fixture
def copied(folder, tmp_path):
  """A copy that a test may damage."""
  return shutil.copytree(folder, tmp_path / 'copy')


@pytest.fixture
def rows(folder):
  return ExportedRows(folder)


def take(stream, count):
  return list(itertools.islice(stream, count))


def flat(stream, count):
  return [number for batch in take(stream, count) for number in made.numbers(batch)]


def same(left, right):
  return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def test_rows_are_read_as_they_were_written_in_any_order(rows):
  wanted = np.array([39, 0, 16, 15, 31, 32, 7])
  found = rows.read(wanted)
  expected = [made.row(number) for number in wanted]
  assert same(found, {name: np.stack([row[name] for row in expected]) for name in expected[0]})
  assert all(values.dtype == np.int32 for values in found.values())


def test_the_index_counts_what_was_written(rows):
  index = rows.index
  assert [shard.rows for shard in index.shards] == [16, 16, 8] and len(rows) == index.rows == 40
  assert index.counts == {'examples': 80, 'truncated': 40, 'copying/examples': 40, 'counting/examples': 40,
                          'counting/inputs_cut': 40}
  assert index.padding == {'inputs': pytest.approx(0.25), 'targets': 0.0}


def test_every_epoch_gives_every_row_once_in_an_order_of_its_own(rows):
  seen = flat(ExportedBatches(rows, 8), 15)
  epochs = [seen[start : start + 40] for start in (0, 40, 80)]
  assert all(sorted(epoch) == list(range(40)) for epoch in epochs)
  assert len(set(map(tuple, epochs))) == 3
  assert max(epochs[0][:8]) >= 16 > min(epochs[0][:8])  # a batch mixes rows of all files
  again, other = (flat(ExportedBatches(rows, 8, seed), 5) for seed in (0, 1))
  assert again == epochs[0] != other


@pytest.mark.parametrize('count', [1, 2, 4])
def test_hosts_share_the_batches_that_one_would_read(rows, count):
  whole = take(ExportedBatches(rows, 8), 6)
  shares = [slice(host * 8 // count, (host + 1) * 8 // count) for host in range(count)]
  hosts = [take(ExportedBatches(rows, 8, own=share), 6) for share in shares]
  for step, batch in enumerate(whole):
    assert same(batch, {name: np.concatenate([host[step][name] for host in hosts]) for name in batch})


def test_a_position_is_exact_and_holds_for_other_numbers_of_hosts(rows):
  stream = ExportedBatches(rows, 8)
  take(stream, 7)  # in the second epoch
  position = stream.get_state()
  expected = take(stream, 4)
  stream.set_state(position)
  assert all(map(same, take(stream, 4), expected))
  half = ExportedBatches(rows, 8, own=slice(4, 8))
  half.set_state(position)
  assert made.numbers(next(half)) == made.numbers(expected[0])[4:]


def test_in_order_it_ends(rows):
  stream = ExportedBatches(rows, 12, ordered=True)
  assert [made.numbers(batch) for batch in stream] == [list(range(start, start + 12)) for start in (0, 12, 24)]


def test_origins_name_task_row_and_cuts(rows):
  batch = next(ExportedBatches(rows, 4, ordered=True))
  found = ExportedBatches(rows, 4).origins(batch)
  assert [(origin.task, origin.row, origin.truncated) for origin in found[2:4]] == [
    ('copying', 1, False), ('counting', 1, True)]  # fmt: skip


@pytest.mark.parametrize(('changes', 'told'), [
  ({'seed': 1}, 'RANDOM_SEED was 0 and is 1 now'),
  ({'batch_size': 4}, 'BATCH_SIZE was 8 and is 4 now'),
])
def test_a_position_in_other_batches_is_refused(rows, changes, told):
  state = ExportedBatches(rows, 8).get_state()
  with pytest.raises(UserError, match=told):
    ExportedBatches(rows, **{'batch_size': 8, **changes}).set_state(state)


def test_a_position_in_another_export_or_in_tasks_is_refused(rows, tmp_path):
  made.export(tmp_path / 'other', rows=39)
  other = ExportedBatches(ExportedRows(tmp_path / 'other'), 8)
  with pytest.raises(UserError, match='the rows of .*other was'):
    other.set_state(ExportedBatches(rows, 8).get_state())
  with pytest.raises(UserError, match='trained from tasks, not from an export'):
    other.set_state(b'\x1f\x8b a position of tf.data')


def test_a_batch_has_no_more_rows_than_the_export(rows):
  with pytest.raises(UserError, match=r'BATCH_SIZE \(41\) must be between 1 and the 40 rows'):
    ExportedBatches(rows, 41)


def test_a_folder_without_an_index(copied, tmp_path):
  (copied / format.INDEX).unlink()
  with pytest.raises(UserError, match=r'copy is no export of batches: it has no index\.json'):
    ExportedRows(copied)


@pytest.mark.parametrize(('change', 'told'), [
  (lambda text: text[:100], 'cannot read'),
  (lambda text: json.dumps(json.loads(text) | {'format': 2}), 'is of format 2, and this version of flan_jax reads 1'),
  (lambda text: json.dumps(json.loads(text) | {'rows': 3}), 'is not a whole index'),
])
def test_an_index_that_cannot_be_meant(copied, change, told):
  path = copied / format.INDEX
  path.write_text(change(path.read_text()))
  with pytest.raises(UserError, match=told):
    ExportedRows(copied)


def test_a_file_that_is_missing_or_short(copied):
  path = copied / 'rows-00001.array_record'
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(UserError, match=r'rows-00001\.array_record is [\d,]+ bytes long where the index says'):
    ExportedRows(copied)
  path.unlink()
  with pytest.raises(UserError, match=r'rows-00001\.array_record is missing'):
    ExportedRows(copied)


def test_a_bit_that_flipped_is_found_by_the_batch_that_has_the_row(copied):
  path = copied / 'rows-00001.array_record'
  content = bytearray(path.read_bytes())
  content[150] ^= 1
  path.write_bytes(content)
  with pytest.raises(UserError, match=r'rows-00001\.array_record is damaged \(.*\): copy the export again'):
    take(ExportedBatches(ExportedRows(copied), 8), 5)


def test_a_file_of_other_rows_is_found(copied, tmp_path):
  index = json.loads((copied / format.INDEX).read_text())
  index['shards'][0]['rows'] = 17
  (copied / format.INDEX).write_text(json.dumps(index))
  with pytest.raises(UserError, match='16 rows where the index says 17'):
    take(ExportedBatches(ExportedRows(copied), 8), 5)


def test_an_export_is_there_as_a_whole_or_not_at_all(tmp_path):
  def failing():
    yield from made.batches(20)
    raise RuntimeError('the source broke')

  with pytest.raises(RuntimeError, match='the source broke'):
    made.export(tmp_path / 'rows', source=failing())
  assert not list(tmp_path.iterdir())
  (tmp_path / 'rows.partial').mkdir()  # what a killed process leaves
  made.export(tmp_path / 'rows')
  assert [path.name for path in tmp_path.iterdir()] == ['rows']
  with pytest.raises(UserError, match='rows exists already: choose another EXPORT_DIR'):
    made.export(tmp_path / 'rows')
  assert len(ExportedRows(tmp_path / 'rows')) == 40


def test_reading_imports_no_tensorflow():
  script = ('import sys, flan_jax.exported.reader, flan_jax.exported.writer, flan_jax.runs.finetune_exported; '
            'print({m.split(".")[0] for m in sys.modules} & {"tensorflow", "seqio", "tensorflow_datasets", "clu"})')
  run = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
  assert run.stdout.strip() == 'set()'
