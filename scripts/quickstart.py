"""The main job on embedded data: build the suite, tune with clusters held out, and judge zero-shot. No network.

  python -m scripts.quickstart --model_dir runs/quickstart
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--model_dir', default='runs/quickstart', help='where everything goes')
  parser.add_argument('--seed', type=int, default=0, help='of weights and of the order of examples')
  args = parser.parse_args(argv)
  # At this size one thread trains as fast as two, and leaves the other core to the input pipeline.
  os.environ.setdefault('XLA_FLAGS', '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1')
  return cli.run(lambda: run(args.model_dir, args.seed))


def run(model_dir: str, seed: int) -> None:
  """Builds the suite, then runs experiments/quickstart.gin."""
  import tensorflow_datasets as tfds

  from tasks.quickstart import builder

  tfds.disable_progress_bar()
  began = time.monotonic()
  data_dir = os.path.join(model_dir, 'tfds')  # noqa: PTH118
  os.makedirs(data_dir, exist_ok=True)  # noqa: PTH103
  made = builder.prepare(data_dir)
  print(f'suite: {len(made)} datasets made in {data_dir} ({time.monotonic() - began:.0f} s)')
  args = cli.parse_args(cli.parser(__doc__ or '', 'runs/zero_shot.gin'), [
    '--gin_file=experiments/quickstart.gin', f'--gin.MODEL_DIR={model_dir}/seed_{seed}', f'--gin.RANDOM_SEED={seed}',
    f'--tfds_data_dir={data_dir}',
  ])  # fmt: skip
  cli.load_gin(args)
  cli.call('runs.zero_shot', args)
  print(f'done in {time.monotonic() - began:.0f} s; the report is {model_dir}/seed_{seed}/report.html')


if __name__ == '__main__':
  sys.exit(main())
