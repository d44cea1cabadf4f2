"""EleutherAI's lm_eval with one more model, flan_jax: all flags are lm_eval's own.

  python -m scripts.lm_eval run --model flan_jax --model_args checkpoint_path=runs/flan,score_eos=true \\
      --tasks rte,boolq --batch_size 32

`python -m scripts.lm_eval run --help` shows the flags; docs/ecosystem.md says what --model_args may name.
"""

import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs lm_eval's command line and returns the exit code."""
  argv = sys.argv[1:] if argv is None else argv
  if list(argv) in (['--help'], ['-h']):
    print(__doc__)  # lm_eval's own takes seconds of imports; that of `run` is the one with the flags
    return 0
  sys.argv = [sys.argv[0], *argv]  # lm_eval reads its flags there

  def body() -> None:
    try:
      from lm_eval import __main__ as lm_eval
    except ImportError as error:
      raise cli.UserError(f"This needs the package lm_eval ({error}): pip install 'flan_jax[lm_eval]'.") from error
    with cli.quiet_imports():
      from flan_jax.runs import lm_eval_checkpoint  # noqa: F401  registers the model
    lm_eval.cli_evaluate()

  return cli.run(body)


if __name__ == '__main__':
  sys.exit(main())
