"""Reads the template files of the official FLAN code (google-research/FLAN), and turns them into our templates.

Such a file is a Python module whose dictionaries list patterns by dataset. It is parsed and never executed: what is not
a literal inside of them is refused, and everything around them is passed over.
"""

import ast
import dataclasses
import os
import pathlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import tensorflow as tf

from flan_jax.data.dataset import QUOTED_ANSWER, Dataset, Fields, Row
from flan_jax.data.template import ANSWER, OPTIONS, Template, doubled
from flan_jax.errors import UserError, did_you_mean

PATTERNS = 'PATTERNS'
FEW_SHOT_PATTERNS = 'FEWSHOT_PATTERNS'

_P = TypeVar('_P')
_OPTION_BLOCKS = ('options_', 'options_str')
_OPTION_STYLE = 'dashes'
_PLACEHOLDER = re.compile(r'\{(\w*)\}')
_BRACED = re.compile(r'\{[^{}\n]*\}')


@dataclasses.dataclass(frozen=True)
class Pattern:
  """Two official format strings, and the line of the file that they start on."""

  inputs: str
  targets: str
  line: int = 0

  @property
  def placeholders(self) -> frozenset[str]:
    """The official names of the fields that it mentions."""
    return frozenset(_PLACEHOLDER.findall(self.inputs + self.targets))


@dataclasses.dataclass(frozen=True)
class FewShotPattern:
  """An exemplar of FLAN v2 (`flan/v2/templates.py`): a pattern and what stands around each of its two texts.

  Attributes:
    inputs: the format string of the question.
    targets: that of the answer.
    inputs_prefix: stands before each question.
    targets_prefix: stands before each answer.
    x_y_delimiter: stands between the two.
    example_separator: stands between two exemplars.
    final_suffix: stands at the end of the prompt.
    input_pattern: where in the prompt the exemplars go.
    in_template_mix: belongs to the mixture; the others are inverted.
    line: where in the file.
  """

  inputs: str
  targets: str
  inputs_prefix: str = ''
  targets_prefix: str = ''
  x_y_delimiter: str = '\n\n'
  example_separator: str = '\n\n\n'
  final_suffix: str = ''
  input_pattern: str = '{{inputs}}{final_suffix}'
  in_template_mix: bool = True
  line: int = 0

  def exemplar(self) -> Pattern:
    """The pattern of one exemplar, its prefixes and its delimiter included."""
    return Pattern(
      self.inputs_prefix + self.inputs + self.x_y_delimiter + self.targets_prefix,
      self.targets + self.example_separator,
      self.line,
    )


def read_official_templates(path: str | os.PathLike[str]) -> dict[str, list[tuple[str, str]]]:
  """Reads the patterns of `flan/templates.py`, or of another official file with a dictionary called PATTERNS.

  Args:
    path: the file.

  Returns:
    By dataset key, the (inputs, targets) format strings, as they are written there.

  Raises:
    UserError: with file and line where there is no such dictionary, or where it holds anything but literals.
  """
  return {key: [(p.inputs, p.targets) for p in patterns] for key, patterns in read_patterns(path).items()}


def read_patterns(path: str | os.PathLike[str]) -> dict[str, list[Pattern]]:
  """Reads like `read_official_templates`, and keeps the line of each pattern for messages."""
  return _read(path, PATTERNS, _pattern)


def read_official_few_shot(path: str | os.PathLike[str]) -> dict[str, list[FewShotPattern]]:
  """Reads the few-shot patterns of `flan/v2/templates.py`, its dictionary FEWSHOT_PATTERNS.

  Args:
    path: the file.

  Returns:
    By dataset key, the patterns in their order.

  Raises:
    UserError: with file and line, as `read_official_templates`.
  """
  return _read(path, FEW_SHOT_PATTERNS, _few_shot_pattern)


def _read(path: str | os.PathLike[str], name: str, read_one: Callable[[ast.expr, str], _P]) -> dict[str, list[_P]]:
  file = pathlib.Path(path)
  found: dict[str, list[_P]] | None = None
  assigned: set[str] = set()
  for statement in _statements(file):
    target, value = _assignment(statement)
    if isinstance(target, ast.Name) and value is not None:
      assigned.add(target.id)
      if target.id == name:
        found = _dictionary(value, file, name, read_one)
    elif found is not None and _is_item_of(target, name) and value is not None:
      # The official file lets one dataset share the patterns of another: PATTERNS['a'] = PATTERNS['b'].
      key, other = _alias(target, value, file, name)
      if other not in found:
        raise UserError(f'{file}:{statement.lineno}: {name} has no key {other!r}. {did_you_mean(other, found)}')
      found[key] = found[other]
  if found is None:
    hint = did_you_mean(name, assigned) or 'It assigns nothing at all.'
    raise UserError(f'{file} assigns no dictionary called {name}. {hint}')
  return found


def _statements(file: pathlib.Path) -> list[ast.stmt]:
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore', SyntaxWarning)  # an odd escape is theirs to mend
      warnings.simplefilter('ignore', DeprecationWarning)
      return ast.parse(file.read_bytes(), filename=str(file)).body
  except OSError as error:
    raise UserError(f'{file} cannot be read: {error.strerror}.') from error
  except SyntaxError as error:
    raise UserError(f'{file}:{error.lineno}: this is not Python ({error.msg}).') from error
  except (ValueError, RecursionError, MemoryError) as error:
    raise UserError(f'{file} cannot be parsed as Python ({type(error).__name__}).') from error


def _assignment(statement: ast.stmt) -> tuple[ast.expr | None, ast.expr | None]:
  if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
    return statement.targets[0], statement.value
  if isinstance(statement, ast.AnnAssign):
    return statement.target, statement.value
  return None, None


def _is_item_of(node: ast.expr | None, name: str) -> bool:
  return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name


def _alias(target: ast.expr | None, value: ast.expr, file: pathlib.Path, name: str) -> tuple[str, str]:
  if not _is_item_of(value, name):
    raise UserError(
      f'{file}:{value.lineno}: an item of {name} is set to {_shortened(value)}, and can only be set to another item.'
    )
  assert isinstance(target, ast.Subscript) and isinstance(value, ast.Subscript)
  return _text(target.slice, str(file)), _text(value.slice, str(file))


def _dictionary(
  value: ast.expr, file: pathlib.Path, name: str, read_one: Callable[[ast.expr, str], _P]
) -> dict[str, list[_P]]:
  if not isinstance(value, ast.Dict):
    raise UserError(f'{file}:{value.lineno}: {name} should be a dictionary literal, and is {_shortened(value)}.')
  result: dict[str, list[_P]] = {}
  for key, patterns in zip(value.keys, value.values, strict=True):
    if key is None:
      raise UserError(f'{file}:{patterns.lineno}: {name} takes in {_shortened(patterns)}; only literals can be read.')
    text = _text(key, str(file))
    if not isinstance(patterns, ast.List | ast.Tuple):
      raise UserError(
        f'{file}:{patterns.lineno}: {name}[{text!r}] should be a list of patterns, and is {_shortened(patterns)}.'
      )
    result[text] = [read_one(pattern, str(file)) for pattern in patterns.elts]
  return result


def _pattern(node: ast.expr, file: str) -> Pattern:
  if not isinstance(node, ast.Tuple | ast.List) or len(node.elts) != 2:
    raise UserError(f'{file}:{node.lineno}: a pattern should be a pair (inputs, targets), and is {_shortened(node)}.')
  inputs, targets = (_text(part, file) for part in node.elts)
  return Pattern(inputs, targets, node.lineno)


def _few_shot_pattern(node: ast.expr, file: str) -> FewShotPattern:
  names = [field.name for field in dataclasses.fields(FewShotPattern) if field.name != 'line']
  if not isinstance(node, ast.Call) or _called(node) != FewShotPattern.__name__ or len(node.args) > len(names):
    raise UserError(f'{file}:{node.lineno}: a pattern should be FewShotPattern(...), and is {_shortened(node)}.')
  values = {name: _literal(argument, file) for name, argument in zip(names, node.args, strict=False)}
  for keyword in node.keywords:
    if keyword.arg not in names:
      hint = did_you_mean(str(keyword.arg), names)
      raise UserError(f'{file}:{node.lineno}: FewShotPattern has no argument {keyword.arg!r}. {hint}')
    values[keyword.arg] = _literal(keyword.value, file)
  for name, value in values.items():
    wanted = bool if name == 'in_template_mix' else str
    if not isinstance(value, wanted):
      raise UserError(f'{file}:{node.lineno}: {name} should be a {wanted.__name__}, and is {value!r}.')
  if not {'inputs', 'targets'} <= set(values):
    raise UserError(f'{file}:{node.lineno}: FewShotPattern needs inputs and targets.')
  return FewShotPattern(**values, line=node.lineno)


def _called(node: ast.Call) -> str:
  return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')


def _text(node: ast.expr, file: str) -> str:
  value = _literal(node, file)
  if not isinstance(value, str):
    raise UserError(f'{file}:{node.lineno}: here should be a text, and is {_shortened(node)}.')
  return value


def _literal(node: ast.expr, file: str) -> Any:
  try:
    return ast.literal_eval(node)
  except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
    raise UserError(
      f'{file}:{node.lineno}: {_shortened(node)} is not a literal, and nothing in this file is executed.'
    ) from error


def _shortened(node: ast.expr) -> str:
  try:
    text = ast.unparse(node)
  except RecursionError:
    return 'an expression too deep to be shown'
  return text if len(text) <= 60 else f'{text[:57]}...'


@dataclasses.dataclass(frozen=True)
class Wording:
  """How official placeholders are called in one of our datasets.

  Attributes:
    names: official placeholder -> our field; the options need no entry.
    constants: placeholders that are the same text in every row, such as the name of a language.
    dialogue: puts each prompt into the turns of a dialogue, as the official tasks do for LaMDA.
  """

  names: Mapping[str, str]
  constants: Mapping[str, str] = dataclasses.field(default_factory=dict)
  dialogue: bool = False

  def template(self, pattern: Pattern, where: str) -> Template:
    """Turns a pattern into a template.

    A target that says more than the answer ("{context} {answer}") makes the template an inverted one: no option equals
    it, so that nothing can be ranked. There the answer is a field like others.

    Args:
      pattern: the official pair.
      where: the file and the key, for the message.

    Returns:
      The template; rendered, it gives the bytes of the official formatter.

    Raises:
      UserError: for a placeholder that the dataset does not have, and for braces around anything but a name.
    """
    inputs = self._text(pattern.inputs, where)
    targets = self._text(pattern.targets, where)
    if not inputs:
      raise UserError(f'{where}: the inputs are empty.')
    bare = targets.replace(f'{{{ANSWER}}}', '')
    if bare.strip() and bare != targets:
      targets = targets.replace(f'{{{ANSWER}}}', f'{{{QUOTED_ANSWER}}}')
    if self.dialogue:
      inputs = f'0 {inputs} X 1 FLAN'
    return Template(inputs, targets, option_style=_OPTION_STYLE)

  def _text(self, pattern: str, where: str) -> str:
    """The official formatter knows `{name}` and nothing else: any other brace is itself, with us a doubled one."""
    pieces = []
    end = 0
    for match in _PLACEHOLDER.finditer(pattern):
      pieces += [_escaped(pattern[end : match.start()], where), self._placeholder(match[1], where)]
      end = match.end()
    return ''.join([*pieces, _escaped(pattern[end:], where)])

  def _placeholder(self, name: str, where: str) -> str:
    if name in _OPTION_BLOCKS:
      return f'{{{OPTIONS}}}'
    if name in self.constants:
      return doubled(self.constants[name])
    if name not in self.names:
      known = [*self.names, *self.constants, *_OPTION_BLOCKS]
      raise UserError(f'{where}: this dataset has no placeholder {{{name}}}. {did_you_mean(name, known)}')
    return f'{{{self.names[name]}}}'


def _escaped(literal: str, where: str) -> str:
  braced = _BRACED.search(literal)
  if braced:
    raise UserError(f'{where}: {braced[0]!r} is not a placeholder, which is a name in braces such as {{text}}.')
  return doubled(literal)


def templates(patterns: Sequence[Pattern], wording: Wording, file: str, key: str) -> tuple[Template, ...]:
  """Turns the patterns of a key into templates, in their order; see `Wording.template`."""
  return tuple(wording.template(pattern, f'{file}:{pattern.line}: {key!r}') for pattern in patterns)


@dataclasses.dataclass(frozen=True)
class OfficialDataset(Dataset):
  """A dataset under official templates, which may repeat each other and quote the answer in a longer target.

  Attributes:
    whole_rounds: `round_robin` drops the last examples that do not fill a round, as the official code does.
  """

  repeats_templates: ClassVar[bool] = True  # CoLA has one twice: dropping it would move all templates of the round
  whole_rounds: bool = False  # type: ignore[misc]

  def example(self, row: Row) -> Fields:
    """As `Dataset.example`; where a target quotes the answer, it is a field, too."""
    fields = super().example(row)
    if any(QUOTED_ANSWER in template.fields for template in self.templates):
      fields[QUOTED_ANSWER] = fields[ANSWER]
    return fields


def drop_incomplete(examples: tf.data.Dataset, num_templates: int) -> tf.data.Dataset:
  """Drops the last examples that do not fill a round, one for each template.

  The official code renders several templates by batches of one example each, and asks for whole batches.

  Args:
    examples: what is left after filters, in the order of the stream.
    num_templates: the templates that take turns.

  Returns:
    The first `num_templates * n` examples.
  """
  if num_templates == 1:
    return examples
  return examples.window(num_templates, drop_remainder=True).flat_map(tf.data.Dataset.zip)
