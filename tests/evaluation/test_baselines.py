import pytest

from flan_jax.evaluation import baselines
from flan_jax.evaluation.rank import rank
from tests.evaluation.synthetic import RuleScorer, row


def _predictions(*rows):
  return rank(list(rows), RuleScorer(lambda source, option: -1.0))


def test_chance_is_one_over_the_number_of_options():
  two, three = [row(f'r{index}') for index in range(4)], row('x', options=('yes', 'no', 'maybe'))
  assert baselines.chance(_predictions(*two)) == 50.0
  assert baselines.chance(_predictions(three)) == pytest.approx(100 / 3)
  assert baselines.chance(_predictions(*two, three)) == pytest.approx((4 * 50 + 100 / 3) / 5)


def test_chance_counts_options_that_read_as_the_answer_does():
  assert baselines.chance(_predictions(row(options=('no', 'no', 'yes'), answer='no'))) == pytest.approx(200 / 3)


def test_majority_is_the_share_of_the_most_frequent_answer():
  rows = [row(f'r{index}', answer='yes' if index < 7 else 'no') for index in range(10)]
  assert baselines.majority(_predictions(*rows)) == 70.0


def test_majority_goes_by_text_where_rows_share_options_in_other_orders():
  rows = [row(f'r{index}', options=('yes', 'no') if index % 2 else ('no', 'yes'), answer='yes') for index in range(8)]
  assert baselines.majority(_predictions(*rows)) == 100.0  # by position it would be 50


def test_majority_goes_by_position_where_rows_have_options_of_their_own():
  rows = []
  for index in range(4):
    options = (f'cause {index}', f'effect {index}')
    rows.append(row(f'r{index}', options=options, answer=options[0 if index < 3 else 1]))
  assert baselines.majority(_predictions(*rows)) == 75.0  # by text it would be 25


def test_free_text_and_no_rows_have_no_baseline():
  assert baselines.chance([]) is None
  assert baselines.majority([]) is None
  ranked = _predictions(row('a'))
  written = [*ranked, type(ranked[0])(**{**vars(ranked[0]), 'row_id': 'b', 'options': []})]
  assert baselines.chance(written) is None
  assert baselines.majority(written) is None


def test_several_right_options_are_chances_and_make_every_one_of_them_a_majority():
  rows = [
    row('a', options=('A', 'B', 'C', 'D'), answer='A', references=['A', 'B']),
    row('b', options=('E', 'F'), answer='F', references=['F', 'f']),
    row('c', options=('G', 'H', 'I'), answer='I', references=['I', 'H', 'no option']),
  ]
  predictions = _predictions(*rows)
  assert baselines.chance(predictions) == pytest.approx(100 * (2 / 4 + 1 / 2 + 2 / 3) / 3)
  assert baselines.majority(predictions) == 100.0  # the second option; by the first right one it would be a third
  shared = [row(f'r{n}', options=('x', 'y', 'z'), answer='x' if n else 'z', references=['x', 'y'] if n else ['z', 'y'])
            for n in range(4)]  # fmt: skip
  assert baselines.majority(_predictions(*shared)) == 100.0  # y, which is the first answer of none
