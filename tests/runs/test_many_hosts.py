"""scripts.train as two processes over loopback: the files of one process, to the last bits that sums allow."""

import numpy as np
import pytest

from flan_jax.training import initial, metrics_log
from scripts import train
from tests import processes
from tests.exported import made

# own rows, so that nothing is downloaded or prepared; a T5 that compiles in seconds
FLAGS = ('--gin_file=models/quickstart.gin', '--gin.MIXTURE_OR_TASK_NAME="mine.tickets"',
         '--gin.MIXTURE_OR_TASK_MODULE="docs.examples.own_data.tickets"', '--gin.VOCABULARY=@seqio.ByteVocabulary()',
         "--gin.TASK_FEATURE_LENGTHS={'inputs': 128, 'targets': 32}", '--gin.BATCH_SIZE=4', '--gin.TRAIN_STEPS=6',
         '--gin.CHECKPOINT_PERIOD=3', '--gin.EVAL_PERIOD=3', '--gin.EVAL_TASKS="mine.tickets"',
         '--gin.EVALUATOR_NUM_EXAMPLES=4', '--gin.EVAL_STEPS=1', '--gin.DROPOUT_RATE=0.1',
         *(f'--gin_bindings={binding}' for binding in (
           'models.T5Config.emb_dim=16', 'models.T5Config.mlp_dim=32', 'models.T5Config.head_dim=8',
           'models.T5Config.num_heads=2', 'models.T5Config.attention_init="t5"', 'models.T5Config.num_encoder_layers=1',
           'runs.finetune.log_period=2',
           'training.Partitioner.num_devices=2', 'runs.finetune.partitioner=@training.Partitioner()')))  # fmt: skip



def params(folder):
  weights = initial.open_weights(folder)
  return {name: weights.read(name) for name in weights.shapes}


def test_two_processes_of_train_end_where_one_does(tmp_path):
  ends = processes.ended(processes.job(['-m', 'scripts.train', *FLAGS, f'--gin.MODEL_DIR="{tmp_path / "two"}"']))
  assert [code for code, _, _ in ends] == [0, 0], '\n'.join(errors[-3000:] for _, _, errors in ends)
  assert train.main([*FLAGS, f'--gin.MODEL_DIR="{tmp_path / "one"}"']) == 0
  one, two = params(tmp_path / 'one'), params(tmp_path / 'two')
  assert one.keys() == two.keys()
  for name in one:
    np.testing.assert_allclose(two[name], one[name], rtol=1e-6, atol=1e-7, err_msg=name)
  logs = [metrics_log.read(tmp_path / run) for run in ('one', 'two')]
  for here, there in zip(*logs, strict=True):
    assert here.keys() == there.keys() and (here['step'], here['split']) == (there['step'], there['split'])
    for name in set(here) - {'split', *processes.TIMED}:
      np.testing.assert_allclose(there[name], here[name], rtol=1e-6, err_msg=name)
  splits = {entry['split'] for entry in logs[1]}
  assert splits >= {'train', 'examples', 'rank/mine.tickets', 'training_eval/mine.tickets'}  # one evaluation on each
  names = [{str(path.relative_to(tmp_path / run)) for path in (tmp_path / run).rglob('*')
            if not path.name.startswith('events') and 'checkpoint_' not in str(path)} for run in ('one', 'two')]
  assert names[0] == names[1] and len(list((tmp_path / 'two' / 'train').iterdir())) == 1
  assert ends[1][1] == '' and 'finished step 6' in ends[0][2] and 'step 6' not in ends[1][2]  # the first speaks for all


@pytest.mark.slow
def test_hosts_that_read_their_own_exported_rows_end_where_one_does(tmp_path):
  made.export(tmp_path / 'rows')
  flags = [flag for flag in FLAGS if not any(word in flag for word in ('EVAL', 'MIXTURE', 'VOCABULARY', 'LENGTHS'))]
  flags = [flag.replace('runs.finetune.', 'runs.finetune_exported.') for flag in flags]
  command = [*flags, f'--gin.EXPORTED_BATCHES="{tmp_path / "rows"}"']
  ends = processes.ended(processes.job(['-m', 'scripts.train', *command, f'--gin.MODEL_DIR="{tmp_path / "two"}"']))
  assert [code for code, _, _ in ends] == [0, 0], '\n'.join(errors[-3000:] for _, _, errors in ends)
  assert train.main([*command, f'--gin.MODEL_DIR="{tmp_path / "one"}"']) == 0
  one, two = params(tmp_path / 'one'), params(tmp_path / 'two')
  for name in one:
    np.testing.assert_allclose(two[name], one[name], rtol=1e-6, atol=1e-7, err_msg=name)
  logs = [metrics_log.read(tmp_path / run) for run in ('one', 'two')]
  for here, there in zip(*logs, strict=True):
    assert here.keys() == there.keys()
    for name in set(here) - {'split', *processes.TIMED}:  # what is counted of the examples is that of both hosts
      np.testing.assert_allclose(there[name], here[name], rtol=1e-6, err_msg=name)
