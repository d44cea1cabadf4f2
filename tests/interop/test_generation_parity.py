"""Greedy decoding, beam search and sampling against `transformers.generate` and its logits processors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from flan_jax.errors import UserError
from flan_jax.models import Generator, sample, sampling
from tests.interop.reference import reference, torch, transformers, with_weights_of
from tests.models.conftest import tiny_config

EOS, LENGTH, ROWS = 1, 12, 64
KINDS = {
  't5_1_0': {'mlp_activations': ('relu',), 'logits_via_embedding': True},
  't5_1_1': {},
  # More layers in the encoder: the cache of transformers 5.24 has as many, and umT5's decoder asks for its own.
  'umt5': {'relative_bias_per_layer': True, 'num_decoder_layers': 1},
}
RULES = [(0.6, False), (1.0, False), (1.0, True), (1.0, 'never')]
DRAWS = 8192
FILTERS = [
  {'temperature': 1.0, 'top_k': 0, 'top_p': 1.0},
  {'temperature': 0.7, 'top_k': 4, 'top_p': 1.0},
  {'temperature': 1.5, 'top_k': 0, 'top_p': 0.8},
  {'temperature': 1.2, 'top_k': 7, 'top_p': 0.9},
]


@functools.cache
def pair(kind, vocab_size=40, spread=2.0):
  """One model in both programs, whose texts end at many lengths; spread logits keep candidates from tying."""
  config = tiny_config(vocab_size=vocab_size, relative_attention_max_distance=20, **KINDS[kind])
  theirs = reference(config, kind, seed=2)
  with torch.no_grad():
    if config.logits_via_embedding:
      theirs.shared.weight.mul_(0.3)  # less of a tied head's wish to repeat the last token
    theirs.decoder.final_layer_norm.weight.mul_(spread)
    theirs.lm_head.weight[EOS].mul_(3.0 if config.logits_via_embedding else 2.0)
  return theirs, with_weights_of(theirs, config)


@functools.cache
def sources():
  random = np.random.default_rng(3)
  return [random.integers(2, 40, length).tolist() for length in random.integers(1, 17, ROWS)]


def expected_texts(theirs, **settings):
  """What `transformers.generate` writes, without EOS, what follows it, and padding at the end."""
  ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in sources()], batch_first=True)
  mask = (ids > 0).long()
  texts = theirs.generate(input_ids=ids, attention_mask=mask, max_new_tokens=LENGTH, do_sample=False, **settings)
  ended = (text[: text.index(EOS)] if EOS in text else text for text in texts[:, 1:].tolist())
  return [np.trim_zeros(np.array(text, int), 'b').tolist() for text in ended]


def beams_of_both(kind, alpha, early_stopping):
  theirs, ours = pair(kind)
  found = Generator(
    ours, method='beam', beam_rules='huggingface', alpha=alpha, early_stopping=early_stopping,
    max_decode_len=LENGTH, batch_size=ROWS,
  )(sources())  # fmt: skip
  return found, expected_texts(theirs, num_beams=4, length_penalty=alpha, early_stopping=early_stopping)


@pytest.mark.parametrize('kind', KINDS)
def test_greedy_texts_are_those_of_transformers(kind):
  theirs, ours = pair(kind)
  found = Generator(ours, max_decode_len=LENGTH, batch_size=ROWS)(sources())
  assert found == expected_texts(theirs, num_beams=1)
  assert len(set(map(len, found))) > 3


@pytest.mark.slow
def test_beams_by_hugging_face_s_rules_are_those_of_transformers():
  by_rule = {}
  for alpha, early_stopping in RULES:
    by_rule[alpha, early_stopping], expected = beams_of_both('t5_1_1', alpha, early_stopping)
    assert by_rule[alpha, early_stopping] == expected, (alpha, early_stopping)
  assert len(set(map(str, by_rule.values()))) == len(RULES)  # each rule decides some text


@pytest.mark.slow
@pytest.mark.parametrize('early_stopping', [False, True, 'never'])
@pytest.mark.parametrize('alpha', [0.6, 1.0])
@pytest.mark.parametrize('kind', ['t5_1_0', 'umt5'])
def test_beams_of_other_architectures_are_those_of_transformers(kind, alpha, early_stopping):
  found, expected = beams_of_both(kind, alpha, early_stopping)
  assert found == expected


@pytest.mark.parametrize(
  ('settings', 'told'),
  [
    ({'beam_rules': 'hugging_face'}, "'huggingface'"),
    ({'beam_rules': 'huggingface', 'early_stopping': 'always'}, "'never', not 'always'"),
    ({'early_stopping': True}, "beam rules 'huggingface'"),
  ],
)
def test_rules_that_do_not_exist_are_named(settings, told):
  with pytest.raises(UserError, match=told):
    Generator(pair('t5_1_1')[1], method='beam', **settings)


def processed(logits, temperature, top_k, top_p):
  """Logits [rows, vocab] as `transformers.generate` filters them."""
  steps = [transformers.TemperatureLogitsWarper(temperature)]
  steps += [transformers.TopKLogitsWarper(top_k)] if top_k else []
  steps += [transformers.TopPLogitsWarper(top_p)] if top_p < 1 else []
  return transformers.LogitsProcessorList(steps)(torch.zeros((len(logits), 1), dtype=torch.long), logits)


@pytest.mark.parametrize('settings', FILTERS)
def test_filtered_logits_are_those_of_transformers(settings):
  logits = 2 * np.random.default_rng(0).standard_normal((500, 12)).astype(np.float32)
  expected = torch.log_softmax(processed(torch.tensor(logits), **settings), dim=1).numpy()
  found = np.array(jax.nn.log_softmax(sampling.filter_logits(jnp.asarray(logits), **settings)))
  np.testing.assert_array_equal(found > -1e9, np.isfinite(expected))
  kept = np.isfinite(expected)
  np.testing.assert_allclose(found[kept], expected[kept], atol=1e-5)


@pytest.mark.parametrize(('top_p', 'kept'), [(0.5, 1), (0.51, 2), (0.75, 2), (0.76, 3), (0.875, 3), (0.88, 4)])
def test_a_nucleus_ends_with_the_token_that_fills_it(top_p, kept):
  logits = np.log(np.array([[0.125, 0.5, 0.015625, 0.25, 0.0625, 0.046875]], np.float32))
  found = np.array(sampling.filter_logits(jnp.asarray(logits), temperature=1.0, top_k=0, top_p=top_p)) > -1e9
  np.testing.assert_array_equal(found, np.isfinite(processed(torch.tensor(logits), 1.0, 0, top_p).numpy()))
  assert found.sum() == kept


def exact_probabilities(theirs, source, settings):
  """P(first, second token) [vocab, vocab]; after EOS comes padding."""
  vocab = theirs.config.vocab_size
  prefixes = torch.stack([torch.zeros(vocab, dtype=torch.long), torch.arange(vocab)], dim=1)
  with torch.no_grad():
    logits = theirs(input_ids=torch.tensor([source]).expand(vocab, -1), decoder_input_ids=prefixes).logits
  first, second = (torch.softmax(processed(logits[:, step], **settings), 1).double().numpy() for step in range(2))
  second[EOS] = np.eye(vocab)[0]
  return first[0][:, None] * second


@pytest.mark.parametrize('settings', FILTERS)
def test_draws_have_the_probabilities_of_transformers(settings):
  theirs, ours = pair('t5_1_1', vocab_size=10, spread=0.8)
  source = [5, 9, 3, 7, 1]
  expected = exact_probabilities(theirs, source, settings).reshape(-1)
  inputs = jnp.tile(jnp.asarray([source], jnp.int32), (DRAWS, 1))
  draw = jax.jit(lambda inputs, key: sample(ours, inputs, key=key, max_decode_len=2, **settings).tokens)
  tokens = np.array(draw(inputs, jax.random.key(0)))
  counts = np.bincount(tokens[:, 0] * 10 + tokens[:, 1], minlength=100)
  drawn, possible = counts.reshape(10, 10).sum(1), expected.reshape(10, 10).sum(1)
  assert possible[possible > 0].min() * DRAWS > 30  # so that a token too few at the filter's boundary would be missed
  np.testing.assert_array_equal(drawn > 0, possible > 0)
  assert counts[expected == 0].sum() == 0
  large = expected * DRAWS >= 5
  merged = [np.append(values[large], values[~large].sum()) for values in (counts, expected * DRAWS)]
  observed, wanted = (values[merged[1] > 1e-6] for values in merged)
  assert stats.chisquare(observed, wanted * DRAWS / wanted.sum()).pvalue > 1e-3
