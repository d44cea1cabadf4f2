"""Where a declaration stands: the file and line of a `Dataset` or `Template`, read from the source of its module."""

import ast
import dataclasses
import functools
import io
import pathlib
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from typing import Any

from flan_jax.data.dataset import Dataset
from flan_jax.data.template import Template

_ALLOW = re.compile(r'#\s*lint:\s*allow\s+([\w-]+(?:\s*,\s*[\w-]+)*)')


@dataclasses.dataclass(frozen=True)
class Literal:
  """A dataset's declaration in a file.

  Attributes:
    file: the module's, absolute.
    start: its first line.
    stop: its last line.
    templates: the line of each template, the first line where it is made by a function.
    allowed: the rules that a comment `# lint: allow RULE, RULE` in the declaration, or outside all of the file's
      declarations, suspends.
  """

  file: str
  start: int
  stop: int
  templates: tuple[int, ...]
  allowed: frozenset[str] = frozenset()


class Places:
  """Finds declarations in the modules that are imported now."""

  def __init__(self) -> None:
    self._files: dict[int, list[str]] = {}  # of a dataset's or template's `id`: the modules whose globals hold it
    self._declaring: list[str] = []  # the modules that know what a dataset is
    for module in list(sys.modules.values()):
      file = getattr(module, '__file__', None)
      if isinstance(file, str) and file.endswith('.py'):
        for value in _declared(module.__dict__):
          self._files.setdefault(id(value), []).append(file)
        if any(value is Dataset or value is Template for value in list(module.__dict__.values())):
          self._declaring.append(file)

  def literal(self, dataset: Dataset) -> Literal:
    """Returns where a dataset is declared.

    The declaration is the call that gives the dataset's name or, where the name is put together, the smallest call
    around most of its templates; where there is no such call, its first template.
    """
    holders = [file for value in (dataset, *dataset.templates) for file in self._files.get(id(value), [])]
    found = [_search(_module(file), dataset) for file in dict.fromkeys(holders or self._declaring)]
    if not any(any(score[:2]) for score, _ in found):
      code = getattr(getattr(dataset.fields, 'func', dataset.fields), '__code__', None)
      file = code.co_filename if code else '<unknown>'
      return Literal(file, code.co_firstlineno if code else 1, 0, (1,) * len(dataset.templates))
    return max(found, key=lambda pair: pair[0])[1]


def _declared(namespace: dict[str, Any]) -> Iterator[Dataset | Template]:
  """The datasets and templates that a module's globals hold, alone or in tuples, lists and dictionaries."""
  for value in list(namespace.values()):
    inside = list(value.values()) if type(value) is dict else value if type(value) in (tuple, list) else (value,)
    # By type: `isinstance` asks a value for its class, and lazily imported ones import themselves to answer.
    yield from (item for item in inside if type(item) in (Dataset, Template))


@dataclasses.dataclass(frozen=True)
class _Module:
  file: str
  calls: tuple[ast.Call, ...]
  templates: tuple[tuple[str, int], ...]  # the inputs and the first line of every Template with a literal text
  allowed: tuple[tuple[int, str], ...]  # line, rule


@functools.cache
def _module(file: str) -> _Module:
  source = pathlib.Path(file).read_text(encoding='utf-8')
  calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
  templates = [(text, call.lineno) for call in calls if (text := _inputs(call)) is not None]
  others = tuple(call for call in calls if _inputs(call) is None)
  return _Module(file, others, tuple(templates), tuple(_allowances(source)))


def _allowances(source: str) -> Iterator[tuple[int, str]]:
  for token in tokenize.generate_tokens(io.StringIO(source).readline):
    if token.type == tokenize.COMMENT and (match := _ALLOW.search(token.string)):
      yield from ((token.start[0], rule.strip()) for rule in match[1].split(','))


def _inputs(call: ast.Call) -> str | None:
  """The literal text of a `Template(...)`; None for any other call."""
  if _name(call.func) != Template.__name__:
    return None
  texts = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == 'inputs')]
  value = texts[0].value if texts and isinstance(texts[0], ast.Constant) else None
  return value if isinstance(value, str) else None


def _name(function: ast.expr) -> str:
  return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ''


def _search(module: _Module, dataset: Dataset) -> tuple[tuple[bool, int, int], Literal]:
  """Returns a module's best literal for a dataset, and how good it is: named, templates inside, fewer lines."""
  texts = {template.inputs for template in dataset.templates}
  lines = [line for text, line in module.templates if text in texts]
  spans = {(call.lineno, call.end_lineno or call.lineno): call for call in module.calls}
  scored = [((_says(call, dataset.name), _count(lines, span), span[0] - span[1]), span) for span, call in spans.items()]
  unnamed = ((False, len(lines), -len(lines)), (lines[0], lines[-1]) if lines else (1, 1))
  score, span = max([entry for entry in scored if any(entry[0][:2])], default=unnamed, key=lambda entry: entry[0])
  declarations = [other for other in spans if _count([line for _, line in module.templates], other)]

  def mine(line: int) -> bool:
    """In the declaration, or in none: templates that several datasets share stand alone."""
    return _count([line], span) > 0 or not any(_count([line], other) for other in declarations)

  places = tuple(next((line for text, line in module.templates if text == template.inputs and mine(line)), span[0])
                 for template in dataset.templates)  # fmt: skip
  allowed = frozenset(rule for line, rule in module.allowed if mine(line))
  return score, Literal(module.file, *span, places, allowed)


def _count(lines: Sequence[int], span: tuple[int, int]) -> int:
  return sum(span[0] <= line <= span[1] for line in lines)


def _says(call: ast.Call, name: str) -> bool:
  """Whether a call has the dataset's name as its first argument or as `name=`."""
  values = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == 'name')]
  return any(isinstance(value, ast.Constant) and value.value == name for value in values)
