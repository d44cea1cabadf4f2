"""Answers the lines of a text file (or of a .jsonl file, or the rows of a task) with a checkpoint.

  python -m scripts.infer --gin_file=models/t5_1_1_tiny.gin --gin.CHECKPOINT_PATH=/tmp/run \\
      --gin.INPUT_FILE=prompts.txt --gin.INFER_OUTPUT_DIR=/tmp/run/infer
"""

import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  return cli.main(__doc__, 'runs.infer', argv)


if __name__ == '__main__':
  sys.exit(main())
