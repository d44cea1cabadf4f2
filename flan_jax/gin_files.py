"""Reading gin: files are found by name, and every mistake of a configuration is reported at once."""

import dataclasses
import importlib
import inspect
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gin
from gin import config_parser

from flan_jax.errors import UserError, did_you_mean

PACKAGED = pathlib.Path(__file__).resolve().parent.parent / 'gin_configs'
REQUIRED = 'gin.REQUIRED'


@dataclasses.dataclass
class Sources:
  """Where a configuration comes from: files in order, then bindings, which win."""

  files: Sequence[str]
  bindings: Sequence[str] = ()
  search_paths: Sequence[str] = ()


@dataclasses.dataclass
class _Checker(config_parser.ParserDelegate):
  """Walks the statements of all files and bindings, binds nothing, and writes down what is wrong."""

  configurables: dict[str, Callable[..., Any]]
  search_paths: Sequence[str]
  problems: list[str] = dataclasses.field(default_factory=list)
  macros: dict[str, Any] = dataclasses.field(default_factory=dict)
  used_macros: dict[str, str] = dataclasses.field(default_factory=dict)
  where: str = ''

  def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> str:
    """Checks `@name` and stands in for it."""
    del evaluate
    self.callable_of(scoped_configurable_name.rsplit('/', 1)[-1])
    return f'@{scoped_configurable_name}'

  def macro(self, macro_name: str) -> str:
    """Notes `%NAME` and stands in for it."""
    if macro_name != REQUIRED:
      self.used_macros.setdefault(macro_name, self.where)
    return f'%{macro_name}'

  def callable_of(self, selector: str) -> Callable[..., Any] | None:
    """The configurable of a name, complete or the end of one; None, and a problem noted, where there is none."""
    matches = [name for name in self.configurables if name == selector or name.endswith(f'.{selector}')]
    if len(matches) == 1:
      return self.configurables[matches[0]]
    try:
      return gin.get_configurable(selector)  # registered by a module that the user imports
    except ValueError:
      short = {name.rsplit('.', 1)[-1] for name in self.configurables} if '.' not in selector else self.configurables
      self.problems.append(f'{self.where}: there is nothing to configure named {selector!r}. '
                           f'{did_you_mean(selector, short)}')
      return None

  def check_text(self, text: str, name: str) -> None:
    """Checks the statements of one text."""
    self.where = name
    try:
      for statement in config_parser.ConfigParser(text, self):
        self.where = f'{name}:{statement.location.line_num}'
        self._check(statement)
    except SyntaxError as error:
      self.problems.append(f'{name}:{error.lineno}: {error.msg.splitlines()[0]}')

  def _check(self, statement: Any) -> None:
    if isinstance(statement, config_parser.IncludeStatement):
      self.check_file(statement.filename)
    elif isinstance(statement, config_parser.ImportStatement):
      self._check_import(statement.module)
    elif isinstance(statement, config_parser.BindingStatement):
      self._check_binding(statement)

  def check_file(self, filename: str) -> None:
    """Checks a file, found by `find`."""
    try:
      path = find(filename, self.search_paths)
    except UserError as error:
      self.problems.append(f'{self.where}: {error}' if self.where else str(error))
      return
    self.check_text(path.read_text(encoding='utf-8'), filename)

  def _check_import(self, module: str) -> None:
    try:
      importlib.import_module(module)
    except ImportError as error:
      self.problems.append(f'{self.where}: cannot import {module!r} ({error}).')

  def _check_binding(self, statement: Any) -> None:
    if not statement.arg_name:
      self.macros[statement.selector] = statement.value
      return
    function = self.callable_of(statement.selector)
    if function is not None:
      parameters = inspect.signature(function).parameters
      open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
      if statement.arg_name not in parameters and not open_ended:
        self.problems.append(f'{self.where}: {statement.selector} has no parameter {statement.arg_name!r}. '
                             f'{did_you_mean(statement.arg_name, parameters)}')

  def finish(self) -> Iterator[str]:
    """Yields the problems that show only at the end: macros without a value."""
    for name, where in self.used_macros.items():
      if self.macros.get(name, f'%{REQUIRED}') == f'%{REQUIRED}':
        yield f'{name} has no value (used at {where}): pass --gin.{name}=VALUE or a --gin_file that sets it.'
    for name in self.macros:
      if name not in self.used_macros and name.isupper():
        yield f'{name} is set but nothing uses it. {did_you_mean(name, self.used_macros)}'


def find(filename: str, search_paths: Sequence[str] = ()) -> pathlib.Path:
  """Returns the path of a gin file: as given, in a search path, or among the packaged ones.

  Raises:
    UserError: where it is nowhere; the message suggests the nearest packaged names.
  """
  for folder in ('', *search_paths, str(PACKAGED)):
    path = pathlib.Path(folder) / filename
    if path.is_file():
      return path
  packaged = [str(path.relative_to(PACKAGED)) for path in PACKAGED.rglob('*.gin')]
  raise UserError(f'There is no gin file {filename!r}. {did_you_mean(filename, packaged)}')


def load(sources: Sources, configurables: dict[str, Callable[..., Any]]) -> None:
  """Binds a configuration, after checking all of it.

  Args:
    sources: files, then bindings.
    configurables: what can be configured, by full name.

  Raises:
    UserError: one line for every mistake.
  """
  checker = _Checker(configurables, sources.search_paths)
  bindings = [normalize(binding) for binding in sources.bindings]
  for filename in sources.files:
    checker.where = ''
    checker.check_file(filename)
  for binding in bindings:
    checker.check_text(binding, f'--gin.{binding}')
  problems = [*checker.problems, *checker.finish()]
  if problems:
    raise UserError('\n'.join(dict.fromkeys(problems)))
  gin.clear_config()
  for folder in ('', *sources.search_paths, str(PACKAGED)):
    gin.add_config_file_search_path(folder)
  paths = [str(find(filename, sources.search_paths)) for filename in sources.files]
  gin.parse_config_files_and_bindings(paths, bindings, print_includes_and_imports=False)


def normalize(binding: str) -> str:
  """Quotes the value of a flag where it can only be meant as text: `MODEL_DIR=/tmp/run`."""
  name, separator, value = binding.partition('=')
  if not separator:
    raise UserError(f'--gin.{binding}: a binding is NAME=VALUE.')
  try:
    list(config_parser.ConfigParser(f'{name} = {value}', _Permissive()))
  except SyntaxError:
    return f'{name.strip()} = {value.strip()!r}'
  return f'{name.strip()} = {value.strip()}'


class _Permissive(config_parser.ParserDelegate):
  """Accepts any reference: only the syntax matters."""

  def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> str:
    """Stands in for `@name`."""
    del evaluate
    return scoped_configurable_name

  def macro(self, macro_name: str) -> str:
    """Stands in for `%NAME`."""
    return macro_name
