"""The quickstart itself, one seed with looser bounds than the figures of the README."""

import json

import pytest

from flan_jax.evaluation import results
from flan_jax.runs.zero_shot import LABELS
from scripts import quickstart


@pytest.mark.slow
def test_instructions_are_followed_on_clusters_that_were_never_trained(tmp_path):
  assert quickstart.main([f'--model_dir={tmp_path}', '--seed=31']) == 0
  folder = tmp_path / 'seed_31'
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
