"""Examples in a terminal: colours where it has them, and marks that need none."""

from collections.abc import Iterator

import rich.console
from rich.text import Text

from flan_jax.data.registry import TaskInfo
from flan_jax.inspection.examples import Example, Measured

CUT = '✂'
_LABEL, _PROVENANCE, _RIGHT, _LOST = 'bold cyan', 'dim', 'green', 'red strike'


def show(console: rich.console.Console, info: TaskInfo, number: int, example: Example) -> None:
  """Prints one example: where it came from, what the model reads, what it should write."""
  console.print(Text.assemble((f'[{number}] {info.name}', 'bold'), f'  {_template(info, example)}'), soft_wrap=True)
  for line in _lines(info, example):
    console.print(line, soft_wrap=True)
  console.print()


def _lines(info: TaskInfo, example: Example) -> Iterator[Text]:
  yield Text(f'row        {example.row}', _PROVENANCE)
  if example.exemplars or example.exemplars_left_out:
    left_out = f' ({example.exemplars_left_out} left out: no room)' if example.exemplars_left_out else ''
    yield Text(f'exemplars  {" ".join(example.exemplars) or "none"}{left_out}', _PROVENANCE)
  if example.options:
    yield Text.assemble(('options    ', _PROVENANCE), _listed(example))
  yield Text.assemble(('answer     ', _PROVENANCE), (example.answer, _RIGHT))
  if example.references != (example.answer,):
    yield Text(f'references {" | ".join(example.references)}', _PROVENANCE)
  yield Text(f'inputs, {_tokens(example.inputs)}:', _LABEL)
  yield _marked(example.inputs)
  for target in example.targets:
    right = info.variant.rank and target.kept + target.cut in example.references
    mark = ', right' if right else ', wrong' if info.variant.rank else ''
    yield Text(f'targets, {_tokens(target)}{mark}:', _LABEL)
    yield _marked(target)


def _template(info: TaskInfo, example: Example) -> str:
  if example.template < 0:
    return 'no template'
  inverted = ', inverted' if info.dataset.templates[example.template].inverted else ''
  return f'template {example.template}{inverted}'


def _listed(example: Example) -> Text:
  styled = [(option, _RIGHT if option in example.references else '') for option in example.options]
  return Text(' | ').join(Text(option, style) for option, style in styled)


def _tokens(text: Measured) -> str:
  return f'{text.tokens} tokens' + (', CUT' if text.cut else '')


def _marked(text: Measured) -> Text:
  """The text; what would be cut off follows a pair of scissors."""
  return Text.assemble(text.kept, (f'{CUT}{text.cut}{CUT}', _LOST)) if text.cut else Text(text.kept)
