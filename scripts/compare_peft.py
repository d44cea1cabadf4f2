"""Sets fine-tuning methods side by side on one new task: parameters, memory, speed, accuracy, and what is forgotten.

  python -m scripts.compare_peft --gin_file=models/t5_1_1_small.gin --gin.CHECKPOINT_PATH=runs/base \\
      --gin.NEW_TASK=flan2021.cb --gin.OLD_TASKS="('flan2021.sst2', 'flan2021.trec')" --gin.TRAIN_STEPS=500 \\
      --gin.MODEL_DIR=runs/compare --tfds_data_dir=DIR

Run again, it goes on where it stopped; several processes may run the same command and share the rows.
"""

import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  return cli.main(__doc__, 'runs.compare_peft', argv)


if __name__ == '__main__':
  sys.exit(main())
