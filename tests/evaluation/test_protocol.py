import dataclasses

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation.protocol import evaluate_task, evaluate_tasks
from tests.evaluation.synthetic import NO, YES, RuleScorer, always, row


def _say(word: str):
  """A generator and a decoder that answer every prompt with one word."""
  return {'generator': lambda inputs: [[9]] * len(inputs), 'decode': lambda tokens: word}


def _must_not_write(inputs):
  raise AssertionError('a task with options was answered by generation')


def test_options_are_ranked_and_free_text_is_generated():
  ranked = evaluate_task([row('a'), row('b', answer='no')], always(YES), _must_not_write, decode=str)
  assert (ranked.method, ranked.metric, ranked.score.value) == ('rank', 'accuracy', 50.0)
  assert (ranked.chance, ranked.majority) == (50.0, 50.0)
  written = evaluate_task([row('a', options=())], always(NO), **_say('yes'), metrics=['exact_match', 'f1'])
  assert (written.method, written.metric, written.score.value) == ('generate', 'exact_match', 100.0)
  assert list(written.metrics) == ['exact_match', 'f1']
  assert (written.chance, written.majority) == (None, None)


def test_one_row_without_options_makes_the_task_a_written_one():
  rows = [row('a'), row('b', options=(), answer='no')]
  result = evaluate_task(rows, always(YES), **_say('yes'))
  assert (result.method, result.score.value, result.rows) == ('generate', 50.0, 2)


def test_generation_can_be_asked_for_where_there_are_options():
  result = evaluate_task([row('a'), row('b', answer='no')], None, **_say('no'), method='generate')
  assert (result.method, result.score.value) == ('generate', 50.0)
  assert [prediction.prediction for prediction in result.predictions] == ['no', 'no']


def test_ranking_asked_for_without_options_names_the_row():
  with pytest.raises(UserError, match="no options at row 'b'"):
    evaluate_task([row('a'), row('b', options=())], always(YES), **_say('no'), method='rank')


def test_inverted_rows_are_left_out_and_counted():
  rows = [row('a'), row('b', answer='no', inverted=True), row('c', answer='no', inverted=True)]
  result = evaluate_task(rows, always(YES))
  assert (result.rows, result.inverted, result.score.value, result.score.n) == (1, 2, 100.0, 1)
  assert [prediction.row_id for prediction in result.predictions] == ['a']


def test_a_task_of_inverted_rows_alone_is_excluded_and_needs_no_model():
  result = evaluate_task([row('a', inverted=True), row('b', inverted=True)], split='validation', seed=3)
  assert (result.method, result.metrics, result.rows, result.inverted) == ('excluded', {}, 0, 2)
  assert (result.task, result.split, result.seed, result.predictions) == ('nli.template_0', 'validation', 3, [])


def test_unanswerable_rows_are_counted_and_count_for_nothing():
  rows = [row('a'), row('b', answer='no'), row('c', answer='perhaps'), row('d', answer='perhaps')]
  result = evaluate_task(rows, always(YES))
  assert (result.rows, result.unanswerable, result.score.value, result.score.n) == (2, 2, 50.0, 2)
  assert (result.chance, result.majority) == (50.0, 50.0)
  assert [prediction.credit for prediction in result.predictions] == [1.0, 0.0, None, None]


def test_ties_and_cut_rows_are_counted_among_the_scored():
  rows = [row('a', truncated=True), row('b'), row('c', answer='perhaps', truncated=True)]
  result = evaluate_task(rows, RuleScorer(lambda source, option: -1.0))
  assert (result.ties, result.truncated, result.score.value) == (2, 1, 50.0)


def test_length_normalisation_reaches_the_ranking():
  rows = [row(options=('yes', 'no'), option_tokens=[[7, 1], [8, 8, 8, 1]], answer='no')]
  scorer = RuleScorer(lambda source, option: -2.0 if option[0] == 7 else -3.0)
  assert evaluate_task(rows, scorer).score.value == 0.0
  assert evaluate_task(rows, scorer, normalization='length').score.value == 100.0


def test_the_template_is_told_where_there_is_one():
  assert evaluate_task([row('a', template=4)], always(YES)).template == 4
  mixed = [row('a', template=1), dataclasses.replace(row('b', template=1), template=2)]
  assert evaluate_task(mixed, always(YES)).template is None


def test_what_is_missing_is_named():
  with pytest.raises(UserError, match=r"There is no row to evaluate in split 'dev'"):
    evaluate_task([], always(YES), split='dev')
  with pytest.raises(UserError, match=r"'nli\.template_0' is answered by ranking its options, which needs a scorer"):
    evaluate_task([row()])
  with pytest.raises(UserError, match='answered by generation, which needs a generator and a vocabulary'):
    evaluate_task([row(options=())], always(YES), generator=_must_not_write)
  with pytest.raises(UserError, match='No row of .* has its answer among its options'):
    evaluate_task([row(answer='perhaps')], always(YES))


def test_rows_of_several_tasks_or_with_one_id_twice_are_refused():
  with pytest.raises(UserError, match=r'One task at a time: the rows are of a\.template_0, b\.template_0'):
    evaluate_task([row('x', dataset='b'), row('y', dataset='a')], always(YES))
  with pytest.raises(ValueError, match='ids of their own'):
    evaluate_task([row('x'), row('x')], always(YES))


def test_an_evaluation_has_tasks_in_order_and_their_averages():
  tasks = [
    [row('a', dataset='qa', cluster='reading', options=(), answer='cat')],
    [row('a', template=1), row('b', template=1, answer='no')],
    [row('a', template=2, inverted=True)],
  ]
  seen = []
  evaluation = evaluate_tasks(
    (task for task in tasks), 'tuned', always(YES), **_say('the cat'), checkpoint='run/10', metrics={'qa': ('squad',)},
    split='validation', seed=5, on_result=seen.append,
  )  # fmt: skip
  assert evaluation.templates == seen
  assert [result.task for result in seen] == ['qa.template_0', 'nli.template_1', 'nli.template_2']
  assert [result.method for result in seen] == ['generate', 'rank', 'excluded']
  assert (evaluation.model, evaluation.checkpoint, evaluation.paired) == ('tuned', 'run/10', [])
  by_dataset = [(result.dataset, result.metric, result.mean.value, result.excluded) for result in evaluation.datasets]
  assert by_dataset == [('qa', 'em', 100.0, []), ('nli', 'accuracy', 50.0, ['nli.template_2'])]
  assert [(result.cluster, result.mean.value) for result in evaluation.clusters] == [('reading', 100.0), ('nli', 50.0)]
  assert {result.split for result in (*seen, *evaluation.datasets, *evaluation.clusters)} == {'validation'}
  assert {result.seed for result in (*seen, *evaluation.datasets, *evaluation.clusters)} == {5}


def test_tasks_are_read_one_at_a_time():
  alive = []

  def read():
    for index in range(3):
      assert len(alive) == index  # the one before has been answered
      yield [row('a', template=index)]

  evaluate_tasks(read(), 'tuned', always(YES), on_result=alive.append)
  assert len(alive) == 3


def test_a_task_without_rows_stops_the_evaluation():
  with pytest.raises(UserError, match='no row to evaluate'):
    evaluate_tasks([[row()], []], 'tuned', always(YES))


def _by_candidate(right):
  """MultiRC in small: rows about one answer each, with a scorer that says yes to these places."""
  labels = {'q1': 'yes no yes', 'q2': 'no no', 'q3': 'yes'}
  pairs = [(question, label) for question, told in labels.items() for label in told.split()]
  rows = [
    row(f'r{place}', options=('no', 'yes'), answer=label, inputs=(place + 10, 1), group=question)
    for place, (question, label) in enumerate(pairs)
  ]
  return rows, RuleScorer(lambda source, option: float((option == YES) == (source[0] - 10 in right)))


def test_ranking_reports_the_metrics_of_the_dataset_beside_accuracy():
  rows, scorer = _by_candidate({0, 3, 5})  # of 3 that are right 2 are found, with 1 false alarm; q3 alone is all right
  result = evaluate_task(rows, scorer, metrics=('multirc', 'binary_f1', 'matthews_correlation'))
  assert (result.method, result.metric) == ('rank', 'accuracy')
  found = {name: estimate.value for name, estimate in result.metrics.items()}
  assert found == {
    'accuracy': pytest.approx(100 * 4 / 6), 'f1a': pytest.approx(100 * 2 / 3), 'em': pytest.approx(100 / 3),
    'binary_f1': pytest.approx(100 * 2 / 3), 'matthews_correlation': pytest.approx(100 / 3),
  }  # fmt: skip
  assert {name: estimate.n for name, estimate in result.metrics.items()} == {
    'accuracy': 6, 'f1a': 6, 'em': 3, 'binary_f1': 6, 'matthews_correlation': 6}  # fmt: skip
  assert all(estimate.low < estimate.high for estimate in result.metrics.values())
  assert (result.chance, result.majority) == (50.0, 50.0)
  dataset, = evaluate_tasks([rows], 'm', scorer, metrics={'nli': ('multirc',)}).datasets
  assert list(dataset.metrics) == ['accuracy', 'f1a', 'em']


def test_ranked_numbers_correlate_with_the_right_ones():
  rows = [row(f'r{n}', options='012345', answer=str(n % 6), inputs=(n % 6 + 10, 1)) for n in range(24)]
  rows = [dataclasses.replace(one, option_tokens=[[20 + n, 1] for n in range(6)]) for one in rows]
  scorer = RuleScorer(lambda source, option: -abs(option[0] - 2 * source[0] + 3))  # in order, and too far out
  result = evaluate_task(rows, scorer, metrics=('accuracy', 'pearson_corrcoef', 'spearman_corrcoef'))
  assert list(result.metrics) == ['accuracy', 'pearson_corrcoef', 'no_number', 'spearman_corrcoef']
  assert result.score.value == 50.0  # 0, 0, 1, 3, 5, 5 instead of 0 to 5
  assert 90.0 < result.metrics['pearson_corrcoef'].value < result.metrics['spearman_corrcoef'].value < 100.0
  assert result.metrics['no_number'].value == 0.0


def test_several_right_options_count_for_accuracy_and_for_the_best_reference():
  names = ('Ann', 'Ann Lee', 'Bob', 'Cid')
  rows = [
    row('a', options=names, references=['Ann', 'Ann Lee'], answer='Ann', option_tokens=[[n, 1] for n in range(30, 34)],
        group='q1'),
    row('b', options=('Bob Ray', 'Dora'), references=['Bob Ray', 'Bob'], answer='Bob Ray',
        option_tokens=[[33, 1], [31, 1]], group='q2'),
  ]  # fmt: skip
  result = evaluate_task(rows, RuleScorer(lambda source, option: float(option[0] == 31)), metrics=('record',))
  assert [prediction.prediction for prediction in result.predictions] == ['Ann Lee', 'Dora']
  assert {name: estimate.value for name, estimate in result.metrics.items()} == {
    'accuracy': 50.0, 'em': 50.0, 'f1': 50.0}  # fmt: skip
  assert (result.chance, result.majority) == (50.0, 100.0)  # the first option is right in both rows


def test_a_metric_that_rows_lack_something_for_stops_before_anything_is_scored():
  scorer = always(YES)
  with pytest.raises(UserError, match="'multirc' goes by question"):
    evaluate_task([row('a'), row('b')], scorer, metrics=('accuracy', 'multirc'))
  with pytest.raises(UserError, match="'binary_f1' needs two options that all rows share"):
    evaluate_task([row('a'), row('b', options=('no', 'yes'))], scorer, metrics=('binary_f1',))
  with pytest.raises(UserError, match="no metric 'acuracy'"):
    evaluate_task([row('a')], scorer, metrics=('acuracy',))
  assert scorer.calls == []


def test_chance_stands_beside_a_written_answer_where_there_are_options():
  rows = [row('a'), row('b', answer='no'), row('c', answer='no'), row('d', answer='no')]
  assert [getattr(evaluate_task(rows, **_say('no'), method='generate', metrics=[metric]), baseline)
          for metric in ('accuracy', 'squad') for baseline in ('chance', 'majority')] == [50.0, 75.0, None, None]
