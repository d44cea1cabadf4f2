import jax
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.evaluation import baselines
from flan_jax.evaluation import rank as rank_module
from flan_jax.evaluation.rank import rank
from flan_jax.models import T5, Scorer, T5Config, target_log_likelihood
from tests.evaluation.synthetic import RuleScorer, always, row


@pytest.fixture(scope='module')
def model() -> T5:
  config = T5Config(
    vocab_size=64, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=2, num_decoder_layers=1,
    dtype='float32',
  )  # fmt: skip
  return T5(config, rngs=nnx.Rngs(0))


def _random_rows(count: int):
  rng = np.random.default_rng(0)
  rows = []
  for index in range(count):
    options = [f'option {place}' for place in range(rng.integers(2, 6))]
    tokens = [[*rng.integers(2, 64, rng.integers(1, 12)), 1] for _ in options]
    inputs = [*rng.integers(2, 64, rng.integers(1, 30)), 1]
    answer = options[rng.integers(len(options))]
    rows.append(row(f'r{index}', options=options, option_tokens=tokens, inputs=inputs, answer=answer))
  return rows


@nnx.jit
def _score(model, inputs, targets):
  return target_log_likelihood(model, inputs, targets)


def _alone(model, inputs, targets) -> float:
  """Scores one option in a batch of its own, padded to one shape for all."""
  inputs, targets = np.pad(inputs, (0, 40 - len(inputs))), np.pad(targets, (0, 20 - len(targets)))
  return float(_score(model, inputs[None], targets[None])[0])


def test_scores_are_those_of_each_option_alone(model):
  rows = _random_rows(12)
  predictions = rank(rows, Scorer(model, batch_size=8))
  assert [prediction.row_id for prediction in predictions] == [f'r{index}' for index in range(12)]
  for one, prediction in zip(rows, predictions, strict=True):
    alone = [_alone(model, one.inputs, tokens) for tokens in one.option_tokens]
    np.testing.assert_allclose(prediction.scores, alone, rtol=1e-5, atol=1e-5)
    assert prediction.prediction == one.options[int(np.argmax(alone))]
    assert prediction.credit == float(prediction.prediction == one.answer)


def test_length_normalization_divides_by_tokens_with_eos():
  one = row(options=('yes', 'no'), option_tokens=[[7, 1], [8, 8, 8, 1]], answer='no')
  scorer = RuleScorer(lambda source, option: -2.0 if option[0] == 7 else -3.0)
  assert rank([one], scorer)[0].prediction == 'yes'
  normalized = rank([one], scorer, normalization='length')[0]
  assert normalized.prediction == 'no'
  assert normalized.scores == [-1.0, -0.75]


def test_byte_normalization_divides_by_the_text():
  one = row(options=('yes', 'né'), option_tokens=[[7, 1], [8, 1]], answer='né')
  found = rank([one], RuleScorer(lambda source, option: -6.0), normalization='bytes')[0]
  assert found.scores == [-2.0, -2.0]  # é has two bytes


def test_the_prior_is_what_an_option_has_after_nothing(model):
  rows = _random_rows(6)
  found = rank(rows, Scorer(model, batch_size=4), normalization='prior')
  for one, prediction in zip(rows, found, strict=True):
    alone = [_alone(model, one.inputs, tokens) - _alone(model, np.array([1]), tokens) for tokens in one.option_tokens]
    np.testing.assert_allclose(prediction.scores, alone, rtol=1e-5, atol=1e-5)
  scorer = always([7, 1])
  rank([row(f'r{index}') for index in range(20)], scorer, normalization='prior')
  assert scorer.calls == [2, 20]  # each of the two options once


def test_a_tie_is_worth_a_fair_draw():
  rows = [row('a', answer='yes'), row('b', answer='no'), row('c', answer='no', options=('yes', 'no', 'maybe'))]
  predictions = rank(rows, RuleScorer(lambda source, option: -1.0))
  assert [prediction.credit for prediction in predictions] == [0.5, 0.5, pytest.approx(1 / 3)]
  assert all(prediction.tied for prediction in predictions)


def test_options_that_read_the_same_are_both_right():
  one = row(options=('no', 'no', 'yes'), answer='no')
  assert rank([one], always([8, 1]))[0].credit == 1.0


def test_every_option_among_the_references_is_right():
  one = row(options=('yes', 'no', 'maybe'), answer='yes', references=['yes', 'no'])
  assert rank([one], always([8, 1]))[0].credit == 1.0
  assert baselines.chance(rank([one], always([8, 1]))) == pytest.approx(200 / 3)


def test_an_answer_outside_the_options_is_not_judged():
  one = row(answer='perhaps')
  prediction = rank([one], always([7, 1]))[0]
  assert prediction.credit is None
  assert prediction.answer_index == -1


def test_rows_of_all_option_shapes_go_to_the_scorer_together():
  rows = [row(f'r{index}', options=('yes', 'no') if index % 2 else ('yes', 'no', 'maybe')) for index in range(40)]
  scorer = always([7, 1])
  rank(rows, scorer)
  assert scorer.calls == [40]


def test_a_score_that_is_not_a_number_stops_with_the_row():
  with pytest.raises(FloatingPointError, match=r'nli\.template_0 row r0'):
    rank([row()], RuleScorer(lambda source, option: float('nan')))


def test_mistakes_are_named():
  with pytest.raises(UserError, match="no score normalization 'chars'"):
    rank([row()], always([7, 1]), normalization='chars')
  with pytest.raises(UserError, match="no options at row 'r0'"):
    rank([row(options=())], always([7, 1]))


def test_ranking_does_not_load_tensorflow():
  import subprocess
  import sys

  program = (
    f'import sys, {rank_module.__name__}, flan_jax.evaluation.protocol; '
    'assert not {"tensorflow", "seqio"} & set(sys.modules)'
  )
  subprocess.run([sys.executable, '-c', program], check=True, timeout=120, env={'JAX_PLATFORMS': 'cpu'})


def test_jax_is_strict_here():
  assert jax.config.jax_numpy_rank_promotion == 'raise'
