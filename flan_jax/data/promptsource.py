"""Reads prompts of promptsource (Bach et al. 2022), those of P3 and T0, and applies them to rows.

A `templates.yaml` of promptsource is YAML with two tags of its own and texts in Jinja. Both can run code if one lets
them: here YAML builds plain values only, and Jinja runs in its sandbox. Jinja cannot run inside a TensorFlow graph, so
a prompt turns rows into rows once, on their way in.
"""

import collections
import copy
import dataclasses
import os
import pathlib
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

import jinja2.meta
import jinja2.sandbox
import yaml
from absl import logging

from flan_jax.data.dataset import OPTIONS, QUOTED_ANSWER, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import ANSWER, Template
from flan_jax.errors import UserError, did_you_mean

SEPARATOR = '|||'
PROMPT = 'prompt'

_CHOICES = 'answer_choices'
# Stands for a separator in a row's own text: characters that Unicode gives to nobody.
_GUARD = '\ue7c1\ue7c2\ue7c3'
_TAGS = ('!Template', '!TemplateMetadata')
# promptsource's names of measures, as far as there is one here
_METRICS = {'Accuracy': 'accuracy', 'BLEU': 'bleu', 'ROUGE': 'rouge', 'Squad': 'squad', 'Trivia QA': 'squad'}
_DEFAULT_METRIC = 'accuracy'
_T = TypeVar('_T')


class Example(TypedDict):
  """A row under a prompt; `options` is empty where the answer is free text."""

  inputs: str
  targets: str
  options: list[str]


@dataclasses.dataclass(frozen=True)
class Prompt:
  """A prompt of promptsource.

  Attributes:
    name: unique in its file.
    jinja: the prompt and, behind `|||`, the answer.
    answer_choices: Jinja as well, the possible answers between `|||`; None for free text.
    original_task: asks for what the dataset was made for; others are inverted in our sense.
    choices_in_prompt: shows the possible answers.
    metrics: promptsource's names of measures.
    languages: of the prompt, ISO 639-1.
    reference: who wrote it.
    where: file and name, for messages.
  """

  name: str
  jinja: str
  answer_choices: str | None = None
  original_task: bool | None = None
  choices_in_prompt: bool | None = None
  metrics: tuple[str, ...] = ()
  languages: tuple[str, ...] = ()
  reference: str = ''
  where: str = ''

  def __post_init__(self) -> None:
    if SEPARATOR not in self.jinja:
      raise UserError(f'{self._place}: the Jinja text has no {SEPARATOR!r} between prompt and answer.')
    environment = _environment(random.Random(0))
    for text in (self.jinja, self.answer_choices or ''):
      try:
        environment.from_string(text)
      except jinja2.TemplateError as error:
        line = getattr(error, 'lineno', None)
        raise UserError(f'{self._place}: not Jinja, line {line} of its text: {error.message}.') from error

  @property
  def columns(self) -> frozenset[str]:
    """The columns of a row that the prompt and its choices mention."""
    environment = _environment(random.Random(0))
    texts = (self.jinja, self.answer_choices or '')
    mentioned = frozenset[str]().union(
      *(jinja2.meta.find_undeclared_variables(environment.parse(text)) for text in texts)
    )
    return mentioned - set(environment.globals) - {_CHOICES}

  @property
  def _place(self) -> str:
    return self.where or f'Prompt {self.name!r}'


def read_promptsource(path: str | os.PathLike[str]) -> list[Prompt]:
  """Reads a `templates.yaml` of promptsource.

  Args:
    path: the file.

  Returns:
    Its prompts, by name.

  Raises:
    UserError: where it is no such file, has tags other than promptsource's two, or a prompt lacks its name or text.
  """
  file = pathlib.Path(path)
  try:
    content = yaml.load(file.read_text(encoding='utf-8'), Loader=_Loader)
  except OSError as error:
    raise UserError(f'{file} cannot be read: {error.strerror}.') from error
  except yaml.MarkedYAMLError as error:
    line = error.problem_mark.line + 1 if error.problem_mark else '?'
    raise UserError(f'{file}:{line}: this is not YAML of promptsource ({error.problem}).') from error
  except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
    raise UserError(f'{file} is not YAML ({type(error).__name__}).') from error
  listed = content.get('templates') if isinstance(content, dict) else None
  if not isinstance(listed, dict):
    raise UserError(f'{file} has no "templates", where promptsource lists its prompts by id.')
  prompts = [_prompt(values, f'{file}: prompt {key}') for key, values in listed.items()]
  return sorted(prompts, key=lambda prompt: prompt.name)


class _Loader(yaml.SafeLoader):
  """Knows promptsource's two tags, and builds plain dictionaries of them."""


def _mapping(loader: yaml.SafeLoader, node: yaml.Node) -> dict[Any, Any]:
  if not isinstance(node, yaml.MappingNode):
    raise yaml.constructor.ConstructorError(None, None, f'{node.tag} without fields', node.start_mark)
  return loader.construct_mapping(node, deep=True)


for _tag in _TAGS:
  _Loader.add_constructor(_tag, _mapping)


def _prompt(values: object, where: str) -> Prompt:
  if not isinstance(values, dict):
    raise UserError(f'{where} should be a !Template with fields, and is {values!r}.')
  for needed in ('name', 'jinja'):
    if not isinstance(values.get(needed), str):
      raise UserError(f'{where} has no {needed!r}; it has {", ".join(map(str, values)) or "nothing"}.')
  where = f'{where} ({values["name"]!r})'
  choices = values.get(_CHOICES)
  if isinstance(choices, list):  # early files of promptsource list them
    choices = f' {SEPARATOR} '.join(map(str, choices))
  if choices is not None and not isinstance(choices, str):
    raise UserError(f'{where}: answer_choices should be a text, and is {choices!r}.')
  metadata = values.get('metadata') or {}
  return Prompt(
    name=values['name'],
    jinja=values['jinja'],
    answer_choices=choices,
    original_task=metadata.get('original_task'),
    choices_in_prompt=metadata.get('choices_in_prompt'),
    metrics=tuple(metadata.get('metrics') or ()),
    languages=tuple(metadata.get('languages') or ()),
    reference=str(values.get('reference') or ''),
    where=where,
  )


def prompt_named(prompts: Sequence[Prompt], name: str) -> Prompt:
  """Returns the prompt of a name, or suggests the names nearest to it."""
  for prompt in prompts:
    if prompt.name == name:
      return prompt
  raise UserError(f'There is no prompt {name!r}. {did_you_mean(name, [prompt.name for prompt in prompts])}')


@dataclasses.dataclass
class PromptedRows:
  """Rows under a prompt, rendered anew by each iteration; see `apply`.

  Attributes:
    skipped: after an iteration, the number of rows that gave no example, by reason.
  """

  prompt: Prompt
  rows: Iterable[Mapping[str, Any]]
  seed: int = 0
  truncate: int | None = None
  skipped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

  def __iter__(self) -> Iterator[Example]:
    draw = random.Random()
    environment = _environment(draw)
    text = self.prompt.jinja
    if self.truncate is not None:
      # A filter of Jinja's own behind every value, so that a text is cut where promptsource cuts it.
      text = text.replace('}}', f' | string | truncate({self.truncate}) }}}}')
    renderer = _Renderer(self.prompt, environment, text)
    self.skipped.clear()
    count = 0
    for count, row in enumerate(self.rows, start=1):
      draw.seed(f'{self.seed} {self.prompt.name} {count}')
      example = renderer.example(row, count)
      if isinstance(example, str):
        self.skipped[example] += 1
      else:
        yield example
    self._report(count)

  def _report(self, count: int) -> None:
    where, left_out = self.prompt.where or self.prompt.name, self.skipped.total()
    if left_out == count:
      raise UserError(f'{where}: none of {count} rows gives an example ({_listed(self.skipped) or "there are none"}).')
    if left_out:
      logging.info('%s: %d of %d rows give no example: %s', where, left_out, count, _listed(self.skipped))


def apply(
  prompt: Prompt, rows: Iterable[Mapping[str, Any]], *, seed: int = 0, truncate: int | None = None
) -> PromptedRows:
  """Applies a prompt to rows.

  A prompt may have nothing to say about a row (all of it inside an `if`), or no answer: such rows are left out and
  counted. Where a prompt draws words (`choice`), the draw depends on the seed, its name and the row's place alone.

  Args:
    prompt: from `read_promptsource`.
    rows: dictionaries of plain values, with the columns of the Hugging Face dataset that the prompt was written for.
    seed: for drawn words; promptsource draws anew each time.
    truncate: cuts what each `{{...}}` inserts to this many characters; promptsource cuts at 2048, we do not.

  Returns:
    An iterable of `Example` dictionaries.

  Raises:
    UserError: while iterating, where a column is missing, the sandbox is left, Jinja fails, or no row gives an example.
  """
  return PromptedRows(prompt, rows, seed, truncate)


def prompt_dataset(
  prompt: Prompt, source: Any, *, cluster: str, name: str | None = None, splits: Splits | None = None
) -> Dataset:
  """Declares a dataset of rows that a prompt has been applied to.

  Args:
    prompt: which one; it names the dataset's metrics, and whether its template is inverted.
    source: where the examples that `apply` gave are: rows of `inputs`, `targets` and `options`.
    cluster: the task cluster that the dataset is held out with.
    name: of the dataset; by default the prompt's, in letters, digits and underscores.
    splits: as for every `Dataset`.

  Returns:
    The dataset, with one template: the prompt as it was rendered.
  """
  inverted = prompt.original_task is False
  metrics = tuple(dict.fromkeys(_METRICS[metric] for metric in prompt.metrics if metric in _METRICS))
  return Dataset(
    name=name or re.sub(r'\W+', '_', prompt.name).strip('_'),
    cluster=cluster,
    source=source,
    fields=_inverted_fields if inverted else _example_fields,
    templates=(Template(f'{{{PROMPT}}}', f'{{{QUOTED_ANSWER if inverted else ANSWER}}}'),),
    splits=splits or Splits(),
    options=None if prompt.answer_choices is None else (),  # rows bring theirs; that there are any, is said here
    metrics=metrics or (_DEFAULT_METRIC,),
  )


def _example_fields(row: Row) -> Fields:
  return {PROMPT: row['inputs'], ANSWER: row['targets'], OPTIONS: row['options']}


def _inverted_fields(row: Row) -> Fields:
  # The target is the same text under another name: nothing about the dataset's own task can be ranked here.
  return _example_fields(row) | {QUOTED_ANSWER: row['targets']}


class _Renderer:
  """A prompt's two texts, compiled, with promptsource's rules about them."""

  def __init__(self, prompt: Prompt, environment: jinja2.Environment, jinja: str):
    self._prompt = prompt
    self._columns = prompt.columns
    try:
      self._text = environment.from_string(jinja)
    except jinja2.TemplateError as error:
      raise UserError(f'{prompt.where or prompt.name}: its text cannot be truncated ({error.message}).') from error
    self._choices = None if prompt.answer_choices is None else environment.from_string(prompt.answer_choices)

  def example(self, row: Mapping[str, Any], number: int) -> Example | str:
    """The example of a row, or why there is none."""
    if _CHOICES in row:
      raise UserError(f'{self._place(number)} has a column {_CHOICES!r}, a name that prompts use themselves.')
    # Jinja's names have no hyphens, and lists of a row must not be changed by a prompt that appends to them.
    values = {name.replace('-', '_'): _guarded(copy.deepcopy(value)) for name, value in row.items()}
    missing = sorted(self._columns - set(values))
    if missing:
      raise UserError(f'{self._place(number)} has no column {missing[0]!r}. {did_you_mean(missing[0], values)}')
    options = self._options(values, number)
    values[_CHOICES] = None if options is None else [_guarded(option) for option in options]
    parts = [_unguarded(part).strip() for part in self._rendered(self._text, values, number).split(SEPARATOR)]
    if len(parts) > 2:
      return f'more than one {SEPARATOR}'
    if len(parts) < 2 or not parts[0]:
      return 'no prompt'
    return {'inputs': parts[0], 'targets': parts[1], 'options': options or []} if parts[1] else 'no answer'

  def _options(self, values: Mapping[str, Any], number: int) -> list[str] | None:
    if self._choices is None:
      return None
    return [_unguarded(choice.strip()) for choice in self._rendered(self._choices, values, number).split(SEPARATOR)]

  def _rendered(self, text: jinja2.Template, values: Mapping[str, Any], number: int) -> str:
    try:
      return text.render(**values)
    except jinja2.sandbox.SecurityError as error:
      raise UserError(f'{self._place(number)}: the prompt tries to leave the sandbox ({_line(error)}).') from error
    except Exception as error:  # whatever an expression of theirs may raise
      raise UserError(
        f'{self._place(number)}: the prompt fails with {type(error).__name__}: {_line(error)}.'
      ) from error

  def _place(self, number: int) -> str:
    return f'{self._prompt.where or self._prompt.name}: row {number}'


class _Sandbox(jinja2.sandbox.SandboxedEnvironment):
  """Says what it refuses at once; Jinja's own lets a refused attribute pass for an empty text."""

  def unsafe_undefined(self, obj: object, attribute: str) -> jinja2.Undefined:
    raise jinja2.sandbox.SecurityError(f'{attribute!r} of a {type(obj).__name__} is out of bounds')


def _environment(draw: random.Random) -> jinja2.Environment:
  """Jinja as promptsource sets it up, in a sandbox, and with draws that can be repeated."""

  @jinja2.pass_context  # without it, Jinja draws from a list of constants once, on compiling
  def choice(_: jinja2.runtime.Context, items: Sequence[Any]) -> Any:
    return draw.choice(items)

  environment = _Sandbox()
  environment.globals['zip'] = zip
  # Highlighting is for promptsource's page of prompts, where it is HTML.
  environment.filters |= {'choice': choice, 'most_frequent': most_frequent, 'highlight': str}
  return environment


def most_frequent(items: Sequence[_T]) -> list[_T] | None:
  """Returns the items that occur most often, in the order in which they come first; None for no items."""
  counts = collections.Counter(items)
  return [item for item, count in counts.items() if count == max(counts.values())] or None


def _guarded(value: _T) -> _T:
  return value.replace(SEPARATOR, _GUARD) if isinstance(value, str) else value  # type: ignore[return-value]


def _unguarded(text: str) -> str:
  return text.replace(_GUARD, SEPARATOR)


def _listed(counts: Mapping[str, int]) -> str:
  return ', '.join(f'{reason}: {count}' for reason, count in counts.items())


def _line(error: Exception) -> str:
  return next(iter(str(error).splitlines()), '')
