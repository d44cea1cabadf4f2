"""Trains on all clusters but one and judges the model on the one it never saw.

  python -m scripts.zero_shot --gin_file=experiments/quickstart.gin --gin.MODEL_DIR=/tmp/zero_shot
"""

import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  return cli.main(__doc__, 'runs.zero_shot', argv)


if __name__ == '__main__':
  sys.exit(main())
