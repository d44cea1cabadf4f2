import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flan_jax.evaluation import statistics


def test_mean_interval_agrees_with_scipy():
  values = 100.0 * (np.arange(300) % 3 == 0)
  estimate = statistics.mean(values, samples=4000, seed=3)
  reference = stats.bootstrap(
    (values,), np.mean, n_resamples=4000, method='percentile', rng=np.random.default_rng(9)
  ).confidence_interval
  assert estimate.value == pytest.approx(100 / 3)
  assert estimate.n == 300
  np.testing.assert_allclose(estimate[1:3], reference, atol=0.5)


def test_same_seed_same_interval_other_seed_other_interval():
  values = np.random.default_rng(0).normal(size=50)
  assert statistics.mean(values, seed=1) == statistics.mean(values, seed=1)
  assert statistics.mean(values, seed=1) != statistics.mean(values, seed=2)


def test_interval_covers_the_truth_as_often_as_it_says():
  rng = np.random.default_rng(5)
  hits = 0
  for trial in range(200):
    estimate = statistics.mean(rng.random(100) < 0.7, samples=300, seed=trial)
    hits += estimate.low <= 0.7 <= estimate.high
  assert 175 <= hits <= 199  # 95 % of 200, within the spread of a percentile interval at n = 100


def test_opposed_halves_cancel_only_when_units_stay_together():
  plain = (np.arange(400) % 2).astype(float)
  together = statistics.mean_of_columns(np.stack([plain, 1 - plain], axis=1))
  assert together.low == together.high == together.value == 0.5  # resampling the halves apart would show +-0.035
  difference = statistics.paired_difference(plain, 1 - plain)
  assert difference.value == 0.0
  assert difference.high - difference.low > 0.15


def test_missing_cells_are_left_out_of_their_column():
  table = np.array([[1.0, 0.0], [1.0, np.nan], [0.0, np.nan], [1.0, 1.0]])
  estimate = statistics.mean_of_columns(table)
  assert estimate.value == pytest.approx((0.75 + 0.5) / 2)
  assert 0.0 <= estimate.low < estimate.value < estimate.high <= 1.0


def test_macro_average_weighs_groups_equally_and_draws_them_apart():
  small, large = np.array([[0.0], [1.0]]), np.ones((1000, 1))
  estimate = statistics.macro_average([small, large])
  assert estimate.value == pytest.approx(0.75)
  assert (estimate.low, estimate.high, estimate.n) == (0.5, 1.0, 1002)
  same = np.random.default_rng(0).random((60, 1))
  one, two = statistics.macro_average([same]), statistics.macro_average([same, same])
  assert (two.high - two.low) / (one.high - one.low) == pytest.approx(0.5**0.5, abs=0.08)


def test_many_units_are_resampled_in_chunks_without_changing_the_answer(monkeypatch):
  values = np.random.default_rng(0).random(500)
  whole = statistics.mean(values, samples=400)
  monkeypatch.setattr(statistics, '_CELLS_AT_ONCE', 500 * 7)
  assert statistics.mean(values, samples=400) == pytest.approx(whole)


def test_align_keeps_units_side_by_side():
  table = statistics.align([{'a': 1.0, 'b': 0.0}, {'b': 1.0, 'c': 0.5}])
  np.testing.assert_array_equal(table, [[1.0, np.nan], [0.0, 1.0], [np.nan, 0.5]])


@pytest.mark.parametrize(
  'values', [np.zeros((0, 1)), np.zeros((3, 0)), np.zeros(3), np.array([[1.0, np.nan], [0.0, np.nan]])]
)
def test_a_mean_of_nothing_is_an_error(values):
  with pytest.raises(ValueError, match=r'matrix|column'):
    statistics.mean_of_columns(values)


def test_no_groups_and_unequal_pairs_are_errors():
  with pytest.raises(ValueError, match='no groups'):
    statistics.macro_average([])
  with pytest.raises(ValueError, match='one shape'):
    statistics.paired_difference(np.zeros(3), np.zeros(4))


def test_estimate_reads_as_a_person_would_write_it():
  assert str(statistics.Estimate(83.44, 80.0, 86.25, 600)) == '83.4 [80.0, 86.2]'
  assert str(statistics.Estimate(12.0, None, None, 9)) == '12.0'


def test_rows_of_a_unit_are_drawn_together():
  values = np.random.default_rng(0).random((40, 2))
  units = np.repeat(np.arange(40), 3)
  alone = statistics.macro_average([values], seed=5)
  together = statistics.macro_average([np.repeat(values, 3, axis=0)], units=[units], seed=5)
  assert together[:3] == pytest.approx(alone[:3])
  assert statistics.macro_average([values], units=[np.arange(40)], seed=5) == pytest.approx(alone)
  assert together.n == 120


def test_units_of_different_sizes_weigh_by_their_rows():
  values = np.array([[1.0], [1.0], [1.0], [0.0]])
  estimate = statistics.macro_average([values], units=[np.array([0, 0, 0, 1])])
  assert (estimate.value, estimate.low, estimate.high) == (0.75, 0.0, 1.0)


def test_one_run_has_the_interval_of_its_questions_and_equal_runs_as_well():
  tables = [np.random.default_rng(place).random((50, 2)) for place in range(2)]
  one = statistics.macro_average(tables, seed=1)
  assert statistics.over_runs([tables], seed=1) == one
  assert statistics.over_runs([tables] * 3, seed=1) == pytest.approx(one)


def test_runs_are_drawn_with_their_questions():
  """Runs that differ by a constant: the variance of a mean over drawn runs adds to that over drawn questions."""
  table = np.random.default_rng(0).normal(size=(200, 1))
  shifts = np.linspace(-1, 1, 9)
  runs = [[table + shift] for shift in shifts]
  found = statistics.over_runs(runs, samples=8000)
  spread = (table.var() / 200 + shifts.var() / 9) ** 0.5
  assert found.value == pytest.approx(table.mean())
  assert (found.high - found.low) / (2 * 1.96) == pytest.approx(spread, rel=0.04)


def test_runs_of_different_shapes_are_an_error():
  with pytest.raises(ValueError, match='the same shapes'):
    statistics.over_runs([[np.ones((3, 1))], [np.ones((4, 1))]])


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40), st.integers(0, 9))
def test_a_mean_as_sums_is_the_mean_and_draws_the_same_rows(values, seed):
  table = np.array(values)
  sums = statistics.Sums(np.stack([table, np.ones_like(table)], axis=1), lambda t: t[:, 0] / t[:, 1], len(values))
  expected = statistics.mean(table, samples=50, seed=seed)
  assert sums.value == pytest.approx(expected.value, abs=1e-9)
  np.testing.assert_allclose(sums.estimate(samples=50, seed=seed), expected, atol=1e-9)


def test_names_are_numbered_as_they_come_and_members_are_summed():
  units = statistics.numbered(['b', 'a', 'b', 'c', 'a'])
  np.testing.assert_array_equal(units, [0, 1, 0, 2, 1])
  np.testing.assert_array_equal(statistics.membership(units) @ np.arange(5.0), [0 + 2, 1 + 4, 3])
