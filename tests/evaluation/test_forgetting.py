"""The scores of watched tasks: written, read back, refused, and shown."""

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import forgetting
from flan_jax.evaluation.forgetting import Watched
from flan_jax.evaluation.statistics import Estimate

FOUND = [
  Watched(0, 'a.sst2', 'sst2', 'accuracy', Estimate(90.0, 85.0, 94.0, 200), None),
  Watched(0, 'a.squad', 'squad', 'bleu', Estimate(30.0, None, None, 20), None),
  Watched(5, 'a.sst2', 'sst2', 'accuracy', Estimate(80.0, 75.0, 86.0, 200), Estimate(-10.0, -14.5, -5.25, 200)),
  Watched(5, 'a.squad', 'squad', 'bleu', Estimate(31.0, None, None, 20), Estimate(1.0, None, None, 20)),
]


def test_scores_come_back_as_they_were_written(tmp_path):
  (tmp_path / forgetting.FILE).write_text(''.join(one.line() for one in FOUND))
  assert forgetting.read(tmp_path) == forgetting.read(tmp_path / forgetting.FILE) == FOUND
  assert '"change": null' in FOUND[0].line()
  assert '"change": {"value": -10.0, "low": -14.5, "high": -5.25, "n": 200}' in FOUND[2].line()


def test_the_table_sets_the_last_score_beside_the_first():
  rows = forgetting.table(FOUND).rows
  assert rows[0] == ('a.sst2', 'accuracy', '90.0', '80.0', '5', '-10.0', '-14.5 to -5.2', '200')
  assert rows[1] == ('a.squad', 'bleu', '30.0', '31.0', '5', '+1.0', '-', '20')


def test_other_files_are_refused(tmp_path):
  with pytest.raises(UserError, match=r'Cannot read what a run forgot from .*No such file'):
    forgetting.read(tmp_path / 'nowhere')
  (tmp_path / forgetting.FILE).write_text('{"step": 1}\n')
  with pytest.raises(UserError, match='is not a forgetting.jsonl written by flan_jax'):
    forgetting.read(tmp_path)
