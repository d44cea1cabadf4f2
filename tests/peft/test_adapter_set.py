"""Several adapters on one base: switching, merging and taking out again leave no trace on the base."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.errors import UserError
from flan_jax.peft import io
from flan_jax.peft.partition import make_blueprint, named_variables
from tests.peft.methods import MERGEABLE, METHODS, attached, base, batch, stirred
from tests.training import toy

KINDS = ('lora', 'pissa', 'dora', 'ia3', 'bitfit', 'norms', 'layers', 'prompt', 'prefix_mlp', 'int8_lora', 'nf4_lora',
         'ia3_and_biases', 'lora_and_prompt', 'full')


def values(model):
  return {name: np.asarray(v.get_value()) for name, (_, v) in named_variables(model).items()}


def arrays(name):
  return {path: v.get_value() for path, v in io.saved_variables(stirred(name), METHODS[name]).items()}


def filled(*names):
  adapters = peft.AdapterSet(base())
  for name in names:
    adapters.add(name, METHODS[name], arrays(name))
  return adapters


def is_base(model):
  untouched = base()
  return (toy.same_params(values(model), values(untouched))
          and nnx.graphdef(model) == nnx.graphdef(untouched))


@pytest.mark.parametrize('name', KINDS)
def test_switched_on_it_is_the_adapter_and_switched_off_the_base_to_the_bit(name):
  adapters = filled(name)
  assert is_base(adapters.model) and adapters.active is None
  adapters.switch(name)
  assert toy.same_params(values(adapters.model), values(stirred(name)))
  assert nnx.graphdef(adapters.model) == nnx.graphdef(attached(name))
  adapters.switch(None)
  assert is_base(adapters.model)
  if name in MERGEABLE:
    adapters.switch(name)
    adapters.merge()
    assert not io.adapter_variables(adapters.model)
    with pytest.raises(UserError, match='merged already'):
      adapters.merge()
    adapters.unmerge()
    assert toy.same_params(values(adapters.model), values(stirred(name)))
    adapters.merge()
    adapters.switch(None)
    assert is_base(adapters.model) and not adapters.merged


def test_a_walk_through_all_of_them_ends_where_it_began():
  adapters = filled('norms', 'nf4_lora', 'bitfit', 'lora', 'layers', 'prompt')
  assert adapters.names == ('norms', 'nf4_lora', 'bitfit', 'lora', 'layers', 'prompt')
  for name in (*adapters.names, 'nf4_lora', 'norms'):
    adapters.switch(name)
    assert toy.same_params(values(adapters.model), values(stirred(name)))
    assert adapters.active == name
    if name in MERGEABLE:
      adapters.merge()
  adapters.switch(None)
  assert is_base(adapters.model)


def test_between_adapters_of_one_method_the_model_keeps_its_shape():
  adapters = filled('pissa')
  method, found = adapters['pissa']
  adapters.add('doubled', method, {name: 2 * value for name, value in found.items()})
  adapters.switch('pissa')
  blueprint, shape = make_blueprint(adapters.model, peft.AdapterParam), nnx.graphdef(adapters.model)
  query = adapters.model.encoder.layers[0].attention.query.adapters['lora']
  adapters.switch('doubled')
  assert nnx.graphdef(adapters.model) == shape  # so that nothing compiled for one is lost
  assert adapters.model.encoder.layers[0].attention.query.adapters['lora'] is query
  trainable, _ = blueprint.split(adapters.model)
  assert all(np.array_equal(value, 2 * found[name]) for name, value in trainable.items())


def test_merging_computes_the_same_function_and_unmerging_subtracts_nothing():
  adapters = filled('lora')
  adapters.switch('lora')
  logits = adapters.model(batch())
  adapters.merge()
  np.testing.assert_allclose(adapters.model(batch()), logits, atol=1e-5)
  assert not np.array_equal(values(adapters.model)['encoder/layers/0/attention/query/kernel'],
                            values(base())['encoder/layers/0/attention/query/kernel'])
  adapters.unmerge()
  np.testing.assert_array_equal(adapters.model(batch()), logits)
  assert not adapters.merged and adapters.active == 'lora'


@pytest.mark.parametrize('name', ['lora', 'norms', 'int8_lora', 'prompt'])
def test_folders_are_checked_against_the_base_whatever_is_active(name, tmp_path):
  peft.save_adapter(stirred(name), tmp_path / 'saved', METHODS[name])
  adapters = filled('layers', 'nf4_lora', 'norms')
  for active in adapters.names:
    adapters.switch(active)
    if active != 'nf4_lora':
      adapters.merge()
    assert adapters.load(f'{name}_{active}', tmp_path / 'saved') == METHODS[name]
    adapters.save(f'{name}_{active}', tmp_path / 'again')
    for file in (io.WEIGHTS, io.CONFIG):
      assert (tmp_path / 'again' / file).read_bytes() == (tmp_path / 'saved' / file).read_bytes()
    assert adapters.active == active


def test_an_adapter_of_another_base_is_refused_unless_forced(tmp_path):
  other = base(seed=7)
  METHODS['lora'].attach(other, nnx.Rngs(params=1))
  peft.save_adapter(other, tmp_path / 'other', METHODS['lora'])
  adapters = filled('norms')
  adapters.switch('norms')
  with pytest.raises(UserError, match='trained on base weights'):
    adapters.load('other', tmp_path / 'other')
  assert adapters.names == ('norms',)
  adapters.load('other', tmp_path / 'other', force=True)
  adapters.switch('other')
  assert adapters.active == 'other'


def test_a_method_that_cannot_be_merged_stays_beside_the_weights():
  adapters = filled('prompt')
  adapters.switch('prompt')
  with pytest.raises(UserError, match='cannot be merged'):
    adapters.merge()
  assert not adapters.merged and toy.same_params(values(adapters.model), values(stirred('prompt')))


def test_removing_the_active_one_gives_the_base_back():
  adapters = filled('norms', 'lora')
  adapters.switch('norms')
  adapters.remove('lora')
  assert adapters.active == 'norms'
  adapters.remove('norms')
  assert is_base(adapters.model) and adapters.names == ()


def test_mistakes_are_one_sentence_and_change_nothing(tmp_path):
  adapters = filled('lora', 'full')
  adapters.switch('lora')
  with pytest.raises(UserError, match="no adapter 'lroa' in the set. Did you mean 'lora'"):
    adapters.switch('lroa')
  assert adapters.active == 'lora'
  for action in (adapters.remove, lambda name: adapters.save(name, tmp_path / 'x'), adapters.__getitem__):
    with pytest.raises(UserError, match="no adapter 'ful' in the set. Did you mean 'full'"):
      action('ful')
  with pytest.raises(UserError, match="an adapter 'lora' in the set already"):
    adapters.add('lora', *adapters['lora'])
  with pytest.raises(UserError, match="an adapter 'lora' in the set already"):
    adapters.load('lora', tmp_path / 'nowhere')
  with pytest.raises(UserError, match='there is no adapter in'):
    adapters.load('new', tmp_path / 'nowhere')
  with pytest.raises(UserError, match="the adapter 'new' does not fit this model: 24 parameters differ"):
    adapters.add('new', METHODS['lora'], {'x' + name: value for name, value in adapters['lora'][1].items()})
  with pytest.raises(UserError, match='the whole model'):
    adapters.save('full', tmp_path / 'x')
  with pytest.raises(UserError, match='no adapter is merged'):
    adapters.unmerge()
  adapters.switch(None)
  with pytest.raises(UserError, match='no adapter is active'):
    adapters.merge()
  with pytest.raises(UserError, match='starts from the base'):
    peft.AdapterSet(stirred('lora'))
  assert peft.AdapterSet(base()).names == () and jnp.ndim(adapters.model(batch())) == 3
