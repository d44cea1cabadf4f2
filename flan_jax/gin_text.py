"""Gin files as text: found by name, with the files that they include, and the macros that they set."""

import pathlib
import tokenize
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gin import config_parser

from flan_jax.errors import UserError, did_you_mean

PACKAGED = pathlib.Path(__file__).resolve().parent.parent / 'gin_configs'
REQUIRED = '%gin.REQUIRED'


class Macro(str):
  """Stands for `%NAME` in a parsed value."""

  __slots__ = ()


class Reference(str):
  """Stands for `@name` in a parsed value."""

  __slots__ = ()


class _Stand(config_parser.ParserDelegate):
  """Puts `Macro` and `Reference` where gin would put the thing itself: nothing is looked up."""

  def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
    """Stands in for `@name`."""
    return Reference(f'@{scoped_configurable_name}{"()" if evaluate else ""}')

  def macro(self, macro_name: str) -> Macro:
    """Stands in for `%NAME`."""
    return Macro(f'%{macro_name}')


def statements(text: str) -> Iterator[Any]:
  """Yields gin's statements; raises SyntaxError or tokenize.TokenError where there is none."""
  yield from config_parser.ConfigParser(text, _Stand())


def syntax_problem(error: SyntaxError | tokenize.TokenError) -> tuple[int, str]:
  """Returns the line and the sentence of what `statements` raises."""
  if isinstance(error, SyntaxError):
    return error.lineno or 0, str(error.msg).strip().splitlines()[0]
  message, (line, _) = error.args
  return line, f'{message}.'


def find(filename: str, search_paths: Sequence[str] = ()) -> pathlib.Path:
  """Returns the path of a gin file: as given, in a search path, or among the packaged ones.

  Raises:
    UserError: where it is nowhere; the message suggests the nearest packaged names.
  """
  for folder in ('', *search_paths, str(PACKAGED)):
    path = pathlib.Path(folder) / filename
    if path.is_file():
      return path
  packaged = [path.relative_to(PACKAGED).as_posix() for path in PACKAGED.rglob('*.gin')]
  raise UserError(f'There is no gin file {filename!r}. {did_you_mean(filename, packaged)}')


def expand(filename: str, search_paths: Sequence[str] = ()) -> str:
  """Returns the text of a gin file with the files that it includes in place of the `include` lines.

  Gin's own search for included files looks for Python packages of those names first, and logs each failure as an error.
  """
  text = find(filename, search_paths).read_text(encoding='utf-8')
  lines = text.splitlines()
  for statement in statements(text):
    if isinstance(statement, config_parser.IncludeStatement):
      lines[statement.location.line_num - 1] = expand(statement.filename, search_paths)
  return '\n'.join(lines) + '\n'


def closure(files: Sequence[str], search_paths: Sequence[str] = ()) -> set[pathlib.Path]:
  """Returns the paths of files and of all that they include; what cannot be found or read is left out."""
  found: set[pathlib.Path] = set()
  waiting = list(files)
  while waiting:
    try:
      path = find(waiting.pop(), search_paths).resolve()
      if path not in found:
        found.add(path)
        included = list(statements(path.read_text(encoding='utf-8')))
        waiting += [s.filename for s in included if isinstance(s, config_parser.IncludeStatement)]
    except (UserError, SyntaxError, tokenize.TokenError):
      continue
  return found


class MacroLine(NamedTuple):
  """A macro as a file sets it: its name, its value as written, and the comment on its line."""

  name: str
  value: str
  comment: str


def macro_lines(text: str) -> list[MacroLine]:
  """Returns the macros that a gin file sets by itself, in order; of values of several lines only the first line."""
  lines = text.splitlines()
  found = []
  for statement in statements(text):
    if isinstance(statement, config_parser.BindingStatement) and not statement.arg_name:
      _, _, rest = lines[statement.location.line_num - 1].partition('=')
      value, _, comment = rest.partition('  #')
      found.append(MacroLine(statement.selector, value.strip(), comment.strip()))
  return found


def macros_of(*paths: pathlib.Path) -> set[str]:
  """Returns the names of the macros that files set by themselves."""
  return {line.name for path in paths for line in macro_lines(path.read_text(encoding='utf-8'))}
