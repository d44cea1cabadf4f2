"""What `scripts.inspect_tasks` does, command by command: flags in, text on the screen out."""

import argparse
import pathlib
import sys
from collections.abc import Iterator

import rich.console
import seqio

from flan_jax.data import registry
from flan_jax.data.registry import TaskInfo
from flan_jax.data.vocabulary import use_vocabulary
from flan_jax.errors import UserError
from flan_jax.evaluation.tables import Table
from flan_jax.inspection import catalog, names, terminal
from flan_jax.inspection.examples import read, read_each
from flan_jax.inspection.page import Shelf, page
from flan_jax.lint.lengths import Lengths
from flan_jax.lint.run import lint as lint_datasets

BYTES = 'bytes'
PIPE_WIDTH = 160  # of tables where nobody looks at them


def list_tasks(args: argparse.Namespace) -> int:
  """Prints families, clusters, datasets, or the tasks of a dataset."""
  console = _console()
  for title, infos in _groups(args.names):
    if len(infos) == 1 and title not in {family.name for family in registry.families()}:
      print('\n'.join(catalog.tasks(infos[0])))
      continue
    family = registry.family(infos[0].family)
    table: Table = catalog.clusters(family, infos) if args.clusters else catalog.datasets(title, infos)
    console.print(table)
    console.print()
  return 0


def show(args: argparse.Namespace) -> int:
  """Prints examples, or writes them to a page."""
  infos = names.tasks_of([args.name])
  if args.template is not None:
    infos = [names.alone(info, args.template) for info in infos]
  lengths = {'inputs': args.inputs_length, 'targets': args.targets_length}
  measured_by = _choose_vocabulary(args.vocabulary or BYTES)
  if args.html:
    _write_page(args, infos, lengths, measured_by)
    return 0
  if len(infos) > 1:
    raise UserError(f'show: {args.name!r} is a mixture of {len(infos)} tasks; name one, e.g. {infos[0].name!r}, or '
                    'write a page of all with --html FILE.')
  (info,) = infos
  split, console = names.split_of(info, args.split), _console()
  examples = read(info, split, args.n, args.seed, lengths)
  for number, example in enumerate(examples):
    terminal.show(console, info, number, example)
  console.print(f'{len(examples)} from {split} of {info.name} ({names.origin_of(info)}). Lengths: {measured_by}, '
                f'end of sequence included; cut at {args.inputs_length} and {args.targets_length}.', soft_wrap=True)
  return 0


def lint(args: argparse.Namespace) -> int:
  """Prints findings and a summary; returns 1 where there is a fault."""
  lengths = None
  if args.vocabulary:
    _choose_vocabulary(args.vocabulary)
    limits = {'inputs': args.inputs_length, 'targets': args.targets_length}
    lengths = Lengths(registry.FEATURES['inputs'].vocabulary, limits, args.max_cut)
  report = lint_datasets(names.datasets_of(names.tasks_of(args.names)), args.rows, lengths)
  for finding in report.findings:
    print(finding)
  for name, shares in report.cut.items():
    cut = ', '.join(f'{feature} {share:.1%}' for feature, share in shares.items() if share)
    print(f'cut at {args.inputs_length} and {args.targets_length} tokens: {name}: {cut}')
  print(report.summary)
  return 1 if report.faults else 0


def _groups(wanted: list[str]) -> Iterator[tuple[str, list[TaskInfo]]]:
  """What is listed together: each name that was given, or every family."""
  for name in wanted or [family.name for family in registry.families()]:
    yield name, names.tasks_of([name])


def _console() -> rich.console.Console:
  return rich.console.Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def _choose_vocabulary(name: str) -> str:
  """Puts a vocabulary in force and returns it in words.

  Raises:
    UserError: where it cannot be read.
  """
  if name == BYTES:
    use_vocabulary(seqio.ByteVocabulary())
    return 'bytes (--vocabulary FILE counts the tokens of a SentencePiece model)'
  vocabulary = seqio.SentencePieceVocabulary(name)
  try:
    size = vocabulary.vocab_size
  except Exception as error:  # TensorFlow's, protobuf's and SentencePiece's errors have no base class in common
    cause = ' '.join(str(error).split())[:160]
    raise UserError(f'--vocabulary: cannot read a SentencePiece model from {name!r} ({cause}); give a file, or '
                    f'{BYTES!r}.') from error
  use_vocabulary(vocabulary)
  return f'tokens of {name} ({size:,} ids)'


def _write_page(args: argparse.Namespace, infos: list[TaskInfo], lengths: dict[str, int], measured_by: str) -> None:
  shelves, left_out = [], {}
  for info in infos:
    try:
      split = names.split_of(info, args.split)
    except UserError as error:
      if len(infos) == 1:
        raise
      left_out[info.name] = str(error)
      continue
    shelves.append(Shelf(info, split, read_each(info, split, args.n, args.seed, lengths)))
  if not shelves:
    raise UserError(f'show: none of the {len(infos)} datasets of {args.name!r} has rows here; point --tfds_data_dir at '
                    'the folder that holds them.')
  text = page(args.name, measured_by, lengths, shelves, left_out)
  try:
    pathlib.Path(args.html).write_text(text, encoding='utf-8')
  except OSError as error:
    raise UserError(f'--html: cannot write {args.html!r} ({error.strerror}).') from error
  examples = sum(len(shelf.examples) for shelf in shelves)
  print(f'{args.html}: {examples:,} examples of {len(shelves)} datasets, {len(text) / 1e6:.1f} MB')
  if left_out:
    print(f'left out, no rows here: {" ".join(left_out)}')
