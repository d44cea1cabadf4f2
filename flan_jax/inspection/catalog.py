"""What exists: tables of datasets and clusters, and the names of a dataset's tasks."""

from collections.abc import Iterator, Sequence

from flan_jax.data import variants
from flan_jax.data.dataset import Dataset
from flan_jax.data.registry import Family, TaskInfo
from flan_jax.evaluation.tables import NOTHING, Table
from flan_jax.inspection import names

_NO_ROLE = 'none'  # the dataset declares no such rows
_OPTIONAL = ('source', 'validation', 'inverted', 'kind', 'cluster')


def datasets(title: str, infos: Sequence[TaskInfo]) -> Table:
  """Returns one row per dataset: what it asks, and how many rows of it are here."""
  rows, found = [], []
  for info in infos:
    sizes = names.sizes(info)
    found.append(any(sizes.values()))
    counts = [_count(sizes[role]) if role in sizes else _NO_ROLE for role in names.ROLES]
    dataset = info.dataset
    kind = 'options' if dataset.classifies else 'free text'
    rows.append((info.name, dataset.cluster, kind, names.origin_of(info), str(len(dataset.templates)),
                 str(_inverted(dataset)), *counts))  # fmt: skip
  members = [info.dataset for info in infos]
  note = f'{totals(members)}. Rows of {sum(found)} of them are here; {NOTHING} is not known without the rows.'
  columns = ('task', 'cluster', 'kind', 'source', 'templates', 'inverted', *names.ROLES)
  return Table(title, columns, rows, note, texts=4, optional=_OPTIONAL)


def clusters(family: Family, infos: Sequence[TaskInfo]) -> Table:
  """Returns one row per cluster: its datasets, and which clusters leave training with it."""
  groups: dict[str, list[TaskInfo]] = {}
  for info in infos:
    groups.setdefault(info.dataset.cluster, []).append(info)
  rows = []
  for cluster, inside in groups.items():
    members = [info.dataset for info in inside]
    here = sum(any(names.sizes(info).values()) for info in inside)
    rows.append((f'{family.name}.{cluster}', ' '.join(dataset.name for dataset in members),
                 ' '.join(family.exclusions.get(cluster, ())) or NOTHING, str(len(members)),
                 str(sum(len(dataset.templates) for dataset in members)), str(here)))  # fmt: skip
  columns = ('cluster', 'its datasets', 'leaves training with', 'datasets', 'templates', 'here')
  note = f'{totals([info.dataset for info in infos])}. Here: datasets whose rows are on disk.'
  return Table(f'{family.name}: clusters', columns, rows, note, texts=3, optional=('leaves training with', 'here'))


def totals(members: Sequence[Dataset]) -> str:
  """Returns '70 datasets in 17 clusters, 700 templates (170 inverted)'."""
  count = len({dataset.cluster for dataset in members})
  templates = sum(len(dataset.templates) for dataset in members)
  return (f'{len(members)} datasets in {count} cluster{"" if count == 1 else "s"}, {templates} templates '
          f'({sum(map(_inverted, members))} inverted)')  # fmt: skip


def tasks(info: TaskInfo) -> Iterator[str]:
  """Yields lines that say which tasks a dataset has."""
  dataset, stem = info.dataset, info.name.removesuffix(info.variant.suffix)
  found = list(variants.of_dataset(dataset))
  choices = f'{len(dataset.options)} options' if dataset.options else 'options of each row'
  yield f'{stem}: {dataset.cluster}, {names.origin_of(info)}, {choices if dataset.classifies else "free text"}'
  yield f'  {len(found)} tasks; a name is {stem} and at most one part of each line, in this order:'
  instructed = [variant for variant in found if variant.prompting == 'instructions']
  parts = (
    ('templates', [variant.templates for variant in instructed if variant.templates != 'all']),
    ('exemplars', [variant.shots for variant in instructed if variant.shots]),
    ('options', ['no_options'] if not all(variant.options for variant in instructed) else []),
    ('ranked', ['rank'] if any(variant.rank for variant in instructed) else []),
  )
  for heading, values in parts:
    if values:
      yield f'  {heading:<11} {_shortened(list(dict.fromkeys(values)))}'
  others = [variant.suffix.removeprefix('.') for variant in found if variant.prompting != 'instructions']
  yield f'  {"or alone":<11} {" ".join(others)}'
  inverted = [index for index in range(len(dataset.templates)) if index not in dataset.answerable]
  if inverted:
    yield f'  inverted templates (the target is not the answer, never ranked): {", ".join(map(str, inverted))}'


def _shortened(parts: Sequence[str]) -> str:
  """Lists parts; single templates, which are many, from the first to the last."""
  single = [part for part in parts if part.startswith('template_')]
  others = [part for part in parts if part not in single]
  span = [f'{single[0]} ... {single[-1]}'] if len(single) > 2 else single
  return ' '.join([*span, *others])


def _inverted(dataset: Dataset) -> int:
  return len(dataset.templates) - len(dataset.answerable)


def _count(rows: int | None) -> str:
  return NOTHING if rows is None else f'{rows:,}'
