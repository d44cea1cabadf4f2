"""How long it takes to register FLAN 2021, beyond importing SeqIO: python benchmarks/registration.py [--processes 7].

Every measurement is a process of its own. CPU seconds are given beside wall seconds, because the latter say as much
about what else the machine does.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MEASURE = """
import json, time
import seqio
import flan_jax.data.registry
wall, cpu = time.perf_counter(), time.process_time()
import tasks.flan2021
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({'wall': wall, 'cpu': cpu, 'tasks': len(seqio.TaskRegistry.names()),
                  'mixtures': len(seqio.MixtureRegistry.names())}))
"""


def measure() -> dict[str, float]:
  """Registers everything in a fresh process and returns the seconds and the counts."""
  environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'TF_CPP_MIN_LOG_LEVEL': '3'}
  done = subprocess.run([sys.executable, '-c', MEASURE], env=environment, cwd=ROOT, check=True, capture_output=True,
                        text=True)
  return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
  """Measures several times and prints medians and ranges."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--processes', type=int, default=7, help='fresh processes to measure in')
  found = [measure() for _ in range(parser.parse_args().processes)]
  print(f'{found[0]["tasks"]:,} tasks and {found[0]["mixtures"]:,} mixtures; {len(found)} fresh processes, load '
        f'average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores')
  for kind in ('wall', 'cpu'):
    seconds = [one[kind] for one in found]
    print(f'{kind} seconds: median {statistics.median(seconds):.2f}, {min(seconds):.2f} to {max(seconds):.2f}')


if __name__ == '__main__':
  main()
