"""Decoding and scoring with an adapter for each row: every row is answered as its adapter alone answers it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.models import Generator, Scorer, beam_search, greedy, scoring, shift_right
from tests.peft.methods import CONFIGS, base
from tests.peft.row_adapters import alone, close, together, tokens

NAMES = ('prompt', None, 'lora', 'ia3')


def jitted(function, model):
  graphdef, state = nnx.split(model)
  return jax.jit(lambda state: function(nnx.merge(graphdef, state)))(state)


def log_probs(model, source, targets):
  """Of each target token of one row, by teacher forcing."""
  logits = nnx.log_softmax(model.decode(model.encode(source), shift_right(targets)))
  return jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]


def spelled(model, source, length):
  """Greedy decoding of one row without a cache."""
  found = np.zeros((1, length), np.int32)
  for position in range(length):
    logits = model.decode(model.encode(source), shift_right(jnp.asarray(found)))
    found[0, position] = int(jnp.argmax(logits[0, position]))
  return found[0]


@pytest.mark.parametrize(
  'kind', [kind if kind == 't5_1_1' else pytest.param(kind, marks=pytest.mark.slow) for kind in CONFIGS])
def test_greedy_beams_and_options_of_every_row_are_those_of_its_adapter_alone(kind):
  model, chosen = together(NAMES[:1] + NAMES[2:], kind)
  chosen.assign(NAMES)
  source, options = tokens(0, 4), 2 + tokens(1, 12, 3).reshape(4, 3, 3)

  def answers(model):
    return (greedy(model, source, max_decode_len=3, eos_id=-1), scoring.option_log_likelihoods(model, source, options),
            beam_search(model, source, num_beams=2, max_decode_len=3, alpha=0.0, eos_id=-1))

  decoded, scores, beams = jitted(answers, model)
  for row, name in enumerate(NAMES):
    one, own = alone(name, kind), source[row:row + 1]
    np.testing.assert_array_equal(decoded.tokens[row], spelled(one, own, 3))
    close(decoded.log_probs[row], jnp.sum(log_probs(one, own, decoded.tokens[row:row + 1])))
    close(scores[row], jnp.sum(log_probs(one, own, options[row]), axis=1))
    close(beams.scores[row], jnp.sum(log_probs(one, own, beams.tokens[row]), axis=1))
  searched = jitted(lambda model: beam_search(model, source, num_beams=2, max_decode_len=3, alpha=0.0, eos_id=-1),
                    alone('prompt', kind))
  np.testing.assert_array_equal(beams.tokens[0], searched.tokens[0])


def test_generator_and_scorer_take_the_adapter_of_each_input_in_any_order():
  model, chosen = together(['lora', 'ia3'], 't5_1_1')
  names = ['lora', None, 'ia3', 'lora', None]
  lengths = [4, 12, 4, 12, 4]  # two buckets, so that the batches are not in the order of the inputs
  source = [np.asarray(2 + tokens(row, 1, length)[0]) for row, length in enumerate(lengths)]
  options = [[[5, 7, 1], [6, 7, 1]]] * 5
  generator, scorer = Generator(model, max_decode_len=3, eos_id=-1, batch_size=4), Scorer(model, batch_size=4)
  texts = generator(source, adapters=chosen.ids(names))
  scores = scorer.options(source, options, adapters=chosen.ids(names))
  for row, name in enumerate(names):
    one, own = alone(name, 't5_1_1'), jnp.asarray(source[row])[None]
    assert texts[row] == np.trim_zeros(spelled(one, own, 3), 'b').tolist()
    close(scores[row], jnp.sum(log_probs(one, own, jnp.asarray(options[row])), axis=1))
  with pytest.raises(UserError, match='attach_rows'):
    Scorer(base()).options(source, options, adapters=[0] * 5)
  with pytest.raises(ValueError, match='5 rows but 2 adapters'):
    generator(source, adapters=[0, 1])
  with pytest.raises(ValueError, match='5 inputs but 2 adapters'):
    scorer.options(source, options, adapters=[0, 1])
