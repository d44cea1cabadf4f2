"""Checkpoints that T5X wrote, read: arrays against TensorStore, logits against T5X's, all that differs in one list."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore as ts
from etils import epath
from flax import nnx, serialization

from flan_jax.errors import UserError
from flan_jax.interop import t5x, t5x_config, t5x_gin, t5x_names
from flan_jax.interop.t5x_weights import kvstore
from flan_jax.models import T5
from flan_jax.peft.partition import make_blueprint, named_variables
from tests.interop.t5x_parts import copy, expected_parameter, fixture_folder
from tests.models.conftest import tiny_config

FIXTURES = {'native': 'native', 'orbax': 'orbax', 'orbax_scanned': 'orbax'}
STEPS = {'native': 100, 'orbax': 100, 'orbax_scanned': 50}
LEFT_OUT = {'native': 90, 'orbax': 90, 'orbax_scanned': 49}


@pytest.mark.parametrize('name', FIXTURES)
def test_every_parameter_is_what_tensorstore_reads(t5x_data, name):
  folder = fixture_folder(t5x_data, name)
  weights = t5x.open_t5x(folder)
  assert set(weights.shapes) == set(t5x_names.paths(weights.config))
  for path, shape in weights.shapes.items():
    value, expected = weights.read(path), expected_parameter(folder, path)
    assert value.dtype == expected.dtype == shape.dtype and value.shape == shape.shape
    np.testing.assert_array_equal(value, expected, err_msg=path)


@pytest.mark.parametrize('name', FIXTURES)
def test_logits_are_those_of_t5x(t5x_data, name):
  weights = t5x.open_t5x(t5x_data / name)
  blueprint = make_blueprint(nnx.eval_shape(lambda: T5(weights.config, rngs=nnx.Rngs(0))), nnx.Param)
  params = {path: jnp.asarray(weights.read(path)) for path in weights.shapes}
  with np.load(t5x_data / 'expected_logits.npz') as arrays:
    batch = {name: jnp.asarray(arrays[name]) for name in ('encoder_input_tokens', 'decoder_input_tokens')}
    logits = jax.jit(lambda params, batch: blueprint.merge(params)(batch))(params, batch)
    real = arrays['decoder_target_tokens'] > 0
    difference = np.abs(np.asarray(logits) - arrays[f'{name}_logits'])[real].max()
  print(f'largest difference from the logits of T5X, {name}: {difference:.1e}')
  assert difference < 1e-5


@pytest.mark.parametrize('name', FIXTURES)
def test_shape_step_and_what_is_left_out(t5x_data, name):
  weights = t5x.open_t5x(t5x_data / name)
  assert weights.config == tiny_config(
    vocab_size=384, emb_dim=128, num_heads=4, head_dim=32, mlp_dim=256, relative_bias_per_layer=name == 'orbax_scanned'
  )
  assert (weights.kind, weights.step, weights.scanned) == ('T5X', STEPS[name], name == 'orbax_scanned')
  assert weights.notes == (f"optimizer state of T5X's Adafactor is not read: {LEFT_OUT[name]} arrays",)


@pytest.mark.parametrize('name', FIXTURES)
def test_the_newest_checkpoint_of_a_run_is_found(t5x_data, name, tmp_path):
  assert t5x.detect(t5x_data / name) == FIXTURES[name]
  folder = fixture_folder(t5x_data, name)
  assert t5x.detect(str(folder)) == FIXTURES[name]
  for step in (9, 10):
    copy(folder, tmp_path / f'checkpoint_{step}')
  (tmp_path / 'checkpoint_11.tmp-1700000000').mkdir()
  assert t5x.open_t5x(tmp_path).where == str(tmp_path / 'checkpoint_10')


def test_folders_that_are_no_checkpoint_of_t5x(tmp_path):
  ours = tmp_path / 'checkpoint_3'
  for part in ('state', 'meta'):
    (ours / part).mkdir(parents=True)
  assert t5x.detect(ours) is None and t5x.detect(tmp_path) is None and t5x.detect(tmp_path / 'nowhere') is None
  with pytest.raises(UserError, match=f'no checkpoint of T5X at {tmp_path}'):
    t5x.open_t5x(tmp_path)


def test_addresses_are_handed_to_tensorstore():
  folder = kvstore(epath.Path('gs://bucket/run') / 'checkpoint_5' / 'state')
  assert ts.KvStore.Spec(folder).to_json() == {'driver': 'gcs', 'bucket': 'bucket', 'path': 'run/checkpoint_5/state/'}
  database = ts.KvStore.Spec({'driver': 'ocdbt', 'base': folder, 'path': 'target.x/'}).to_json()
  assert database['base'] == ts.KvStore.Spec(folder).to_json()


def test_an_orbax_checkpoint_that_is_not_finished(t5x_data, tmp_path):
  folder = copy(fixture_folder(t5x_data, 'orbax'), tmp_path / 'checkpoint_100')
  (folder / 'commit_success.txt').unlink()
  assert t5x.open_t5x(folder).step == 100  # its description has the time when it was committed
  (folder / '_CHECKPOINT_METADATA').write_text('{"commit_timestamp_nsecs": null}')
  with pytest.raises(UserError, match=r'checkpoint_100 has no commit_success\.txt'):
    t5x.open_t5x(folder)


def test_stacked_arrays_are_read_once(t5x_data):
  weights = t5x.open_t5x(t5x_data / 'orbax_scanned')
  reads, read = [], weights.store.read
  weights.store.read = lambda name, layer=None: reads.append(name) or read(name, layer)
  for path in weights.shapes:
    weights.read(path)
  assert len(reads) == len(set(reads)) == 29


def test_everything_that_differs_is_listed_at_once(t5x_data, tmp_path):
  folder = copy(fixture_folder(t5x_data, 'native'), tmp_path / 'checkpoint_100')
  content = serialization.msgpack_restore((folder / 'checkpoint').read_bytes())
  target = content['optimizer']['target']
  target['decoder']['layers_0']['mlp']['wo_'] = target['decoder']['layers_0']['mlp'].pop('wo')
  target['encoder']['encoder_norm']['scale'] = np.ones(64, np.float32)
  target['encoder']['layers_1']['mlp']['wi_0']['kernel']['dtype'] = 'int32'
  target['decoder']['relpos_bias']['rel_embedding']['metadata']['shape'] = [4, 16]
  (folder / 'checkpoint').write_bytes(serialization.msgpack_serialize(content))
  with pytest.raises(UserError) as error:
    t5x.open_t5x(folder)
  assert str(error.value) == (
    f'{folder}: 5 things do not fit: decoder/layers_0/mlp/wo/kernel is missing; '
    'decoder/layers_0/mlp/wo_/kernel is not known; decoder/relpos_bias/rel_embedding is [4, 16] and should be [4, 32]; '
    'encoder/encoder_norm/scale is [64] and should be [128]; '
    'encoder/layers_1/mlp/wi_0/kernel is int32 and should be a float'
  )


@pytest.mark.parametrize('change', [
  {'kvstore': {'driver': 'file', 'path': '../../elsewhere/'}}, {'kvstore': {'driver': 'file', 'path': '/etc/'}},
  {'driver': 'stack'}, {'kvstore': None},
])  # fmt: skip
def test_descriptions_lead_nowhere_else(t5x_data, tmp_path, change):
  folder = copy(fixture_folder(t5x_data, 'native'), tmp_path / 'checkpoint_100')
  content = serialization.msgpack_restore((folder / 'checkpoint').read_bytes())
  content['optimizer']['target']['token_embedder']['embedding'] |= change
  (folder / 'checkpoint').write_bytes(serialization.msgpack_serialize(content))
  with pytest.raises(UserError, match='target/token_embedder/embedding names no zarr folder in the checkpoint'):
    t5x.open_t5x(folder)


@pytest.mark.parametrize('changes', [
  {}, {'num_heads': 3, 'mlp_activations': ('relu',)}, {'logits_via_embedding': True, 'num_encoder_layers': 1},
  {'relative_bias_per_layer': True},
])  # fmt: skip
@pytest.mark.parametrize('scanned', [False, True])
def test_names_and_shapes_are_the_model_s_and_show_its_config(changes, scanned):
  config = tiny_config(**{**changes, **({'relative_bias_per_layer': True} if scanned else {})})
  model = nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0)))
  shapes = {path: variable.shape for path, (_, variable) in named_variables(model).items()}
  assert shapes == {path: t5x_names.shape_of(path, config) for path in t5x_names.paths(config)}
  layout = t5x_names.layout(config, scanned=scanned)
  assert sorted(path for stored in layout.values() for path in stored.paths) == sorted(shapes)
  found = {name: np.empty(stored.shape, np.float32) for name, stored in layout.items()}
  gin = t5x_gin.Bindings({'T5Config.dtype': 'float32'}, ())
  assert t5x_config.infer(found, gin, 'here') == (config, scanned, (), ())


def inferred(text, **changes):
  config = tiny_config(**changes)
  found = {n: np.empty(s.shape, np.float32) for n, s in t5x_names.layout(config, scanned=False).items()}
  return t5x_config.infer(found, t5x_gin.read_gin(text), 'here')


def test_config_gin_says_what_arrays_do_not_show():
  text = '''
from __gin__ import dynamic_registration
from a.module.that.is.nowhere import network
RATE = %OTHER
OTHER = 0.25
network.T5Config.mlp_activations = \\
    ('silu',
     'linear')
network.T5Config.dropout_rate = %RATE
network.T5Config.relative_attention_max_distance = 64
network.T5Config.dtype = @somewhere.dtype()
'''
  shape = inferred(text)
  assert shape.config.mlp_activations == ('silu', 'linear')
  assert (shape.config.dropout_rate, shape.config.relative_attention_max_distance) == (0.25, 64)
  assert shape.notes == ('config.gin binds T5Config.dtype to something that is not a literal: '
                         'the default of T5X is taken',)  # fmt: skip
  assert not any(name.startswith('a.module') for name in sys.modules)
  assert inferred('', mlp_activations=('relu',)).config.mlp_activations == ('relu',)


def test_config_gin_that_cannot_be_right():
  with pytest.raises(UserError, match=r"here: config\.gin names the activation 'geglu', which this program has not"):
    inferred("network.T5Config.mlp_activations = ('geglu', 'linear')")
  with pytest.raises(UserError, match=r'here: config\.gin binds something of a wrong type'):
    inferred("network.T5Config.dropout_rate = 'much'")
  shape = inferred('network.T5Config.num_heads = 4\nnetwork.T5Config.logits_via_embedding = True')
  assert shape.problems == (
    'config.gin has num_heads=4 and the arrays show 2',
    'config.gin has logits_via_embedding=True and the arrays show False',
  )


def test_config_gin_is_read_beside_the_checkpoint_and_named_where_it_is_wrong(t5x_data, tmp_path):
  folder = copy(fixture_folder(t5x_data, 'native'), tmp_path / 'checkpoint_100')
  assert t5x.open_t5x(folder).config.dtype == 'bfloat16'  # without the file, T5's default
  (tmp_path / 'config.gin').write_text("network.T5Config.dtype = 'float32'\nnetwork.T5Config.mlp_activations = (")
  with pytest.raises(UserError, match=re.escape(f'{tmp_path}/config.gin is damaged or no gin file, line ')):
    t5x.open_t5x(folder)
