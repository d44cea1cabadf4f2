"""The ways of asking about one dataset, and their names: which templates, how many exemplars, what is shown.

A task's name is its family, its dataset, and up to three parts, each left out where it is the ordinary one:

  flan2021.rte                          every template, drawn anew for each example
  flan2021.rte.template_3               one template
  flan2021.rte.first_4                  the first four (the ablation on the number of templates)
  flan2021.rte.round_robin              template i modulo ten for the i-th row of the stream, as the official code does
  flan2021.rte.5shot                    five exemplars before the question; 1, 2, 3, 5 and 10 are there
  flan2021.rte.fewshot                  as many as the dataset declares (sixteen), as far as they fit
  flan2021.rte.no_options               the options are not listed
  flan2021.rte.rank                     one row holds the question, all options, and which of them are right
  flan2021.rte.template_3.5shot.no_options.rank
  flan2021.rte.fields_only              no instruction at all (ablations of Wei et al. 2021, section 4.3):
  flan2021.rte.dataset_name             or the dataset's name in its place
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Literal

from flan_jax.data.dataset import Dataset
from flan_jax.errors import UserError, did_you_mean

FIRST = (1, 2, 4, 7)  # and all ten, which is the ordinary way
SHOTS = (1, 2, 3, 5, 10)
FEWSHOT = 'fewshot'
_FIRST = tuple(f'first_{n}' for n in FIRST)
_SHOTS = ('', *(f'{k}shot' for k in SHOTS), FEWSHOT)

Choice = Literal['drawn', 'round_robin']
Prompting = Literal['instructions', 'fields_only', 'dataset_name']
WITHOUT_INSTRUCTIONS: tuple[Prompting, ...] = ('fields_only', 'dataset_name')


@dataclasses.dataclass(frozen=True)
class Variant:
  """One way of asking.

  Attributes:
    templates: 'all', 'template_<i>', 'first_<n>' or 'round_robin'.
    shots: '' for none, '<k>shot', or 'fewshot'.
    prompting: 'instructions', or what stands in their place.
    options: whether a prompt may list the options.
    rank: whether a row carries all options as targets.
  """

  templates: str = 'all'
  shots: str = ''
  prompting: Prompting = 'instructions'
  options: bool = True
  rank: bool = False

  @functools.cached_property
  def suffix(self) -> str:
    """What follows the dataset's name, dots included."""
    parts = ['' if self.templates == 'all' else self.templates, self.shots]
    parts.append('' if self.prompting == 'instructions' else self.prompting)
    parts += ['' if self.options else 'no_options', 'rank' if self.rank else '']
    return ''.join(f'.{part}' for part in parts if part)

  @property
  def choice(self) -> Choice:
    """How a row comes to its template where there are several."""
    return 'round_robin' if self.templates == 'round_robin' else 'drawn'

  def indices(self, dataset: Dataset) -> tuple[int, ...]:
    """The templates of a dataset that are used; to rank options, those whose target is the answer."""
    found = tuple(range(len(dataset.templates)))
    kind, _, number = self.templates.rpartition('_')
    if kind in ('template', 'first'):
      found = (int(number),) if kind == 'template' else found[: int(number)]
    return tuple(index for index in found if not self.rank or index in dataset.answerable)

  def exemplars(self, dataset: Dataset) -> int:
    """How many solved examples go before the question, as far as they fit."""
    return dataset.exemplars if self.shots == FEWSHOT else int(self.shots.removesuffix('shot') or 0)

  def fits(self, dataset: Dataset) -> bool:
    """Whether a dataset has this variant."""
    kind, _, number = self.templates.rpartition('_')
    if self.templates == 'round_robin' and len(dataset.templates) == 1:
      return False
    if kind in ('first', 'template') and int(number) + (kind == 'template') > len(dataset.templates):
      return False
    if kind == 'first' and int(number) == len(dataset.templates):
      return False
    if (self.shots and dataset.splits.train is None) or not self.indices(dataset):
      return False
    return dataset.classifies or (self.options and not self.rank)

  def nearest(self, dataset: Dataset) -> 'Variant':
    """The same way of asking as far as a dataset has it: what its task in a mixture is."""
    found = self if dataset.classifies else dataclasses.replace(self, options=True, rank=False)
    if dataset.splits.train is None:
      found = dataclasses.replace(found, shots='')
    return found if found.fits(dataset) else dataclasses.replace(found, templates='all')


ORDINARY = Variant()


_FOUND: dict[tuple[object, ...], tuple[Variant, ...]] = {}


def of_dataset(dataset: Dataset) -> tuple[Variant, ...]:
  """Every variant that a dataset has; datasets that are alike in what decides it share them."""
  alike = (len(dataset.templates), dataset.answerable, dataset.classifies, dataset.splits.train is None)
  if alike not in _FOUND:
    _FOUND[alike] = tuple(_of_dataset(dataset))
  return _FOUND[alike]


def _of_dataset(dataset: Dataset) -> Iterator[Variant]:
  single = tuple(f'template_{index}' for index in range(len(dataset.templates)))
  for templates in ('all', *single, *_FIRST, 'round_robin'):
    for shots in _SHOTS:
      for options, rank in ((True, False), (False, False), (True, True), (False, True)):
        variant = Variant(templates, shots, options=options, rank=rank)
        if variant.fits(dataset):
          yield variant
  for prompting in WITHOUT_INSTRUCTIONS:
    yield Variant(prompting=prompting)
    if dataset.classifies:
      yield Variant(prompting=prompting, rank=True)


def _of_mixture() -> Iterator[Variant]:
  for templates in ('all', *_FIRST, 'round_robin'):
    for shots in _SHOTS:
      yield Variant(templates, shots)
  yield Variant(options=False)
  for prompting in WITHOUT_INSTRUCTIONS:
    yield Variant(prompting=prompting)


OF_MIXTURES = tuple(_of_mixture())  # the variants in which a family's mixtures come


def parse(text: str) -> Variant:
  """Returns the variant of a mixture that a text names, such as '5shot', 'first_4' or 'fields_only'; '' is ordinary.

  Raises:
    UserError: where mixtures have no such variant.
  """
  named = {variant.suffix.removeprefix('.'): variant for variant in OF_MIXTURES}
  if text not in named:
    raise UserError(f'There is no way of prompting {text!r}. {did_you_mean(text, filter(None, named))}')
  return named[text]
