"""Bits flipped and ends cut off in every file of a T5X checkpoint: an error that names the file, or nothing lost.

What the formats cannot notice is held here too: T5X's msgpack file and Orbax's arrays have no checksums.
"""

import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.interop import digests, t5x, t5x_write
from flan_jax.interop.t5x_weights import SLOTS, TARGET
from tests.interop.t5x_parts import copy, fixture_folder, flipped, tiny_weights

FLIPS = 3


def damages(content, seed, flips=FLIPS):
  """What may become of a file: flipped bits, cuts, and None for a file that is gone."""
  random = np.random.default_rng(seed)
  return [*(flipped(content, random) for _ in range(flips)), b'', content[: len(content) // 2], content[:-1], None]


def damage(path, content):
  """Writes what a file has become, and returns how to mend it."""
  before = path.read_bytes()
  path.unlink()
  if content is not None:
    path.write_bytes(content)
  return lambda: path.write_bytes(before)


def everything(folder, only=''):
  """All arrays as stored, those of the optimizer too."""
  store = t5x.open_t5x(folder).store
  return {name: store.read(name) for name in store.arrays if name.startswith(only)}


def equal(some, others):
  return all(name in some and some[name].tobytes() == others[name].tobytes() for name in others)


def test_zarr_folders_that_t5x_wrote(t5x_data, tmp_path):
  """gzip has a checksum: a flipped bit is noticed, unless it is one of a few in gzip's header that mean nothing."""
  folder = copy(fixture_folder(t5x_data, 'native'), tmp_path / 'checkpoint_100')
  right = everything(folder)
  files = [path for path in sorted(folder.rglob('*')) if path.is_file() and path.parent != folder]
  noticed = harmless = 0
  store = t5x.open_t5x(folder).store  # keeps nothing of what it has read
  for seed, path in enumerate(files):
    tree, _, rest = path.parent.name.partition('.')
    name = f'{tree}/{rest.replace(".", "/")}'
    for content in damages(path.read_bytes(), seed):
      mend = damage(path, content)
      try:
        assert store.read(name).tobytes() == right[name].tobytes(), f'{path} is read as other numbers'
        harmless += 1
      except UserError as error:
        assert str(path.parent) in str(error) and name in str(error)
        noticed += 1
      mend()
  print(f'{len(files)} files of zarr: {noticed} damages noticed, {harmless} that change no number')
  assert len(files) == 132 and harmless < noticed / 5
  assert equal(everything(folder), right)


def test_the_msgpack_file_that_t5x_wrote(t5x_data, tmp_path):
  """It has no checksum: cuts and broken trees are noticed, numbers inside it (slots, the step) are not."""
  folder = copy(fixture_folder(t5x_data, 'native'), tmp_path / 'checkpoint_100')
  path, right = folder / 'checkpoint', everything(folder)
  content = path.read_bytes()
  start, random = content.index(b'target'), np.random.default_rng(0)
  flips = [flipped(content, random) for _ in range(40)]
  flips += [content[:start] + flipped(content[start:], random) for _ in range(60)]
  noticed = weights_kept = 0
  for changed in flips:
    damage(path, changed)
    try:
      found = everything(folder)
      assert equal({n: v for n, v in found.items() if n.startswith(TARGET)},
                   {n: v for n, v in right.items() if n.startswith(TARGET)})  # fmt: skip
      weights_kept += 1
    except UserError as error:
      assert str(folder) in str(error)
      noticed += 1
  for cut in (b'', content[:1], content[: start // 2], content[:start], content[:-1], content + b'x'):
    damage(path, cut)
    with pytest.raises(UserError, match=f'{path} is damaged'):
      t5x.open_t5x(folder)
  print(f'100 flips in the msgpack file: {noticed} noticed, {weights_kept} left the weights as they were')
  assert noticed > 40
  # A number in a slot: the format cannot tell.
  at = content.index(right[f'{SLOTS}decoder/logits_dense/kernel/v_col'].tobytes()) + 2
  damage(path, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
  assert not equal(everything(folder, SLOTS), {n: v for n, v in right.items() if n.startswith(SLOTS)})


@pytest.mark.parametrize('name', ['orbax', pytest.param('orbax_scanned', marks=pytest.mark.slow)])
def test_orbax_databases_that_t5x_wrote(t5x_data, tmp_path, name):
  """The index has checksums, the arrays have none; what we do not read may be as it likes."""
  folder = copy(fixture_folder(t5x_data, name), tmp_path / 'checkpoint_1')
  right = everything(folder, TARGET)
  files = [path for path in sorted((folder / 'state').rglob('*')) if path.is_file()]
  arrays = max(files, key=lambda path: path.stat().st_size)
  index = {folder / 'state' / 'manifest.ocdbt', *(folder / 'state' / 'd').iterdir()}
  for seed, path in enumerate(files):
    results = [outcome(folder, path, content, right) for content in damages(path.read_bytes(), seed)]
    if path in index:
      assert results == ['noticed'] * len(results), path
    elif path != arrays:
      assert results == ['nothing lost'] * len(results), path
    else:
      flips, (empty, half, last, gone) = results[:FLIPS], results[FLIPS:]
      print(f'{name}, flips in the arrays: {flips}')
      assert 'one array' in flips  # the limit of the format
      assert set(flips) <= {'one array', 'nothing lost', 'noticed'}
      assert (empty, half, gone) == ('noticed',) * 3 and last in ('noticed', 'nothing lost')
  assert equal(everything(folder, TARGET), right)


def outcome(folder, path, content, right):
  mend = damage(path, content)
  try:
    found = everything(folder, TARGET)
  except UserError as error:
    assert str(folder / 'state') in str(error)
    return 'noticed'
  finally:
    mend()
  changed = [name for name in right if found[name].tobytes() != right[name].tobytes()]
  assert len(changed) <= 1
  return 'one array' if changed else 'nothing lost'


@pytest.mark.parametrize('scanned', [pytest.param(False, marks=pytest.mark.slow), True])
def test_nothing_goes_unnoticed_in_what_we_wrote(tmp_path, scanned):
  folder = tmp_path / 'checkpoint_3'
  weights = tiny_weights(num_encoder_layers=1, num_decoder_layers=1, relative_bias_per_layer=scanned)
  t5x_write.write(folder, weights, step=3)
  right = everything(folder)
  files = [path for path in sorted(folder.rglob('*')) if path.is_file()]
  for seed, path in enumerate(files):
    relative = path.relative_to(folder)
    only = '' if path.parent == folder else relative.parts[0].replace('.', '/')
    for content in damages(path.read_bytes(), seed, flips=1):
      if content is None and relative.name == digests.FILE:
        continue  # without it, the folder is as one of T5X's
      mend = damage(path, content)
      if content is None and relative.name == 'checkpoint':
        assert t5x.detect(folder) is None
      with pytest.raises(UserError) as error:
        everything(folder, only)
      assert str(folder) in str(error.value)
      mend()
  assert equal(everything(folder), right)


def test_the_damaged_file_is_named(tmp_path):
  folder = tmp_path / 'checkpoint_3'
  t5x_write.write(folder, tiny_weights())
  path = folder / 'target.encoder.encoder_norm.scale' / '0'
  path.write_bytes(path.read_bytes()[:-1])
  weights = t5x.open_t5x(folder)
  with pytest.raises(UserError, match=r'encoder_norm\.scale/0 is damaged: it is not what was written'):
    weights.read('encoder/encoder_norm/scale')
  assert weights.read('decoder/decoder_norm/scale').shape == (16,)
  (folder / 'config.gin').unlink()
  with pytest.raises(UserError, match=r'config\.gin is missing'):
    t5x.open_t5x(folder)


def test_a_chunk_that_is_missing_is_not_zeros(t5x_data, tmp_path):
  folder = copy(fixture_folder(t5x_data, 'native'), tmp_path / 'checkpoint_100')
  (folder / 'target.token_embedder.embedding' / '0.0').unlink()
  with pytest.raises(UserError, match=r'token_embedder\.embedding is damaged, .*embedding/0\.0" is missing'):
    t5x.open_t5x(folder).read('token_embedder/embedding')
