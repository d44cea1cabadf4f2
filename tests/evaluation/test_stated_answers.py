"""What a text answers in the end: the last number, what it first says the answer is."""

import decimal

import pytest

from flan_jax.evaluation import metrics, stated_answers
from flan_jax.evaluation.answers import Answers


@pytest.mark.parametrize(('text', 'number'), [
  ('18', '18'),
  ('She makes $18 every day.', '18'),
  ('so 9 * 2 = 18.00 dollars.', '18'),
  ('that is 1,450,000.', '1450000'),
  ('between 1,2 and 3, 4', '4'),
  ('10-5', '5'),
  ('10 - 5 = -5', '-5'),
  ('(2) -7', '-7'),
  ('a loss of -$3.50', '-3.5'),
  ('a quarter is .25', '0.25'),
  ('x-5', '5'),
  ('12,3456', '3456'),
  ('none', None),
  ('', None),
])  # fmt: skip
def test_the_last_number_counts(text, number):
  assert stated_answers.final_number(text) == (None if number is None else decimal.Decimal(number))


@pytest.mark.parametrize(('text', 'answer'), [
  ('Red is warm. So the answer is (B).', '(B)'),
  ('The answer is: No', 'No'),
  ('the answer is 4. \nQ: And now? A: The answer is 5.', '4'),
  ('so the answer is } ] >.', '} ] >'),
  ('(C)', '(C)'),
  ('', ''),
])  # fmt: skip
def test_the_first_statement_counts(text, answer):
  assert stated_answers.stated_answer(text) == answer


def test_both_are_metrics():
  targets, texts = ['18', '1450000', '-3'], ['9 and 9 are 18.', 'It costs 1,450,000 dollars', '5 less 2 is 3']
  assert metrics.get('final_number')(targets, texts) == {'final_number': pytest.approx(200 / 3)}
  assert metrics.measure('final_number', Answers(targets, texts)).rows['final_number'].tolist() == [1, 1, 0]
  stated = metrics.get('stated_answer')(['(A)', '(B)', 'no'], ['It is (B). So the answer is (A).', '(A)', 'No'])
  assert stated == {'stated_answer': pytest.approx(100 / 3)}


def test_a_reference_without_a_number_is_met_word_for_word():
  answers = Answers(['many'] * 3, ['3', 'few', ' many'])
  assert metrics.measure('final_number', answers).rows['final_number'].tolist() == [0, 0, 1]
