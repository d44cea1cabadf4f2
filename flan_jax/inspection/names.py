"""From the names that a person types to datasets and tasks, and to what of them is on disk."""

from collections.abc import Iterable

import seqio

from flan_jax.data import registry
from flan_jax.data.dataset import Dataset
from flan_jax.data.registry import Family, TaskInfo
from flan_jax.data.roles import why_missing
from flan_jax.errors import UserError
from flan_jax.lint import samples
from flan_jax.lint.samples import on_disk

ROLES = ('train', 'validation', 'test')


def tasks_of(names: Iterable[str]) -> list[TaskInfo]:
  """Returns the tasks behind names, each once.

  Args:
    names: of families (evaluation-only datasets included), mixtures and tasks; none stand for every family.

  Raises:
    UserError: for a name that is none of these.
  """
  families = {family.name: family for family in registry.families()}
  found: dict[str, TaskInfo] = {}
  for name in list(names) or list(families):
    members = _all_of(families[name]) if name in families else registry.tasks_of(name)
    found |= {task: registry.task_info(task) for task in members}
  return list(found.values())


def _all_of(family: Family) -> list[str]:
  """The tasks of a family's datasets, evaluation-only ones among the others of their cluster."""
  datasets = (*family.datasets, *family.evaluation_only)
  clusters = list(dict.fromkeys(dataset.cluster for dataset in datasets))
  return [family.task(dataset) for dataset in sorted(datasets, key=lambda d: clusters.index(d.cluster))]


def source_of(info: TaskInfo) -> seqio.DataSource:
  """Returns where a task's rows come from."""
  return seqio.TaskRegistry.get(info.name).source


def origin_of(info: TaskInfo) -> str:
  """Returns where a task's rows come from, in words: a TFDS name or a file."""
  return samples.origin(info.dataset, source_of(info))


def datasets_of(infos: Iterable[TaskInfo]) -> list[tuple[Dataset, seqio.DataSource]]:
  """Returns the datasets of tasks, each once, with their sources."""
  return list({id(info.dataset): (info.dataset, source_of(info)) for info in infos}.values())


def sizes(info: TaskInfo) -> dict[str, int | None]:
  """Returns how many rows each declared role of a dataset has here; None where they are not here."""
  source = source_of(info)
  return {role: source.num_input_examples(role) if why_missing(source, role) is None else None
          for role in ROLES if role in source.splits}  # fmt: skip


def split_of(info: TaskInfo, wanted: str | None) -> str:
  """Returns the role whose rows are read: the wanted one, or the first that is here.

  Raises:
    UserError: where it has no rows here.
  """
  source = source_of(info)
  if wanted is not None and wanted not in source.splits:
    raise UserError(f'--split: {info.name!r} has no {wanted!r} rows; it has {", ".join(source.splits)}.')
  split = wanted or on_disk(source) or next(iter(source.splits))
  if reason := why_missing(source, split):
    raise UserError(reason)
  return split


def alone(info: TaskInfo, template: int) -> TaskInfo:
  """Returns the task that asks in the same way under one template.

  Raises:
    UserError: where the dataset has no such template, or the way of asking knows none.
  """
  count = len(info.dataset.templates)
  if not 0 <= template < count:
    raise UserError(f'--template: {info.name!r} has the templates 0 to {count - 1}, not {template}.')
  name = info.alone(template)
  if name not in registry.known_names():
    why = ('shows no template' if info.variant.prompting != 'instructions'
           else f'is ranked, and template {template} is inverted: its target is not the answer')  # fmt: skip
    raise UserError(f'--template: there is no {name!r}, because {info.name!r} {why}.')
  return registry.task_info(name)
