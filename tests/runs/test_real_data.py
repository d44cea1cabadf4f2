"""The main job on real rows with T5's own vocabulary, in short: train, stop and go on, evaluate, infer."""

import json

import jax
import numpy as np
import pytest

from flan_jax.evaluation import results_file
from flan_jax.training import checkpoints, example_counts, metrics_log
from scripts import evaluate, infer, train
from tests.training import toy

pytestmark = [
  pytest.mark.slow,  # minutes: every command on rows of 128 tokens with 32,000 words
  pytest.mark.xdist_group('real_data'),  # all need the one trained model
]

TASKS = "('flan2021.sst2', 'flan2021.trec', 'flan2021.aeslc')"


@pytest.fixture(scope='module')
def common(real_data):
  """The flags of every command here: a small model, T5's vocabulary, the real rows."""
  return [
    '--gin_file=models/t5_1_1_tiny.gin', f'--tfds_data_dir={real_data / "tfds"}',
    f'--gin.VOCABULARY_FILE={real_data / "vocabs" / "t5_cc_all.32000.model"}',
    "--gin.TASK_FEATURE_LENGTHS={'inputs': 128, 'targets': 32}", '--gin_bindings=models.T5Config.emb_dim = 32',
    '--gin_bindings=models.T5Config.mlp_dim = 64', '--gin_bindings=training.Partitioner.num_devices = 1',
  ]  # fmt: skip


def tune(common, folder, steps):
  flags = [f'--gin.MIXTURE_OR_TASK_NAME={TASKS}', f'--gin.TRAIN_STEPS={steps}', f'--gin.MODEL_DIR={folder}',
           '--gin.BATCH_SIZE=8', '--gin.LEARNING_RATE=1e-2', '--gin.EVAL_PERIOD=20',
           "--gin.EVAL_TASKS=('flan2021.sst2', 'flan2021.trec')",
           '--gin.EVALUATOR_NUM_EXAMPLES=16', '--gin.CHECKPOINT_PERIOD=10',
           '--gin_bindings=runs.finetune.log_period = 5', '--gin_bindings=runs.finetune.show_progress = False']
  assert train.main([*common, *flags]) == 0


@pytest.fixture(scope='module')
def trained(common, tmp_path_factory):
  folder = tmp_path_factory.mktemp('whole')
  tune(common, folder, 20)
  return folder


def arrays(folder, step):
  """The trained weights of a checkpoint."""
  path = folder / f'checkpoint_{step}'
  names = checkpoints.read_meta(path)['arrays']
  device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  wanted = {
    name: jax.ShapeDtypeStruct(shape, np.dtype(dtype), sharding=device)
    for name, (shape, dtype) in names.items()
    if name.startswith('trainable/')
  }
  return checkpoints.read_arrays(path, wanted, names)


def test_the_loss_falls_and_every_task_is_followed(trained):
  entries = metrics_log.read(trained)
  losses = [entry['loss'] for entry in entries if entry['split'] == 'train']
  assert losses[-1] < losses[0] - 0.5
  ranked = {'rank/flan2021.sst2', 'rank/flan2021.trec'}
  assert {entry['split'] for entry in entries} == {'train', example_counts.SPLIT} | ranked
  assert all(entry['examples'] > 0 and entry['truncated'] >= 0 for entry in entries if entry['split'] == 'train')


def test_a_run_that_stops_and_goes_on_ends_with_the_same_bits(common, trained, tmp_path):
  tune(common, tmp_path, 10)
  tune(common, tmp_path, 20)
  assert toy.same_params(arrays(trained, 20), arrays(tmp_path, 20))


def test_evaluation_asks_every_answerable_template(common, trained, tmp_path):
  flags = [f'--gin.CHECKPOINT_PATH={trained}', f'--gin.EVAL_OUTPUT_DIR={tmp_path}',
           '--gin.EVALUATOR_NUM_EXAMPLES=16', "--gin.MIXTURE_OR_TASK_NAME=('flan2021.sst2', 'flan2021.aeslc')",
           '--gin_bindings=runs.evaluate.max_decode_len = 8']
  assert evaluate.main([*common, *flags]) == 0
  (found,) = results_file.read_results(tmp_path / 'results.json')
  by_dataset = {result.dataset: result for result in found.datasets}
  assert len(by_dataset['sst2'].by_template) == 7 and by_dataset['sst2'].chance == 50.0
  assert set(by_dataset['aeslc'].metrics) == {'rouge1', 'rouge2', 'rougeL', 'rougeLsum'}
  assert {'clusters.png', 'report.html', 'predictions'} <= {path.name for path in tmp_path.iterdir()}


def test_inference_answers_every_line_of_a_file(common, trained, tmp_path):
  prompts = ['Film review: a joy from start to finish\n\nIs it negative or positive?', 'Question: Who wrote Emma ?']
  (tmp_path / 'prompts.jsonl').write_text(''.join(json.dumps({'inputs': prompt}) + '\n' for prompt in prompts))
  flags = [f'--gin.CHECKPOINT_PATH={trained}', f'--gin.INPUT_FILE={tmp_path / "prompts.jsonl"}',
           f'--gin.INFER_OUTPUT_DIR={tmp_path}', '--gin_bindings=runs.infer.max_decode_len = 8']
  assert infer.main([*common, *flags]) == 0
  lines = (tmp_path / 'prompts-predict.jsonl-00000-of-00001').read_text().splitlines()
  assert [json.loads(line)['inputs'] for line in lines] == prompts
  assert all('prediction' in json.loads(line) for line in lines)
  assert (tmp_path / 'prompts-predict.jsonl.COMPLETED').exists()
