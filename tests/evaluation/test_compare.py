import numpy as np
import pytest

from flan_jax.evaluation import compare, statistics
from flan_jax.evaluation.statistics import Estimate


def column(values) -> dict[str, float]:
  return {f'r{place}': float(value) for place, value in enumerate(values)}


def draws(seed, count=80, share=0.5) -> np.ndarray:
  return np.random.default_rng(seed).random(count) < share


def test_of_one_template_each_it_is_the_paired_difference():
  one, two = draws(0), draws(1)
  expected = statistics.paired_difference(100.0 * one, 100.0 * two)
  assert compare.difference([([column(one)], [column(two)])]) == pytest.approx(expected)


def test_each_side_is_averaged_over_its_own_templates():
  many, alone = [draws(place, share=0.7) for place in range(3)], draws(9)
  found = compare.difference([([column(one) for one in many], [column(alone)])])
  assert found.value == pytest.approx(100.0 * (np.mean(many) - np.mean(alone)))
  expected = statistics.paired_difference(100.0 * np.mean(many, axis=0), 100.0 * alone)
  assert found == pytest.approx(expected)


def test_pairing_narrows_the_interval_of_answers_that_go_together():
  one = draws(0, 400)
  two = np.where(draws(1, 400, 0.1), ~one, one)
  found = compare.difference([([column(one)], [column(two)])])
  unpaired = statistics.mean(100.0 * one)
  assert found.high - found.low < 0.7 * (unpaired.high - unpaired.low)


def test_datasets_weigh_the_same_whatever_their_size():
  big, small = ([column(np.ones(300))], [column(np.zeros(300))]), ([column(np.zeros(20))], [column(np.zeros(20))])
  assert compare.difference([big, small]).value == pytest.approx(50.0)


def test_only_rows_of_both_sides_count():
  found = compare.difference([([{'a': 1.0, 'b': 1.0, 'c': 0.0}], [{'b': 0.0, 'c': 0.0, 'd': 1.0}])])
  assert (found.value, found.n) == (pytest.approx(50.0), 2)


@pytest.mark.parametrize('pairs', [[], [([], [])], [([{}], [{}])], [([{'a': 1.0}], [{'b': 1.0}])]])
def test_without_credits_there_is_no_difference(pairs):
  assert compare.difference(pairs) is None


def test_a_mean_is_that_of_the_averages():
  one, two = draws(0), draws(1)
  table = 100.0 * np.stack([one, two], axis=1)
  assert compare.mean([[column(one), column(two)]]) == statistics.mean_of_columns(table)
  assert isinstance(compare.mean([[column(one)]]), Estimate) and compare.mean([[]]) is None


def test_rows_of_a_group_are_drawn_together():
  one, two = ({f'q{row}': float(right) for row in range(60)} for right in (1, 0))
  for row in range(30):
    two[f'q{row}'] = 1.0  # the first side is above in the other half alone
  groups = {f'q{row}': f'g{row // 6}' for row in range(60)}
  apart, together = compare.difference([([one], [two])]), compare.difference([([one], [two])], groups=groups)
  assert together.value == apart.value == pytest.approx(50.0)
  assert together.high - together.low > 1.5 * (apart.high - apart.low)
  assert compare.mean([[two]], groups=groups).low < compare.mean([[two]]).low
