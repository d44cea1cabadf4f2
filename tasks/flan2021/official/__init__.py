"""FLAN 2021 under the official templates, from a file that you bring; see docs/official_templates.md."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flan_jax.data.dataset import Dataset, Fields, Row
from flan_jax.data.official import OfficialDataset, Pattern, Wording, read_patterns, templates
from flan_jax.data.template import ANSWER
from flan_jax.errors import UserError, did_you_mean
from tasks.flan2021.official.table import TABLE, Official

_BASELINE = 'glm_answer'


def official_datasets(
  path: str | os.PathLike[str], datasets: Sequence[Dataset], *, faithful: bool = False, dialogue: bool = False
) -> tuple[Dataset, ...]:
  """Puts the official templates in place of ours.

  Args:
    path: `flan/templates.py` of google-research/FLAN, or a file of its format.
    datasets: of FLAN 2021, all or some.
    faithful: takes fields, filters and sources from the official code as well, its mistakes included. Otherwise only
      the templates are official, and what docs/flan_differences.md lists holds.
    dialogue: wraps each prompt into the turns of a dialogue, as the official tasks did for LaMDA.

  Returns:
    The datasets, in their order and under their names; their templates are in the order of the file.

  Raises:
    UserError: where the file cannot be read, lacks a dataset's key, or uses a placeholder that the dataset lacks.
  """
  patterns = read_patterns(path)
  return tuple(_official(dataset, patterns, str(path), faithful, dialogue) for dataset in datasets)


def _official(
  dataset: Dataset, patterns: Mapping[str, list[Pattern]], file: str, faithful: bool, dialogue: bool
) -> Dataset:
  if dataset.name not in TABLE:
    raise UserError(
      f'Dataset {dataset.name!r} is none of FLAN 2021, so that no official templates belong to it. '
      + did_you_mean(dataset.name, TABLE)
    )
  entry = TABLE[dataset.name]
  chosen = patterns.get(entry.key)
  if not chosen:
    raise UserError(
      f'{file} has no templates under {entry.key!r}, which dataset {dataset.name!r} needs. '
      + did_you_mean(entry.key, patterns)
    )
  used = frozenset().union(*(pattern.placeholders for pattern in chosen))
  names = {name: (ANSWER if name == entry.answer else name) for name in entry.names} if faithful else dict(entry.names)
  if entry.baseline and _BASELINE in used:
    names[_BASELINE] = ANSWER
  wording = Wording(names, entry.constants, dialogue)
  changes: dict[str, Any] = {
    'templates': templates(chosen, wording, file, entry.key),
    'fields': _fields(entry, dataset, used, faithful),
    'options': _options(entry, dataset, used, faithful, f'{file}: {entry.key!r}'),
  }
  if faithful:
    changes |= {'keep': entry.keep, 'source': entry.source or dataset.source}
  declared = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}
  return OfficialDataset(**declared | changes, whole_rounds=faithful)


def _fields(entry: Official, dataset: Dataset, used: frozenset[str], faithful: bool) -> Callable[[Row], Fields]:
  """The fields of a row, those that only official templates know if these use them."""
  unused = set(entry.extra) - used

  def official(row: Row) -> Fields:
    return {name: value for name, value in entry.fields(row).items() if name not in unused}

  def ours(row: Row) -> Fields:
    extra = {name: derive(row) for name, derive in entry.extra.items() if name in used}
    return (entry.instead or dataset.fields)(row) | extra

  return official if faithful else ours


def _options(
  entry: Official, dataset: Dataset, used: frozenset[str], faithful: bool, where: str
) -> tuple[str, ...] | None:
  """The baseline's continuations have option words of their own."""
  if not (entry.baseline and _BASELINE in used):
    return dataset.options
  if ANSWER in used or 'options_' in used:
    raise UserError(f'{where}: templates with {{{_BASELINE}}} and with {{{ANSWER}}} cannot be mixed in one dataset.')
  return entry.baseline if faithful or not entry.baseline_right else entry.baseline_right
