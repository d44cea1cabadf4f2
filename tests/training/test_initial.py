"""INITIAL_CHECKPOINT_PATH: runs that start from a folder of transformers, on one device and on eight, and from less."""

import dataclasses
import re

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.interop.hf_folder import HuggingFaceWeights, write_huggingface
from flan_jax.interop.huggingface import base_parameters
from flan_jax.interop.weights import Held
from flan_jax.models.t5 import T5
from flan_jax.training import initial, initial_state, sharding
from flan_jax.training.initial_rules import sort_by_rule
from flan_jax.training.state import plan_state
from tests.training import toy

GROWN = dataclasses.replace(toy.CONFIG, vocab_size=40)
HEADS = 'token_embedder/embedding'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A model folder in transformers' layout with the weights of a seed that no run uses."""
  place = tmp_path_factory.mktemp('huggingface')
  model = T5(toy.CONFIG, rngs=nnx.Rngs(params=jax.random.key(99)))
  write_huggingface(place, Held('a model', toy.CONFIG, base_parameters(model)))
  return place


def plan(**options):
  method = toy.loop.Full()
  return plan_state(toy.make_model, method, toy.optimizers.adamw(1e-2), sharding.Partitioner(**options), 0)


def test_a_run_starts_from_the_weights_of_a_folder_of_transformers(folder, tmp_path, capsys):
  weights = HuggingFaceWeights(folder)
  done = toy.run(tmp_path / 'run', 1, initial_checkpoint_path=str(folder), optimizer=toy.optimizers.adamw(0.0))
  for name, value in done.state.params.items():
    np.testing.assert_array_equal(value, weights.read(name))
  assert f'starting from {folder} (Hugging Face)' in capsys.readouterr().err
  model = initial.restore_model(folder, toy.make_model)
  np.testing.assert_array_equal(model.token_embedder.embedding[...], weights.read(HEADS))


def test_weights_go_to_eight_devices_in_their_sharding(folder):
  wanted = plan(num_devices=8).base
  loaded = initial.load_params(initial.open_weights(folder), wanted)
  weights = HuggingFaceWeights(folder)
  assert len(jax.devices()) == 8
  for name, value in loaded.items():
    assert value.sharding == wanted[name].sharding
    np.testing.assert_array_equal(value, weights.read(name))


def test_all_that_does_not_fit_is_told_at_once_and_no_run_folder_is_made(folder, tmp_path):
  def other(rngs):
    return T5(dataclasses.replace(GROWN, num_encoder_layers=2, logits_via_embedding=False), rngs=rngs)

  with pytest.raises(UserError) as told:
    toy.run(tmp_path / 'run', 1, initial_checkpoint_path=str(folder), make_model=other)
  lines = str(told.value).splitlines()
  assert f'  {HEADS} has shape [32, 16] there and [40, 16] in this model' in lines
  assert '  decoder/logits_dense/kernel is missing' in lines
  assert len([line for line in lines if re.search('encoder/layers/1/.* is missing', line)]) == 9
  assert lines[0].endswith(f'{len(lines) - 1} arrays do not match')
  assert not (tmp_path / 'run').exists()


def test_rules_say_what_may_differ(folder, tmp_path, capsys):
  def other(rngs):
    return T5(dataclasses.replace(GROWN, logits_via_embedding=False), rngs=rngs)

  rules = {HEADS: 'grow', 'decoder/logits_dense/.*': 'fresh', r'encoder/layers/0/mlp/\w+/kernel': 'fresh'}
  done = toy.run(tmp_path, 1, initial_checkpoint_path=str(folder), make_model=other, initial_checkpoint_rules=rules,
                 optimizer=toy.optimizers.adamw(0.0))
  weights, fresh = HuggingFaceWeights(folder), base_parameters(other(nnx.Rngs(params=jax.random.key(0))))
  found = {name: np.asarray(value) for name, value in done.state.params.items()}
  np.testing.assert_array_equal(found[HEADS][:32], weights.read(HEADS))
  np.testing.assert_array_equal(found[HEADS][32:], fresh[HEADS][32:])
  for name, value in found.items():
    anew = 'logits_dense' in name or name.startswith('encoder/layers/0/mlp/')
    if name != HEADS:
      np.testing.assert_array_equal(value, fresh[name] if anew else weights.read(name))
  told = capsys.readouterr().err
  assert f'parameters grown from the checkpoint: 1 ({HEADS})' in told
  assert "parameters at the model's own initial values: 4 (decoder/logits_dense/kernel" in told
  again = toy.run(tmp_path, 2, make_model=other, initial_checkpoint_path=str(folder), initial_checkpoint_rules=rules,
                  optimizer=toy.optimizers.adamw(0.0))
  assert toy.same_params(done.state.params, again.state.params)  # resumed, not started anew


@pytest.mark.parametrize(('rules', 'message'), [
  ({'token_embeder/embedding': 'grow'}, r"matches no parameter of this model. Did you mean 'token_embedder/embedding'"),
  ({'.*': 'groww'}, "has the rule 'groww'. Did you mean 'grow'"),
  ({'(': 'grow'}, r"'\(' is no regular expression"),
  ({'b': 'grow'}, r'b cannot grow from \[4\] to \[3\]'),
  ({'c': 'grow'}, "c cannot grow, since the checkpoint lacks it"),
  ({'a': 'ignore'}, 'a cannot be ignored, since this model has it'),
  ({'c': 'ignore'}, "'c' matches no parameter of there"),
])  # fmt: skip
def test_a_rule_that_cannot_be_followed_is_told(rules, message):
  wanted = {'a': np.zeros(2), 'b': np.zeros(3), 'c': np.zeros(1), HEADS: np.zeros(2)}
  with pytest.raises(UserError, match=f'INITIAL_CHECKPOINT_RULES: .*{message}'):
    sort_by_rule('there', wanted, {'a': np.zeros(2), 'b': np.zeros(4), 'd': np.zeros(1), HEADS: np.zeros(2)}, rules)


def test_what_only_the_checkpoint_has_can_be_ignored():
  found = sort_by_rule('there', {'a': 0}, {'a': 0, 'b': 1}, {'b': 'ignore'})
  assert found.ignored == ('b',) and found.as_is({'a': 0, 'b': 1}) == {'a': 0}


def test_checkpoints_say_the_shape_of_their_model(tmp_path):
  toy.run(tmp_path, 1, metadata={'model': dataclasses.asdict(toy.CONFIG)})
  assert initial.open_weights(tmp_path).config == toy.CONFIG
  toy.run(tmp_path / 'silent', 1)
  with pytest.raises(UserError, match='does not say the shape of its model'):
    _ = initial.open_weights(tmp_path / 'silent').config


def test_nothing_to_start_from_is_told(tmp_path):
  with pytest.raises(UserError, match='no such folder'):
    initial.open_weights(tmp_path / 'nowhere')
  with pytest.raises(UserError, match='expected a run folder with checkpoint_<step> folders, one of those, a model'):
    initial.open_weights(tmp_path)


def test_a_run_goes_on_with_the_optimizer_state_of_t5x(real_data, tmp_path, capsys):
  folder = real_data / 't5x_checkpoints' / 'native' / 'checkpoint_100'
  config = dataclasses.replace(initial.open_weights(folder).config, dtype='float32')
  options = {'make_model': lambda rngs: T5(config, rngs=rngs), 'optimizer': toy.optimizers.adafactor(0.0),
             'initial_checkpoint_path': str(folder)}  # fmt: skip
  source = initial_state.open_source(
    plan_state(options['make_model'], toy.loop.Full(), options['optimizer'], sharding.Partitioner(num_devices=8), 0),
    str(folder), None, True)
  assert source.notes[0] == "the optimizer goes on with T5X's Adafactor of step 100"
  done = toy.run(tmp_path / 'on', 1, initial_optimizer_state=True, **options)
  anew = toy.run(tmp_path / 'anew', 1, **options)
  told = capsys.readouterr().err
  assert "goes on with T5X's Adafactor of step 100" in told and "optimizer state of T5X's Adafactor is not read" in told
  state, fresh = (_factored(run.state.opt_state) for run in (done, anew))
  assert (int(state.count), int(fresh.count)) == (101, 1)
  # Of the first 100 steps something is left; the decay of step 101 leaves 97.5 % of it.
  path = 'encoder/layers/0/mlp/wo/kernel'
  assert float(state.v_row[path].mean()) > 0 and not np.allclose(state.v_row[path], fresh.v_row[path], rtol=0.1)
  with pytest.raises(UserError, match='INITIAL_OPTIMIZER_STATE is for checkpoints of T5X'):
    toy.run(tmp_path / 'no', 1, **{**options, 'initial_checkpoint_path': str(tmp_path / 'on')},
            initial_optimizer_state=True)
  with pytest.raises(UserError, match='can go on only in our adafactor'):
    toy.run(tmp_path / 'no', 1, **{**options, 'optimizer': toy.optimizers.adamw(0.0)}, initial_optimizer_state=True)


def _factored(opt_state):
  def found(value):
    return isinstance(value, optax.FactoredState)

  return next(leaf for leaf in jax.tree.leaves(opt_state, is_leaf=found) if found(leaf))
