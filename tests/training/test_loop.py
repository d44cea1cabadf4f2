"""The loop: exact resume, kills, signals, faults, initial weights, evaluators and logs."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.models.t5 import T5
from flan_jax.peft import LoRA
from flan_jax.peft.io import read_adapter
from flan_jax.training import evaluators, faults, initial, loop, metrics_log, optimizers
from tests import processes
from tests.training import toy

STEPS = 30


@pytest.fixture(scope='module')
def reference(tmp_path_factory):
  """An uninterrupted run."""
  folder = tmp_path_factory.mktemp('reference')
  return folder, toy.run(folder, STEPS)


def test_resuming_is_bit_identical_and_logs_have_no_gap_or_repeat(reference, tmp_path):
  folder, whole = reference
  toy.run(tmp_path, 15)
  resumed = toy.run(tmp_path, STEPS)
  assert toy.same_params(whole.state.params, resumed.state.params)
  one, two = metrics_log.read(folder), metrics_log.read(tmp_path)
  assert [(e['step'], e['loss']) for e in one] == [(e['step'], e['loss']) for e in two]


CHILD = """
import sys, time
from tests.training import toy
class Slow(toy.CountingBatches):
  def __next__(self):
    print(self.position, flush=True)
    time.sleep(0.02)
    return super().__next__()
print('ready', flush=True)
result = toy.run(sys.argv[1], 30, batches=Slow(), checkpoint_period=2)
print('stopped by', result.interrupted, flush=True)
"""


def start(folder):
  return subprocess.Popen([sys.executable, '-c', CHILD, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=processes.environment())


def wait_for(child, line):
  for found in child.stdout:
    if found.strip() == line:
      return
  raise AssertionError(child.stderr.read()[-2000:])


@pytest.mark.slow
def test_killed_at_several_moments_the_run_ends_with_the_same_bits(reference, tmp_path):
  for position, delay in (('3', 0.0), ('8', 0.03), ('20', 0.07)):
    child = start(tmp_path)
    wait_for(child, position)
    time.sleep(delay)
    child.send_signal(signal.SIGKILL)
    child.wait()
  resumed = toy.run(tmp_path, STEPS)
  assert toy.same_params(reference[1].state.params, resumed.state.params)
  steps = [entry['step'] for entry in metrics_log.read(tmp_path) if entry['split'] == 'train']
  assert steps == sorted(set(steps)) and steps[-1] == STEPS


@pytest.mark.slow
def test_killed_in_the_middle_of_a_save(reference, tmp_path):
  child = start(tmp_path)
  deadline = time.monotonic() + 120
  while not list(tmp_path.glob('checkpoint_*tmp*')) and time.monotonic() < deadline:
    time.sleep(0.0005)
  child.send_signal(signal.SIGKILL)
  child.wait()
  resumed = toy.run(tmp_path, STEPS)
  assert toy.same_params(reference[1].state.params, resumed.state.params)
  assert not list(tmp_path.glob('checkpoint_*tmp*'))


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_cleanly(reference, tmp_path, number):
  child = start(tmp_path)
  wait_for(child, '9')
  child.send_signal(number)
  output, errors = child.communicate(timeout=60)
  assert child.returncode == 0, errors[-2000:]
  assert f'stopped by {signal.Signals(number).name}' in output
  assert 'the same command continues' in errors
  resumed = toy.run(tmp_path, STEPS)
  assert toy.same_params(reference[1].state.params, resumed.state.params)


def test_a_finished_run_does_nothing_more(tmp_path):
  first = toy.run(tmp_path, 5)
  before = (tmp_path / 'metrics.jsonl').read_text()
  again = toy.run(tmp_path, 5)
  assert again.step == 5 and toy.same_params(first.state.params, again.state.params)
  assert (tmp_path / 'metrics.jsonl').read_text() == before


def test_a_non_finite_loss_names_the_step_and_the_batch_and_keeps_the_state_before(tmp_path):
  before = toy.run(tmp_path / 'good', 7, batches=toy.CountingBatches(poison_at=100))
  with pytest.raises(faults.NonFiniteLoss, match=r'step 8 .*batch 8') as caught:
    toy.run(tmp_path / 'bad', 20, batches=toy.CountingBatches(poison_at=8), log_period=20, checkpoint_period=20,
            describe_provenance=lambda batch: [f'batch {n}' for n in batch['provenance'][:, 0]])
  assert isinstance(caught.value, UserError)
  saved = np.load(tmp_path / 'bad' / 'nonfinite_8' / 'state.npz')
  for name, value in before.state.params.items():
    np.testing.assert_array_equal(saved[f'trainable/{name}'], value)
  assert np.isinf(np.load(tmp_path / 'bad' / 'nonfinite_8' / 'batch.npz')['decoder_loss_weights']).all()
  assert json.loads((tmp_path / 'bad' / 'nonfinite_8' / 'fault.json').read_text())['step'] == 8


def test_a_fault_is_never_saved_as_a_checkpoint(tmp_path):
  with pytest.raises(faults.NonFiniteLoss):
    toy.run(tmp_path, 20, batches=toy.CountingBatches(poison_at=8), checkpoint_period=4, log_period=20)
  assert [p.name for p in sorted(tmp_path.glob('checkpoint_*'))] == ['checkpoint_4']


def test_lora_starts_from_another_run_and_leaves_it_as_it_was(reference, tmp_path):
  folder, whole = reference
  tuned = toy.run(tmp_path, 10, method=LoRA(rank=2), initial_checkpoint_path=str(folder))
  assert toy.same_params(tuned.state.frozen, whole.state.params)
  model = initial.restore_model(tmp_path, toy.make_model)
  batch = {k: jax.numpy.asarray(v) for k, v in next(toy.CountingBatches()).items()}
  np.testing.assert_array_equal(model(batch), tuned.model()(batch))
  with pytest.raises(UserError, match='merge its adapter first'):
    toy.run(tmp_path / 'next', 1, initial_checkpoint_path=str(tmp_path))


def test_the_adapter_alone_is_left_beside_the_checkpoints_and_fits_the_base(reference, tmp_path, capsys):
  folder, _ = reference
  tuned = toy.run(tmp_path, 10, method=LoRA(rank=2), initial_checkpoint_path=str(folder))
  plain = initial.restore_model(folder, toy.make_model)
  adapted = initial.restore_model(folder, toy.make_model, str(tmp_path / 'adapter'))
  batch = {k: jax.numpy.asarray(v) for k, v in next(toy.CountingBatches()).items()}
  np.testing.assert_array_equal(adapted(batch), tuned.model()(batch))
  assert np.abs(adapted(batch) - plain(batch)).max() > 1e-3
  assert 'adapter alone is in' in capsys.readouterr().err
  other = other_base(tmp_path / 'other')
  with pytest.raises(UserError, match='trained on base weights'):
    initial.restore_model(other, toy.make_model, str(tmp_path / 'adapter'))
  forced = initial.restore_model(other, toy.make_model, str(tmp_path / 'adapter'), force_adapter=True)
  assert np.abs(forced(batch) - initial.restore_model(other, toy.make_model)(batch)).max() > 1e-3
  with pytest.raises(UserError, match='there is no adapter in'):
    initial.restore_model(folder, toy.make_model, str(tmp_path / 'nowhere'))


def other_base(folder):
  toy.run(folder, 1)
  return folder


def test_an_interrupted_run_leaves_its_adapter_too(tmp_path):
  class Interrupting(toy.CountingBatches):
    def __next__(self):
      if self.position == 6:
        signal.raise_signal(signal.SIGTERM)
      return super().__next__()

  stopped = toy.run(tmp_path, 10, method=LoRA(rank=2), batches=Interrupting())
  assert stopped.interrupted == 'SIGTERM' and stopped.step < 10
  _, arrays = read_adapter(tmp_path / 'adapter')
  assert toy.same_params(arrays, stopped.state.trainable)


def test_full_fine_tuning_leaves_no_adapter(reference):
  assert not (reference[0] / 'adapter').exists()


def count_first_row(batch):
  """A row is an example; those whose first token is odd were cut."""
  cut = int((batch['encoder_input_tokens'][:, 0] % 2).sum())
  return {'examples': len(batch['provenance']), 'truncated': cut, 'a.b/examples': 3, 'a.b/inputs_cut': cut}


def test_cut_examples_are_counted_in_every_window_and_told_at_the_end_of_a_resumed_run(tmp_path, capsys):
  toy.run(tmp_path, 7, count_examples=count_first_row)
  assert 'examples were cut to TASK_FEATURE_LENGTHS' in capsys.readouterr().err
  toy.run(tmp_path, 15, count_examples=count_first_row)
  entries = [entry for entry in metrics_log.read(tmp_path) if entry['split'] == 'train']
  assert [(e['step'], e['examples']) for e in entries] == [(5, 40), (7, 16), (10, 24), (15, 40)]
  stream = toy.CountingBatches()
  cut = [count_first_row(next(stream))['truncated'] for _ in range(15)]
  assert [e['truncated'] for e in entries] == [sum(cut[:5]), sum(cut[5:7]), sum(cut[7:10]), sum(cut[10:])]
  told = capsys.readouterr().err
  assert f'{sum(cut)} of 120 examples were cut to TASK_FEATURE_LENGTHS' in told
  assert f'a.b: of 45 examples {sum(cut)} inputs cut' in told


def test_where_nothing_was_cut_nothing_is_said(tmp_path, capsys):
  toy.run(tmp_path, 5, count_examples=lambda batch: {'examples': 8, 'truncated': 0, 'a/examples': 8})
  assert metrics_log.totals(tmp_path, 'train')['truncated'] == 0
  assert 'were cut' not in capsys.readouterr().err


def test_other_weights_that_do_not_fit_are_refused_before_a_folder_is_made(reference, tmp_path):
  def wider(rngs):
    return T5(dataclasses.replace(toy.CONFIG, mlp_dim=48), rngs=rngs)

  options = {'make_model': wider, 'initial_checkpoint_path': str(reference[0])}
  with pytest.raises(UserError, match=r'decoder/layers/0/mlp/wi_0/kernel has shape \[16, 32\] there'):
    toy.run(tmp_path / 'run', 1, **options)
  assert not (tmp_path / 'run').exists()
  with pytest.raises(UserError, match='has shape'):
    loop.dry_run(batch=next(toy.CountingBatches()), optimizer=optimizers.adafactor(), **options)


def test_another_configuration_does_not_overwrite_the_description_of_a_run(tmp_path):
  toy.run(tmp_path, 1, config_text='first')
  with pytest.raises(UserError, match='does not fit this configuration'):
    toy.run(tmp_path, 2, config_text='second', method=LoRA(rank=2))
  assert (tmp_path / 'config.gin').read_text() == 'first'


def test_bad_initial_paths_are_one_sentence(tmp_path):
  with pytest.raises(UserError, match='no such folder'):
    toy.run(tmp_path / 'a', 1, initial_checkpoint_path=str(tmp_path / 'nowhere'))
  (tmp_path / 'empty').mkdir()
  with pytest.raises(UserError, match='there is no checkpoint in'):
    toy.run(tmp_path / 'b', 1, initial_checkpoint_path=str(tmp_path / 'empty'))


def test_evaluators_run_at_their_periods_and_name_the_best_checkpoint(tmp_path):
  held_back = evaluators.LossEvaluator('training_eval/copy', toy.CountingBatches, period=5, eval_steps=2)
  result = toy.run(tmp_path, 15, evaluators=[held_back], keep=1, best_metric='training_eval/copy/loss',
                   best_mode='min')
  entries = [e for e in metrics_log.read(tmp_path) if e['split'] == 'training_eval/copy']
  assert [e['step'] for e in entries] == [5, 10, 15]
  best = min(entries, key=lambda e: e['loss'])['step']
  assert {p.name for p in tmp_path.glob('checkpoint_*')} == {f'checkpoint_{best}', 'checkpoint_15'}
  assert result.metrics['training_eval/copy']['loss'] == entries[-1]['loss']
  assert list((tmp_path / 'training_eval' / 'copy').glob('events*'))


def test_a_best_metric_that_is_not_measured_is_refused(tmp_path):
  with pytest.raises(UserError, match='the evaluators are: none'):
    toy.run(tmp_path, 5, best_metric='sst2/accuracy')


def test_training_learns_to_copy(tmp_path):
  result = toy.run(tmp_path, 150, make_model=toy.make_plain_model, checkpoint_period=150, log_period=25,
                   optimizer=optimizers.adamw(1e-2))
  losses = [e['loss'] for e in metrics_log.read(tmp_path)]
  assert losses[-1] < 0.75 * losses[0]
  assert (tmp_path / 'model-info.txt').read_text() == str(result.table)
  assert 'jax' in json.loads((tmp_path / 'versions.json').read_text())


def test_dry_run_allocates_nothing_and_touches_no_folder():
  before = len(jax.live_arrays())
  planned = loop.dry_run(make_model=toy.make_model, batch=next(toy.CountingBatches()), optimizer=optimizers.adafactor())
  assert len(jax.live_arrays()) <= before + 2
  assert {'loss', 'grad_norm', 'learning_rate'} <= set(planned.metrics)
  assert planned.table.total == planned.table.trainable


def test_an_unwritable_folder_is_one_sentence(tmp_path):
  (tmp_path / 'file').write_text('in the way')
  with pytest.raises(UserError, match='cannot write to the run folder'):
    toy.run(tmp_path / 'file' / 'run', 1)


def test_no_tensorflow_is_imported():
  script = ('import sys, flan_jax.training.loop, flan_jax.training.initial, flan_jax.peft; '
            'sys.exit(any(m.split(".")[0] in ("tensorflow", "seqio", "clu") for m in sys.modules))')
  assert subprocess.run([sys.executable, '-c', script], check=False).returncode == 0
