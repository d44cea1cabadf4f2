"""One self-contained page to browse dataset x template x example: no network, no library, all text escaped."""

import dataclasses
import html
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.data.registry import TaskInfo
from flan_jax.embedded import embedded
from flan_jax.inspection import names
from flan_jax.inspection.examples import Example, Measured

_TEMPLATE = 'page.html'


@dataclasses.dataclass(frozen=True)
class Shelf:
  """A dataset on the page: a task, the role that was read, and its examples."""

  info: TaskInfo
  split: str
  examples: Sequence[Example]


def page(title: str, measured_by: str, lengths: Mapping[str, int], shelves: Sequence[Shelf],
         left_out: Mapping[str, str]) -> str:
  """Writes the page.

  Args:
    title: the name that was asked for.
    measured_by: the vocabulary, in words.
    lengths: token limits of `inputs` and `targets`.
    shelves: the datasets.
    left_out: tasks without rows at hand, each with the reason.

  Returns:
    HTML.
  """
  data = {
    'vocabulary': measured_by,
    'limits': dict(lengths),
    'datasets': [_shelf(shelf) for shelf in shelves],
    'leftOut': [{'name': name, 'why': why} for name, why in left_out.items()],
  }
  text = importlib.resources.files(__package__).joinpath(_TEMPLATE).read_text(encoding='utf-8')
  return text.replace('@TITLE@', html.escape(title)).replace('@DATA@', embedded(data))


def _shelf(shelf: Shelf) -> dict[str, Any]:
  dataset = shelf.info.dataset
  used = sorted({example.template for example in shelf.examples})
  return {
    'name': shelf.info.name,
    'cluster': dataset.cluster,
    'source': names.origin_of(shelf.info),
    'split': shelf.split,
    'templates': [_template(shelf, index) for index in used],
  }


def _template(shelf: Shelf, index: int) -> dict[str, Any]:
  template = shelf.info.dataset.templates[index] if index >= 0 else None
  return {
    'index': index,
    'inputs': template.inputs if template else '',
    'targets': template.targets if template else '',
    'inverted': bool(template and template.inverted),
    'style': template.option_style if template and template.shows_options else '',
    'examples': [_example(example) for example in shelf.examples if example.template == index],
  }


def _example(example: Example) -> dict[str, Any]:
  return {
    'row': example.row,
    'inputs': _measured(example.inputs),
    'targets': [_measured(target) for target in example.targets],
    'options': example.options,
    'answer': example.answer,
    'references': example.references,
    'exemplars': example.exemplars,
    'exemplarsLeftOut': example.exemplars_left_out,
  }


def _measured(text: Measured) -> dict[str, Any]:
  return {'kept': text.kept, 'cut': text.cut, 'tokens': text.tokens}
