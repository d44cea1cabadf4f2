"""What all scripts share: T5X's flags, gin, and errors that a person can act on."""

import argparse
import contextlib
import inspect
import os
import sys
import tokenize
from collections.abc import Callable, Sequence
from typing import Any

from flan_jax import cli_distributed, compilation_cache
from flan_jax.cli_help import macro_help
from flan_jax.cli_quiet import quiet_imports, quiet_start
from flan_jax.errors import UserError

USAGE_ERROR = 2
GIN_TRACE = '\n  In call to configurable'  # how gin begins what it adds to the message of an error


def main(description: str | None, configurable: str, argv: Sequence[str] | None, *, takes_adapter: bool = False,
         takes_profile: bool = False, takes_hosts: bool = False,
         without_tensorflow: tuple[str, str] | None = None) -> int:
  """Does what every gin-configured script does: flags, gin, the run; returns the exit code.

  Args:
    description: the script's docstring.
    configurable: the run, e.g. 'runs.finetune', whose file is runs/finetune.gin.
    argv: flags; the process's own where None.
    takes_adapter: adds the flag --force.
    takes_profile: adds the flag --profile.
    takes_hosts: adds the flags of runs on many hosts.
    without_tensorflow: a macro, and the run that is called in this one's place where the macro is set; it imports no
      TensorFlow.
  """
  flags = parser(description, f'{configurable.replace(".", "/")}.gin')
  if takes_adapter:
    add_force(flags)
  if takes_profile:
    add_profile(flags)
  if takes_hosts:
    cli_distributed.add_flags(flags)
  args = parse_args(flags, argv)

  def body() -> None:
    with cli_distributed.together(args) if takes_hosts else contextlib.nullcontext():
      if without_tensorflow is not None and _sets(args, without_tensorflow[0]):
        args.default_file = f'{without_tensorflow[1].replace(".", "/")}.gin'
        load_gin(args, tensorflow=False)
        call(without_tensorflow[1], args)
        return
      load_gin(args)
      call(configurable, args)

  return cli_distributed.leave(run(body, cache=args.compilation_cache))


def parser(description: str | None, default_file: str | None = None) -> argparse.ArgumentParser:
  """Returns a parser with the flags of every gin-configured script, and its macros in the help.

  Args:
    description: the script's docstring.
    default_file: the run file that is read first unless --gin_file names another under runs/.
  """
  result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   epilog=macro_help(default_file) if default_file else None, allow_abbrev=False)
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
  add_no_compilation_cache(result)
  return result


def add_no_compilation_cache(result: argparse.ArgumentParser) -> None:
  """Adds --no_compilation_cache."""
  result.add_argument('--no_compilation_cache', action='store_false', dest='compilation_cache',
                      help='keep nothing that is compiled for the next run')


def add_force(result: argparse.ArgumentParser) -> None:
  """Adds --force, which is --gin.FORCE_ADAPTER=True under the name that people look for."""
  result.add_argument('--force', action='append_const', dest='gin_bindings', const='FORCE_ADAPTER=True',
                      help='put an adapter on a base other than the one it was trained on')


def add_profile(result: argparse.ArgumentParser) -> None:
  """Adds --profile=STEPS, which is --gin.PROFILE='STEPS'."""
  result.add_argument('--profile', action='append', dest='gin_bindings', metavar='STEPS',
                      type=lambda text: f'PROFILE={text!r}',
                      help='steps to trace, such as 10-14; the trace goes to MODEL_DIR/profile')


def positive(text: str) -> int:
  """The type of a flag that counts something: a whole number from 1 on."""
  number = int(text)
  if number < 1:
    raise argparse.ArgumentTypeError(f'must be at least 1, not {number}')
  return number


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


def _sets(args: argparse.Namespace, macro: str) -> bool:
  """Whether the flags, or a gin file that they name, set a macro."""
  from flan_jax import gin_text

  if any(binding.partition('=')[0].strip() == macro for binding in args.gin_bindings):
    return True
  for path in gin_text.closure(args.gin_file, _search_paths(args)):
    with contextlib.suppress(SyntaxError, tokenize.TokenError):  # told when the file is loaded
      if macro in gin_text.macros_of(path):
        return True
  return False


def _search_paths(args: argparse.Namespace) -> list[str]:
  return [path for path in args.gin_search_paths.split(',') if path]


def load_gin(args: argparse.Namespace, *, tensorflow: bool = True) -> None:
  """Registers the configurables and binds the configuration that the flags name.

  Args:
    args: the flags.
    tensorflow: whether the run may need it.

  Raises:
    UserError: with one line for every mistake in it.
  """
  with quiet_imports() if tensorflow else contextlib.nullcontext():
    from flan_jax import configurables, gin_files, gin_text  # seconds of imports behind these: not for --help

    known = configurables.register() if tensorflow else configurables.register_without_tensorflow()
  if tensorflow:
    use_data_dirs(args)
  elif args.tfds_data_dir or args.seqio_additional_cache_dirs:
    raise UserError('This run reads neither TFDS nor SeqIO: leave --tfds_data_dir and --seqio_additional_cache_dirs '
                    'out.')
  search_paths = _search_paths(args)
  files = args.gin_file
  runs = gin_text.PACKAGED / 'runs'
  if args.default_file and not any(path.parent == runs for path in gin_text.closure(files, search_paths)):
    files = [args.default_file, *files]
  gin_files.load(gin_files.Sources(files, args.gin_bindings, search_paths), known)


def call(configurable: str, args: argparse.Namespace) -> Any:
  """Calls a run with its gin bindings and the operative configuration as text.

  Raises:
    UserError: for a value that is missing or of a wrong kind, and for whatever else a person can mend.
  """
  import gin

  function = gin.get_configurable(configurable)
  extra: dict[str, Any] = {'dry_run': True} if args.dry_run else {}
  if 'config_text' in inspect.signature(function).parameters:
    extra['config_text'] = gin.config_str()
  try:
    result = function(**extra)
  except RuntimeError as error:
    if str(error).startswith('Required bindings'):
      raise UserError(str(error).partition(GIN_TRACE)[0]) from error
    raise
  if args.dry_run:
    print('dry run: everything was built, nothing was written')
  return result


def use_data_dirs(args: argparse.Namespace) -> None:
  """Points TFDS and SeqIO at the folders of the flags.

  Raises:
    UserError: where a folder does not exist.
  """
  folders = [path for path in args.seqio_additional_cache_dirs.split(',') if path]
  if not args.tfds_data_dir and not folders:
    return
  import seqio

  if args.tfds_data_dir:
    if not os.path.isdir(args.tfds_data_dir) and '://' not in args.tfds_data_dir:  # noqa: PTH112
      raise UserError(f'--tfds_data_dir: there is no folder {args.tfds_data_dir!r}.')
    seqio.set_tfds_data_dir_override(args.tfds_data_dir)
  if folders:
    seqio.add_global_cache_dirs(folders)


def run(main: Callable[[], Any], *, cache: bool = True) -> int:
  """Runs a script's body and returns its exit code: a user's mistake is one line on stderr and code 2.

  Args:
    main: the body.
    cache: whether what JAX compiles is kept for the next run.
  """
  with quiet_start():
    try:
      if cache:
        compilation_cache.enable()
      main()
    except UserError as error:
      for line in str(error).partition(GIN_TRACE)[0].splitlines():
        print(f'error: {line}', file=sys.stderr)
      return USAGE_ERROR
    except KeyboardInterrupt:
      print('interrupted', file=sys.stderr)
      return 130
  return 0
