"""LoRA: identity at the start, merging, saving, loading on the right base only."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.errors import UserError
from flan_jax.peft import io
from flan_jax.peft.partition import make_blueprint, named_variables, parameter_table
from tests.training import toy

METHOD = peft.LoRA(rank=2, alpha=4.0, dropout=0.5)


def base(seed=0):
  return toy.make_model(nnx.Rngs(params=seed))


def batch():
  return {name: jnp.asarray(value) for name, value in next(toy.CountingBatches()).items()}


def trained(seed=0):
  """A model with adapters that do something."""
  model = base(seed)
  METHOD.attach(model, nnx.Rngs(params=1))
  for number, (name, variable) in enumerate(io.adapter_variables(model).items()):
    if name.endswith('/b'):
      variable.set_value(jax.random.normal(jax.random.key(number), variable.shape))
  return model


def test_attaching_changes_no_logit_and_moves_no_base_path():
  plain, model = base(), base()
  METHOD.attach(model, nnx.Rngs(params=1))
  np.testing.assert_array_equal(plain(batch()), model(batch()))
  assert set(named_variables(plain)) == set(named_variables(model)) - set(io.adapter_variables(model))
  assert set(io.adapter_variables(model)) == {
      f'{block}/{part}/adapters/lora/{matrix}' for part in ('query', 'value') for matrix in 'ab' for block in (
          'encoder/layers/0/attention', 'decoder/layers/0/self_attention',
          'decoder/layers/0/encoder_decoder_attention')}


def test_the_update_is_alpha_over_rank_times_x_a_b():
  model = trained()
  query = model.encoder.layers[0].attention.query
  x = jax.random.normal(jax.random.key(5), (1, 3, 16))
  a, b = (np.asarray(query.adapters['lora'].a[...]), np.asarray(query.adapters['lora'].b[...]))
  expected = np.asarray(x) @ np.asarray(query.kernel[...]) + 4.0 / 2 * (np.asarray(x) @ a @ b)
  np.testing.assert_allclose(query(x), expected, atol=1e-5)


def test_dropout_acts_only_with_a_source_of_randomness():
  query = trained().encoder.layers[0].attention.query
  x = jnp.ones((1, 3, 16))
  np.testing.assert_array_equal(query(x), query(x))
  assert not np.array_equal(query(x), query(x, rngs=nnx.Rngs(dropout=0)))


def test_merged_equals_attached():
  model = trained()
  attached = model(batch())
  peft.merge_adapter(model, METHOD)
  assert not io.adapter_variables(model)
  np.testing.assert_allclose(model(batch()), attached, atol=1e-5)
  with pytest.raises(UserError, match='no adapter'):
    peft.merge_adapter(model, METHOD)


def test_detaching_gives_the_base_back_exactly():
  model = trained()
  peft.detach(model)
  np.testing.assert_array_equal(model(batch()), base()(batch()))


def test_saved_and_loaded_equals_trained(tmp_path):
  model, fresh = trained(), base()
  peft.save_adapter(model, tmp_path / 'adapter', METHOD)
  peft.save_adapter(model, tmp_path / 'adapter', METHOD)
  assert peft.load_adapter(fresh, tmp_path / 'adapter') == METHOD
  np.testing.assert_array_equal(fresh(batch()), model(batch()))
  assert {p.name for p in (tmp_path / 'adapter').iterdir()} == {io.WEIGHTS, io.CONFIG}
  assert [p.name for p in tmp_path.iterdir()] == ['adapter']
  assert json.loads((tmp_path / 'adapter' / io.CONFIG).read_text())['rank'] == 2


def test_another_base_is_refused_unless_forced(tmp_path):
  peft.save_adapter(trained(), tmp_path / 'adapter', METHOD)
  other = base(seed=7)
  with pytest.raises(UserError, match='trained on base weights'):
    peft.load_adapter(other, tmp_path / 'adapter')
  assert not io.adapter_variables(other)
  peft.load_adapter(other, tmp_path / 'adapter', force=True)
  with pytest.raises(UserError, match='already'):
    peft.load_adapter(other, tmp_path / 'adapter', force=True)


def test_damaged_missing_and_misfit_adapters_are_one_sentence(tmp_path):
  with pytest.raises(UserError, match='there is no adapter in'):
    peft.load_adapter(base(), tmp_path)
  peft.save_adapter(trained(), tmp_path / 'adapter', METHOD)
  config = json.loads((tmp_path / 'adapter' / io.CONFIG).read_text())
  (tmp_path / 'adapter' / io.CONFIG).write_text(json.dumps({**config, 'rank': 3}))
  model = base()
  with pytest.raises(UserError, match='does not fit'):
    peft.load_adapter(model, tmp_path / 'adapter')
  assert not io.adapter_variables(model)
  (tmp_path / 'adapter' / io.WEIGHTS).write_bytes(b'\0' * 20)
  with pytest.raises(UserError, match='cannot be read'):
    peft.load_adapter(base(), tmp_path / 'adapter')


def test_a_regex_that_matches_nothing_lists_close_paths():
  with pytest.raises(UserError, match='closest paths are .*attention/query'):
    peft.LoRA(targets='encoder/layers/0/attention/qery').attach(base(), nnx.Rngs(params=0))
  with pytest.raises(UserError, match='malformed'):
    peft.LoRA(targets='(').attach(base(), nnx.Rngs(params=0))


@pytest.mark.parametrize('method', [peft.Full(), METHOD])
def test_methods_survive_their_config(method):
  assert peft.from_config(json.loads(json.dumps(method.config))) == method


def test_wrong_configs_are_named():
  with pytest.raises(UserError, match="'lroa'.*'lora'"):
    peft.from_config({'method': 'lroa'})
  with pytest.raises(UserError, match="'rnak'.*'rank'"):
    peft.from_config({'method': 'lora', 'rnak': 2})


def test_the_table_counts_what_trains():
  model = trained()
  table = parameter_table(make_blueprint(model, METHOD.trainable_filter()))
  assert table.trainable == 6 * (16 * 2 + 2 * 16)
  assert table.total - table.trainable == sum(v.get_value().size for _, v in named_variables(base()).values())
  text = str(table)
  assert 'encoder/layers/0/attention/query/adapters/lora/a' in text and text.rstrip().endswith('%)')


def test_blueprint_splits_and_merges_without_loss():
  model = trained()
  blueprint = make_blueprint(model, METHOD.trainable_filter())
  trainable, frozen = blueprint.split(model)
  assert set(trainable) == set(io.adapter_variables(model)) and not set(trainable) & set(frozen)
  np.testing.assert_array_equal(blueprint.merge(trainable, frozen)(batch()), model(batch()))
  assert blueprint.axes('encoder/layers/0/attention/query/kernel') == ('embed', 'joined_kv')
