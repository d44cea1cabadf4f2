import json
import os
import socket
import subprocess
import sys

import pytest

from flan_jax.work import claims


def ended():
  """The number of a process that is no more."""
  process = subprocess.Popen([sys.executable, '-c', ''])
  process.wait()
  return process.pid


def write(path, host, pid):
  path.write_text(json.dumps({'host': host, 'pid': pid, 'since': 'noon'}))


def test_only_one_has_a_claim_and_it_is_gone_afterwards(tmp_path):
  path = tmp_path / 'row' / 'claim'
  with claims.claimed(path) as holder:
    assert holder is None
    with claims.claimed(path) as second:
      assert (second.pid, second.host, second.gone) == (os.getpid(), socket.gethostname(), False)
    assert path.exists(), 'who does not hold a claim must not remove it'
  assert not path.exists()


def test_a_claim_goes_with_an_error(tmp_path):
  with pytest.raises(KeyboardInterrupt), claims.claimed(tmp_path / 'claim'):
    raise KeyboardInterrupt
  with claims.claimed(tmp_path / 'claim') as holder:
    assert holder is None


def test_a_stale_claim_is_kept_and_said_with_what_removes_it(tmp_path):
  path = tmp_path / 'claim'
  write(path, socket.gethostname(), ended())
  with claims.claimed(path) as holder:
    assert holder.gone
    assert f'has ended without letting go: rm {path}' in str(holder)
  assert path.exists()


def test_of_another_machine_nothing_is_supposed(tmp_path):
  path = tmp_path / 'claim'
  write(path, 'elsewhere', ended())
  with claims.claimed(path) as holder:
    assert not holder.gone
    assert 'on elsewhere since noon; if that has ended: rm ' in str(holder)


def test_a_claim_that_is_being_written_is_a_claim(tmp_path):
  (tmp_path / 'claim').touch()
  with claims.claimed(tmp_path / 'claim') as holder:
    assert holder is not None and not holder.gone
