"""Scores against a log-softmax of full logits, options together against options alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.models import (
  Generator,
  Scorer,
  option_log_likelihoods,
  option_trees,
  scoring,
  shift_right,
  target_log_likelihood,
  token_log_likelihoods,
)
from tests.models.conftest import rows, tiny_model

METHODS = {
  'plain': None,
  'lora': peft.LoRA(rank=2),
  'ia3': peft.IA3(),
  'prompt': peft.PromptTuning(length=3, where='both', init='uniform'),
  'prefix': peft.PrefixTuning(length=3),
}


def ragged(count):
  """Inputs of 1 to 40 tokens, each with 1 to 9 options of 1 to 7, among them prefixes of others and twins."""
  random = np.random.default_rng(4)
  inputs = [random.integers(2, 30, random.integers(1, 41)).tolist() for _ in range(count)]
  options = [[random.integers(2, 5, random.integers(1, 8)).tolist() for _ in range(1 + place % 9)]
             for place in range(count)]
  return inputs, options


def one_by_one(model, inputs, options):
  """Every option through encoder and decoder by itself, padded to one shape for all."""
  graphdef, state = nnx.split(model)
  score = jax.jit(lambda state, *pair: target_log_likelihood(nnx.merge(graphdef, state), *pair))

  def padded(row, width):
    return jnp.asarray([row + [0] * (width - len(row))], jnp.int32)

  return [np.array([score(state, padded(source, 40), padded(option, 8))[0] for option in row])
          for source, row in zip(inputs, options, strict=True)]


def test_token_scores_are_the_log_softmax(model):
  source, target = rows(0, 5, 3), rows(1, 4, 2)
  scores = token_log_likelihoods(model, source, target)
  full = nnx.log_softmax(model.decode(model.encode(source), shift_right(target)))
  expected = jnp.take_along_axis(full, target[..., None], axis=-1)[..., 0]
  np.testing.assert_allclose(scores, jnp.where(target > 0, expected, 0.0), rtol=1e-5, atol=1e-6)
  assert (np.array(scores)[1, 2:] == 0).all()


@pytest.mark.parametrize('tied', [True, False])
def test_options_together_are_options_alone(tied):
  model, source = tiny_model(logits_via_embedding=tied), rows(0, 5, 3)
  options = rows(1, 4, 2, 3, 1, 4, 0).reshape(2, 3, 4)
  together = jax.jit(lambda s, o: option_log_likelihoods(model, s, o))(source, options)
  alone = jnp.stack([target_log_likelihood(model, source, options[:, i]) for i in range(3)], axis=1)
  np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
  assert float(together[1, 2]) == 0


def test_scorer_serves_ragged_rows_in_order(model):
  inputs = [[5, 6, 7, 1], list(range(2, 19)), [8, 1], [9, 1]]
  options = [[[4, 1], [5, 6, 1]], [[7, 1]], [], [[3, 1], [4, 1], [5, 5, 5, 1]]]
  together = Scorer(model, batch_size=3).options(inputs, options)
  assert [row.shape for row in together] == [(2,), (1,), (0,), (3,)]
  for source, choices, scores in zip(inputs, options, together, strict=True):
    for option, score in zip(choices, scores, strict=True):
      alone = target_log_likelihood(model, jnp.asarray([source]), jnp.asarray([option]))
      np.testing.assert_allclose(score, alone[0], rtol=1e-5)
  np.testing.assert_allclose(Scorer(model).targets(inputs[:2], [[4, 1], [7, 1]])[1], together[1][0], rtol=1e-5)


@pytest.mark.parametrize('method', METHODS)
def test_packed_scores_are_those_of_one_option_at_a_time(method):
  model = tiny_model()
  if METHODS[method] is not None:
    METHODS[method].attach(model, nnx.Rngs(params=1))
    for number, variable in enumerate(peft.io.saved_variables(model, METHODS[method]).values()):
      noise = jax.random.normal(jax.random.key(number), variable.shape)
      variable.set_value(variable.get_value() + 0.3 * noise)
  inputs, options = ragged(20)
  expected = one_by_one(model, inputs, options)
  for scores, alone in zip(Scorer(model, batch_size=8).options(inputs, options), expected, strict=True):
    np.testing.assert_allclose(scores, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('changes', [{'relative_bias_per_layer': True, 'relative_attention_max_distance': 20},
                                     {'logits_via_embedding': True, 'mlp_activations': ('relu',)}])
def test_packed_scores_of_other_architectures(changes):
  model = tiny_model(**changes)
  inputs, options = ragged(10)
  expected = one_by_one(model, inputs, options)
  for scores, alone in zip(Scorer(model).options(inputs, options), expected, strict=True):
    np.testing.assert_allclose(scores, alone, rtol=1e-5, atol=1e-5)


def test_rows_share_the_rows_of_one_program(model):
  inputs, options = ragged(60)
  scorer, shapes = Scorer(model, batch_size=16), []
  compiled = scorer.compiled(scoring.packed_log_probs)
  scorer.compiled = lambda function: lambda packed: shapes.append(packed.inputs.shape) or compiled(packed)
  scorer.options(inputs, options)
  assert len({width for _, width in shapes}) == 1
  assert sum(count for count, _ in shapes) < len(inputs)


def test_more_options_than_a_tree_holds(model):
  random = np.random.default_rng(0)
  options = random.integers(2, 30, (150, 4)).tolist()
  together = Scorer(model).options([[5, 6, 1]], [options])[0]
  assert len(option_trees.grow(options)) > 1
  sources = jnp.tile(jnp.asarray([[5, 6, 1]]), (150, 1))
  np.testing.assert_allclose(together, target_log_likelihood(model, sources, jnp.asarray(options)), rtol=1e-5)


def test_rows_with_an_adapter_each_are_not_packed(monkeypatch):
  model = tiny_model()
  lora = peft.LoRA(rank=2)
  other = tiny_model()
  lora.attach(other, nnx.Rngs(params=1))
  arrays = {path: variable.get_value() + 0.3 for path, variable in peft.io.saved_variables(other, lora).items()}
  peft.io.put_arrays(other, lora, arrays)
  chosen = peft.attach_rows(model, {'a': (lora, arrays)})
  inputs, options = ragged(12)
  expected = [Scorer(model).options(inputs, options) for model in (tiny_model(), other)]
  monkeypatch.setattr(Scorer, '_packed', None)
  found = Scorer(model, batch_size=4).options(inputs, options, adapters=chosen.ids([None, 'a'] * 6))
  for place, scores in enumerate(found):
    np.testing.assert_allclose(scores, expected[place % 2][place], rtol=1e-5, atol=1e-5)
  assert np.abs(np.concatenate(expected[0]) - np.concatenate(expected[1])).max() > 0.01


def test_an_empty_input_is_an_error(model):
  with pytest.raises(ValueError, match='input 1 has no tokens'):
    Scorer(model).options([[5, 1], [0, 0]], [[[4, 1]], [[4, 1]]])


def test_probabilities_of_all_one_token_texts_sum_to_one(model):
  every = jnp.arange(1, 30)[:, None].reshape(1, 29, 1)
  scores = option_log_likelihoods(model, rows(0, 5), every)
  full = nnx.softmax(model.decode(model.encode(rows(0, 5)), jnp.zeros((1, 1), jnp.int32)))[0, 0]
  np.testing.assert_allclose(jnp.sum(jnp.exp(scores)) + full[0], 1.0, rtol=1e-5)


def test_as_many_options_as_inputs(model):
  with pytest.raises(ValueError, match='2 inputs but 1'):
    Scorer(model).options([[5, 1], [6, 1]], [[[4, 1]]])


def test_what_is_greedy_is_what_greedy_decoding_writes(model):
  inputs = [[5, 6, 7, 1], list(range(2, 19)), [9, 1]]
  written = Generator(model, max_decode_len=3)(inputs)
  options = [[row, [*row[:-1], row[-1] % 20 + 2], row[:1]] for row in written]
  judged = Scorer(model, batch_size=3).judged_options(inputs, options)
  assert [found.greedy.tolist() for found in judged] == [[True, False, True]] * 3
  for found, scores in zip(judged, Scorer(model, batch_size=3).options(inputs, options), strict=True):
    np.testing.assert_allclose(found.log_likelihoods, scores, rtol=1e-6)
