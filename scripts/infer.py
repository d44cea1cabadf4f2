"""Answers the lines of a text, .jsonl or .tsv file, of standard input, or the rows of a task, with a checkpoint.

  python -m scripts.infer --gin_file=models/t5_1_1_tiny.gin --gin.CHECKPOINT_PATH=/tmp/run \\
      --gin.INPUT_FILE=prompts.txt --gin.INFER_OUTPUT_DIR=/tmp/run/infer
  python -m scripts.infer --gin_file=models/t5_1_1_tiny.gin --gin.CHECKPOINT_PATH=/tmp/run --interactive

Answers and their scores are written as JSON lines in the order of the inputs. Stopped and given again, the same command
continues where it was. --interactive asks for one prompt after the other instead.
"""

import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  parser = cli.parser(__doc__, 'runs/infer.gin')
  parser.add_argument('--interactive', action='store_true', help='answer what is typed, line by line; /help says more')
  cli.add_force(parser)
  args = cli.parse_args(parser, argv)

  def body() -> None:
    cli.load_gin(args)
    cli.call('runs.interact' if args.interactive else 'runs.infer', args)

  return cli.run(body, cache=args.compilation_cache)


if __name__ == '__main__':
  sys.exit(main())
