"""Scores a checkpoint on tasks: rank classification where rows have options, generation elsewhere.

  python -m scripts.evaluate --gin_file=models/t5_1_1_tiny.gin --gin.CHECKPOINT_PATH=/tmp/run \\
      --gin.MIXTURE_OR_TASK_NAME=sst2 --gin.EVAL_OUTPUT_DIR=/tmp/run/eval --tfds_data_dir=DIR
"""

import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  return cli.main(__doc__, 'runs.evaluate', argv, takes_adapter=True)


if __name__ == '__main__':
  sys.exit(main())
