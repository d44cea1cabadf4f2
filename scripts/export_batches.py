"""Writes a mixture as packed rows of tokens, for training on machines without TensorFlow, SeqIO or TFDS.

  python -m scripts.export_batches --gin_file=models/t5_1_1_small.gin --gin.MIXTURE_OR_TASK_NAME=flan2021 \\
      --gin.EXPORT_DIR=/tmp/rows --gin.VOCABULARY_FILE=spiece.model --tfds_data_dir=DIR
  python -m scripts.train --gin_file=models/t5_1_1_small.gin --gin.EXPORTED_BATCHES=/tmp/rows ...

EXPORT_DIR gets ArrayRecord files of rows, index.json (features, counts, the vocabulary's digest), mixture.json and the
tokenizer's files; it appears when all of it is written. For a soft prompt, name its file here too (--gin_file=
peft/prompt_tuning.gin): packed rows must leave room for it. --dry_run says what would be written.
"""

import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  return cli.main(__doc__, 'runs.export_batches', argv)


if __name__ == '__main__':
  sys.exit(main())
