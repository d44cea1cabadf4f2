"""Checking a gin configuration before any of it is bound, so that all its mistakes can be told at once."""

import dataclasses
import importlib
import inspect
import pathlib
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gin
from gin import config_parser

from flan_jax import gin_text
from flan_jax.errors import UserError, did_you_mean

MODEL_FILE = 'models/t5_1_1_small.gin'  # the one that messages suggest where no model is chosen


@dataclasses.dataclass
class Checker:
  """Walks the statements of all files and bindings, binds nothing, and writes down what is wrong.

  Attributes:
    configurables: what can be configured, by full name.
    search_paths: folders of gin files.
    problems: what was found so far, a sentence each.
  """

  configurables: Mapping[str, Callable[..., Any]]
  search_paths: Sequence[str] = ()
  problems: list[str] = dataclasses.field(default_factory=list)
  _macros: dict[str, Any] = dataclasses.field(default_factory=dict)
  _used: dict[str, str] = dataclasses.field(default_factory=dict)
  _flags: set[str] = dataclasses.field(default_factory=set)
  _open: list[pathlib.Path] = dataclasses.field(default_factory=list)
  _where: str = ''

  def check_file(self, filename: str) -> None:
    """Checks a file and those that it includes."""
    try:
      path = gin_text.find(filename, self.search_paths)
    except UserError as error:
      self._note(str(error))
      return
    if path.resolve() in self._open:
      self._note(f'{filename!r} is being read already: files include each other in a circle.')
      return
    self._open.append(path.resolve())
    self._check_text(path.read_text(encoding='utf-8'), lambda line: f'{filename}:{line}')
    self._open.pop()

  def check_binding(self, binding: str) -> None:
    """Checks a binding of the command line, where a macro that nothing uses is always a mistake."""
    name = binding.partition('=')[0].strip()
    self._check_text(binding, lambda _: f'--gin.{name}')
    self._flags.add(name)

  def finish(self) -> list[str]:
    """Returns all problems, those included that show only at the end: macros without a value or without a use."""
    return list(dict.fromkeys([*self.problems, *self._valueless(), *self._useless()]))

  def _note(self, problem: str) -> None:
    self.problems.append(f'{self._where}: {problem}'.removeprefix(': ').strip())

  def _check_text(self, text: str, place: Callable[[int], str]) -> None:
    outer = self._where
    try:
      for statement in gin_text.statements(text):
        self._where = place(statement.location.line_num)
        self._check(statement)
    except (SyntaxError, tokenize.TokenError) as error:
      line, sentence = gin_text.syntax_problem(error)
      self._where = place(line)
      self._note(sentence)
    self._where = outer

  def _check(self, statement: Any) -> None:
    if isinstance(statement, config_parser.IncludeStatement):
      self.check_file(statement.filename)
    elif isinstance(statement, config_parser.ImportStatement):
      self._check_import(statement.module)
    elif isinstance(statement, config_parser.BindingStatement):
      self._check_value(statement.value)
      self._check_binding(statement)

  def _check_import(self, module: str) -> None:
    try:
      importlib.import_module(module)
    except ImportError as error:
      self._note(f'cannot import {module!r} ({error}).')

  def _check_value(self, value: Any) -> None:
    """Notes the macros and checks the references of a value, however deep they stand in it."""
    if isinstance(value, gin_text.Macro):
      if value != gin_text.REQUIRED:
        self._used.setdefault(value.removeprefix('%'), self._where)
    elif isinstance(value, gin_text.Reference):
      self._callable_of(value.strip('@()').rsplit('/', 1)[-1])
    elif isinstance(value, dict):
      self._check_value([*value, *value.values()])
    elif isinstance(value, (list, tuple)):
      for item in value:
        self._check_value(item)

  def _check_binding(self, statement: Any) -> None:
    if not statement.arg_name:
      self._macros[statement.selector] = statement.value
      return
    function = self._callable_of(statement.selector)
    if function is None:
      return
    parameters = inspect.signature(function).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    if statement.arg_name not in parameters and not open_ended:
      self._note(f'{statement.selector} has no parameter {statement.arg_name!r}. '
                 f'{did_you_mean(statement.arg_name, parameters)}')

  def _callable_of(self, selector: str) -> Callable[..., Any] | None:
    """The configurable of a name, complete or the end of one; None, and a problem noted, where there is none."""
    matches = [name for name in self.configurables if name == selector or name.endswith(f'.{selector}')]
    if len(matches) == 1:
      return self.configurables[matches[0]]
    try:
      return gin.get_configurable(selector)  # registered by a module that the user imports
    except ValueError:
      short = {name.rsplit('.', 1)[-1] for name in self.configurables} if '.' not in selector else self.configurables
      self._note(f'there is nothing to configure named {selector!r}. {did_you_mean(selector, short)}')
      return None

  def _valueless(self) -> Iterator[str]:
    of_model = gin_text.macros_of(*gin_text.closure([MODEL_FILE]))
    for name, where in self._used.items():
      if self._macros.get(name, gin_text.REQUIRED) == gin_text.REQUIRED:
        example = f', e.g. --gin_file={MODEL_FILE}' if name in of_model else ''
        yield f'{name} has no value (used at {where}): pass --gin.{name}=VALUE or a --gin_file that sets it{example}.'

  def _useless(self) -> Iterator[str]:
    """Macros that are set for nothing: any of a flag's, and of a file's those that no packaged file knows.

    A model file may set more than a run uses: evaluation needs no OPTIMIZER.
    """
    unused = [name for name in self._macros if name not in self._used]
    known = gin_text.macros_of(*gin_text.PACKAGED.rglob('*.gin')) if unused else set()
    for name in unused:
      if name in self._flags or name not in known:
        yield f'{name} is set but nothing uses it. {did_you_mean(name, self._used)}'.strip()
