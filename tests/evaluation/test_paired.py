import dataclasses

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation.paired import difference, paired_accuracy
from flan_jax.evaluation.protocol import evaluate_task
from tests.evaluation.synthetic import NO, YES, RuleScorer, always, row

ASKED_PLAINLY, ASKED_OPPOSITE, TRUE, FALSE = 10, 11, 12, 13


def _rows(opposite: bool, ids=range(200), template=0):
  rows = []
  for index in ids:
    true = index % 3 == 0
    inputs = [ASKED_OPPOSITE if opposite else ASKED_PLAINLY, TRUE if true else FALSE, 1]
    answer = 'yes' if true != opposite else 'no'
    dataset = 'nli_opposite' if opposite else 'nli'
    rows.append(row(f'r{index}', inputs=inputs, answer=answer, dataset=dataset, template=template))
  return rows


def _deaf(source, option):
  """Knows what is true and does not read what is asked."""
  return float(option == (YES if TRUE in source else NO))


def _reader(source, option):
  return float(option == (YES if (TRUE in source) != (ASKED_OPPOSITE in source) else NO))


def _evaluate(rule, opposite, **rows):
  return evaluate_task(_rows(opposite, **rows), RuleScorer(rule))


def test_a_model_deaf_to_the_instruction_is_at_chance_however_good_its_plain_half():
  result = paired_accuracy(_evaluate(_deaf, False), _evaluate(_deaf, True))
  assert (result.plain, result.opposite, result.mean, result.both) == (100.0, 0.0, 50.0, 0.0)
  assert result.interval == (50.0, 50.0)
  assert (result.n, result.unpaired, result.chance) == (200, 0, 50.0)


def test_a_model_that_reads_the_instruction_has_both():
  result = paired_accuracy(_evaluate(_reader, False), _evaluate(_reader, True))
  assert (result.mean, result.both) == (100.0, 100.0)
  assert (result.dataset, result.opposite_dataset, result.cluster) == ('nli', 'nli_opposite', 'nli')


def test_rows_pair_by_id_whatever_their_order():
  plain = _evaluate(_reader, False, ids=range(150))
  opposite = _evaluate(_deaf, True, ids=range(199, 99, -1))
  result = paired_accuracy(plain, opposite)
  assert (result.n, result.unpaired) == (50, 150)
  assert (result.plain, result.opposite) == (100.0, 0.0)


def test_a_constant_answer_cancels_row_by_row():
  result = paired_accuracy(evaluate_task(_rows(False), always(YES)), evaluate_task(_rows(True), always(YES)))
  assert result.mean == 50.0
  assert result.interval == (50.0, 50.0)  # unpaired resampling would give about +-4.6
  low, high = result.plain_interval
  assert low < result.plain < high


def test_templates_are_averaged_within_a_row():
  plain = [_evaluate(_reader, False), _evaluate(_deaf, False, template=1)]
  opposite = [_evaluate(_reader, True), _evaluate(_deaf, True, template=1)]
  result = paired_accuracy(plain, opposite)
  assert (result.plain, result.opposite, result.mean) == (100.0, 50.0, 75.0)


def test_difference_of_two_models_on_the_same_rows():
  estimate = difference(_evaluate(_reader, True), _evaluate(_deaf, True))
  assert (estimate.value, estimate.n) == (100.0, 200)
  same = evaluate_task(_rows(False), always(YES))
  zero = difference(same, same)
  assert (zero.value, zero.low, zero.high) == (0.0, 0.0, 0.0)


def test_halves_without_a_common_row_are_refused():
  with pytest.raises(UserError, match='has a partner in'):
    paired_accuracy(_evaluate(_deaf, False, ids=range(5)), _evaluate(_deaf, True, ids=range(5, 9)))
  with pytest.raises(UserError, match='share no row'):
    difference(_evaluate(_deaf, False, ids=range(5)), _evaluate(_deaf, False, ids=range(5, 9)))
  with pytest.raises(UserError, match='no scored task'):
    paired_accuracy([], [])


def test_the_rows_of_a_group_are_drawn_together():
  def grouped(result):
    predictions = [dataclasses.replace(one, group=f'q{place // 4}') for place, one in enumerate(result.predictions)]
    return dataclasses.replace(result, predictions=predictions)

  halves = evaluate_task(_rows(False), always(YES)), _evaluate(_reader, True)
  alone, together = paired_accuracy(*halves), paired_accuracy(*map(grouped, halves))
  assert (together.mean, together.n) == (alone.mean, 200)
  assert together.interval != alone.interval
  # Every third statement is true: four rows in a row have one or two, and vary less than four drawn apart.
  assert together.interval[1] - together.interval[0] < 0.7 * (alone.interval[1] - alone.interval[0])
  assert difference(*map(grouped, halves)).value == difference(*halves).value
