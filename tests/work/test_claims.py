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


def test_the_claim_of_a_process_that_has_ended_here_is_taken_over_by_one(tmp_path, capsys):
  path = tmp_path / 'claim'
  write(path, socket.gethostname(), pid := ended())
  with claims.claimed(path) as holder:
    assert holder is None
    assert f'process {pid} has ended without letting go of {path}: taken over' in capsys.readouterr().out
    with claims.claimed(path) as second:
      assert second.pid == os.getpid()
  assert not list(tmp_path.iterdir())


def test_a_claim_that_was_made_since_one_looked_goes_back_to_its_holder(tmp_path):
  path = tmp_path / 'claim'
  write(path, socket.gethostname(), ended())
  stale = claims.read(path)
  write(path, socket.gethostname(), os.getpid())  # another process was faster
  assert claims._take_over(path, stale) is None
  assert claims.read(path).pid == os.getpid() and list(tmp_path.iterdir()) == [path]
  path.unlink()
  assert claims._take_over(path, stale) is None


def test_of_another_machine_nothing_is_supposed(tmp_path):
  path = tmp_path / 'claim'
  write(path, 'elsewhere', ended())
  with claims.claimed(path) as holder:
    assert not holder.gone
    assert 'on elsewhere since noon; if that has ended on another machine: rm ' in str(holder)


def test_a_claim_that_is_being_written_is_a_claim(tmp_path):
  (tmp_path / 'claim').touch()
  with claims.claimed(tmp_path / 'claim') as holder:
    assert holder is not None and not holder.gone
