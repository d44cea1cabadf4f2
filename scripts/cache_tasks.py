"""Builds SeqIO's offline caches of tasks or mixtures with Apache Beam; training reads them by USE_CACHED_TASKS.

  python -m scripts.cache_tasks flan2021.without_nli --cache_dir=/data/caches --tfds_data_dir=DIR
  python -m scripts.cache_tasks flan2021 --cache_dir=gs://bucket/caches --tfds_data_dir=gs://bucket/tfds \\
      --pipeline_options=--runner=DataflowRunner,--project=P,--region=R
  python -m scripts.train ... --gin.USE_CACHED_TASKS=True --seqio_additional_cache_dirs=/data/caches

A cache holds the texts of a dataset's rows; templates, exemplars and tokens are made when it is read, so that all
variants of a dataset share it, and training on it sees the examples that it would see without. A whole cache is left
alone; one that was interrupted is built again. Without Apache Beam (pip install "flan_jax[beam]") the files are written
one after the other in this process.
"""

import argparse
import sys
from collections.abc import Sequence

from flan_jax import cli
from flan_jax.cli_quiet import quiet_imports


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  args = parser().parse_args(argv)

  def body() -> None:
    with quiet_imports():
      from flan_jax.runs import cache_tasks, parts  # TensorFlow is behind them: not for --help
    cli.use_data_dirs(args)
    cache_tasks.cache_tasks(args.names, args.cache_dir, modules=args.module or parts.TASK_MODULES,
                            tfds_data_dir=args.tfds_data_dir, overwrite=args.overwrite,
                            pipeline_options=[option for given in args.pipeline_options for option in given.split(',')])

  return cli.run(body)


def parser() -> argparse.ArgumentParser:
  """Returns the parser of the flags."""
  result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   allow_abbrev=False)  # fmt: skip
  result.add_argument('names', nargs='+', metavar='NAME', help='a task or mixture')
  result.add_argument('--cache_dir', required=True, metavar='DIR', help='gets a folder for each dataset')
  result.add_argument('--module', action='append', metavar='MODULE', help='a module that registers tasks, instead of '
                      'tasks.flan2021 and tasks.quickstart; repeatable')  # fmt: skip
  result.add_argument('--tfds_data_dir', metavar='DIR', help="TFDS's folder (default: $TFDS_DATA_DIR, then TFDS's own)")
  result.add_argument('--pipeline_options', action='append', default=[], metavar='OPTIONS',
                      help="Beam's own flags by commas, e.g. --runner=FlinkRunner,--parallelism=8; repeatable")
  result.add_argument('--overwrite', action='store_true', help='build whole caches again')
  result.set_defaults(seqio_additional_cache_dirs='')
  return result


if __name__ == '__main__':
  sys.exit(main())
