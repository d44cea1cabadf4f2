"""Python processes of their own: children that may die at any moment, and the hosts of one job over loopback."""

import os
import pathlib
import socket
import subprocess
import sys

# Metrics of a run that are times, or come of them.
TIMED = ('tokens_per_second', 'steps_per_second', 'step_seconds', 'step_seconds_median', 'data_wait_share',
         'model_flops_per_second', 'peak_resident_memory_bytes')  # fmt: skip
ROOT = pathlib.Path(__file__).parents[1]


def environment(**changes):
  """The variables of a child that a test kills, or keeps from writing.

  It reads the compilation cache that all tests share and never writes there: where half an entry lies, no process can
  write another one.

  Args:
    **changes: to the variables of this process.
  """
  return {**os.environ, 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '1e9', **changes}


def free_port():
  with socket.socket() as found:
    found.bind(('127.0.0.1', 0))
    return found.getsockname()[1]


def flags(index, count, port, heartbeat):
  """The flags of one host."""
  return [] if count == 1 else [
    '--multiprocess_gpu', f'--coordinator_address=127.0.0.1:{port}', f'--process_count={count}',
    f'--process_index={index}', f'--heartbeat_timeout_seconds={heartbeat}']  # fmt: skip


def start(command, devices):
  """Starts one host with so many CPU devices; both its streams are text."""
  flags = f'--xla_force_host_platform_device_count={devices}'
  return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment(XLA_FLAGS=flags), cwd=ROOT)


def job(command, count=2, devices=1, heartbeat=100):
  """Starts all hosts of a job.

  Args:
    command: of Python, without the flags of hosts.
    count: of hosts.
    devices: of each.
    heartbeat: seconds of silence after which a host counts as dead.
  """
  port = free_port()
  return [start([*command, *flags(index, count, port, heartbeat)], devices) for index in range(count)]


def ended(processes, timeout=400):
  """Waits for all; returns the exit code, the output and the errors of each."""
  try:
    said = [process.communicate(timeout=timeout) for process in processes]
  finally:
    for process in processes:
      process.kill()
  return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]
