"""Checkpoints: what survives damage, a full disk and a wrong configuration, and what is kept."""

import shutil
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.peft import Full, LoRA
from flan_jax.peft.digest import digests, fingerprint
from flan_jax.training import checkpoints, optimizers, sharding
from flan_jax.training.state import plan_state
from tests import processes
from tests.training import toy


def plan(method=None, partitions=1, seed=0):
  partitioner = sharding.Partitioner(num_partitions=partitions)
  return plan_state(toy.make_model, method or Full(), optimizers.adamw(), partitioner, seed)


@pytest.fixture(scope='module')
def written(tmp_path_factory):
  """A folder with checkpoints 5 and 10 of different states."""
  folder = tmp_path_factory.mktemp('written')
  saver = checkpoints.Checkpointer(folder)
  for step in (5, 10):
    saver.save(step, plan(seed=step).init(), f'position {step}'.encode(), {'note': step})
  saver.close()
  return folder


@pytest.fixture
def folder(written, tmp_path):
  return shutil.copytree(written, tmp_path / 'run')


def damage(path, how):
  data = bytearray(path.read_bytes())
  if how == 'truncate':
    data = data[: len(data) // 2]
  elif how == 'flip':
    data[len(data) // 2] ^= 0x10
  elif how == 'empty':
    data = b''
  path.write_bytes(bytes(data))


def restore(folder, messages=None, **options):
  collected = [] if messages is None else messages
  return checkpoints.Checkpointer(folder, report=collected.append).restore_latest(plan(**options).abstract)


def test_round_trip_is_exact(folder):
  restored = restore(folder)
  assert restored.data_state == b'position 10' and restored.metadata == {'note': 10}
  assert toy.same_params(restored.state.trainable, plan(seed=10).init().trainable)


def test_another_mesh_can_read_it(folder):
  restored = restore(folder, partitions=4)
  assert toy.same_params(restored.state.trainable, plan(seed=10).init().trainable)
  kernel = restored.state.trainable['encoder/layers/0/mlp/wi_0/kernel']
  assert kernel.sharding.shard_shape(kernel.shape) == (16, 8)


@pytest.mark.parametrize('how', ['truncate', 'flip', 'empty'])
def test_a_damaged_latest_checkpoint_falls_back_to_the_one_before(folder, how):
  files = [p for p in (folder / 'checkpoint_10' / 'state' / 'd').iterdir() if p.is_file()]
  # Orbax leaves a copy of the arrays that nothing reads any more beside the merged one: damage both.
  largest = max(path.stat().st_size for path in files)
  for path in files:
    if 2 * path.stat().st_size >= largest:
      damage(path, how)
  messages = []
  restored = restore(folder, messages)
  assert restored.data_state == b'position 5'
  assert len(messages) == 1 and 'checkpoint 10' in messages[0] and 'damaged' in messages[0]
  assert (folder / 'damaged_checkpoint_10').is_dir() and not (folder / 'checkpoint_10').exists()


def test_missing_parts_fall_back_too(folder):
  shutil.rmtree(folder / 'checkpoint_10' / 'meta')
  assert restore(folder).data_state == b'position 5'


def test_when_all_are_damaged_it_says_so(folder):
  for step in (5, 10):
    shutil.rmtree(folder / f'checkpoint_{step}' / 'state')
  with pytest.raises(UserError, match='every checkpoint'):
    restore(folder)


def test_leftovers_of_a_killed_save_are_removed(folder):
  leftover = folder / 'checkpoint_15.orbax-checkpoint-tmp'
  shutil.copytree(folder / 'checkpoint_10', leftover)
  assert restore(folder).data_state == b'position 10'
  assert not leftover.exists()


def test_another_configuration_is_refused_and_not_taken_for_damage(folder):
  with pytest.raises(UserError, match='does not fit this configuration'):
    restore(folder, method=LoRA())
  assert (folder / 'checkpoint_10').is_dir()


def test_latest_and_best_are_kept(tmp_path):
  saver = checkpoints.Checkpointer(tmp_path, keep=2, best_metric='eval/accuracy')
  state = plan().init()
  for step, accuracy in enumerate((0.1, 0.9, 0.3, 0.4, 0.5), start=1):
    saver.save(step, state, b'', {}, {'eval/accuracy': accuracy, 'eval/loss': 1.0})
  saver.wait()
  assert saver.steps() == [2, 4, 5]
  saver.close()


def test_too_little_room_is_said_before_anything_is_written(folder, monkeypatch):
  saver = checkpoints.Checkpointer(folder)
  monkeypatch.setattr(checkpoints.shutil, 'disk_usage', lambda path: shutil._ntuple_diskusage(100, 99, 1))
  with pytest.raises(UserError, match=r'no room.*Checkpoint 10 is whole'):
    saver.save(15, plan().init(), b'', {})


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.training import test_checkpoints as t
saver = t.checkpoints.Checkpointer(sys.argv[1])
state = t.plan().init()
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
  saver.save(15, state, b'', {})
  saver.wait()
except t.UserError as error:
  print('UserError', error)
"""


def test_a_write_that_fails_half_way_leaves_the_previous_checkpoint(folder):
  script = textwrap.dedent(FULL_DISK)
  done = subprocess.run([sys.executable, '-c', script, str(folder)], capture_output=True, text=True, check=False,
                        env=processes.environment())  # fmt: skip
  assert 'could not be written' in done.stdout and 'Checkpoint 10 is whole' in done.stdout, done.stderr[-2000:]
  assert restore(folder).data_state == b'position 10'


def test_every_flipped_bit_changes_the_digest():
  value = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
  reference = int(digests({'a': jax.numpy.asarray(value)})[0])
  bits = value.view(np.uint32)
  for index in np.ndindex(3, 5):
    for bit in (0, 15, 31):
      bits[index] ^= np.uint32(1 << bit)
      assert int(digests({'a': jax.numpy.asarray(bits.view(np.float32).copy())})[0]) != reference
      bits[index] ^= np.uint32(1 << bit)


def test_fingerprint_sees_names_values_and_types():
  ones = jax.numpy.ones(3)
  words = {fingerprint({'a': ones}), fingerprint({'b': ones}), fingerprint({'a': ones * 2}),
           fingerprint({'a': ones.astype(jax.numpy.bfloat16)}), fingerprint({'a': ones[None]})}
  assert len(words) == 5
