"""Checkpoints of a run by Orbax: asynchronous, atomic, verified, the latest few and the best one kept."""

import base64
import dataclasses
import json
import pathlib
import shutil
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import Array
from orbax.checkpoint import checkpoint_managers

from flan_jax.errors import UserError
from flan_jax.peft.digest import digests
from flan_jax.training import hosts
from flan_jax.training.state import TrainState

PREFIX = 'checkpoint'
DIGEST = 'digest'
FORMAT = 1


class CorruptCheckpoint(Exception):
  """The files of a checkpoint cannot be read, or do not hold what was written."""


@dataclasses.dataclass(frozen=True)
class Restored:
  """A checkpoint read back.

  Attributes:
    state: on the devices, sharded as asked.
    data_state: the position of the batch iterator.
    metadata: what the run wrote about itself.
  """

  state: TrainState
  data_state: bytes
  metadata: dict[str, Any]


def named_arrays(state: TrainState) -> dict[str, Array]:
  """A state as one flat dictionary: 'step', 'trainable/<parameter>', 'frozen/...', 'opt_state/...' and so on."""
  flat, _ = jax.tree_util.tree_flatten_with_path(state)
  return {jax.tree_util.keystr(path, simple=True, separator='/'): leaf for path, leaf in flat}


def describe(arrays: Mapping[str, Any]) -> dict[str, list[Any]]:
  """Shape and dtype of every array, as JSON."""
  return {name: [list(value.shape), str(value.dtype)] for name, value in arrays.items()}


class Checkpointer:
  """Writes and reads `<model_dir>/checkpoint_<step>/`."""

  def __init__(self, model_dir: str | pathlib.Path, *, keep: int = 3, best_metric: str | None = None,
               best_mode: str = 'max', report: Callable[[str], None] = print):
    """Opens the run folder, making it if need be.

    Args:
      model_dir: the run folder.
      keep: how many of the latest checkpoints stay.
      best_metric: a metric such as 'sst2/accuracy'; the checkpoint where it was best stays too.
      best_mode: 'max' or 'min'.
      report: receives sentences for the user.

    Raises:
      UserError: if the folder cannot be written.
    """
    if keep < 1:
      raise UserError(f'at least one checkpoint must be kept, keep is {keep}')
    if best_mode not in ('max', 'min'):
      raise UserError(f"best_mode must be 'max' or 'min', not {best_mode!r}")
    self._report = hosts.spoken_by_first(report)
    self._best_metric = best_metric
    self.directory = pathlib.Path(model_dir).resolve()
    try:
      with hosts.first_alone('run folder') as alone:
        if alone:
          self.directory.mkdir(parents=True, exist_ok=True)
          remove_leftovers(self.directory)
      self._manager = ocp.CheckpointManager(self.directory, options=_options(keep, best_metric, best_mode))
    except OSError as error:
      raise UserError(f'cannot write to the run folder {self.directory}: {error.strerror or error}') from error

  def steps(self) -> list[int]:
    """Steps of the complete checkpoints, oldest first."""
    return sorted(self._manager.all_steps())

  def save(self, step: int, state: TrainState, data_state: bytes, metadata: Mapping[str, Any],
           metrics: Mapping[str, float] | None = None) -> None:
    """Starts to write a checkpoint; returns as soon as the arrays are safe from being overwritten.

    Args:
      step: number of updates done.
      state: to be saved.
      data_state: the position of the batch iterator.
      metadata: JSON-able facts about the run.
      metrics: results of this step's evaluations; the best metric is looked up here.

    Raises:
      UserError: if this save or the one before could not be written.
    """
    best = {k: v for k, v in (metrics or {}).items() if k == self._best_metric}
    self._write(step, named_arrays(state), data_state, metadata, best)

  def _write(self, step: int, arrays: Mapping[str, Array], data_state: bytes, metadata: Mapping[str, Any],
             best: Mapping[str, float]) -> None:
    self._check_space(sum(a.nbytes for a in arrays.values()) + len(data_state))
    meta = {'format': FORMAT, 'step': step, 'arrays': describe(arrays), 'metadata': dict(metadata),
            'data_state': base64.b64encode(data_state).decode()}
    args = ocp.args.Composite(
        state=ocp.args.StandardSave({**arrays, DIGEST: digests(arrays)}), meta=ocp.args.JsonSave(meta))
    with self._explained():
      self._manager.save(step, args=args, metrics=best or None, force=True)

  def save_weights(self, params: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Writes parameters alone as checkpoint 0, to start other runs from: no optimizer state, no data position.

    Args:
      params: by path.
      metadata: as for `save`.

    Raises:
      UserError: if it cannot be written.
    """
    self._write(0, {f'frozen/{name}': value for name, value in params.items()}, b'', metadata, {})
    self.wait()

  def wait(self) -> None:
    """Returns when everything is on disk; raises UserError if it could not be written."""
    with self._explained():
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits and lets go of the folder."""
    self.wait()
    self._manager.close()

  def restore_latest(self, abstract: TrainState) -> Restored | None:
    """Reads the newest checkpoint that is whole; damaged ones are named, set aside and passed over.

    Args:
      abstract: shapes and shardings to restore into.

    Returns:
      The checkpoint, or None in a folder that has none.

    Raises:
      UserError: if the run's configuration does not fit the checkpoint, or no checkpoint is whole.
    """
    damaged = []
    for step in reversed(self.steps()):
      try:
        restored = read(self.directory / f'{PREFIX}_{step}', abstract)
      except CorruptCheckpoint as error:
        damaged.append(step)
        self._report(f'checkpoint {step} in {self.directory} is damaged and is passed over: {error}')
        continue
      self._set_aside(damaged)
      return restored
    if damaged:
      raise UserError(f'every checkpoint in {self.directory} is damaged (steps {damaged}); '
                      'start again in a new MODEL_DIR')
    return None

  def _set_aside(self, steps: list[int]) -> None:
    """Renames damaged checkpoints so that the same steps can be saved again."""
    with hosts.first_alone('damaged checkpoints') as alone:
      for step in steps if alone else ():
        target = self.directory / f'damaged_{PREFIX}_{step}'
        if target.exists():
          shutil.rmtree(target)
        (self.directory / f'{PREFIX}_{step}').rename(target)
    if steps:
      self._manager.reload()

  def _check_space(self, needed: int) -> None:
    free = shutil.disk_usage(self.directory).free
    if free < needed:
      raise UserError(f'no room for a checkpoint: {self.directory} has {free / 1e6:,.1f} MB free and up to '
                      f'{needed / 1e6:,.1f} MB are needed. {self._standing()}')

  def _standing(self) -> str:
    steps = [path_step(p) for p in checkpoint_folders(self.directory)]
    return f'Checkpoint {max(steps)} is whole and will be resumed from.' if steps else 'There is no checkpoint yet.'

  def _explained(self) -> '_Explained':
    return _Explained(self)


class _Explained:
  """Turns what Orbax and TensorStore raise while they write into one sentence."""

  def __init__(self, checkpointer: Checkpointer):
    self._checkpointer = checkpointer
    self._warnings = warnings.catch_warnings()

  def __enter__(self) -> None:
    self._warnings.__enter__()
    warnings.simplefilter('ignore')

  def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
    self._warnings.__exit__(kind, error, trace)
    if isinstance(error, Exception) and not isinstance(error, UserError):
      cause = ' '.join(str(error).split())[:300]
      place = self._checkpointer.directory
      raise UserError(f'a checkpoint could not be written to {place}: {cause}. '
                      f'{self._checkpointer._standing()}') from error


def _options(keep: int, best_metric: str | None, best_mode: str) -> ocp.CheckpointManagerOptions:
  policies: list[Any] = [checkpoint_managers.preservation_policy.LatestN(keep)]
  if best_metric is not None:
    policies.append(checkpoint_managers.preservation_policy.BestN(
        get_metric_fn=lambda metrics: metrics[best_metric], reverse=best_mode == 'min', n=1,
        keep_checkpoints_without_metrics=False))
  return ocp.CheckpointManagerOptions(
      step_prefix=PREFIX, save_root_metadata=False, enable_async_checkpointing=True,
      preservation_policy=checkpoint_managers.preservation_policy.AnyPreservationPolicy(policies))


def remove_leftovers(directory: pathlib.Path) -> None:
  """Deletes what a killed process left of an unfinished save; only finished checkpoints have the final name."""
  for path in directory.glob(f'{PREFIX}_*.orbax-checkpoint-tmp*'):
    shutil.rmtree(path, ignore_errors=True)


def checkpoint_folders(directory: pathlib.Path) -> list[pathlib.Path]:
  """The finished checkpoints of a run folder, oldest first."""
  found = [p for p in directory.glob(f'{PREFIX}_*') if p.is_dir() and p.name.removeprefix(f'{PREFIX}_').isdigit()]
  return sorted(found, key=path_step)


def path_step(path: pathlib.Path) -> int:
  """The step in a checkpoint folder's name."""
  return int(path.name.removeprefix(f'{PREFIX}_'))


def read_meta(folder: pathlib.Path) -> dict[str, Any]:
  """The JSON part of a checkpoint.

  Raises:
    CorruptCheckpoint: if it is missing or unreadable.
  """
  try:
    meta = json.loads((folder / 'meta' / 'metadata').read_text(encoding='utf-8'))
    return {'arrays': meta['arrays'], 'metadata': meta['metadata'], 'data_state': meta['data_state'],
            'step': meta['step'], 'format': meta['format']}
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise CorruptCheckpoint(f'its description cannot be read ({error})') from error


def read_arrays(folder: pathlib.Path, wanted: Mapping[str, Any],
                names: Mapping[str, Any]) -> dict[str, Array]:
  """Reads some arrays of a checkpoint and checks their digests.

  Args:
    folder: the checkpoint.
    wanted: name -> shape, dtype and sharding.
    names: all array names of the checkpoint, as its description lists them.

  Returns:
    name -> array.

  Raises:
    CorruptCheckpoint: if they cannot be read, or are not what was written.
  """
  order = sorted(names)
  abstract = {**wanted, DIGEST: jax.ShapeDtypeStruct((len(order),), np.uint32, sharding=_any_sharding(wanted))}
  restore = ocp.args.PyTreeRestore(
      item=abstract, restore_args=ocp.checkpoint_utils.construct_restore_args(abstract), partial_restore=True)
  try:
    with warnings.catch_warnings(), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
      warnings.simplefilter('ignore')
      arrays = reader.restore(folder / 'state', args=restore)
  except Exception as error:
    raise CorruptCheckpoint(' '.join(str(error).split())[:200]) from error
  written = dict(zip(order, np.asarray(arrays.pop(DIGEST)), strict=True))
  found = dict(zip(sorted(arrays), np.asarray(digests(arrays)), strict=True))
  changed = [name for name, value in found.items() if value != written[name]]
  if changed:
    raise CorruptCheckpoint(f'{len(changed)} arrays differ from what was written, the first is {changed[0]}')
  return dict(arrays)


def _any_sharding(wanted: Mapping[str, Any]) -> Any:
  """A sharding that replicates a vector over the devices of the wanted arrays."""
  first = next(iter(wanted.values())).sharding
  if isinstance(first, jax.sharding.NamedSharding):
    return jax.sharding.NamedSharding(first.mesh, jax.sharding.PartitionSpec())
  return first


def read(folder: pathlib.Path, abstract: TrainState) -> Restored:
  """Reads one checkpoint whole.

  Args:
    folder: `<model_dir>/checkpoint_<step>`.
    abstract: shapes and shardings to restore into.

  Returns:
    The checkpoint.

  Raises:
    CorruptCheckpoint: if it is damaged.
    UserError: if it is whole but belongs to another configuration.
  """
  meta = read_meta(folder)
  wanted = named_arrays(abstract)
  check_fit(folder, meta['arrays'], describe(wanted))
  arrays = read_arrays(folder, wanted, meta['arrays'])
  state = jax.tree.unflatten(jax.tree.structure(abstract), [arrays[name] for name in wanted])
  try:
    data_state = base64.b64decode(meta['data_state'], validate=True)
  except ValueError as error:
    raise CorruptCheckpoint(f'the data position cannot be decoded ({error})') from error
  return Restored(state, data_state, meta['metadata'])


def check_fit(folder: pathlib.Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
  """Raises UserError, naming the first difference, if a checkpoint was written by another model or optimizer."""
  for name in sorted({*saved, *wanted}):
    if saved.get(name) != wanted.get(name):
      there, here = (f'{x[1]}{x[0]}' if x else 'absent' for x in (saved.get(name), wanted.get(name)))
      raise UserError(f'{folder} does not fit this configuration: {name} is {there} in the checkpoint and {here} in '
                      'this run; use the model, method and optimizer it was made with, or another MODEL_DIR')
