"""From declarations to SeqIO: every variant of a dataset as a task, every cluster and its absence as a mixture."""

import dataclasses
import difflib
import functools
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import seqio
import tensorflow as tf

from flan_jax.data import cached_rows, provenance, variants
from flan_jax.data.check import check_family
from flan_jax.data.dataset import Dataset
from flan_jax.data.extract import extract_fields
from flan_jax.data.pipeline import IS_CORRECT, Ask
from flan_jax.data.source import rows_of
from flan_jax.data.task_metrics import metrics_of
from flan_jax.data.variants import ORDINARY, Variant
from flan_jax.data.vocabulary import ActiveVocabulary
from flan_jax.data.without_rows import WithoutRows
from flan_jax.errors import UserError, did_you_mean

SHUFFLE_BUFFER_SIZE = 1000  # SeqIO's default
MAX_RATE = 3000  # FLAN's cap on a dataset's share: examples-proportional mixing, at most as if it had 3,000 rows

FEATURES = {
  'inputs': seqio.Feature(ActiveVocabulary(), add_eos=True),
  'targets': seqio.Feature(ActiveVocabulary(), add_eos=True),
  provenance.FEATURE: seqio.Feature(seqio.PassThroughVocabulary(2**31 - 1), add_eos=False),
}
RANK_FEATURES = {
  **FEATURES,
  'targets': seqio.Feature(ActiveVocabulary(), add_eos=True, rank=2),  # [options, tokens], padded with zeros
  IS_CORRECT: seqio.Feature(seqio.PassThroughVocabulary(2), add_eos=False),
}


class FlanTask(seqio.Task):
  """A SeqIO task whose examples are cut before EOS is appended, so that there is nothing left to trim.

  Its cache is that of its dataset's ordinary variant where it has none of its own: all variants have the same one.
  """

  @property
  def cache_dir(self) -> str | None:
    """The folder of the offline cache, or None; see `seqio.Task`."""
    own = super().cache_dir
    other = cached_as(self.name)
    return own if own or other == self.name else seqio.TaskRegistry.get(other).cache_dir

  def _get_cached_source(self, split: str, file_shuffle_buffer_size: int | None = None) -> seqio.DataSource:
    folder = self.cache_dir
    if folder and cached_rows.is_ours(folder, split):
      return cached_rows.CachedRows(self.name, self.source, folder, split)
    return super()._get_cached_source(split, file_shuffle_buffer_size)

  def _trim_output_features(self, dataset: tf.data.Dataset, sequence_length: object) -> tf.data.Dataset:
    del sequence_length
    return dataset


_TASK_ARGUMENTS = ('split', 'use_cached', 'shuffle', 'seed', 'shard_info', 'num_epochs', 'trim_output_features',
                   'try_in_mem_cache')  # fmt: skip  # as SeqIO's mixtures pass them on


class FlanMixture(seqio.Mixture):
  """A SeqIO mixture that takes no step to leave features out where there are none."""

  def get_task_dataset(
    self,
    task: seqio.Task,
    output_feature_keys: set[str],
    sequence_length: Mapping[str, int] | None = None,
    *arguments: Any,
    **options: Any,
  ) -> tf.data.Dataset:
    """See `seqio.Mixture`."""
    if not isinstance(task, FlanTask) or not output_feature_keys <= (sequence_length or {}).keys():
      return super().get_task_dataset(task, output_feature_keys, sequence_length, *arguments, **options)
    named = dict(zip(_TASK_ARGUMENTS, arguments, strict=False))
    return task.get_dataset(sequence_length, **named, **options)


@dataclasses.dataclass(frozen=True)
class TaskInfo:
  """What a task's name stands for: its dataset, and the way of asking about it."""

  name: str
  family: str
  dataset: Dataset
  variant: Variant

  @property
  def templates(self) -> tuple[int, ...]:
    """The templates that the task uses."""
    return self.variant.indices(self.dataset)

  def alone(self, template: int) -> str:
    """The name of the task that asks in the same way under one template."""
    variant = dataclasses.replace(self.variant, templates=f'template_{template}')
    return f'{self.name.removesuffix(self.variant.suffix)}{variant.suffix}'


@dataclasses.dataclass(frozen=True)
class Family:
  """A set of datasets that are mixed and held out together, such as FLAN 2021.

  Attributes:
    name: the family's name.
    datasets: those that mixtures are made of.
    evaluation_only: those that have tasks and belong to no mixture.
    exclusions: for a held-out cluster, the other clusters that leave training with it.
    max_rate: the cap on a dataset's share.
    prefix: what task names begin with.
  """

  name: str
  datasets: tuple[Dataset, ...]
  exclusions: Mapping[str, tuple[str, ...]]
  max_rate: int = MAX_RATE
  evaluation_only: tuple[Dataset, ...] = ()
  prefix: str = ''

  @functools.cached_property
  def clusters(self) -> dict[str, tuple[Dataset, ...]]:
    """The datasets of each cluster, in order of declaration."""
    names = dict.fromkeys(dataset.cluster for dataset in self.datasets)
    return {name: tuple(d for d in self.datasets if d.cluster == name) for name in names}

  def without(self, cluster: str) -> tuple[Dataset, ...]:
    """The datasets that may train a model to be judged on a cluster: that cluster and those too close to it leave."""
    out = {cluster, *self.exclusions.get(cluster, ())}
    return tuple(dataset for dataset in self.datasets if dataset.cluster not in out)

  @functools.cached_property
  def mixed(self) -> dict[str, tuple[str, ...]]:
    """What stands for each dataset in the variants of a mixture, in their order."""
    return {
      dataset.name: tuple(self.task(dataset, variant.nearest(dataset)) for variant in variants.OF_MIXTURES)
      for dataset in (*self.datasets, *self.evaluation_only)
    }

  def task(self, dataset: Dataset, variant: Variant = ORDINARY) -> str:
    """The name of a task."""
    return f'{self.prefix}{dataset.name}{variant.suffix}'


_FAMILIES: dict[str, Family] = {}
_TASKS: dict[str, TaskInfo] = {}


def register_family(
  name: str,
  datasets: Sequence[Dataset],
  exclusions: Mapping[str, tuple[str, ...]] | None = None,
  evaluation_only: Sequence[str] = (),
  max_rate: int = MAX_RATE,
  shuffle_buffer_size: int = SHUFFLE_BUFFER_SIZE,
  prefix: str | None = None,
  check: bool = True,
) -> Family:
  """Registers all tasks and mixtures of a family with SeqIO.

  A dataset `sst2` of family `flan2021` has the tasks `flan2021.sst2`, `flan2021.sst2.template_0`, ...: one for each of
  its variants (`flan_jax.data.variants` lists them). Mixtures are `flan2021`, for a cluster `flan2021.sentiment`, and
  `flan2021.without_sentiment`, rates examples-proportional up to a cap; each comes in variants too.

  Args:
    name: the family's name.
    datasets: its declarations.
    exclusions: for a held-out cluster, the other clusters that leave training with it.
    evaluation_only: names of datasets that get tasks and belong to no mixture.
    max_rate: the cap on a dataset's share; 1 mixes all datasets evenly.
    shuffle_buffer_size: examples among which the next one is drawn; they are read before the first batch, and saved
      with every position. TFDS shuffles most rows when it writes them, so that a few go a long way.
    prefix: what task names begin with; the family's name and a dot where None.
    check: look for mistakes in the declarations now (see `check.check_declaration`), which opens files; False leaves
      them to the first use.

  Returns:
    The family.

  Raises:
    UserError: where a name is taken or a declaration cannot be meant.
  """
  members = tuple(dataset for dataset in datasets if dataset.name not in evaluation_only)
  judged = tuple(dataset for dataset in datasets if dataset.name in evaluation_only)
  family = Family(name, members, dict(exclusions or {}), max_rate, judged, f'{name}.' if prefix is None else prefix)
  mixtures = {name: members}
  for cluster, inside in family.clusters.items():
    mixtures |= {f'{name}.{cluster}': inside, f'{name}.without_{cluster}': family.without(cluster)}
  _refuse_taken(name, [*mixtures, *(family.task(dataset) for dataset in datasets)])
  if check:
    check_family(datasets)
  for dataset in datasets:
    _register_tasks(family, dataset, shuffle_buffer_size)
  for mixture, inside in mixtures.items():
    register_mixture(family, mixture, inside)
  _FAMILIES[name] = family
  return family


def _is_taken(name: str) -> bool:
  return name in seqio.TaskRegistry.names() or name in seqio.MixtureRegistry.names()


def _refuse_taken(family: str, names: Sequence[str]) -> None:
  """Raises before anything is registered: half a family would be in the way of the mended one."""
  mine: set[str] = set()
  for name in names:
    if _is_taken(name):
      by = f' by a dataset of family {_TASKS[name].family!r}' if name in _TASKS else ''
      raise UserError(f'Family {family!r} cannot be registered: the name {name!r} is taken{by}.')
    if name in mine:
      raise UserError(f'Family {family!r} cannot be registered: {name!r} is what two of its datasets or clusters are '
                      'called.')
    mine.add(name)


def _register_tasks(family: Family, dataset: Dataset, shuffle_buffer_size: int) -> None:
  source = rows_of(dataset)
  steps = _before_cache(dataset)
  for variant in variants.of_dataset(dataset):
    info = TaskInfo(family.task(dataset, variant), family.name, dataset, variant)
    _register_task(info, source, steps, shuffle_buffer_size)


def _before_cache(dataset: Dataset) -> list[Any]:
  return [extract_fields(dataset), seqio.CacheDatasetPlaceholder()]


def _register_task(info: TaskInfo, source: seqio.DataSource, steps: Sequence[Any], shuffle_buffer_size: int) -> None:
  seqio.TaskRegistry.add(
    info.name,
    source=source,
    # What follows the cache, the last of the steps before, draws anew in every epoch.
    preprocessors=[*steps, Ask(info.dataset, info.name, info.variant, source)],
    output_features=RANK_FEATURES if info.variant.rank else FEATURES,
    shuffle_buffer_size=shuffle_buffer_size,
    task_cls=FlanTask,
    **metrics_of(info.dataset, info.variant),
  )
  _TASKS[info.name] = info


def register_mixture(family: Family, name: str, datasets: Iterable[Dataset]) -> None:
  """Registers a mixture of a family's datasets, and its variants (`<name>.5shot`, `<name>.first_4`, ...).

  Where none of them has training rows, exemplars could not be drawn from any, and there is no `<name>.5shot`.

  Args:
    family: whose tasks are mixed.
    name: of the mixture.
    datasets: some of the family's; none register nothing.

  Raises:
    UserError: where the name is taken, or a dataset is none of the family's.
  """
  chosen = tuple(datasets)
  if _is_taken(name):
    raise UserError(f'Mixture {name!r} cannot be registered: the name is taken.')
  for dataset in chosen:
    if dataset.name not in family.mixed:
      raise UserError(f'Mixture {name!r} cannot be registered: family {family.name!r} has no dataset {dataset.name!r}. '
                      + did_you_mean(dataset.name, family.mixed))
  rate = functools.partial(_rate, maximum=family.max_rate)
  trains = any(dataset.splits.train is not None for dataset in chosen)
  for place, variant in enumerate(variants.OF_MIXTURES if chosen else ()):
    if variant.shots and not trains:
      continue
    tasks = [family.mixed[dataset.name][place] for dataset in chosen]
    _add_mixture(f'{name}{variant.suffix}', tasks, rate)


def _add_mixture(name: str, tasks: Sequence[str], rate: Callable[[seqio.Task], float]) -> None:
  seqio.MixtureRegistry.add_provider(name, FlanMixture(name, tasks, default_rate=rate))


def mixture_of(names: Sequence[str], max_rate: int | None = None) -> str:
  """Mixes registered tasks that no registered mixture stands for, and returns the mixture's name.

  Args:
    names: tasks, or mixtures, which stand for their tasks.
    max_rate: the cap on a task's share, see `register_family`; None gives each task its own family's.

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
  caps = {task: _cap(task) if max_rate is None else max_rate for task in tasks}
  digest = zlib.crc32(' '.join([*tasks, *(str(cap) for cap in sorted(set(caps.values())))]).encode())
  name = f'mixture_of_{len(tasks)}_{digest:08x}'
  if name not in seqio.MixtureRegistry.names():
    _add_mixture(name, tasks, lambda task: _rate(task, caps[task.name]))
  return name


def reduced(name: str, kept: Sequence[str]) -> str:
  """Registers what is left of a mixture when some of its tasks are left out; the others keep their rates.

  Args:
    name: of the mixture.
    kept: the tasks that stay.

  Returns:
    The name of the smaller mixture, the same for the same tasks.
  """
  whole = seqio.MixtureRegistry.get(name)
  digest = zlib.crc32(' '.join(sorted(kept)).encode())
  smaller = f'{name}.{len(kept)}_of_{len(whole.tasks)}_{digest:08x}'
  if smaller not in seqio.MixtureRegistry.names():
    _add_mixture(smaller, sorted(kept), whole.get_rate)
  return smaller


def limited(name: str, rows: int) -> str:
  """Registers a task that trains on the first rows of another one and is the same in all else.

  Args:
    name: of the task.
    rows: how many.

  Returns:
    The name of the smaller task, such as `<name>.500_rows`, the same for the same rows.

  Raises:
    UserError: for an unknown task, or without any rows.
  """
  info = task_info(name)
  if rows < 1:
    raise UserError(f'{name!r} cannot train on its first {rows} rows: at least one is needed.')
  splits = info.dataset.splits
  dataset = dataclasses.replace(
    info.dataset, splits=dataclasses.replace(splits, train_cap=min(rows, splits.train_cap)))
  smaller = dataclasses.replace(info, name=f'{name}.{rows}_rows', dataset=dataset)
  if not _is_taken(smaller.name):
    steps = _before_cache(dataset)
    _register_task(smaller, rows_of(dataset), steps, seqio.TaskRegistry.get(name).shuffle_buffer_size)
  return smaller.name


def without_rows(name: str, rows: Mapping[str, Collection[str]]) -> str:
  """Registers what is left of a task or mixture when some training rows are left out; other roles keep theirs.

  A task whose rate is its number of rows, or fewer up to a cap, counts by the rows that it has left; every other rate
  stays as it is.

  Args:
    name: of the task or mixture.
    rows: by the name of a dataset, the ids of the training rows that leave.

  Returns:
    A name such as `<name>.without_12_rows_0a1b2c3d`, the same for the same rows; the name itself where none leaves.

  Raises:
    UserError: for a dataset that is not in the mixture, an id that is no training row's, or where a dataset keeps none.
  """
  tasks = tasks_of(name)
  gone = {dataset: sorted(set(ids)) for dataset, ids in sorted(rows.items()) if ids}
  known = {task_info(task).dataset.name for task in tasks}
  for dataset in gone:
    if dataset not in known:
      raise UserError(f'{name!r} has no dataset {dataset!r} whose rows could be left out. '
                      f'{did_you_mean(dataset, known)}')
  if not gone:
    return name
  smaller = f'{name}{_without(gone)}'
  if isinstance(get_mixture_or_task(name), seqio.Task):
    return _task_without(name, gone)
  if smaller not in seqio.MixtureRegistry.names():
    whole = seqio.MixtureRegistry.get(name)
    before = {_task_without(task, gone): seqio.TaskRegistry.get(task) for task in tasks}
    _add_mixture(smaller, sorted(before), lambda task: _rate_of_the_rest(task, before[task.name], whole))
  return smaller


def _without(gone: Mapping[str, Sequence[str]]) -> str:
  """What a name ends in where rows are left out."""
  listed = [f'{dataset} {row}' for dataset, ids in gone.items() for row in ids]
  return f'.without_{len(listed)}_rows_{zlib.crc32(" ".join(listed).encode()):08x}'


def _task_without(name: str, gone: Mapping[str, Sequence[str]]) -> str:
  """The task without those of the rows that are its dataset's; itself where none are."""
  info, task = task_info(name), seqio.TaskRegistry.get(name)
  dataset = info.dataset
  if dataset.name not in gone:
    return name
  own = {dataset.name: gone[dataset.name]}
  smaller = dataclasses.replace(info, name=f'{name}{_without(own)}')
  if not _is_taken(smaller.name):
    source = WithoutRows(dataset.name, task.source, own[dataset.name])
    _register_task(smaller, source, _before_cache(dataset), task.shuffle_buffer_size)
  return smaller.name


def _rate_of_the_rest(task: seqio.Task, before: seqio.Task, whole: seqio.Mixture) -> float:
  rate = whole.get_rate(before)
  by_rows = rate <= before.num_input_examples('train')
  return min(rate, float(task.num_input_examples('train'))) if by_rows else rate


def _cap(task: str) -> int:
  return _FAMILIES[_TASKS[task].family].max_rate if task in _TASKS else MAX_RATE


def _rate(task: seqio.Task, maximum: int) -> float:
  return float(min(task.num_input_examples('train'), maximum))


def family(name: str) -> Family:
  """Returns a registered family, or says which ones there are."""
  if name not in _FAMILIES:
    raise UserError(f'There is no task family {name!r}. {did_you_mean(name, _FAMILIES)}')
  return _FAMILIES[name]


def families() -> tuple[Family, ...]:
  """Returns every registered family, in order of registration."""
  return tuple(_FAMILIES.values())


def _nearest(name: str, names: Iterable[str]) -> str:
  """Suggests names; one that lacks its family is found as well."""
  tails = {known.partition('.')[2]: known for known in names}
  if name in tails:
    return f'Did you mean {tails[name]!r}?'
  close = difflib.get_close_matches(name, tails, n=1, cutoff=0.7)
  whole = did_you_mean(name, names)
  return f'Did you mean {tails[close[0]]!r}?' if close and not whole.startswith('Did') else whole


def cached_as(name: str) -> str:
  """The task whose offline cache a task reads: its dataset's ordinary variant, where that has the same rows."""
  if name not in _TASKS:
    return name
  info = _TASKS[name]
  ordinary = _FAMILIES[info.family].task(info.dataset) if info.family in _FAMILIES else name
  same = ordinary in _TASKS and seqio.TaskRegistry.get(ordinary).source is seqio.TaskRegistry.get(name).source
  return ordinary if same else name


def task_info(name: str) -> TaskInfo:
  """Returns what a task's name stands for, or suggests the names nearest to it."""
  if name not in _TASKS:
    raise UserError(f'There is no task {name!r}. {_nearest(name, _TASKS)}')
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
  raise UserError(f'There is no task or mixture {name!r}. {_nearest(name, candidates)}')


def tasks_of(name: str) -> list[str]:
  """Returns the task names of a mixture, or the task's own name."""
  provider = get_mixture_or_task(name)
  return [provider.name] if isinstance(provider, seqio.Task) else [task.name for task in provider.tasks]
