"""Learns one new task with a PEFT method, and says what it cost and what the model forgot.

  python -m scripts.adapt --gin_file=models/t5_1_1_small.gin --gin.CHECKPOINT_PATH=runs/base \\
      --gin.NEW_TASK=flan2021.cb --gin.OLD_TASKS="('flan2021.sst2', 'flan2021.trec')" --gin.TRAIN_STEPS=500 \\
      --gin.MODEL_DIR=runs/cb --tfds_data_dir=DIR
"""

import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  return cli.main(__doc__, 'runs.adapt', argv)


if __name__ == '__main__':
  sys.exit(main())
