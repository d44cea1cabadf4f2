"""The quickstart itself, one seed with looser bounds than the README, and what methods learn on its model."""

import json
import re

import pytest

from flan_jax import gin_text
from flan_jax.comparison import rows
from flan_jax.evaluation import results_file
from scripts import compare_peft, quickstart

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('quickstart')]  # minutes; both need the one trained model
MARGIN = 20.0  # points below full fine-tuning, of the 50 between that and chance


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  folder = tmp_path_factory.mktemp('quickstart')
  assert quickstart.main([f'--model_dir={folder}', '--seed=31']) == 0
  return folder


def test_instructions_are_followed_on_clusters_that_were_never_trained(finished):
  folder = finished / 'seed_31'
  evaluations = results_file.read_results(folder / 'results.json')
  by_arm = {evaluation.origin.arm: evaluation for evaluation in evaluations}
  means = {arm: {pair.dataset: pair.mean for pair in evaluation.paired} for arm, evaluation in by_arm.items()}
  assert means['tuned']['quickstart_nli'] >= 65
  for arm in ('removed', 'contrast', 'untuned'):
    assert means[arm]['quickstart_nli'] < 60
  assert by_arm['contrast'].paired[0].plain > 75  # the trap: without any instruction the plain half looks learned
  adapted = json.loads((folder / 'lora' / 'adaptation.json').read_text())
  assert adapted['new']['adapter attached']['value'] > adapted['new']['before']['value'] + 10
  assert adapted['old']['adapter removed'] == adapted['old']['before']
  assert adapted['trainable'] < 0.06 * adapted['total']
  assert {'report.html', 'heldout.png', 'predictions', 'nli', 'lora'} <= {p.name for p in folder.iterdir()}


def test_every_method_learns_a_task_that_the_base_does_not_know(finished, tmp_path):
  flags = ['--gin_file=experiments/compare_long.gin', f'--gin.MODEL_DIR={tmp_path}', '--gin.TIMING_ROUNDS=0',
           f'--gin.CHECKPOINT_PATH={finished / "seed_31" / quickstart.TUNED}', '--gin.EVALUATOR_NUM_EXAMPLES=100',
           "--gin.OLD_TASKS=('quickstart_topic',)", f'--tfds_data_dir={finished / "tfds"}',
           '--gin_bindings=training.Partitioner.num_devices = 1']  # fmt: skip
  assert compare_peft.main(flags) == 0
  found = {place.name.split('.')[0]: rows.read_row(place) for place in (tmp_path / 'rows').iterdir()}
  declared = (gin_text.PACKAGED / 'runs' / 'compare_peft.gin').read_text()
  assert sorted(found) == sorted(re.findall(r'^entry/(\w+)/runs\.Entry:', declared, re.MULTILINE))
  assert found['full'].new.after.value > 95
  for name, row in found.items():
    assert row.new.before.value < 60 and row.new.after.value >= found['full'].new.after.value - MARGIN, name
    if name not in ('full', 'prefix_mlp'):
      assert row.trainable < 0.1 * row.base, name
