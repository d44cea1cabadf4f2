"""What all scripts share: T5X's flags, gin, and errors that a person can act on."""

import argparse
import contextlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flan_jax.errors import UserError

USAGE_ERROR = 2


def parser(description: str, default_file: str | None = None) -> argparse.ArgumentParser:
  """Returns a parser with the flags of every gin-configured script.

  Args:
    description: the script's docstring.
    default_file: the run file that is read first unless --gin_file names another under runs/.
  """
  result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   allow_abbrev=False)
  result.set_defaults(default_file=default_file)
  gin = result.add_argument_group('configuration (gin)')
  gin.add_argument('--gin_file', action='append', default=[], metavar='FILE',
                   help='a gin file, e.g. models/t5_1_1_small.gin; repeatable, later ones win')
  gin.add_argument('--gin_bindings', action='append', default=[], metavar='BINDING',
                   help="a binding, e.g. 'finetune.seed = 1'; repeatable. --gin.NAME=VALUE is the same")
  gin.add_argument('--gin_search_paths', default='', metavar='DIRS', help='folders of gin files, by commas')
  data = result.add_argument_group('data')
  data.add_argument('--tfds_data_dir', metavar='DIR', help="TFDS's folder (default: $TFDS_DATA_DIR, then TFDS's own)")
  data.add_argument('--seqio_additional_cache_dirs', default='', metavar='DIRS', help='SeqIO caches, by commas')
  result.add_argument('--dry_run', action='store_true', help='build everything, run one step on shapes, print the plan')
  return result


def split_gin_flags(argv: Sequence[str]) -> tuple[list[str], list[str]]:
  """Separates `--gin.NAME=VALUE` flags, as T5X has them, from the others: (bindings, rest)."""
  bindings = [arg.removeprefix('--gin.') for arg in argv if arg.startswith('--gin.')]
  return bindings, [arg for arg in argv if not arg.startswith('--gin.')]


def parse_args(result: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
  """Parses flags; `--gin.NAME=VALUE` ones are added to `gin_bindings`, which come last and win."""
  bindings, rest = split_gin_flags(sys.argv[1:] if argv is None else argv)
  args = result.parse_args(rest)
  args.gin_bindings += bindings
  return args


def load_gin(args: argparse.Namespace) -> None:
  """Registers the configurables and binds the configuration that the flags name.

  Raises:
    UserError: with one line for every mistake in it.
  """
  from flan_jax import configurables, gin_files  # the libraries behind these take seconds to import: not for --help

  use_data_dirs(args)
  files = args.gin_file
  if args.default_file and not any(name.startswith(('runs/', 'experiments/')) or '/runs/' in name for name in files):
    files = [args.default_file, *files]
  search_paths = [path for path in args.gin_search_paths.split(',') if path]
  gin_files.load(gin_files.Sources(files, args.gin_bindings, search_paths), configurables.register())


def call(configurable: str, args: argparse.Namespace) -> Any:
  """Calls a run with its gin bindings and the operative configuration as text.

  Raises:
    UserError: where a required parameter has no value.
  """
  import gin

  function = gin.get_configurable(configurable)
  extra: dict[str, Any] = {'dry_run': True} if args.dry_run else {}
  if 'config_text' in inspect.signature(function).parameters:
    extra['config_text'] = gin.config_str()
  try:
    result = function(**extra)
  except TypeError as error:
    if 'required' in str(error) and 'argument' in str(error):
      raise UserError(f'{configurable}: {str(error).splitlines()[0]}') from error
    raise
  if args.dry_run:
    print(getattr(result, 'table', None) or 'dry run: everything was built')
  return result


def use_data_dirs(args: argparse.Namespace) -> None:
  """Points TFDS and SeqIO at the folders of the flags.

  Raises:
    UserError: where a folder does not exist.
  """
  import seqio

  if args.tfds_data_dir:
    if not os.path.isdir(args.tfds_data_dir) and '://' not in args.tfds_data_dir:  # noqa: PTH112
      raise UserError(f'--tfds_data_dir: there is no folder {args.tfds_data_dir!r}.')
    seqio.set_tfds_data_dir_override(args.tfds_data_dir)
  folders = [path for path in args.seqio_additional_cache_dirs.split(',') if path]
  if folders:
    seqio.add_global_cache_dirs(folders)


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
  """Keeps the start-up chatter of the libraries off the screen, unless the user asked for it."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('TFDS_DISABLE_PROGRESS_BAR', '1')
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', DeprecationWarning)
    yield


def run(main: Callable[[], Any]) -> int:
  """Runs a script's body and returns its exit code: a user's mistake is one line on stderr and code 2."""
  with quiet_start():
    try:
      main()
    except UserError as error:
      for line in str(error).splitlines():
        print(f'error: {line}', file=sys.stderr)
      return USAGE_ERROR
    except KeyboardInterrupt:
      print('interrupted', file=sys.stderr)
      return 130
  return 0
