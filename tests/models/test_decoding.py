"""Cached decoding against a full run of the decoder for every token; sampling; beam search against all texts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.models import Generator, Scorer, beam_search, greedy, sample, sampling, target_log_likelihood
from flan_jax.models.beam_rules import brevity_penalty
from tests.models.conftest import rows, tiny_model

LENGTH = 6


def likely_eos(model, gain=3.0):
  """Makes ends of text frequent enough to be seen, and id 0, which a score takes for padding, never the best."""
  head = model.decoder.logits_dense.kernel
  head[...] = head[...].at[:, 1].multiply(gain).at[:, 0].set(0.0)
  return model


def naive_greedy(model, source, length):
  """The decoder over the whole prefix again for every token."""
  encoded, tokens = model.encode(source), jnp.zeros((source.shape[0], length + 1), jnp.int32)
  decode, done = jax.jit(model.decode), np.zeros(source.shape[0], bool)
  for position in range(length):
    best = np.array(jnp.argmax(decode(encoded, tokens[:, :length])[:, position], axis=-1))
    tokens = tokens.at[:, position + 1].set(jnp.asarray(np.where(done, 0, best), jnp.int32))
    done |= best == 1
  return tokens[:, 1:]


@pytest.mark.parametrize('per_layer', [False, True])
def test_greedy_is_the_naive_loop(per_layer):
  model, source = likely_eos(tiny_model(relative_bias_per_layer=per_layer)), rows(0, 5, 3, 7, 2, 6, 4)
  decoded = jax.jit(lambda source: greedy(model, source, max_decode_len=LENGTH))(source)
  np.testing.assert_array_equal(decoded.tokens, naive_greedy(model, source, LENGTH))
  assert (np.array(decoded.tokens) == 1).any()
  np.testing.assert_allclose(decoded.log_probs, target_log_likelihood(model, source, decoded.tokens), rtol=1e-4)


def test_beam_search_wide_enough_finds_the_best_text():
  model = tiny_model(vocab_size=4, num_encoder_layers=1, num_decoder_layers=1)
  source = jnp.array([[2, 3, 2], [3, 3, 0]], jnp.int32)
  ended = [(*body, 1) for n in range(3) for body in itertools.product((0, 2, 3), repeat=n)]
  texts = [np.pad(text, (0, 3 - len(text))) for text in ended]
  # Twice 18 candidates hold all 9 * 4 of the last step. Texts may hold id 0, so tokens are scored here by hand.
  inputs = jnp.asarray(np.stack([np.concatenate([[0], text[:-1]]) for text in texts]), jnp.int32)
  beams = jax.jit(lambda source: beam_search(model, source, num_beams=18, max_decode_len=3))(source)
  for row in range(2):
    encoded = model.encode(source[row : row + 1])
    log_probs = np.array(nnx.log_softmax(model.decode(encoded, inputs)))
    scores = [
      sum(log_probs[i, p, token] for p, token in enumerate(text)) / float(brevity_penalty(0.6, len(text)))
      for i, text in enumerate(ended)
    ]
    order = np.argsort(scores)[::-1]
    np.testing.assert_allclose(beams.scores[row, :13], np.array(scores)[order], rtol=1e-4)
    np.testing.assert_array_equal(beams.tokens[row, 0], texts[order[0]])


def test_brevity_penalty_is_t5x_s():
  np.testing.assert_allclose(brevity_penalty(0.6, 7), (12 / 6) ** 0.6, rtol=1e-6)


def test_one_beam_that_never_ends_is_greedy(model):
  source = rows(0, 5, 3)
  beams = beam_search(model, source, num_beams=1, max_decode_len=4, eos_id=-1, alpha=0.0)
  decoded = greedy(model, source, max_decode_len=4, eos_id=-1)
  np.testing.assert_array_equal(beams.tokens[:, 0], decoded.tokens)
  np.testing.assert_allclose(beams.scores[:, 0], decoded.log_probs, rtol=1e-5)


def test_filters_keep_what_they_say():
  logits = jnp.log(jnp.array([[0.5, 0.3, 0.15, 0.05]]))

  def kept(**settings):
    plain = {'temperature': 1.0, 'top_k': 0, 'top_p': 1.0}
    return (np.array(sampling.filter_logits(logits, **{**plain, **settings}))[0] > -1e9).tolist()

  assert kept() == [True] * 4
  assert kept(top_k=2) == [True, True, False, False]
  assert kept(top_p=0.7) == [True, True, False, False]
  assert kept(top_p=0.85) == [True, True, True, False]
  assert kept(top_p=0.01) == [True, False, False, False]
  halved = sampling.filter_logits(logits, temperature=0.5, top_k=0, top_p=1.0)
  np.testing.assert_allclose(halved, 2 * logits, rtol=1e-6)


def test_draws_follow_the_probabilities():
  keys = jax.random.split(jax.random.key(0), 4000)
  logits = jnp.broadcast_to(jnp.log(jnp.array([[0.6, 0.3, 0.1]])), (4000, 3))
  counts = np.bincount(np.array(sampling.draw(keys, jnp.int32(3), logits)), minlength=3) / 4000
  np.testing.assert_allclose(counts, [0.6, 0.3, 0.1], atol=0.03)


def test_sampling_the_likeliest_token_is_greedy(model):
  source = rows(0, 5, 3)
  drawn = sample(model, source, key=jax.random.key(0), max_decode_len=4, top_k=1)
  np.testing.assert_array_equal(drawn.tokens, greedy(model, source, max_decode_len=4).tokens)


@pytest.mark.parametrize('setting', [{'temperature': 0.0}, {'top_k': -1}, {'top_p': 0.0}, {'top_p': 1.5}])
def test_settings_out_of_range_are_named(model, setting):
  with pytest.raises(UserError, match=next(iter(setting))):
    Generator(model, method='sample', **setting)


def test_unknown_method_is_named(model):
  with pytest.raises(UserError, match="'greedy'"):
    Generator(model, method='gredy')


def test_generator_serves_ragged_rows_in_order():
  model = likely_eos(tiny_model())
  ragged = [[5, 6, 7, 1], [], list(range(2, 19)), [8, 1], [9, 9, 1, 0, 0]]
  together = Generator(model, max_decode_len=LENGTH, batch_size=2)(ragged)
  assert together[1] == []
  for row in (0, 2, 4):
    naive = np.array(naive_greedy(model, jnp.asarray([np.trim_zeros(ragged[row])], jnp.int32), LENGTH))[0].tolist()
    expected = naive[: naive.index(1)] if 1 in naive else naive
    assert together[row] == np.trim_zeros(np.array(expected, int), 'b').tolist()


def test_a_row_s_draw_does_not_hang_on_its_batch(model):
  ragged = [[5, 6, 1], [7, 8, 9, 1], [4, 1]]
  wide = Generator(model, method='sample', max_decode_len=4, batch_size=8)
  narrow = Generator(model, method='sample', max_decode_len=4, batch_size=1)
  assert wide(ragged) == narrow(ragged)
  assert wide(ragged) != wide(ragged, seed=1)


def test_generator_takes_new_weights_without_compiling_again(model):
  generator = Generator(model, max_decode_len=4)
  before = generator([[5, 6, 1]])
  compiled = dict(generator._compiled)
  likely_eos(model, gain=-40.0)
  generator.update(model)
  after = generator([[5, 6, 1]])
  assert generator._compiled == compiled
  assert next(iter(compiled.values()))._cache_size() == 1
  assert before != after


RAGGED = [[5, 6, 7, 1], [9, 8, 7, 6, 5, 4, 1], [8, 1], [9, 9, 1, 0, 0], [], [4, 20, 1]]


@pytest.mark.parametrize(('settings', 'ended'), [
  ({'method': 'greedy'}, {True, False}),
  ({'method': 'sample', 'temperature': 0.5, 'top_p': 0.9}, {True, False}),
  ({'method': 'beam', 'num_beams': 3, 'alpha': 2.0}, {True}),
  ({'method': 'beam', 'num_beams': 2, 'eos_id': -1}, {False}),
])
def test_the_score_of_an_answer_is_the_scorer_s_of_the_same_tokens(settings, ended):
  model = likely_eos(tiny_model())
  generator = Generator(model, max_decode_len=LENGTH, batch_size=4, **settings)
  found = dict(generator.stream(RAGGED))
  assert [found[place].tokens for place in range(len(RAGGED))] == generator(RAGGED)
  assert found.pop(4) == ([], 0.0, False)
  assert {answer.ended for answer in found.values()} == ended
  written = [[*answer.tokens, 1] if answer.ended else answer.tokens for answer in found.values()]
  scores = Scorer(model, batch_size=4).targets([RAGGED[place] for place in found], written)
  np.testing.assert_allclose([answer.log_prob for answer in found.values()], scores, rtol=1e-5, atol=1e-5)


def test_draws_hang_on_row_ids_and_on_nothing_else(model):
  generator = Generator(model, method='sample', max_decode_len=4, batch_size=8)
  together = generator(RAGGED)
  for place, row in enumerate(RAGGED):
    ((_, alone),) = generator.stream([row], row_ids=[place])
    assert alone.tokens == together[place]
  ((_, other),) = generator.stream([RAGGED[0]], row_ids=[7])
  assert other.tokens != together[0]
  with pytest.raises(ValueError, match='2 rows but 1 row_ids'):
    list(generator.stream(RAGGED[:2], row_ids=[0]))
