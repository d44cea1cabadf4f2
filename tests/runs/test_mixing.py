"""What a run writes of its mixture, on real rows: rates, shares, and the datasets that were not there."""

import json

import pytest

from flan_jax.errors import UserError
from flan_jax.runs import mixing
from flan_jax.training import loop, run_folder
from scripts import train
from tests.data.conftest import real_tfds  # noqa: F401  a fixture


@pytest.fixture
def tune(real_data, tmp_path):
  """Trains a toy for one step and returns what its run folder says of the mixture."""

  def run(mixture, *flags):
    found = train.main([
      '--gin_file=models/t5_1_1_tiny.gin', f'--tfds_data_dir={real_data / "tfds"}', '--gin.BATCH_SIZE=2',
      f'--gin.VOCABULARY_FILE={real_data / "vocabs" / "t5_cc_all.32000.model"}', '--gin.TRAIN_STEPS=1',
      "--gin.TASK_FEATURE_LENGTHS={'inputs': 32, 'targets': 8}", '--gin_bindings=models.T5Config.emb_dim = 8',
      '--gin_bindings=models.T5Config.mlp_dim = 8', '--gin_bindings=models.T5Config.num_encoder_layers = 1',
      '--gin_bindings=models.T5Config.num_decoder_layers = 1', '--gin_bindings=training.Partitioner.num_devices = 1',
      '--gin_bindings=runs.finetune.show_progress = False', f'--gin.MODEL_DIR={tmp_path / "run"}',
      f'--gin.MIXTURE_OR_TASK_NAME={mixture}', *flags,
    ])  # fmt: skip
    file = tmp_path / 'run' / mixing.FILE
    return found, json.loads(file.read_text()) if file.exists() else None

  return run


def test_a_run_leaves_out_what_is_not_there_and_writes_the_shares_of_the_rest(tune, monkeypatch):
  lines: list[str] = []

  def loop_until_the_first_step(model_dir, notes, files, **_):  # a step takes long to compile
    lines.extend(notes)
    run_folder.describe_run(model_dir, config=None, model_info='', more=files)

  monkeypatch.setattr(loop, 'train', loop_until_the_first_step)
  code, written = tune("('flan2021.commonsense', 'flan2021.sst2')", '--gin.SKIP_UNAVAILABLE=True')
  assert code == 0
  assert [(part['task'], part['rate']) for part in written['tasks']] == [
    ('flan2021.copa', 350), ('flan2021.sst2', 3000)]  # fmt: skip
  assert [part['rows'] for part in written['tasks']] == [350, 30000]
  assert [part['share'] for part in written['tasks']] == pytest.approx([350 / 3350, 3000 / 3350])
  assert sorted(tasks for left in written['left_out'] for tasks in left['tasks']) == [
    'flan2021.hellaswag', 'flan2021.piqa', 'flan2021.story_cloze']  # fmt: skip
  assert all(left['reason'].startswith("Dataset '") and ' is not prepared in ' in left['reason']
             for left in written['left_out'])
  assert len([line for line in lines if line.startswith('left out: Dataset ')]) == 3
  assert any(line.endswith(' 89.6 % of the examples') for line in lines)
  (first,) = [place for place, line in enumerate(lines) if line.startswith('of the first 1,')]
  told = dict(line.strip().split(': of ') for line in lines[first + 1:])
  assert told.keys() == {'flan2021.copa', 'flan2021.sst2'}  # 32 tokens hold few of their prompts
  assert all(' inputs cut' in words and 'filter' not in words for words in told.values())


@pytest.mark.slow
def test_a_run_of_one_task_says_so(tune):
  code, written = tune('flan2021.copa')
  assert code == 0
  assert written == {'mixture': 'flan2021.copa', 'split': 'train', 'left_out': [],
                     'tasks': [{'task': 'flan2021.copa', 'rows': 350, 'rate': 1.0, 'share': 1.0}]}


def test_a_run_that_is_refused_writes_nothing(tune, tmp_path):
  code, written = tune('flan2021.copa', f'--gin.INITIAL_CHECKPOINT_PATH={tmp_path / "nowhere"}')
  assert code != 0 and written is None
  assert not (tmp_path / 'run').exists()


def test_shares_of_a_mixture_add_up(real_tfds):  # noqa: F811
  parts = mixing.mixed('flan2021.superglue.held_out.first_4')
  assert [part.task.name for part in parts] == [
    f'flan2021.{name}.first_4' for name in ('bool_q', 'cb', 'copa', 'multirc', 'record', 'rte', 'wic', 'wsc')]
  assert [part.rate for part in parts] == [min(part.rows, 3000) for part in parts]
  assert sum(part.share for part in parts) == pytest.approx(1)
  with pytest.raises(UserError, match='no task or mixture'):
    mixing.mixed('flan2021.sentimental_journey')
