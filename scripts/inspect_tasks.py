"""Shows what tasks exist and what their examples look like, and finds faults of their declarations.

  python -m scripts.inspect_tasks list [--clusters] [NAME ...]
  python -m scripts.inspect_tasks show flan2021.rte --template 3 --n 5 --tfds_data_dir=DIR
  python -m scripts.inspect_tasks show flan2021 --html out.html --tfds_data_dir=DIR
  python -m scripts.inspect_tasks lint [NAME ...] [--module my_tasks]

A name is a family, a mixture, a dataset's task or any variant of it. Nothing is fetched: rows are read where they are
prepared. lint exits with 1 where it finds a fault.
"""

import argparse
import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  args = parser().parse_args(argv)
  codes = []

  def body() -> None:
    with cli.quiet_imports():
      from flan_jax.inspection import commands  # seconds of imports behind it: not for --help
      from flan_jax.runs import parts
    cli.use_data_dirs(args)
    parts.use_tasks(args.module or parts.TASK_MODULES, flag='--module')
    codes.append({'list': commands.list_tasks, 'show': commands.show, 'lint': commands.lint}[args.command](args))

  return cli.run(body) or codes[0]


def parser() -> argparse.ArgumentParser:
  """Returns the parser of the three commands."""
  common = argparse.ArgumentParser(add_help=False)
  common.add_argument('--module', action='append', metavar='MODULE', help="a module that registers tasks, instead of "
                      'tasks.flan2021 and tasks.quickstart; repeatable')  # fmt: skip
  common.add_argument('--tfds_data_dir', metavar='DIR', help="TFDS's folder (default: $TFDS_DATA_DIR, then TFDS's own)")
  common.set_defaults(seqio_additional_cache_dirs='')
  measured = argparse.ArgumentParser(add_help=False)
  measured.add_argument('--vocabulary', metavar='FILE', help="a SentencePiece model, or 'bytes'")
  measured.add_argument('--inputs_length', type=cli.positive, default=1024, metavar='N', help='tokens, EOS too (1024)')
  measured.add_argument('--targets_length', type=cli.positive, default=256, metavar='N', help='tokens, EOS too (256)')
  result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   allow_abbrev=False)  # fmt: skip
  commands = result.add_subparsers(dest='command', required=True, metavar='COMMAND')

  listing = commands.add_parser('list', parents=[common], help='what exists, with sizes where rows are here',
                                allow_abbrev=False)  # fmt: skip
  listing.add_argument('names', nargs='*', metavar='NAME', help='a family or mixture, or a task: its variants')
  listing.add_argument('--clusters', action='store_true', help='one line per cluster')

  show = commands.add_parser('show', parents=[common, measured], help='rendered examples', allow_abbrev=False)
  show.add_argument('name', metavar='NAME', help='a task of any variant; with --html a mixture or family, too')
  show.add_argument('--template', type=int, metavar='I', help='only this template')
  show.add_argument('--n', type=cli.positive, default=5, metavar='N', help='examples, on a page for each template (5)')
  show.add_argument('--split', choices=('train', 'validation', 'test'), help='which rows (the first that is here)')
  show.add_argument('--seed', type=int, default=0, metavar='N', help='draws templates and exemplars (0)')
  show.add_argument('--html', metavar='FILE', help='write a page instead')

  lint = commands.add_parser('lint', parents=[common, measured], help='faults of declarations', allow_abbrev=False)
  lint.add_argument('names', nargs='*', metavar='NAME', help='families, mixtures or tasks (default: all)')
  lint.add_argument('--rows', type=int, default=200, metavar='N', help='rows read of each dataset (200); 0 reads none')
  lint.add_argument('--max_cut', type=float, default=0.5, metavar='SHARE',
                    help='share of examples that may be cut, with --vocabulary (0.5)')  # fmt: skip
  return result


if __name__ == '__main__':
  sys.exit(main())
