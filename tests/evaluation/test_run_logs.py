import json

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import run_logs
from flan_jax.evaluation.statistics import Estimate
from flan_jax.training.metrics_log import MetricsLog
from tests.evaluation import protocol_folder


def log(folder, steps, loss=1.0):
  folder.mkdir(parents=True)
  written = MetricsLog(folder)
  for step in steps:
    written.write(step, 'examples', {'rte/examples': 3.0})
    written.write(step, 'train', {'loss': loss + 1 / step, 'accuracy': 0.5})
    for task, more in (('a', 0.25), ('b', 0.75)):
      written.write(step, f'training_eval/{task}', {'loss': loss + more})
  written.close()


def test_stages_that_count_afresh_follow_each_other(tmp_path):
  log(tmp_path / 'stage_1', (50, 100))
  log(tmp_path / 'stage_2', (50, 75), loss=0.5)
  found = run_logs.learning(tmp_path)
  assert found.train == [(50, 1.02), (100, 1.01), (150, 0.52), (175, pytest.approx(0.5 + 1 / 75))]
  assert found.held_back == [(50, 1.5), (100, 1.5), (150, 1.0), (175, 1.0)]  # the mean over tasks
  assert found.accuracy == 0.5


def test_stages_that_count_on_and_more_than_nine_of_them_stay_in_order(tmp_path):
  for stage in range(1, 12):
    log(tmp_path / f'stage_{stage}', (10 * stage,), loss=float(stage))
  assert [step for step, _ in run_logs.learning(tmp_path).train] == [10 * stage for stage in range(1, 12)]


def test_a_run_without_stages_and_one_without_logs(tmp_path):
  log(tmp_path / 'run', (5,))
  assert run_logs.learning(tmp_path / 'run').train == [(5, 1.2)]
  assert run_logs.learning(tmp_path / 'none') is None and run_logs.forgetting(tmp_path / 'none') == []
  assert run_logs.contamination(tmp_path, 'nli') is None


def test_what_was_watched_is_read_with_its_stage(tmp_path):
  run = protocol_folder.write(tmp_path, protocol_folder.evaluations(('nli',), templates=1, count=8)) / 'nli' / 'tuned'
  found = run_logs.forgetting(run)
  assert [(one.stage, one.step, one.task) for one in found[:3]] == [
    ('stage_2', 0, 'glue_sst2'), ('stage_2', 0, 'squad'), ('stage_2', 400, 'glue_sst2')
  ]  # fmt: skip
  assert found[0].change is None and found[2].change == pytest.approx(Estimate(-2.0, -4.2, 0.2, 200))
  assert run_logs.contamination(tmp_path, 'nli')['datasets'][1]['exact'] == 2


def test_a_broken_file_is_named(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text(json.dumps({'step': 1, 'split': 'train', 'loss': 1.0}) + '\n{')
  with pytest.raises(UserError, match=r'metrics\.jsonl.* not JSON'):
    run_logs.learning(tmp_path)
  (tmp_path / 'contamination' / 'nli').mkdir(parents=True)
  (tmp_path / 'contamination' / 'nli' / 'contamination.json').write_text('[')
  with pytest.raises(UserError, match=r'contamination\.json.* not JSON'):
    run_logs.contamination(tmp_path, 'nli')
