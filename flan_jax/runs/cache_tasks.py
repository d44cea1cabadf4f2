"""Offline caches of tasks, built file by file on any of Apache Beam's runners, or in this process."""

import importlib.util
from collections.abc import Callable, Sequence

from flan_jax.data import cache, registry
from flan_jax.errors import UserError
from flan_jax.runs import parts

BEAM = 'pip install "flan_jax[beam]"'


def cache_tasks(names: Sequence[str], cache_dir: str, *, modules: Sequence[str] = parts.TASK_MODULES,
                tfds_data_dir: str | None = None, pipeline_options: Sequence[str] = (),
                overwrite: bool = False) -> dict[str, dict[str, int]]:
  """Builds the caches that tasks read.

  Args:
    names: tasks or mixtures; variants of a dataset share its cache.
    cache_dir: gets a folder for each dataset; here or on cloud storage.
    modules: to import, which register the tasks, here and where the work is done.
    tfds_data_dir: where the rows are.
    pipeline_options: of Beam, such as '--runner=FlinkRunner'.
    overwrite: build whole caches again.

  Returns:
    For every cache that was built, by task: its examples by split.

  Raises:
    UserError: for an unknown name, a task without rows, or options for Beam where it is not installed.
  """
  parts.use_tasks(modules, '--module')
  tasks = list(dict.fromkeys(registry.cached_as(task) for name in names for task in registry.tasks_of(name)))
  for task in tasks:
    registry.task_info(task)  # one of ours, or said so
  waiting: dict[str, list[cache.Piece]] = {}
  for task in tasks:
    folder = cache.folder_of(task, cache_dir)
    if cache.is_complete(folder) and not overwrite:
      print(f'{task} is cached in {folder}: left alone (--overwrite builds it again)')
      continue
    waiting[task], left_out = cache.pieces(task, cache_dir, modules, tfds_data_dir)
    for reason in left_out:
      print(f'{task}: left out: {reason}')
  if not waiting:
    return {}
  write = _writer(pipeline_options)
  for members in waiting.values():
    cache.clear(members[0].folder)
  write([piece for members in waiting.values() for piece in members])
  built = {task: cache.complete(members) for task, members in waiting.items()}
  for task, counts in built.items():
    told = ', '.join(f'{count:,} {split}' for split, count in counts.items())
    print(f'{task}: {told} examples in {len(waiting[task]):,} files of {waiting[task][0].folder}')
  return built


def _writer(pipeline_options: Sequence[str]) -> Callable[[Sequence[cache.Piece]], None]:
  """What writes files: Beam's runner, or without Beam this process."""
  if importlib.util.find_spec('apache_beam') is not None:
    return lambda pieces: _by_beam(pieces, pipeline_options)
  if pipeline_options:
    raise UserError(f'--pipeline_options={",".join(pipeline_options)} is for Apache Beam, which is not installed: '
                    f'{BEAM}, or leave the flag out.')
  print(f'Apache Beam is not installed ({BEAM}): one file after the other, in this process')
  return _here


def _here(pieces: Sequence[cache.Piece]) -> None:
  for piece in pieces:
    piece.write()


def _by_beam(pieces: Sequence[cache.Piece], options: Sequence[str]) -> None:
  import apache_beam as beam
  from apache_beam.options.pipeline_options import PipelineOptions

  with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
    # Without the reshuffle a runner would fuse the steps, and one worker would write every file.
    written = pipeline | beam.Create(list(pieces)) | beam.Reshuffle()
    written | beam.Map(cache.Piece.write)
