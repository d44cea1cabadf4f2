"""Checkpoints in T5X's own layout, written: byte for byte where T5X wrote the same, whole or not there at all."""

import dataclasses
import pathlib
import signal
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from flax import serialization

from flan_jax.errors import UserError
from flan_jax.interop import t5x, t5x_gin, t5x_names, t5x_write
from tests import processes
from tests.interop.t5x_parts import Given, by_tensorstore, fixture_folder, tiny_weights

OWN_FILES = {'config.gin', 'flan_jax.digests.json'}


def contents(folder):
  return serialization.msgpack_restore((folder / 'checkpoint').read_bytes())


def test_what_t5x_wrote_is_written_again(t5x_data, tmp_path):
  """From T5X through our names and back: the same folders, the same bytes in them, the same file but for the slots."""
  theirs, ours = fixture_folder(t5x_data, 'native'), tmp_path / 'checkpoint_100'
  weights = t5x.open_t5x(theirs)
  notes = t5x_write.write(ours, Given(weights.config, {p: weights.read(p) for p in weights.shapes}), step=100)
  assert notes == ("T5X's Adafactor starts anew: the slots of 52 arrays are zeros",)
  assert {path.name for path in ours.iterdir()} - {path.name for path in theirs.iterdir()} == OWN_FILES
  compared = 0
  for path in theirs.rglob('*'):
    relative = path.relative_to(theirs)
    if path.is_file() and (relative.parts[0].startswith('target.') or path.name == '.zarray'):
      assert (ours / relative).read_bytes() == path.read_bytes(), relative
      compared += 1
  assert compared == 52 * 2 + 14
  for name in t5x_names.layout(weights.config, scanned=False):
    there, here = (by_tensorstore(folder, f'target/{name}') for folder in (theirs, ours))
    assert there.dtype == here.dtype and there.tobytes() == here.tobytes()
  there, here = contents(theirs), contents(ours)
  assert list(there) == list(here) and list(there['optimizer']) == list(here['optimizer'])
  tree = serialization.msgpack_serialize(there['optimizer']['target'], in_place=True)
  assert (ours / 'checkpoint').read_bytes().endswith(tree) and (theirs / 'checkpoint').read_bytes().endswith(tree)
  there, here = (t5x_names.flatten(content['optimizer']['state']) for content in (there, here))
  assert list(there) == list(here)
  for name, value in there.items():
    if isinstance(value, dict):
      assert here[name] == value
    else:
      assert (here[name].shape, here[name].dtype) == (value.shape, value.dtype), name
  assert here['step'] == there['step'] == 100


def test_what_is_written_is_read_back(tmp_path):
  weights = tiny_weights(mlp_activations=('silu', 'linear'), dropout_rate=0.0, logits_via_embedding=True)
  t5x_write.write(tmp_path / 'run' / 'checkpoint_7', weights, step=7)
  assert weights.reads == list(weights.shapes)
  again = t5x.open_t5x(tmp_path / 'run')
  assert (again.config, again.step, again.scanned) == (weights.config, 7, False)
  assert again.shapes == weights.shapes
  for path, value in weights.params.items():
    np.testing.assert_array_equal(again.read(path), value, err_msg=path)
  assert list((tmp_path / 'run').iterdir()) == [tmp_path / 'run' / 'checkpoint_7']


@pytest.mark.parametrize('scanned', [False, True])
def test_bfloat16(tmp_path, scanned):
  weights = tiny_weights(relative_bias_per_layer=scanned)
  t5x_write.write(tmp_path / 'c', weights, dtype='bfloat16')
  again = t5x.open_t5x(tmp_path / 'c')
  rounded = {path: value.astype(ml_dtypes.bfloat16) for path, value in weights.params.items()}
  for path, value in rounded.items():
    assert again.shapes[path].dtype == again.read(path).dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(again.read(path).view(np.uint16), value.view(np.uint16), err_msg=path)
  folder = 'target.token_embedder.embedding'
  assert '"dtype":"bfloat16"' in (tmp_path / 'c' / folder / '.zarray').read_text()
  assert contents(tmp_path / 'c')['optimizer']['target']['token_embedder']['embedding']['dtype'] == 'bfloat16'
  t5x_write.write(tmp_path / 'd', Given(weights.config, rounded))
  assert (tmp_path / 'd' / 'checkpoint').read_bytes() == (tmp_path / 'c' / 'checkpoint').read_bytes()


@pytest.mark.parametrize('own', [False, True])
def test_layers_are_stacked_as_they_come(tmp_path, own):
  weights = tiny_weights(relative_bias_per_layer=own)
  notes = t5x_write.write(tmp_path / 'c', weights, scanned=True)
  again = t5x.open_t5x(tmp_path / 'c')
  assert again.scanned and again.config == dataclasses.replace(weights.config, relative_bias_per_layer=True)
  query = by_tensorstore(tmp_path / 'c', 'target/decoder/decoder/self_attention/query/kernel')
  assert query.shape == (16, 2, 2, 8)
  for path in again.shapes:
    source = path
    if path.endswith('rel_embedding') and not own:
      source = f'{path.split("/")[0]}/relpos_bias/rel_embedding'
    np.testing.assert_array_equal(again.read(path), weights.params[source], err_msg=path)
  assert any('bias' in note for note in notes) == (not own)


def test_a_scanned_checkpoint_goes_out_as_it_came_in(t5x_data, tmp_path):
  theirs = fixture_folder(t5x_data, 'orbax_scanned')
  weights = t5x.open_t5x(theirs)
  t5x_write.write(tmp_path / 'checkpoint_50', weights, step=weights.step)
  for name in t5x_names.layout(weights.config, scanned=True):
    there, here = (by_tensorstore(folder, f'target/{name}') for folder in (theirs, tmp_path / 'checkpoint_50'))
    assert there.shape == here.shape and there.tobytes() == here.tobytes()
  slots = {name: np.shape(value) if not isinstance(value, dict) else tuple(value['metadata']['shape'])
           for name, value in t5x_names.flatten(contents(tmp_path / 'checkpoint_50')['optimizer']).items()}  # fmt: skip
  assert slots == {name: tuple(array.shape) for name, array in weights.store.arrays.items()}


def test_large_arrays_are_cut_into_chunks():
  def chunks(shape, stacked, itemsize=4):
    return t5x_write._chunks(t5x_names.Stored('x', shape, (), (), stacked), itemsize)

  assert chunks((32128, 768), False) == [16064, 768]
  assert chunks((32128, 768), False, 2) == [32128, 768]
  assert chunks((4096, 24, 10240), True) == [1024, 1, 10240]
  assert chunks((128, 2, 4, 32), True) == [128, 1, 4, 32]
  assert chunks((384,), False) == [384]


@pytest.mark.parametrize('error', [RuntimeError('out of memory'), KeyboardInterrupt()])
def test_an_interruption_leaves_nothing(tmp_path, error):
  class Broken(Given):
    def read(self, path):
      if len(self.reads) == 4:
        raise error
      return super().read(path)

  weights = tiny_weights()
  with pytest.raises(type(error)):
    t5x_write.write(tmp_path / 'checkpoint_1', Broken(weights.config, weights.params))
  assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_no_checkpoint(tmp_path):
  script = f'''
import os, signal
from flan_jax.interop import t5x_write
from tests import processes
from tests.interop.t5x_parts import Given, tiny_weights
class Killed(Given):
  def read(self, path):
    if len(self.reads) == 4:
      os.kill(os.getpid(), signal.SIGKILL)
    return super().read(path)
weights = tiny_weights()
t5x_write.write({str(tmp_path / 'checkpoint_1')!r}, Killed(weights.config, weights.params))
'''
  root = pathlib.Path(__file__).parents[2]
  done = subprocess.run([sys.executable, '-c', script], cwd=root, check=False, env=processes.environment())
  assert done.returncode == -signal.SIGKILL
  (left,) = tmp_path.iterdir()
  assert left.name.startswith('checkpoint_1.tmp-') and not (left / 'checkpoint').exists()
  assert t5x.detect(tmp_path) is None and t5x.detect(left) is None
  t5x_write.write(tmp_path / 'checkpoint_1', tiny_weights())
  assert t5x.detect(tmp_path) == 'native'


def test_everything_that_cannot_be_written_is_listed_at_once(tmp_path):
  weights = tiny_weights(relative_attention_max_distance=64)
  params = dict(weights.params)
  params['encoder/extra'] = params.pop('encoder/encoder_norm/scale')
  params['decoder/logits_dense/kernel'] = params['decoder/logits_dense/kernel'].T
  params['token_embedder/embedding'] = params['token_embedder/embedding'].astype(np.float16)
  with pytest.raises(UserError) as error:
    t5x_write.write(tmp_path / 'c', Given(weights.config, params))
  assert str(error.value) == (
    'memory cannot become a checkpoint of T5X: 5 things do not fit: '
    "relative_attention_max_distance is 64, and T5X's network has 128 in its code; "
    'encoder/encoder_norm/scale is missing; encoder/extra is not known; '
    'decoder/logits_dense/kernel is [30, 16] and should be [16, 30]; '
    'token_embedder/embedding is float16, and T5X writes float32 or bfloat16: say which'
  )
  assert list(tmp_path.iterdir()) == []
  per_layer = tiny_weights(relative_bias_per_layer=True)
  with pytest.raises(UserError, match="which only T5X's scanned network has"):
    t5x_write.write(tmp_path / 'c', per_layer, scanned=False)


@pytest.mark.parametrize(('folder', 'options', 'message'), [
  ('gs://bucket/c', {}, 'can only be written to a folder'),
  ('there', {}, 'is there already'),
  ('c', {'dtype': 'int8'}, "as float32 or bfloat16, not as 'int8'"),
  ('c', {'step': -1}, 'cannot be -1'),
  ('file/c', {}, 'cannot be written: Not a directory'),
])  # fmt: skip
def test_what_is_asked_wrongly(tmp_path, folder, options, message):
  (tmp_path / 'there').mkdir()
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match=message):
    t5x_write.write(folder if '://' in folder else tmp_path / folder, tiny_weights(), **options)
  assert {path.name for path in tmp_path.iterdir()} == {'there', 'file'}


def test_weights_that_are_not_what_they_said(tmp_path):
  weights = tiny_weights()
  weights.params['encoder/encoder_norm/scale'] = np.ones(3, np.float32)
  with pytest.raises(UserError, match=r'encoder/encoder_norm/scale was said to be float32\[16\] and is float32\[3\]'):
    t5x_write.write(tmp_path / 'c', weights)
  assert list(tmp_path.iterdir()) == []


def test_the_gin_file_is_one_that_t5x_includes(tmp_path):
  t5x_write.write(tmp_path / 'c', tiny_weights(dtype='bfloat16'))
  text = (tmp_path / 'c' / 'config.gin').read_text()
  assert text.startswith('from __gin__ import dynamic_registration\nfrom t5x.examples.t5 import network\n')
  bound = t5x_gin.read_gin(text).values
  assert bound['T5Config.mlp_activations'] == ('gelu', 'linear') and bound['T5Config.dtype'] == 'bfloat16'
  # T5X's own fields, and none that it would stumble over.
  assert {name.removeprefix('T5Config.') for name in bound} == {
    'vocab_size', 'dtype', 'emb_dim', 'num_heads', 'num_encoder_layers', 'num_decoder_layers', 'head_dim', 'mlp_dim',
    'mlp_activations', 'dropout_rate', 'logits_via_embedding'}  # fmt: skip
