"""Pages about runs that are finished: one run's report, and runs side by side.

  python -m scripts.report build DIR
  python -m scripts.report compare DIR DIR ... --output FILE.html [--arm NAME]
  python -m scripts.report seeds DIR DIR ... [--output FILE.html] [--arm NAME]

DIR is a folder with results.json and predictions/, as scripts.evaluate and scripts.zero_shot leave it. build writes
DIR/report.html and DIR/plots/ anew from what lies there. compare asks how far each run is above the first one on the
same rows, seeds what runs that differ in their seeds have in common; both end with an error where runs were not asked
the same.
"""

import argparse
import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  args = parser().parse_args(argv)
  return cli.run(lambda: {'build': _build, 'compare': _compare, 'seeds': _seeds}[args.command](args))


def parser() -> argparse.ArgumentParser:
  """Returns the parser of the commands."""
  result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   allow_abbrev=False)  # fmt: skip
  commands = result.add_subparsers(dest='command', required=True, metavar='COMMAND')
  build = commands.add_parser('build', help="a run's report.html, from its files", allow_abbrev=False)
  build.add_argument('folder', metavar='DIR', help='a folder with results.json')
  build.add_argument('--answers', type=cli.positive, default=20, metavar='N',
                     help='answers of each kind to show of a task and arm, at most (20)')  # fmt: skip
  compare = commands.add_parser('compare', help='runs side by side, paired by row', allow_abbrev=False)
  compare.add_argument('folders', nargs='+', metavar='DIR', help='two folders or more; the first is compared with')
  compare.add_argument('--output', required=True, metavar='FILE', help='the page to write')
  compare.add_argument('--arm', metavar='NAME', help="only this arm of each run, e.g. 'tuned'")
  seeds = commands.add_parser('seeds', help='the same with several seeds: mean and spread', allow_abbrev=False)
  seeds.add_argument('folders', nargs='+', metavar='DIR', help='two folders or more')
  seeds.add_argument('--output', metavar='FILE', help='a page to write, too')
  seeds.add_argument('--arm', metavar='NAME', help="only this arm of each run, e.g. 'tuned'")
  return result


def _build(args: argparse.Namespace) -> None:
  from flan_jax.evaluation.protocol_report import write_protocol_report  # matplotlib is behind it: not for --help

  print(write_protocol_report(args.folder, args.answers))


def _compare(args: argparse.Namespace) -> None:
  import rich

  from flan_jax.evaluation import compare_runs  # matplotlib is behind it: not for --help

  found = compare_runs.compare_runs(args.folders, args.arm)
  print(compare_runs.write_comparison(args.output, found))
  for level in compare_runs.LEVELS:
    rich.print(found.table(level))


def _seeds(args: argparse.Namespace) -> None:
  import rich

  from flan_jax.evaluation import seeds
  from flan_jax.evaluation.report import Section, write_report

  table = seeds.seed_table(seeds.over_seeds(seeds.read_runs(args.folders, args.arm)))
  rich.print(table)
  if args.output:
    print(write_report(args.output, 'The same with several seeds', [Section('Over seeds', tables=[table])],
                       ', '.join(args.folders)))


if __name__ == '__main__':
  sys.exit(main())
