"""The rules that need a declaration only, and at most the names of its fields."""

import itertools
import re
from collections.abc import Collection, Iterator

from flan_jax.data import options
from flan_jax.data.dataset import REFERENCES, Dataset
from flan_jax.data.template import ANSWER, OPTIONS, Template, placeholders
from flan_jax.errors import did_you_mean
from flan_jax.lint.faults import Fault
from flan_jax.lint.prose import MAX_SIMILARITY, prose, similarity, slips, unbalanced

MAX_INVERTED = 3  # of ten, as FLAN has it (Wei et al. 2021, section 2.1)


def check(dataset: Dataset, fields: Collection[str] | None = None) -> Iterator[Fault]:
  """Judges the templates of a dataset.

  Args:
    dataset: the declaration.
    fields: the names that its rows give, where they are known.

  Yields:
    What is wrong.
  """
  for index, template in enumerate(dataset.templates):
    for rule, message in _of_template(dataset, template, fields):
      yield Fault(rule, message, index)
  for one, other in itertools.combinations(range(len(dataset.templates)), 2):
    alike = similarity(dataset.templates[one].inputs, dataset.templates[other].inputs)
    if alike >= MAX_SIMILARITY:
      yield Fault('near-duplicate', f'reads like template {one}: their likeness is {alike:.2f}, and should be less '
                  f'than {MAX_SIMILARITY}.', other)  # fmt: skip
  inverted = len(dataset.templates) - len(dataset.answerable)
  if inverted > MAX_INVERTED:
    yield Fault('too-many-inverted', f'{inverted} templates ask for something else than the answer; at most '
                f'{MAX_INVERTED} should.')  # fmt: skip


def _of_template(
  dataset: Dataset, template: Template, fields: Collection[str] | None
) -> Iterator[tuple[str, str]]:
  if fields is not None:
    for name in sorted(template.fields - set(fields)):
      known = [field for field in fields if field not in (OPTIONS, REFERENCES)]
      yield 'unknown-field', f'there is no field {name!r}. {did_you_mean(name, known)}'
  for text in (template.inputs, template.targets):
    for slip in slips(text):
      yield 'stray-character', f'{slip}.'
  # Together: a quotation may be opened in the prompt and closed in what follows it.
  if lone := unbalanced(template.inputs) and unbalanced(template.inputs + template.targets):
    yield 'stray-character', f'{lone} in {_shortened(template.inputs)}.'
  if not template.inverted and ANSWER in placeholders(template.inputs):
    yield 'answer-in-inputs', 'the answer is both asked for and given: {answer} stands in inputs and targets.'
  if template.shows_options and template.option_style == options.NONE:
    yield 'options-not-rendered', "{options} stands in the inputs, and option_style='none' never lists them."
  if dataset.options and not template.inverted and not template.shows_options:
    named = [option for option in dataset.options if _names(prose(template.inputs), option)]
    if not named:
      yield 'options-unseen', f'no prompt says that the answer is one of {", ".join(map(repr, dataset.options))}.'


def _names(text: str, option: str) -> bool:
  return re.search(rf'(?<!\w){re.escape(option)}(?!\w)', text, re.IGNORECASE) is not None


def _shortened(text: str, width: int = 60) -> str:
  return repr(text if len(text) <= width else f'{text[: width - 3]}...')
