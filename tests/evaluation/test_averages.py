import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import averages
from flan_jax.evaluation.protocol import evaluate_task
from tests.evaluation.synthetic import YES, always, row


def _task(right: int, wrong: int, *, dataset='nli', cluster='nli', template=0, split='test', **rows):
  """A task of which a model that always says yes gets so many right and so many wrong."""
  answers = ['yes'] * right + ['no'] * wrong
  made = [
    row(f'r{index}', answer=answer, dataset=dataset, cluster=cluster, template=template, **rows)
    for index, answer in enumerate(answers)
  ]
  return evaluate_task(made, always(YES), split=split)


def _written(texts, *, metrics, dataset='nli', template=0):
  made = [row(f'r{index}', options=(), answer='yes', dataset=dataset, template=template) for index in range(len(texts))]
  answers = iter(texts)
  return evaluate_task(
    made, generator=lambda inputs: [[0]] * len(inputs), decode=lambda tokens: next(answers), metrics=metrics
  )


def test_a_dataset_is_the_unweighted_mean_over_its_templates():
  results = [_task(8, 2), _task(6, 4, template=1), _task(1, 1, template=2)]  # 80, 60, and 50 of only two rows
  dataset, = averages.over_templates(results)
  assert dataset.mean.value == pytest.approx(190 / 3)
  assert dataset.std == pytest.approx(np.sqrt(((80 - 190 / 3) ** 2 + (60 - 190 / 3) ** 2 + (50 - 190 / 3) ** 2) / 2))
  assert (dataset.best, dataset.worst) == (80.0, 50.0)
  assert dataset.by_template == {'nli.template_0': 80.0, 'nli.template_1': 60.0, 'nli.template_2': 50.0}
  assert dataset.metrics == {'accuracy': pytest.approx(190 / 3)}
  assert dataset.mean.n == 10  # questions, however often each was asked
  assert dataset.chance == 50.0
  assert dataset.majority == pytest.approx((80 + 60 + 50) / 3)


def test_one_template_has_no_spread():
  dataset, = averages.over_templates([_task(3, 1)])
  assert (dataset.std, dataset.best, dataset.worst, dataset.mean.value) == (None, 75.0, 75.0, 75.0)


def test_a_cluster_is_the_unweighted_mean_over_its_datasets():
  results = [
    _task(9, 1, dataset='a'), _task(7, 3, dataset='a', template=1), _task(5, 5, dataset='a', template=2),  # 70
    _task(40, 160, dataset='b'),  # 20
    _task(1, 0, dataset='c', cluster='other'),
  ]  # fmt: skip
  first, second = averages.over_datasets(results, seed=7)
  assert (first.cluster, second.cluster) == ('nli', 'other')
  assert first.mean.value == pytest.approx(45.0)  # over tasks it would be 57.5, over rows 26.5
  assert first.datasets == {'a': pytest.approx(70.0), 'b': pytest.approx(20.0)}
  assert (first.chance, first.metric, first.seed, first.split) == (50.0, 'accuracy', 7, 'test')
  assert first.mean.n == 10 + 200
  assert (second.mean.value, second.mean.low, second.mean.high) == (100.0, 100.0, 100.0)


def test_an_interval_draws_questions_with_all_their_answers():
  """Templates that agree on every question are as uncertain as one of them; opposed ones cancel in every question."""
  alone, = averages.over_templates([_task(30, 30)])
  twice, = averages.over_templates([_task(30, 30), _task(30, 30, template=1)])
  assert twice.mean == alone.mean
  half = 1.96 * 50 / 60**0.5  # of the normal interval; ours moves in steps of one question
  assert [twice.mean.low, twice.mean.high] == pytest.approx([50 - half, 50 + half], abs=100 / 60)
  opposed, = averages.over_templates([_task(30, 30), _flipped(30, 30)])
  assert (opposed.mean.low, opposed.mean.value, opposed.mean.high) == (50.0, 50.0, 50.0)


def _flipped(right: int, wrong: int):
  made = [row(f'r{index}', answer='no' if index < right else 'yes', template=1) for index in range(right + wrong)]
  return evaluate_task(made, always(YES))


def test_an_interval_is_the_same_for_the_same_seed():
  results = [_task(30, 10), _task(20, 20, template=1)]
  first, again, other = (averages.over_datasets(results, seed)[0].mean for seed in (1, 1, 2))
  assert first == again
  assert (first.low, first.high) != (other.low, other.high)
  assert first.low < first.value < first.high


def test_rows_that_one_template_could_not_judge_are_left_out_of_that_template_only():
  made = [row('r0'), row('r1', answer='perhaps'), row('r2', answer='no')]
  results = [evaluate_task(made, always(YES)), _task(3, 0, template=1)]
  dataset, = averages.over_templates(results)
  assert dataset.mean.value == pytest.approx((50 + 100) / 2)
  assert (dataset.unanswerable, dataset.mean.n) == (1, 3)


def test_excluded_tasks_are_named_and_count_for_nothing():
  inverted = _task(0, 4, template=1, inverted=True)
  only_inverted = _task(0, 4, dataset='x', cluster='y', inverted=True)
  assert inverted.method == only_inverted.method == 'excluded'
  dataset, = averages.over_templates([_task(3, 1), inverted, only_inverted])
  assert (dataset.dataset, dataset.mean.value, dataset.excluded) == ('nli', 75.0, ['nli.template_1'])
  cluster, = averages.over_datasets([_task(3, 1), inverted, only_inverted])
  assert (cluster.cluster, cluster.mean.value) == ('nli', 75.0)


def test_corpus_metrics_are_averaged_without_an_interval():
  results = [_written(['yes', 'yes'], metrics=['macro_f1']), _written(['yes', 'no'], metrics=['macro_f1'], template=1)]
  dataset, = averages.over_templates(results)
  assert dataset.mean.value == pytest.approx((100 + 200 / 3) / 2)
  assert (dataset.mean.low, dataset.mean.high, dataset.mean.n) == (None, None, 2)
  assert (dataset.chance, dataset.majority) == (None, None)


def test_a_cluster_of_several_metrics_names_them_and_has_no_chance_where_one_has_none():
  results = [_task(4, 0, dataset='a'), _written(['yes', 'no'], metrics=['squad'], dataset='b')]
  cluster, = averages.over_datasets(results)
  assert (cluster.metric, cluster.chance, cluster.mean.value) == ('accuracy+em', None, 75.0)
  assert cluster.mean.low < 75.0 < cluster.mean.high  # both are means over rows
  dataset = averages.over_templates(results)[1]
  assert dataset.metrics == {'em': 50.0, 'f1': 50.0}


def test_templates_of_different_metrics_have_no_mean():
  results = [_written(['yes'], metrics=['squad']), _task(1, 0, template=1)]
  with pytest.raises(UserError, match=r'no common mean: nli.template_0 by em\+f1, nli.template_1 by accuracy'):
    averages.over_templates(results)


def test_nothing_in_nothing_out():
  assert averages.over_templates([]) == []
  assert averages.over_datasets([]) == []


def test_the_overall_mean_counts_every_dataset_once_whatever_its_cluster():
  results = [
    _task(9, 1, dataset='rte'), _task(7, 3, dataset='rte', template=1),  # 80
    _task(5, 5, dataset='cb'),  # 50, of the same cluster
    _task(2, 8, dataset='sst2', cluster='sentiment'),  # 20
  ]  # fmt: skip
  mean = averages.overall(results)
  assert mean.value == pytest.approx((80 + 50 + 20) / 3)
  assert mean.low < mean.value < mean.high
