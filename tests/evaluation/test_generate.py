import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation.generate import generate
from tests.evaluation.synthetic import row

WORDS = {3: 'the', 4: 'red', 5: 'cat', 6: 'dog'}


def _decode(tokens: list[int]) -> str:
  assert all(type(token) is int for token in tokens)  # SentencePiece refuses NumPy integers
  return ' '.join(WORDS[token] for token in tokens)


class _Echo:
  """Writes each prompt but its EOS, and keeps what it was asked."""

  def __init__(self):
    self.asked: list[list[list[int]]] = []

  def __call__(self, inputs):
    self.asked.append([list(map(int, tokens)) for tokens in inputs])
    return [tokens[:-1] for tokens in inputs]


def _rows():
  return [
    row('a', inputs=(3, 5, 1), answer='cat', options=()),
    row('b', inputs=(4, 6, 1), answer='red cat', options=(), truncated=True),
    row('c', inputs=(4, 5, 1), answer='x', options=(), references=['x', 'red cat']),
  ]


def test_predictions_keep_order_text_and_origin():
  echo = _Echo()
  predictions, _ = generate(_rows(), echo, _decode, metrics=['exact_match'])
  assert echo.asked == [[[3, 5, 1], [4, 6, 1], [4, 5, 1]]]  # all rows in one call: batching is the generator's
  assert [prediction.row_id for prediction in predictions] == ['a', 'b', 'c']
  assert [prediction.prediction for prediction in predictions] == ['the cat', 'red dog', 'red cat']
  assert [prediction.truncated for prediction in predictions] == [False, True, False]
  assert predictions[2].references == ['x', 'red cat']
  assert (predictions[0].options, predictions[0].scores, predictions[0].answer_index) == ([], [], -1)


def test_rows_are_credited_by_the_first_metric_only():
  predictions, estimates = generate(_rows(), _Echo(), _decode, metrics=['exact_match', 'f1'])
  assert [prediction.credit for prediction in predictions] == [1.0, 0.0, 1.0]
  assert list(estimates) == ['exact_match', 'f1']
  predictions, estimates = generate(_rows(), _Echo(), _decode, metrics=['f1', 'exact_match'])
  assert [prediction.credit for prediction in predictions] == [1.0, 0.5, 1.0]
  assert estimates['f1'].value == pytest.approx(250 / 3)


def test_means_over_rows_have_intervals_and_corpus_metrics_have_none():
  predictions, estimates = generate(_rows(), _Echo(), _decode, metrics=['bleu', 'squad'], seed=3)
  assert list(estimates) == ['bleu', 'em', 'f1']
  assert (estimates['bleu'].low, estimates['bleu'].high, estimates['bleu'].n) == (None, None, 3)
  assert 0.0 <= estimates['em'].low < estimates['em'].value < estimates['em'].high <= 100.0
  assert [prediction.credit for prediction in predictions] == [None, None, None]
  assert generate(_rows(), _Echo(), _decode, metrics=['squad'], seed=3)[1]['em'] == estimates['em']


def test_an_unknown_metric_is_refused_before_anything_is_generated():
  echo = _Echo()
  with pytest.raises(UserError, match="no metric 'rogue'. Did you mean 'rouge'"):
    generate(_rows(), echo, _decode, metrics=['accuracy', 'rogue'])
  assert echo.asked == []


def test_a_generator_that_loses_rows_is_an_error():
  with pytest.raises(ValueError, match='3 targets but 2 predictions'):
    generate(_rows(), lambda inputs: [np.array([3])] * 2, _decode)
