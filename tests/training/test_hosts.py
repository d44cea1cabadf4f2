"""Several processes as the hosts of one run, over loopback: the same weights, one writer, and all stop together."""

import json
import signal

import numpy as np
import pytest

from flan_jax import cli_distributed
from flan_jax.errors import UserError
from flan_jax.peft.io import read_adapter
from flan_jax.training import initial, metrics_log
from scripts import train
from tests import processes
from tests.training import toy, toy_host


def params(folder):
  weights = initial.open_weights(folder)
  return {name: weights.read(name) for name in weights.shapes}


def near(one, other):
  assert one.keys() == other.keys()
  for name in one:
    np.testing.assert_allclose(one[name], other[name], rtol=1e-6, atol=1e-7, err_msg=name)


def metrics(folder):
  return [{name: value for name, value in entry.items() if name not in processes.TIMED}
          for entry in metrics_log.read(folder)]


def run(folder, case):
  return processes.ended(processes.job(['-m', 'tests.training.toy_host', str(folder), case]))


def succeeded(ends):
  assert [code for code, _, _ in ends] == [0] * len(ends), '\n'.join(errors[-3000:] for _, _, errors in ends)


@pytest.mark.slow
def test_parameters_split_over_hosts_give_the_weights_the_metrics_and_the_files_of_one(tmp_path):
  ends = run(tmp_path / 'two', 'split')
  succeeded(ends)
  one = toy.run(tmp_path / 'one', toy_host.STEPS, **toy_host.options('split'))
  near(params(tmp_path / 'two'), {name: np.asarray(value) for name, value in one.state.params.items()})
  near(read_adapter(tmp_path / 'two' / 'adapter')[1], read_adapter(tmp_path / 'one' / 'adapter')[1])
  one, two = metrics(tmp_path / 'one'), metrics(tmp_path / 'two')
  ran_on = {entry['split']: entry.pop('host') for entry in [*one, *two] if 'host' in entry}  # of two the last
  assert all('meetings 11' in errors for _, _, errors in ends)  # the configuration, six looks, four evaluations
  assert ran_on == {'a': 0, 'b': 0, 'c': 1, 'kept': 0}
  assert [entry['step'] for entry in two if entry['split'] == 'kept'] == [0, 4, 8, 12]
  for here, there in zip(one, two, strict=True):
    assert here.keys() == there.keys() and here['split'] == there['split']
    np.testing.assert_allclose([v for k, v in here.items() if k != 'split'],
                               [v for k, v in there.items() if k != 'split'], rtol=1e-6)  # fmt: skip
  names = [sorted(str(p.relative_to(tmp_path / run)) for p in (tmp_path / run).rglob('*')
                  if 'checkpoint_' not in str(p) and 'events' not in p.name) for run in ('one', 'two')]
  assert names[0] == names[1]
  kept = [{p.name for p in (tmp_path / run).glob('checkpoint_*')} for run in ('one', 'two')]
  assert kept[0] == kept[1]
  assert 'finished step 12' in ends[0][2] and 'finished step' not in ends[1][2]  # one of them speaks
  assert len(list((tmp_path / 'two' / 'train').glob('events*'))) == 1


def wait_for(process, word):
  for line in process.stderr:
    if line.strip() == word:
      return
  raise AssertionError(process.stderr.read()[-3000:])


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
  """60 steps in one process."""
  folder = tmp_path_factory.mktemp('undisturbed')
  toy.run(folder, 60, **{**toy_host.options('slow'), 'batches': toy.CountingBatches()})
  return folder


@pytest.mark.slow
@pytest.mark.parametrize('killed', [0, 1])
def test_when_a_host_is_killed_the_other_ends_and_one_process_goes_on(undisturbed, tmp_path, killed):
  job = processes.job(['-m', 'tests.training.toy_host', str(tmp_path), 'slow'], heartbeat=10)
  wait_for(job[1], '9')
  job[killed].send_signal(signal.SIGKILL)
  ends = processes.ended(job, timeout=90)  # which is the bound: JAX's own would be 100 seconds
  assert ends[killed][0] == -signal.SIGKILL and ends[1 - killed][0] != 0
  assert 'another process of this run' in ends[1 - killed][2] or 'another task died' in ends[1 - killed][2]
  left = initial.find_checkpoint(tmp_path)
  assert 2 <= int(left.name.removeprefix('checkpoint_')) < 60
  toy.run(tmp_path, 60, **{**toy_host.options('slow'), 'batches': toy.CountingBatches()})
  near(params(tmp_path), params(undisturbed))
  steps = [entry['step'] for entry in metrics(tmp_path)]
  assert steps == sorted(set(steps)) and steps[-1] == 60


@pytest.mark.slow
@pytest.mark.parametrize('told', [0, 1])
def test_a_signal_to_one_host_stops_all_at_the_same_step_and_two_go_on_from_one(undisturbed, tmp_path, told):
  toy.run(tmp_path, 4, **{**toy_host.options('slow'), 'batches': toy.CountingBatches()})  # from one process to two
  job = processes.job(['-m', 'tests.training.toy_host', str(tmp_path), 'slow'])
  wait_for(job[1], '9')
  job[told].send_signal([signal.SIGTERM, signal.SIGINT][told])
  ends = processes.ended(job)
  succeeded(ends)
  said = [next(line for line in errors.splitlines() if line.startswith('ended at')) for _, _, errors in ends]
  step = int(said[0].split()[2])
  assert [line.split()[2] for line in said] == [str(step)] * 2 and 9 < step < 60
  assert said[told].endswith(['SIGTERM', 'SIGINT'][told])
  assert initial.find_checkpoint(tmp_path).name == f'checkpoint_{step}'
  succeeded(run(tmp_path, 'slow'))
  near(params(tmp_path), params(undisturbed))


@pytest.mark.slow
@pytest.mark.parametrize('case', ['poisoned', 'poisoned_own'])
def test_a_loss_that_is_not_finite_ends_all_hosts_and_leaves_the_whole_state(tmp_path, case):
  ends = run(tmp_path / 'two', case)
  assert [code for code, _, _ in ends] == [2, 2]
  assert 'error: step 6 is not finite' in ends[0][2]
  left = np.load(tmp_path / 'two' / 'nonfinite_6' / 'state.npz')
  assert left['trainable/token_embedder/embedding'].shape == (32, 16)
  rows, batches = np.load(tmp_path / 'two' / 'nonfinite_6' / 'batch.npz'), toy.CountingBatches()
  wanted = [next(batches) for _ in range(6)][-1]
  np.testing.assert_array_equal(rows['decoder_target_tokens'], wanted['decoder_target_tokens'])
  if case == 'poisoned_own':
    np.testing.assert_array_equal(rows['provenance'][:, 0], np.arange(8))
  assert json.loads((tmp_path / 'two' / 'nonfinite_6' / 'fault.json').read_text())['step'] == 6
  assert {p.name for p in (tmp_path / 'two').glob('checkpoint_*')} == {'checkpoint_4'}


@pytest.mark.slow
@pytest.mark.parametrize(('case', 'words'), [
  ('odd', 'error: process 1 has another order of rows'),
  ('few', 'error: num_devices is 1, which leaves process 1 of 2 without a device'),
])
def test_hosts_that_cannot_train_together_say_so(tmp_path, case, words):
  ends = run(tmp_path, case)
  assert [code for code, _, _ in ends] == [2, 2]
  assert words in ends[0][2]


GIVEN = ('--coordinator_address=10.0.0.1:8476', '--process_count=2', '--process_index=0')


@pytest.mark.parametrize(('flags', 'words'), [
  (GIVEN, '--coordinator_address is for a run of several processes: add --multiprocess_gpu'),
  (['--heartbeat_timeout_seconds=5'], '--heartbeat_timeout_seconds is for a run of several processes'),
  (['--multiprocess_gpu', GIVEN[0]], '--coordinator_address needs --process_count and --process_index beside it'),
  (['--multiprocess_gpu', GIVEN[0], GIVEN[1]], '--coordinator_address needs --process_index beside it'),
  (['--multiprocess_gpu', GIVEN[1], GIVEN[2]], '--process_count needs --coordinator_address beside it'),
  (['--multiprocess_gpu', '--coordinator_address=host', *GIVEN[1:]], "must be HOST:PORT, e.g. 10.0.0.1:8476, not"),
  (['--multiprocess_gpu', '--coordinator_address=host:http', *GIVEN[1:]], 'must be HOST:PORT'),
  (['--multiprocess_gpu', GIVEN[0], '--process_count=0', GIVEN[2]], '--process_count must be at least 1, not 0'),
  (['--multiprocess_gpu', *GIVEN[:2], '--process_index=2'], '--process_index must be from 0 to 1 where'),
  (['--multiprocess_gpu', *GIVEN[:2], '--process_index=-1'], '--process_index must be from 0 to 1'),
  (['--multiprocess_gpu', *GIVEN, '--heartbeat_timeout_seconds=0'], '--heartbeat_timeout_seconds must be at least 1'),
])  # fmt: skip
def test_wrong_flags_are_one_sentence(flags, words, capsys):
  assert train.main(['--gin.MODEL_DIR=nowhere', *flags]) == 2
  told = capsys.readouterr().err.strip()
  assert words in told and told.startswith('error: ') and '\n' not in told


def test_a_coordinator_that_does_not_answer_is_one_sentence():
  with pytest.raises(UserError, match=r'nothing answers at 127.0.0.1:\d+ .*process 0 must start within 0 s'):
    cli_distributed.reach(f'127.0.0.1:{processes.free_port()}', within=0.3)
  with pytest.raises(UserError, match='nothing answers at no.such.host.invalid:80'):
    cli_distributed.reach('no.such.host.invalid:80')
