"""Memory of the whole FLAN 2021 mixture with its shuffle buffers on.

  python benchmarks/pipeline_memory.py --vocabulary=spiece.model [--batches=200]

Rows of all 70 datasets are not to be had here, so that rows are made up: of each true TFDS builder's features, prepared
as a TFDS folder under its true name (in a temporary folder), their texts of up to --longest words each. A fresh process
then reads packed batches of `flan2021` until every shuffle buffer has long been full, and says its peak.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def peak_mb() -> float:
  """The most memory this process has had; `getrusage` would begin with what the process that started it had."""
  return int(re.search(r'VmHWM:\s*(\d+)', pathlib.Path('/proc/self/status').read_text())[1]) / 1024


def prepare(folder: str, rows: int, longest: int) -> int:
  """Prepares the training rows of every dataset, and returns how many builders there are."""
  import tensorflow_datasets as tfds

  from tasks.flan2021 import FAMILY
  from tests.tasks.flan2021 import made_up

  sources: dict[str, list] = {}
  for dataset in FAMILY.datasets:
    sources.setdefault(dataset.source, []).append(dataset)
  for source, (dataset, *others) in sources.items():
    builder = tfds.builder(source, data_dir=folder)
    split = dataset.splits.train.split('[')[0]
    # Three datasets read one after the other from a corpus of sentence pairs, and hold back its last rows.
    starts = [int(re.search(r'\[(\d*)', f'{d.splits.train}[')[1] or 0) for d in (dataset, *others)]
    count, words = (max(starts) + rows + 4000, 30) if max(starts) else (rows, longest)
    examples = made_up.values(dataset.name, builder.info.features, count, words)
    builder._split_generators = lambda *_, s=split, e=examples, **__: {s: iter(enumerate(e))}
    with contextlib.suppress(AttributeError):
      type(builder).MANUAL_DOWNLOAD_INSTRUCTIONS = None
    builder.download_and_prepare()
  return len(sources)


def kept(folder: str) -> list[str]:
  """Returns the tasks of which some made-up row passes the filter; a process of its own, for it reads them all."""
  import seqio

  from flan_jax.data import registry
  from flan_jax.data.extract import extract_fields
  from tasks import flan2021  # noqa: F401  registers the tasks

  seqio.set_tfds_data_dir_override(folder)

  def passes(task: str) -> bool:
    info = registry.task_info(task)
    rows = seqio.TaskRegistry.get(task).source.get_dataset('train', shuffle=False)
    return info.dataset.keep is None or bool(list(extract_fields(info.dataset)(rows).take(1)))

  return [task for task in registry.tasks_of('flan2021') if passes(task)]


def read(folder: str, tasks: list[str], vocabulary_file: str, batches: int) -> dict[str, float]:
  """Reads batches and returns what it took."""
  import seqio

  from flan_jax.data import iterator, provenance, registry, vocabulary
  from tasks import flan2021  # noqa: F401  registers the tasks

  seqio.set_tfds_data_dir_override(folder)
  vocabulary.use_vocabulary(seqio.SentencePieceVocabulary(vocabulary_file))
  mixture = registry.mixture_of(tasks)
  before = peak_mb()
  began, cpu = time.monotonic(), time.process_time()
  stream = iterator.batches(mixture, {'inputs': 1024, 'targets': 256}, 8)
  built = time.monotonic() - began
  first = next(stream)
  until_first = time.monotonic() - began
  examples = sum(count.examples for count in provenance.count(first[provenance.FEATURE]).values())
  for _ in range(batches):
    examples += sum(count.examples for count in provenance.count(next(stream)[provenance.FEATURE]).values())
  cpu = time.process_time() - cpu
  position = stream.get_state()
  return {
    'datasets': len(tasks), 'before_mb': before, 'peak_mb': peak_mb(), 'position_mb': len(position) / 2**20,
    'built_s': built, 'first_batch_s': until_first, 'examples': examples, 'examples_per_cpu_s': examples / cpu,
  }  # fmt: skip


def main() -> None:
  """Prepares, reads in a process of its own, and prints."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--vocabulary', required=True, help='a SentencePiece model')
  parser.add_argument('--batches', type=int, default=200)
  parser.add_argument('--rows', type=int, default=1500, help='of each dataset; a shuffle buffer holds 1,000')
  parser.add_argument('--longest', type=int, default=400, help='words of a text')
  parser.add_argument('--folder', help='where rows are prepared, and found prepared by the next run; removed otherwise')
  parser.add_argument('--read', help=argparse.SUPPRESS)
  parser.add_argument('--tasks', help=argparse.SUPPRESS)
  arguments = parser.parse_args()
  if arguments.read:
    print(json.dumps(read(arguments.read, arguments.tasks.split(','), arguments.vocabulary, arguments.batches)))
    return
  with contextlib.nullcontext(arguments.folder) if arguments.folder else tempfile.TemporaryDirectory() as folder:
    builders = prepare(folder, arguments.rows, arguments.longest)
    command = [sys.executable, __file__, '--read', folder, '--tasks', ','.join(kept(folder)), '--vocabulary',
               arguments.vocabulary, f'--batches={arguments.batches}']  # fmt: skip
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
  print(f'{found["datasets"]} datasets of {builders} TFDS builders, at least {arguments.rows:,} made-up rows each, '
        f'texts of 2 to {arguments.longest} words')
  print(f'peak memory {found["peak_mb"]:,.0f} MB, of which {found["before_mb"]:,.0f} MB before the first row')
  print(f'pipeline built after {found["built_s"]:.0f} s, first batch after {found["first_batch_s"]:.0f} s; '
        f'{found["examples"]:,} examples, {found["examples_per_cpu_s"]:,.0f} per CPU-second from the start on; '
        f'a saved position takes {found["position_mb"]:.0f} MB')


if __name__ == '__main__':
  main()
