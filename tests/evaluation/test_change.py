import dataclasses

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import statistics
from flan_jax.evaluation.change import by_cluster, by_dataset, change
from flan_jax.evaluation.protocol import evaluate_task
from flan_jax.evaluation.results import TemplateResult
from flan_jax.evaluation.statistics import Estimate
from tests.evaluation.synthetic import NO, YES, RuleScorer, row


def answered(right, dataset='nli', template=0, count=200):
  """A task of which the rows with these numbers are answered right."""
  rows = [row(f'r{n}', inputs=(5, n + 10, 1), dataset=dataset, template=template) for n in range(count)]
  wrong = {n + 10 for n in range(count)} - {n + 10 for n in right}
  return evaluate_task(rows, RuleScorer(lambda source, option: float(option == (NO if source[1] in wrong else YES))))


def test_a_change_is_the_mean_over_datasets_of_that_over_templates():
  before = [answered(range(200)), answered(range(100), template=1), answered(range(200), 'topic')]
  after = [answered(range(150)), answered(range(100), template=1), answered(range(100), 'topic')]
  found = change(after, before)
  assert found.value == pytest.approx(((-25 + 0) / 2 - 50) / 2)
  assert found.low < found.value < found.high
  assert found.n == 400


def test_the_interval_is_that_of_paired_questions():
  before, after = answered(range(100)), answered(range(90))
  found = change([after], [before])
  one, two = ([100.0 * (n < right) for n in range(200)] for right in (90, 100))
  expected = statistics.paired_difference(one, two)
  assert found == expected
  assert found.high - found.low < 8, 'unpaired, the halves of two accuracies of 50 % would give about 20 points'


def test_the_same_model_has_changed_by_nothing():
  results = [answered(range(70)), answered(range(20), 'topic')]
  assert change(results, results) == Estimate(0.0, 0.0, 0.0, 400)


def test_other_tasks_or_other_rows_are_refused():
  with pytest.raises(UserError, match='needs the same tasks'):
    change([answered(range(9))], [answered(range(9), template=1)])
  with pytest.raises(UserError, match='needs the same tasks'):
    change([], [])
  with pytest.raises(UserError, match='was asked about 150 rows before and 200 others after'):
    change([answered(range(9))], [answered(range(9), count=150)])


def test_a_metric_of_a_whole_corpus_has_a_change_without_interval():
  bleu = TemplateResult(task='t', dataset='t', cluster='c', template=0, split='test', method='generate', metric='bleu',
                        metrics={'bleu': Estimate(30.0, None, None, 50)}, chance=None, majority=None, rows=50)
  later = dataclasses.replace(bleu, metrics={'bleu': Estimate(24.0, None, None, 50)})
  assert change([later], [bleu]) == Estimate(-6.0, None, None, 50)


def test_changes_of_datasets_and_clusters_are_those_of_their_results_alone():
  before = [answered(range(200)), answered(range(100), template=1), answered(range(200), 'topic')]
  after = [answered(range(150)), answered(range(100), template=1), answered(range(100), 'topic')]
  split = [dataclasses.replace(result, cluster=result.dataset) for result in after]
  found = by_dataset(after, before, seed=4)
  assert {name: estimate.value for name, estimate in found.items()} == {'nli': pytest.approx(-12.5), 'topic': -50.0}
  assert found['nli'] == change(after[:2], before[:2], seed=4)
  assert by_cluster(after, before, seed=4) == {'nli': change(after, before, seed=4)}  # both datasets are of it
  assert by_cluster(split, before, seed=4) == by_dataset(after, before, seed=4)


def test_questions_of_one_group_are_drawn_together():
  def grouped(right):
    result = answered(right)
    predictions = [dataclasses.replace(one, group=f'q{place // 4}') for place, one in enumerate(result.predictions)]
    return dataclasses.replace(result, predictions=predictions)

  alone = change([answered(range(100))], [answered(range(60))])
  together = change([grouped(range(100))], [grouped(range(60))])
  assert together.value == alone.value == 20.0
  assert together.high - together.low == pytest.approx(2 * (alone.high - alone.low), rel=0.15)  # 50 units, not 200


def test_results_by_other_metrics_have_no_difference():
  one = answered(range(9))
  other = dataclasses.replace(one, metric='em', metrics={'em': one.score})
  with pytest.raises(UserError, match=r"'nli\.template_0' was measured by em before and by accuracy after"):
    change([one], [other])
