"""From the command to the first step: where the seconds go, without a compilation cache and with one.

  python benchmarks/startup.py                                              # the embedded suite, models/quickstart.gin
  python benchmarks/startup.py --gin_file=models/t5_1_1_small.gin --task=flan2021.sst2 --tfds_data_dir=DIR \\
      --gin.VOCABULARY_FILE=spiece.model --rounds=5 --json=startup.json

Every run is `python -m scripts.train` with TRAIN_STEPS=1 in a fresh process. `cold` has an empty compilation cache,
`cached` the one that a cold run has filled; they take turns, and the first round, which warms the disk, does not count.
One more run under -X importtime says which packages the imports are; that option slows them, so its total is more.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Runs scripts.train, noting when what ends each stretch of the way is reached: the names are those of the table.
CHILD = """
import json, os, sys, time
marks = {'interpreter': time.time()}
def mark(name):
  marks.setdefault(name, time.time())
def around(module, function, before=None, after=None):
  real = getattr(module, function)
  def marked(*args, **kwargs):
    if before: mark(before)
    result = real(*args, **kwargs)
    if after: mark(after)
    return result
  setattr(module, function, marked)
from scripts import train
from flan_jax import cli
around(cli, 'load_gin', 'command line', 'imports and gin')
def call(*args, **kwargs):
  from flan_jax.training import first_step, loop, window
  around(loop, 'train', 'tasks and vocabulary')
  around(loop, 'start_or_resume', 'model on shapes', 'initial weights')
  around(first_step, 'compile_step', 'first rows and batch', 'trace and compile')
  around(window.Window, 'fetch', None, 'first step')
  return real(*args, **kwargs)
real = cli.call
cli.call = call
code = train.main(sys.argv[1:])
with open(os.environ['STARTUP_MARKS'], 'w') as file:
  json.dump(marks, file)
sys.exit(code)
"""
IMPORTED = re.compile(r'import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)')


def command(args: argparse.Namespace, folder: pathlib.Path, data_dir: str) -> list[str]:
  """Returns the flags of a training run of one step into a folder."""
  files = args.gin_file or ['models/quickstart.gin']
  return [*(f'--gin_file={file}' for file in files), f'--gin.MIXTURE_OR_TASK_NAME={args.task}', '--gin.TRAIN_STEPS=1',
          f'--gin.BATCH_SIZE={args.batch_size}', f'--gin.MODEL_DIR={folder}', f'--tfds_data_dir={data_dir}',
          f"--gin.TASK_FEATURE_LENGTHS={{'inputs': {args.inputs}, 'targets': {args.targets}}}", *args.bindings]


def once(flags: Sequence[str], cache: pathlib.Path, folder: pathlib.Path,
         *options: str) -> tuple[dict[str, float], str]:
  """Starts a run; returns the seconds of each stretch and what it wrote to standard error."""
  marks = folder / 'marks.json'
  environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'JAX_COMPILATION_CACHE_DIR': str(cache),
                 'JAX_COMPILATION_CACHE_MAX_SIZE': str(4 * 2**30), 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.2',
                 'STARTUP_MARKS': str(marks)}  # fmt: skip
  began = time.time()
  done = subprocess.run([sys.executable, *options, '-c', CHILD, *flags], cwd=ROOT, env=environment, check=False,
                        capture_output=True, text=True)
  if done.returncode:
    sys.exit(f'the run failed:\n{done.stderr[-3000:]}')
  found, before = {}, began
  for name, reached in json.loads(marks.read_text()).items():
    found[name], before = reached - before, reached
  return {**found, 'all': before - began}, done.stderr


def packages(told: str) -> dict[str, float]:
  """Sums the seconds of -X importtime's lines by package, the greatest first."""
  found: collections.Counter[str] = collections.Counter()
  for microseconds, module in IMPORTED.findall(told):
    found[module.partition('.')[0]] += int(microseconds) / 1e6
  return dict(found.most_common())


def show(sides: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
  """Prints the median and the range of every stretch, both sides beside each other."""
  print(f'{"seconds":<24}' + ''.join(f'{side:>28}' for side in sides) + f'    load average {os.getloadavg()[0]:.1f}')
  for name in next(iter(sides.values()))[0]:
    cells = []
    for rounds in sides.values():
      values = [one[name] for one in rounds]
      cells.append(f'{statistics.median(values):>10.2f} ({min(values):.2f} to {max(values):.2f})'.rjust(28))
    print(f'{name:<24}' + ''.join(cells))


def main() -> None:
  """Measures and prints both tables."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--gin_file', action='append')
  parser.add_argument('--task', default='quickstart_synonym')
  parser.add_argument('--batch_size', type=int, default=8)
  parser.add_argument('--inputs', type=int, default=64)
  parser.add_argument('--targets', type=int, default=16)
  parser.add_argument('--tfds_data_dir', help='where the rows of the task are (default: the embedded suite, made here)')
  parser.add_argument('--rounds', type=int, default=5, help='that count')
  parser.add_argument('--json', help='a file for the figures of every round')
  args, args.bindings = parser.parse_known_args()
  unknown = [flag for flag in args.bindings if not flag.startswith('--gin.')]
  if unknown:
    parser.error(f'no flag {unknown[0]}; gin bindings are --gin.NAME=VALUE')
  with tempfile.TemporaryDirectory() as place:
    results = measure(args, pathlib.Path(place))
  if args.json:
    pathlib.Path(args.json).write_text(json.dumps(results, indent=2) + '\n')


def measure(args: argparse.Namespace, place: pathlib.Path) -> dict[str, Any]:
  """Runs all rounds in a folder, prints the tables, and returns the figures."""
  data_dir = args.tfds_data_dir or str(place / 'tfds')
  if not args.tfds_data_dir:
    make = f'from tasks.quickstart import builder; builder.prepare({data_dir!r})'
    subprocess.run([sys.executable, '-c', make], cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)}, check=True,
                   capture_output=True)
  sides: dict[str, list[dict[str, float]]] = {'cold': [], 'cached': []}
  for number in range(args.rounds + 1):
    cache = place / f'cache_{number}'
    for side in sides:
      print(f'round {number} of {args.rounds}, {side}', file=sys.stderr, flush=True)
      folder = place / f'{side}_{number}'
      folder.mkdir()
      seconds, _ = once(command(args, folder / 'run', data_dir), cache, folder)
      if number or not args.rounds:
        sides[side].append(seconds)
  show(sides)
  folder = place / 'imports'
  folder.mkdir()
  _, told = once(command(args, folder / 'run', data_dir), cache, folder, '-X', 'importtime')
  imports = packages(told)
  print(f'\nimports by package, {sum(imports.values()):.2f} s under -X importtime')
  for name, seconds in list(imports.items())[:15]:
    print(f'  {name:<24}{seconds:>8.2f}')
  return {'sides': sides, 'imports': imports}


if __name__ == '__main__':
  main()
