"""Packed rows per CPU-second: exported ones through grain, beside the same mixture through tf.data.

  python benchmarks/exported.py --gin_file=models/t5_1_1_small.gin --gin.MIXTURE_OR_TASK_NAME=flan2021.sst2 \\
      --gin.EXPORT_DIR=/tmp/rows --gin.VOCABULARY_FILE=spiece.model --tfds_data_dir=DIR [--rounds=5] [--json=FILE]

The flags are those of scripts.export_batches, which writes EXPORT_DIR where it is missing. Both sides are measured in
turn in every round, in CPU seconds of all threads: wall seconds say as much about what else the machine does. Start-up
is told apart: seconds from nothing to the first batch. Takes: a minute for small tasks.
"""

import argparse
import itertools
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator

from flan_jax import cli

ROWS, BATCH = 2048, 64  # of a measurement


def timed(make: Callable[[], Iterator]) -> tuple[Iterator, float]:
  """A stream, and the wall seconds from nothing to its first batch."""
  begin = time.perf_counter()
  stream = make()
  next(stream)
  return stream, time.perf_counter() - begin


def rows_per_cpu_second(stream: Iterator) -> float:
  """Reads on."""
  begin = time.process_time()
  for _ in itertools.islice(stream, ROWS // BATCH):
    pass
  return ROWS / (time.process_time() - begin)


def measure(export: pathlib.Path, rounds: int) -> dict[str, list[float]]:
  """Rows per CPU-second of both sides by round, and seconds to the first batch."""
  from flan_jax.data import iterator
  from flan_jax.exported.reader import ExportedBatches, ExportedRows

  index = ExportedRows(export).index
  tf_data, first = timed(lambda: iterator.batches(index.mixture, index.lengths, BATCH, seed=index.seed,
                                                  split=index.split, pack=index.packed, prompts=index.prompts))
  exported, first_exported = timed(lambda: ExportedBatches(ExportedRows(export), BATCH))
  found: dict[str, list[float]] = {'tf.data': [], 'exported': [], 'first batch, tf.data': [first],
                                   'first batch, exported': [first_exported]}
  for stream in (tf_data, exported):
    rows_per_cpu_second(stream)
  for _ in range(rounds):
    found['tf.data'].append(rows_per_cpu_second(tf_data))
    found['exported'].append(rows_per_cpu_second(exported))
  return found


def main() -> None:
  """Exports where there is nothing yet, measures, and prints a table."""
  flags = cli.parser(__doc__, 'runs/export_batches.gin')
  flags.add_argument('--rounds', type=cli.positive, default=5)
  flags.add_argument('--json', type=pathlib.Path)
  args: argparse.Namespace = cli.parse_args(flags, None)

  def body() -> None:
    cli.load_gin(args)
    import gin

    export = pathlib.Path(gin.query_parameter('%EXPORT_DIR'))
    if not export.exists():
      cli.call('runs.export_batches', args)
    else:
      from flan_jax.data.vocabulary import use_vocabulary
      from flan_jax.runs import parts

      parts.use_tasks(gin.query_parameter('%MIXTURE_OR_TASK_MODULE'))
      use_vocabulary(gin.query_parameter('%VOCABULARY').scoped_configurable_fn())
    found = measure(export, args.rounds)
    for side in ('tf.data', 'exported'):
      values = found[side]
      print(f'{side:<10} {statistics.median(values):>10,.0f} rows per CPU-second '
            f'({min(values):,.0f} to {max(values):,.0f}); first batch after {found[f"first batch, {side}"][0]:.2f} s')
    ratio = statistics.median(b / a for a, b in zip(found['tf.data'], found['exported'], strict=True))
    print(f'exported / tf.data: x {ratio:.1f}')
    if args.json:
      args.json.write_text(json.dumps(found, indent=2))

  sys.exit(cli.run(body))


if __name__ == '__main__':
  main()
