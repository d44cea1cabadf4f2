"""Training from exported rows: exact resume, what must fit, and a machine without TensorFlow."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from flan_jax import configurables
from flan_jax.errors import UserError
from flan_jax.training import initial
from scripts import evaluate, export_batches, train
from tasks.quickstart import builder
from tests import processes
from tests.exported import made
from tests.runs.test_export_batches import PROMPT

PROGRAM = pathlib.Path(__file__).parents[1] / 'exported' / 'without_tensorflow.py'
ONE_DEVICE = ('--gin_bindings=training.Partitioner.num_devices = 1',)
SMALL = {'emb_dim': 16, 'num_heads': 2, 'head_dim': 8, 'mlp_dim': 32, 'num_encoder_layers': 1}


def flags_of(rows, run, **macros):
  macros = {'EXPORTED_BATCHES': rows, 'MODEL_DIR': run, 'TRAIN_STEPS': 4, 'BATCH_SIZE': 8, **macros}
  small = (f'--gin_bindings=models.T5Config.{name} = {value}' for name, value in SMALL.items())
  return ['--gin_file=models/quickstart.gin', *small, *(f'--gin.{name}={value}' for name, value in macros.items())]


def same_weights(left, right):
  one, other = initial.open_weights(left), initial.open_weights(right)
  assert one.shapes.keys() == other.shapes.keys()
  return all(np.array_equal(one.read(name), other.read(name)) for name in one.shapes)


@pytest.fixture(scope='module')
def rows(tmp_path_factory):
  folder = tmp_path_factory.mktemp('exports') / 'made'
  made.export(folder)
  return folder


def test_a_run_that_is_stopped_goes_on_with_the_same_bits(rows, tmp_path, capsys):
  held_back = tmp_path / 'held_back'
  made.export(held_back, rows=16, split='validation')
  more = {'EXPORTED_EVAL_BATCHES': held_back, 'EVAL_PERIOD': 2, 'EVAL_STEPS': 2}
  assert train.main([*flags_of(rows, tmp_path / 'whole', **more), *ONE_DEVICE]) == 0
  assert train.main([*flags_of(rows, tmp_path / 'parts', TRAIN_STEPS=2, **more), *ONE_DEVICE]) == 0
  assert train.main([*flags_of(rows, tmp_path / 'parts', **more), *ONE_DEVICE]) == 0
  said = capsys.readouterr()
  assert (said.out + said.err).count('training on 40 exported rows of made (train)') == 3
  assert 'counting: of 40 examples 40 inputs cut' in said.out + said.err
  assert same_weights(tmp_path / 'whole', tmp_path / 'parts')
  log = [json.loads(line) for line in (tmp_path / 'parts' / 'metrics.jsonl').read_text().splitlines()]
  assert [entry['step'] for entry in log if entry['split'] == 'training_eval/made'] == [2, 4]
  assert json.loads((tmp_path / 'parts' / 'exported_batches.json').read_text())['folder'] == str(rows)
  assert (tmp_path / 'parts' / 'tokenizer' / 'words.txt').is_file()


@pytest.mark.parametrize(('changes', 'more', 'told'), [
  ({'EXPORTED_BATCHES': '/nowhere'}, (), '/nowhere is no export of batches: it has no index.json'),
  ({'BATCH_SIZE': 48}, (), 'BATCH_SIZE (48) must be between 1 and the 40 rows'),
  ({'TASK_FEATURE_LENGTHS': "{'inputs': 512, 'targets': 128}"}, (),
   "holds rows of {'inputs': 8, 'targets': 6}, and TASK_FEATURE_LENGTHS asks for {'inputs': 512, 'targets': 128}"),
  ({'EXPORTED_EVAL_BATCHES': '/nowhere'}, (), '/nowhere is no export of batches'),
  ({'EVAL_STEPS': 0}, (), 'EVAL_STEPS must be at least 1, not 0'),
  ({}, ('--gin_bindings=models.T5Config.vocab_size = 29',), 'a vocabulary of 30 ids and the model embeds 29'),
  ({}, PROMPT, "leaves room for soft prompts of no positions in its packed rows, and METHOD 'prompt_tuning' needs "
   "{'inputs': 5}: export the batches again"),
  ({}, (*PROMPT, "--gin_bindings=peft.PromptTuning.init = 'text'", "--gin_bindings=peft.PromptTuning.text = 'yes'"),
   "has no vocabulary to encode 'yes' with"),
  ({'MIXTURE_OR_TASK_NAME': 'quickstart'}, (), 'MIXTURE_OR_TASK_NAME is set but nothing uses it'),
  ({}, ('--tfds_data_dir=/tmp',), 'reads neither TFDS nor SeqIO: leave --tfds_data_dir'),
])
def test_what_does_not_fit_is_one_sentence(rows, tmp_path, capfd, changes, more, told):
  assert train.main([*flags_of(rows, tmp_path / 'run', **changes), *more]) == 2
  lines = capfd.readouterr().err.splitlines()
  assert len(lines) == 1 and lines[0].startswith('error: ') and told in lines[0], lines
  assert not list(tmp_path.iterdir())


def test_what_needs_tensorflow_says_so_where_it_is_used_all_the_same():
  with pytest.raises(UserError, match=r'data\.padded_size needs TensorFlow, and training from EXPORTED_BATCHES does'):
    configurables._stand_in('data.padded_size')(multiple=8)


def test_a_soft_prompt_trains_on_rows_with_room_for_it(tmp_path):
  made.export(tmp_path / 'rows', prompts={'inputs': 2}, source=({
    **batch, 'encoder_prompt_positions': np.where(batch['encoder_positions'] < 2, batch['encoder_positions'] + 1, 0)
    * (batch['encoder_segment_ids'] > 0).astype(np.int32)} for batch in made.batches(16)))
  flags = [PROMPT[0], '--gin_bindings=peft.PromptTuning.length = 2', *ONE_DEVICE]
  assert train.main([*flags_of(tmp_path / 'rows', tmp_path / 'run', TRAIN_STEPS=1), *flags]) == 0
  assert (tmp_path / 'run' / 'adapter').is_dir()


def without_tensorflow(flags, **options):
  return subprocess.Popen([sys.executable, str(PROGRAM), 'scripts.train', *flags], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=processes.environment(XLA_FLAGS=''), **options)


def test_a_machine_without_tensorflow_trains(rows, tmp_path):
  child = without_tensorflow(flags_of(rows, tmp_path / 'run', TRAIN_STEPS=1))
  _, errors = child.communicate(timeout=300)
  assert child.returncode == 0, errors[-2000:]
  assert (tmp_path / 'run' / 'checkpoint_1').is_dir()


@pytest.mark.slow
def test_killed_without_tensorflow_it_goes_on_and_is_evaluated_with_it(tmp_path):
  builder.FlanQuickstart(config='synonym', data_dir=tmp_path / 'tfds').download_and_prepare()
  rows, data = tmp_path / 'rows', f'--tfds_data_dir={tmp_path / "tfds"}'
  mixture = "--gin.TASK_FEATURE_LENGTHS={'inputs': 48, 'targets': 12}"
  assert export_batches.main(['--gin_file=models/quickstart.gin', '--gin.MIXTURE_OR_TASK_NAME=quickstart_synonym',
                              f'--gin.EXPORT_DIR={rows}', '--gin.EXPORT_ROWS=100', mixture, data]) == 0
  options = {'TRAIN_STEPS': 60, 'CHECKPOINT_PERIOD': 10}
  whole = without_tensorflow(flags_of(rows, tmp_path / 'whole', **options))
  _, errors = whole.communicate(timeout=300)
  assert whole.returncode == 0, errors[-2000:]
  killed = without_tensorflow(flags_of(rows, tmp_path / 'killed', **options))
  deadline = time.monotonic() + 300
  while not (tmp_path / 'killed' / 'checkpoint_20').is_dir() and time.monotonic() < deadline:
    time.sleep(0.01)
  killed.send_signal(signal.SIGKILL)
  killed.communicate()
  assert killed.returncode == -signal.SIGKILL and not (tmp_path / 'killed' / 'checkpoint_60').exists()
  resumed = without_tensorflow(flags_of(rows, tmp_path / 'killed', **options))
  output, errors = resumed.communicate(timeout=300)
  assert resumed.returncode == 0, errors[-2000:]
  assert 'step 0 of 60' not in output + errors
  assert same_weights(tmp_path / 'whole', tmp_path / 'killed')
  results = tmp_path / 'results'
  assert evaluate.main(['--gin_file=models/of_checkpoint.gin', f'--gin.CHECKPOINT_PATH={tmp_path / "killed"}',
                        '--gin.MIXTURE_OR_TASK_NAME=quickstart_synonym', f'--gin.EVAL_OUTPUT_DIR={results}',
                        '--gin.EVALUATOR_NUM_EXAMPLES=20', mixture, data]) == 0
  assert any(results.iterdir())
