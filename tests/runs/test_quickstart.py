"""The quickstart itself, one seed with looser bounds than the README, and what methods learn on its model."""

import json

import pytest

from flan_jax.comparison import rows
from flan_jax.evaluation import results
from flan_jax.runs.zero_shot import LABELS
from scripts import compare_peft, quickstart

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('quickstart')]  # minutes; both need the one trained model
# Soft prompts and prefixes learn this task too (docs/peft.md), at rates that have to be found anew for another base.
STEADY = ('full', 'layers', 'lora', 'nf4_lora', 'ia3', 'bitfit', 'norms', 'houlsby', 'parallel')
MARGIN = 25.0  # points below full fine-tuning


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  folder = tmp_path_factory.mktemp('quickstart')
  assert quickstart.main([f'--model_dir={folder}', '--seed=31']) == 0
  return folder


def test_instructions_are_followed_on_clusters_that_were_never_trained(finished):
  folder = finished / 'seed_31'
  evaluations = results.read_results(folder / 'results.json')
  means = {evaluation.model: {pair.dataset: pair.mean for pair in evaluation.paired} for evaluation in evaluations}
  assert means[LABELS['tuned']]['quickstart_nli'] >= 65
  for label in ('removed', 'contrast', 'untuned'):
    assert means[LABELS[label]]['quickstart_nli'] < 60
  plain = {evaluation.model: evaluation.paired[0].plain for evaluation in evaluations}
  assert plain[LABELS['contrast']] > 75  # the trap: without any instruction the plain half looks learned
  adapted = json.loads((folder / 'lora' / 'adaptation.json').read_text())
  assert adapted['new']['adapter attached']['value'] > adapted['new']['before']['value'] + 10
  assert adapted['old']['adapter removed'] == adapted['old']['before']
  assert adapted['trainable'] < 0.06 * adapted['total']
  assert {'report.html', 'heldout.png', 'predictions', 'tuned', 'contrast'} <= {p.name for p in folder.iterdir()}


def test_methods_learn_a_task_that_the_base_does_not_know(finished, tmp_path):
  entries = ', '.join(f'@entry/{name}/runs.Entry()' for name in STEADY)
  flags = ['--gin_file=experiments/compare_peft.gin', f'--gin.MODEL_DIR={tmp_path}', '--gin.TIMING_ROUNDS=0',
           f'--gin.CHECKPOINT_PATH={finished / "seed_31" / "tuned" / "stage_2"}', '--gin.EVALUATOR_NUM_EXAMPLES=100',
           f'--gin.ENTRIES=[{entries}]', "--gin.OLD_TASKS=('quickstart_topic',)",
           f'--tfds_data_dir={finished / "tfds"}',
           '--gin_bindings=training.Partitioner.num_devices = 1',
           '--gin_bindings=runs.compare_peft.partitioner = @training.Partitioner()']  # fmt: skip
  assert compare_peft.main(flags) == 0
  found = {place.name.split('.')[0]: rows.read_row(place) for place in (tmp_path / 'rows').iterdir()}
  assert len(found) == len(STEADY) and all(row.new.before.value < 65 for row in found.values())
  assert found['full'].new.after.value > 95
  for name, row in found.items():
    assert row.new.after.value >= found['full'].new.after.value - MARGIN, name
    if row.entry not in ('full', 'layers'):
      assert row.trainable < 0.2 * row.base, name
