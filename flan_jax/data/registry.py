"""From declarations to SeqIO: every variant of a dataset as a task, every cluster and its absence as a mixture."""

import dataclasses
import functools
import zlib
from collections.abc import Mapping, Sequence

import seqio

from flan_jax.data import preprocessors, provenance
from flan_jax.data.dataset import Dataset
from flan_jax.data.source import TfdsRows
from flan_jax.data.vocabulary import ActiveVocabulary
from flan_jax.errors import UserError, did_you_mean

SHUFFLE_BUFFER_SIZE = 1000  # SeqIO's default
MAX_RATE = 3000  # FLAN's cap on a dataset's share: examples-proportional mixing, at most as if it had 3,000 rows

FEATURES = {
  'inputs': seqio.Feature(ActiveVocabulary(), add_eos=True),
  'targets': seqio.Feature(ActiveVocabulary(), add_eos=True),
  provenance.FEATURE: seqio.Feature(seqio.PassThroughVocabulary(2**31 - 1), add_eos=False),
}

# Without instructions a dataset has one more task for each way of leaving them out.
_SUFFIX = {'instructions': '', 'fields_only': '.fields_only', 'dataset_name': '.dataset_name'}


@dataclasses.dataclass(frozen=True)
class TaskInfo:
  """What a task's name stands for: its dataset, its templates, and how it prompts."""

  name: str
  family: str
  dataset: Dataset
  templates: tuple[int, ...]
  prompting: str


@dataclasses.dataclass(frozen=True)
class Family:
  """A set of datasets that are mixed and held out together, such as FLAN 2021."""

  name: str
  datasets: tuple[Dataset, ...]
  exclusions: Mapping[str, tuple[str, ...]]
  max_rate: int = MAX_RATE

  @functools.cached_property
  def clusters(self) -> dict[str, tuple[Dataset, ...]]:
    """The datasets of each cluster, in order of declaration."""
    names = dict.fromkeys(dataset.cluster for dataset in self.datasets)
    return {name: tuple(d for d in self.datasets if d.cluster == name) for name in names}

  def without(self, cluster: str) -> tuple[Dataset, ...]:
    """The datasets that may train a model to be judged on a cluster: that cluster and those too close to it leave."""
    out = {cluster, *self.exclusions.get(cluster, ())}
    return tuple(dataset for dataset in self.datasets if dataset.cluster not in out)


_FAMILIES: dict[str, Family] = {}
_TASKS: dict[str, TaskInfo] = {}


def register_family(
  name: str,
  datasets: Sequence[Dataset],
  exclusions: Mapping[str, tuple[str, ...]] | None = None,
  evaluation_only: Sequence[str] = (),
  max_rate: int = MAX_RATE,
  shuffle_buffer_size: int = SHUFFLE_BUFFER_SIZE,
) -> Family:
  """Registers all tasks and mixtures of a family with SeqIO.

  For a dataset `sst2` of family `flan2021` in cluster `sentiment`:
    `sst2`: each example under one of its templates, drawn by seed; `sst2.template_0` ...: under one template;
    `sst2.fields_only`, `sst2.dataset_name`: without an instruction.
  And the mixtures, rates examples-proportional up to a cap:
    `flan2021`, `flan2021.sentiment`, `flan2021.without_sentiment`; each also `.fields_only` and `.dataset_name`.

  Args:
    name: the family's name.
    datasets: its declarations.
    exclusions: for a held-out cluster, the other clusters that leave training with it.
    evaluation_only: names of datasets that get tasks and belong to no mixture.
    max_rate: the cap on a dataset's share; 1 mixes all datasets evenly.
    shuffle_buffer_size: examples among which the next one is drawn; they are read before the first batch, and saved
      with every position. TFDS shuffles most rows when it writes them, so that a few go a long way.

  Returns:
    The family.

  Raises:
    UserError: where a name is taken.
  """
  members = tuple(dataset for dataset in datasets if dataset.name not in evaluation_only)
  family = Family(name, members, dict(exclusions or {}), max_rate)
  _refuse_taken(name, [name, *(dataset.name for dataset in datasets)])
  for dataset in datasets:
    _register_tasks(name, dataset, shuffle_buffer_size)
  for prompting, suffix in _SUFFIX.items():
    _register_mixture(f'{name}{suffix}', members, prompting, max_rate)
    for cluster, inside in family.clusters.items():
      _register_mixture(f'{name}.{cluster}{suffix}', inside, prompting, max_rate)
      _register_mixture(f'{name}.without_{cluster}{suffix}', family.without(cluster), prompting, max_rate)
  _FAMILIES[name] = family
  return family


def _refuse_taken(family: str, names: Sequence[str]) -> None:
  """Raises before anything is registered: half a family would be in the way of the mended one."""
  taken = {*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()}
  for name in names:
    if name in taken:
      by = f' by a dataset of family {_TASKS[name].family!r}' if name in _TASKS else ''
      raise UserError(f'Family {family!r} cannot be registered: the name {name!r} is taken{by}.')
    taken.add(name)


def _register_tasks(family: str, dataset: Dataset, shuffle_buffer_size: int) -> None:
  every = tuple(range(len(dataset.templates)))
  for prompting, suffix in _SUFFIX.items():
    _register_task(TaskInfo(f'{dataset.name}{suffix}', family, dataset, every, prompting), shuffle_buffer_size)
  for index in every:
    info = TaskInfo(f'{dataset.name}.template_{index}', family, dataset, (index,), 'instructions')
    _register_task(info, shuffle_buffer_size)


def _register_task(info: TaskInfo, shuffle_buffer_size: int) -> None:
  seqio.TaskRegistry.add(
    info.name,
    source=TfdsRows(info.dataset.name, info.dataset.source, info.dataset.splits),
    preprocessors=[
      preprocessors.extract_fields(info.dataset),
      seqio.CacheDatasetPlaceholder(),  # what follows draws anew in every epoch
      preprocessors.render(info.dataset, info.name, info.templates, info.prompting),
      preprocessors.tokenize,
    ],
    output_features=FEATURES,
    shuffle_buffer_size=shuffle_buffer_size,
  )
  _TASKS[info.name] = info


def _register_mixture(name: str, datasets: Sequence[Dataset], prompting: str, max_rate: int) -> None:
  if datasets:
    tasks = [f'{dataset.name}{_SUFFIX[prompting]}' for dataset in datasets]
    seqio.MixtureRegistry.add(name, tasks, default_rate=functools.partial(_rate, maximum=max_rate))


def mixture_of(names: Sequence[str], max_rate: int = MAX_RATE) -> str:
  """Mixes registered tasks that no registered mixture stands for, and returns the mixture's name.

  Args:
    names: tasks, or mixtures, which stand for their tasks.
    max_rate: the cap on a task's share, see `register_family`.

  Returns:
    The name, the same for the same tasks; of a single task or mixture its own.

  Raises:
    UserError: for an unknown name, or without any.
  """
  if not names:
    raise UserError('A mixture needs at least one task.')
  if len(names) == 1:
    return get_mixture_or_task(names[0]).name
  tasks = sorted({task for name in names for task in tasks_of(name)})
  digest = zlib.crc32(' '.join([*tasks, str(max_rate)]).encode())
  name = f'mixture_of_{len(tasks)}_{digest:08x}'
  if name not in seqio.MixtureRegistry.names():
    seqio.MixtureRegistry.add(name, tasks, default_rate=functools.partial(_rate, maximum=max_rate))
  return name


def _rate(task: seqio.Task, maximum: int) -> float:
  return float(min(task.num_input_examples('train'), maximum))


def family(name: str) -> Family:
  """Returns a registered family, or says which ones there are."""
  if name not in _FAMILIES:
    raise UserError(f'There is no task family {name!r}. {did_you_mean(name, _FAMILIES)}')
  return _FAMILIES[name]


def task_info(name: str) -> TaskInfo:
  """Returns what a task's name stands for, or suggests the names nearest to it."""
  if name not in _TASKS:
    raise UserError(f'There is no task {name!r}. {did_you_mean(name, _TASKS)}')
  return _TASKS[name]


def known_names() -> list[str]:
  """Returns every registered task and mixture of ours, sorted."""
  return sorted({*_TASKS, *(name for name in seqio.MixtureRegistry.names())})


def get_mixture_or_task(name: str) -> seqio.Task | seqio.Mixture:
  """Returns a SeqIO provider by name, or suggests the names nearest to it."""
  if name in seqio.MixtureRegistry.names():
    return seqio.MixtureRegistry.get(name)
  if name in seqio.TaskRegistry.names():
    return seqio.TaskRegistry.get(name)
  candidates = [*seqio.MixtureRegistry.names(), *seqio.TaskRegistry.names()]
  raise UserError(f'There is no task or mixture {name!r}. {did_you_mean(name, candidates)}')


def tasks_of(name: str) -> list[str]:
  """Returns the task names of a mixture, or the task's own name."""
  provider = get_mixture_or_task(name)
  return [provider.name] if isinstance(provider, seqio.Task) else [task.name for task in provider.tasks]
