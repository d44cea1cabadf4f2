"""What is compiled is kept for the next process: where, how much of it, and what happens where it cannot be."""

import os
import pathlib
import subprocess
import sys

import filelock
import pytest

from flan_jax import cli, compilation_cache
from flan_jax.errors import UserError
from scripts import evaluate, quickstart

CHILD = """
import os, sys
from flan_jax import cli
def body():
  import jax, jax.numpy as jnp
  from flan_jax.training import first_step
  hits = first_step._hits()
  jax.block_until_ready(jax.jit(lambda x: jnp.tanh(x @ x))(jnp.ones((8, 8))))
  print(len(hits), jax.config.jax_compilation_cache_max_size, jax.config.jax_compilation_cache_dir)
if sys.argv[1] == 'late':
  import jax
sys.exit(cli.run(body))
"""
CPUINFO = ('processor : 0\nmodel name : A\ncpu MHz : 1.0\nflags : sse avx\n\n'
           'processor : 1\nmodel name : A\nflags : sse avx\n')


def run(home, when='early', **environment):
  kept = {name: value for name, value in os.environ.items()
          if not name.startswith(('JAX_COMPILATION_CACHE', 'JAX_PERSISTENT', 'XDG_'))}
  found = subprocess.run([sys.executable, '-c', CHILD, when], capture_output=True, text=True, check=False,
                         env={**kept, 'HOME': str(home), 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
                              'PYTHONPATH': str(pathlib.Path.cwd()), **environment})  # fmt: skip
  assert found.returncode == 0, found.stderr
  return found.stdout.split(), found.stderr


def entries(home):
  return sorted((home / '.cache/flan_jax/compiled').glob('*/*-cache'))


def test_a_second_process_finds_what_the_first_compiled(tmp_path):
  (hits, limit, folder), _ = run(tmp_path)
  assert hits == '0' and int(limit) == 4 * 2**30
  assert folder == str(tmp_path / '.cache/flan_jax/compiled' / compilation_cache.host_kind())
  written = entries(tmp_path)
  assert written and (tmp_path / folder / '.lockfile').exists()
  written[0].with_name('killed-cache').write_bytes(b'half an ent')
  (hits, _, _), told = run(tmp_path, 'late')  # JAX was imported before: children of a test, notebooks
  assert int(hits) >= 1 and entries(tmp_path) == written
  assert 'cache' not in told and 'feature' not in told


def test_it_can_be_off_or_elsewhere_or_in_nobodys_way(tmp_path):
  assert run(tmp_path, FLAN_JAX_COMPILATION_CACHE='off')[0] == ['0', '-1', 'None']
  mine = tmp_path / 'mine'
  assert run(tmp_path, JAX_COMPILATION_CACHE_DIR=str(mine))[0] == ['0', '-1', str(mine)]
  assert list(mine.iterdir()) and not entries(tmp_path)


@pytest.fixture
def no_folder(monkeypatch):
  monkeypatch.delenv(compilation_cache.DIRECTORY)
  monkeypatch.setattr(compilation_cache, '_set', lambda options: pytest.fail('the cache was turned on'))


def test_a_folder_that_cannot_be_written_is_one_line(no_folder, monkeypatch, tmp_path, capsys):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  assert compilation_cache.enable() is None
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith('no compilation cache: ') and str(tmp_path / 'file') in line and 'off turns it off' in line


def test_the_switch_knows_two_words(no_folder, monkeypatch):
  monkeypatch.setenv(compilation_cache.SWITCH, 'OFF')
  assert compilation_cache.enable() is None
  monkeypatch.setenv(compilation_cache.SWITCH, '/tmp/cache')
  with pytest.raises(UserError, match=r"must be on or off, not '/tmp/cache'.*JAX_COMPILATION_CACHE_DIR"):
    compilation_cache.enable()


@pytest.mark.parametrize('flags, uses', [((), 1), (('--no_compilation_cache',), 0)])
def test_the_flag(monkeypatch, flags, uses):
  used = []
  monkeypatch.setattr(compilation_cache, 'enable', lambda: used.append(1))
  monkeypatch.setattr(cli, 'load_gin', lambda args: None)
  monkeypatch.setattr(cli, 'call', lambda name, args: None)
  monkeypatch.setattr(quickstart, 'run', lambda folder, seed: None)
  monkeypatch.setenv('XLA_FLAGS', os.environ['XLA_FLAGS'])
  assert evaluate.main([*flags]) == 0 and quickstart.main([*flags]) == 0
  assert len(used) == 2 * uses


def test_hosts_share_what_they_can_run():
  kind = compilation_cache.host_kind(CPUINFO)
  assert kind == compilation_cache.host_kind(CPUINFO.replace('sse avx', 'avx sse').replace('MHz : 1.0', 'MHz : 2.0'))
  assert kind != compilation_cache.host_kind(CPUINFO.replace('sse avx', 'sse avx avx512f'))
  assert kind != compilation_cache.host_kind(CPUINFO.replace(': A', ': B'))
  assert compilation_cache.host_kind('') and compilation_cache.host_kind() == compilation_cache.host_kind()


def test_a_lock_that_another_process_holds_is_waited_for_briefly(tmp_path):
  (tmp_path / 'half-cache').write_bytes(b'')
  with filelock.FileLock(tmp_path / '.lockfile', is_singleton=False):
    compilation_cache.remove_unfinished(tmp_path, filelock)
    assert (tmp_path / 'half-cache').exists()
  (tmp_path / 'whole-cache').write_bytes(b'')
  (tmp_path / 'whole-atime').write_bytes(b'')
  compilation_cache.remove_unfinished(tmp_path, filelock)
  assert not (tmp_path / 'half-cache').exists() and (tmp_path / 'whole-cache').exists()
