"""One batch with an adapter for each row: every row as if it ran alone with its own."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax import peft
from flan_jax.errors import UserError
from flan_jax.models import shift_right
from flan_jax.peft import io
from flan_jax.peft.partition import make_blueprint, named_variables
from flan_jax.peft.row_modules import AdapterRows
from flan_jax.peft.rows import NotByRow
from tests.peft.methods import CONFIGS, METHODS, attached, base
from tests.peft.row_adapters import ADAPTERS, adapter, alone, close, together, tokens
from tests.training import toy

every_model = pytest.mark.parametrize(
  'kind', [kind if kind == 't5_1_1' else pytest.param(kind, marks=pytest.mark.slow) for kind in CONFIGS])
ROWS = (*ADAPTERS, None, 'lora')


@every_model
def test_states_and_logits_of_every_row_are_those_of_its_adapter_alone(kind):
  model, chosen = together(ADAPTERS, kind)
  source, target = tokens(0, len(ROWS)), shift_right(tokens(1, 2 * len(ROWS)))
  chosen.assign(ROWS)
  encoded = model.encode(source)
  logits = model.decode(encoded, target)
  for row, name in enumerate(ROWS):
    one, pair = alone(name, kind), slice(2 * row, 2 * row + 2)
    states = one.encode(source[row:row + 1])
    close(encoded.states[row][-states.states.shape[1]:], states.states[0])
    wanted = one.decode(states, target[pair])
    close(logits[pair], wanted)
    plain = base(kind).decode(base(kind).encode(source[row:row + 1]), target[pair])
    assert (np.max(np.abs(wanted - plain)) > 1e-2) == (name is not None)


def test_a_row_without_an_adapter_among_lora_and_ia3_is_the_base_to_the_bit():
  model, chosen = together(['everywhere', 'ia3'], 't5_1_1')
  source = tokens(0, 3)
  chosen.assign(['ia3', None, 'everywhere'])
  np.testing.assert_array_equal(model.encode(source).states[1], base('t5_1_1').encode(source).states[1])


def test_another_assignment_compiles_nothing():
  model, chosen = together(['lora', 'prompt'], 't5_1_1')
  chosen.assign(['lora', None])
  blueprint = make_blueprint(model, AdapterRows)
  rows, frozen = blueprint.split(model)
  (name,) = rows
  traces, source, target = [], tokens(0, 2), tokens(1, 4)

  @jax.jit
  def logits(rows, frozen):
    traces.append(1)
    model = blueprint.merge(rows, frozen)
    return model.decode(model.encode(source), target)

  for names in itertools.product(['lora', 'prompt', None], repeat=2):
    got = logits({name: chosen.ids(names)}, frozen)
    for row, one in enumerate(names):
      close(got[2 * row:2 * row + 2], reference(one, row))
  assert len(traces) == 1


@functools.cache
def reference(name, row):
  source, target = tokens(0, 2), tokens(1, 4)
  model = alone(name, 't5_1_1')
  return model.decode(model.encode(source[row:row + 1]), target[2 * row:2 * row + 2])


def test_detaching_gives_the_base_back():
  model, plain = together(ADAPTERS, 't5_1_0')[0], base('t5_1_0')
  peft.detach(model)
  assert toy.same_params(*({n: v.get_value() for n, (_, v) in named_variables(m).items()} for m in (model, plain)))


@pytest.mark.parametrize('name', ['dora', 'bitfit', 'norms', 'layers', 'houlsby', 'prefix', 'int8_lora', 'full'])
def test_methods_that_cannot_differ_by_row_are_refused_and_leave_the_model(name):
  one, model = attached(name), base()
  arrays = {path: v.get_value() for path, v in io.saved_variables(one, METHODS[name]).items()}
  with pytest.raises(NotByRow, match=f"'odd' .{METHODS[name].name}. cannot differ by row"):
    peft.attach_rows(model, {'lora': adapter('lora', 't5_1_1'), 'odd': (METHODS[name], arrays)})
  assert not io.adapter_variables(model)


def test_mistakes_are_one_sentence():
  model, chosen = together(['lora', 'prompt'], 't5_1_1')
  with pytest.raises(UserError, match="no adapter 'promt'. Did you mean 'prompt'"):
    chosen.assign(['promt'])
  with pytest.raises(UserError, match='no rows'):
    chosen.assign([])
  chosen.assign(['lora', None])
  with pytest.raises(UserError, match='2 rows were assigned an adapter, and the batch has 3'):
    model.encode(tokens(0, 3))
  ones = jnp.ones((2, 4), jnp.int32)
  batch = {f'{side}_{name}': ones for side in ('encoder', 'decoder') for name in ('input_tokens', 'segment_ids')}
  with pytest.raises(UserError, match='packed'):
    model({**batch, 'encoder_prompt_positions': ones})
  chosen.assign(['lora'])
  with pytest.raises(UserError, match='packed'):
    model({**batch, 'encoder_prompt_positions': ones})
  with pytest.raises(UserError, match='already'):
    peft.attach_rows(model, {'lora': adapter('lora', 't5_1_1')})
  with pytest.raises(UserError, match='at least one'):
    peft.attach_rows(base(), {})
  inside = peft.Compose((METHODS['int8_lora'], METHODS['prompt']))
  with pytest.raises(NotByRow, match='not quantised'):
    peft.attach_rows(base(), {'x': (inside, {})})
  with pytest.raises(UserError, match="the adapter 'x' does not fit this model"):
    peft.attach_rows(base(), {'x': (peft.LoRA(rank=3), adapter('lora', 't5_1_1')[1])})
