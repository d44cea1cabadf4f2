"""What the hosts of one run do together: who writes, which rows are whose, what all must agree on, when all stop.

Every process runs the same program and meets the others in the step's collectives, so that all of them must take the
same decisions at the same steps. With one process everything here costs nothing and changes nothing.
"""

import collections
import contextlib
import json
import os
import pathlib
import signal
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, NamedTuple

import jax
import numpy as np
import rich.console
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from flan_jax.errors import UserError
from flan_jax.training.metrics_log import MetricsLog
from flan_jax.training.signals import StopSignals


class OwnRows(NamedTuple):
  """Which rows of each batch a host reads, and how many a batch has over all hosts."""

  rows: slice
  of: int


def several() -> bool:
  """Whether more than one process runs."""
  return jax.process_count() > 1


def is_first() -> bool:
  """Whether this is the process that writes the run's files and speaks: all but the checkpoints, which all write."""
  return jax.process_index() == 0


def meet(name: str) -> None:
  """Waits until every process is here."""
  if several():
    multihost_utils.sync_global_devices(name)


def check_mesh(mesh: Mesh) -> None:
  """Raises UserError where a process would have no device in the mesh: it would have nothing to do and no results."""
  working = {device.process_index for device in mesh.devices.flat}
  if len(working) < jax.process_count():
    idle = min(set(range(jax.process_count())) - working)
    raise UserError(f'num_devices is {mesh.size}, which leaves process {idle} of {jax.process_count()} without a '
                    'device: leave training.Partitioner.num_devices out, or start fewer processes')


def gather(value: bytes) -> list[bytes]:
  """Every process's bytes, in the order of the processes."""
  if not several():
    return [value]
  lengths = np.asarray(multihost_utils.process_allgather(np.array(len(value), np.int32))).reshape(-1)
  padded = np.zeros(max(1, int(lengths.max())), np.uint8)
  padded[: len(value)] = np.frombuffer(value, np.uint8)
  found = np.asarray(multihost_utils.process_allgather(padded))
  return [row[:length].tobytes() for row, length in zip(found, lengths, strict=True)]


def agree(what: str, value: str) -> None:
  """Raises UserError, on all processes, unless all give the same value: they would train apart, or wait for ever."""
  found = gather(f'{zlib.crc32(value.encode()):08x} {len(value)}'.encode())
  odd = [index for index, theirs in enumerate(found) if theirs != found[0]]
  if odd:
    raise UserError(f'process {odd[0]} has another {what} than process 0: all hosts need the same command, the same '
                    'code and the same data')


def shared_out(work: Sequence[tuple[int, Callable[[], Mapping[str, float]]]]) -> Iterator[dict[str, float]]:
  """Does pieces of work, each on one host, and gives all hosts all numbers, by which all go on to decide.

  Args:
    work: the same on every host: an owner, which is taken modulo the number of hosts, and what it does without the
      others. The hosts meet once, also where there is none.

  Yields:
    The numbers of each piece, in order; on one host as soon as it is done.
  """
  if not several():
    yield from (dict(do()) for _, do in work)
    return
  places = [owner % jax.process_count() for owner, _ in work]
  own = [dict(do()) for place, (_, do) in zip(places, work, strict=True) if place == jax.process_index()]
  found = [iter(json.loads(theirs)) for theirs in gather(json.dumps(own).encode())]
  yield from (next(found[place]) for place in places)


def own_rows(sharding: NamedSharding, rows: int) -> slice | None:
  """Returns the rows of a batch that this host's devices need, as one range; None where one process has them all."""
  if not several():
    return None
  ranges = [index[0].indices(rows) for index in sharding.addressable_devices_indices_map((rows,)).values() if index]
  return slice(min(start for start, _, _ in ranges), max(stop for _, stop, _ in ranges))


def global_batch(batch: Mapping[str, np.ndarray], sharding: NamedSharding, own: OwnRows | None = None) -> dict[
    str, Array]:
  """Sends to this host's devices their rows of a batch.

  Args:
    batch: arrays [rows, ...], the same on every host, or this host's own rows.
    sharding: of the rows.
    own: which rows of how many the batch holds; None where it holds all.

  Returns:
    Global arrays: row n is where it would be with one process, whatever the number of hosts.
  """

  def place(value: np.ndarray) -> Array:
    first, rows = (0, len(value)) if own is None else (own.rows.start, own.of)

    def part(index: Any) -> np.ndarray:
      start, stop, _ = index[0].indices(rows)
      return value[(slice(start - first, stop - first), *index[1:])]

    return jax.make_array_from_callback((rows, *value.shape[1:]), sharding, part)

  return {name: place(value) for name, value in batch.items()}


def whole_batch(batch: Mapping[str, np.ndarray], own: OwnRows | None = None) -> dict[str, np.ndarray]:
  """A batch with the rows of all hosts, on every host.

  Args:
    batch: as `global_batch` takes it, provenance included.
    own: which rows of how many it holds; None where it holds all.

  Returns:
    Arrays of all rows, each in its place; what several hosts read is taken once.
  """
  if own is None or not several():
    return dict(batch)
  starts = [int(start) for start in gather(str(own.rows.start).encode())]

  def whole(value: np.ndarray) -> np.ndarray:
    found = np.empty((own.of, *value.shape[1:]), value.dtype)
    for start, part in zip(starts, gather(value.tobytes()), strict=True):
      rows = np.frombuffer(part, value.dtype).reshape(-1, *value.shape[1:])
      found[start : start + len(rows)] = rows
    return found

  return {name: whole(value) for name, value in sorted(batch.items())}  # in one order: every host gathers in turn


def fetch(tree: Any) -> Any:
  """A tree of arrays as numpy arrays, whole on every host."""
  if not several():
    return jax.device_get(tree)
  return jax.tree.map(lambda array: np.asarray(_replicated(array).addressable_data(0)), tree)


def local(params: Mapping[str, Array]) -> dict[str, Array]:
  """Parameters as arrays of this host alone, so that it can measure and save without the others.

  What lies whole on every device is only looked at through the first of this host's devices, at no cost. Where any
  parameter is split over hosts, each is gathered in turn and split again over the devices of this host, which together
  must have room for all of them.
  """
  if not several():
    return dict(params)
  if all(array.is_fully_replicated for array in params.values()):
    return {name: array.addressable_data(0) for name, array in params.items()}
  mesh = Mesh(np.array(jax.local_devices()), ('local',))
  return {name: _split_again(array, mesh) for name, array in params.items()}


def _replicated(array: Array) -> Array:
  if array.is_fully_replicated:
    return array
  mesh = array.sharding.mesh  # type: ignore[attr-defined]
  return jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, PartitionSpec()))(array)


def _split_again(array: Array, mesh: Mesh) -> Array:
  whole = _replicated(array).addressable_data(0)
  axis = int(np.argmax(whole.shape)) if whole.ndim else 0
  divides = whole.ndim and whole.shape[axis] % mesh.size == 0
  spec = PartitionSpec(*(['local' if place == axis else None for place in range(whole.ndim)] if divides else []))
  return jax.device_put(whole, NamedSharding(mesh, spec))


class RowsSeen:
  """A running digest of the rows that this host was given, to be compared with the other hosts'.

  Where each host reads rows of its own, there is nothing to compare.
  """

  def __init__(self, own: OwnRows | None = None) -> None:
    self._digest = 0
    self._compares = several() and own is None

  def add(self, batch: Mapping[str, np.ndarray]) -> None:
    """Takes in a batch."""
    if self._compares:
      self._digest = zlib.crc32(batch['decoder_target_tokens'].tobytes(), self._digest)

  def compare(self) -> None:
    """Raises UserError where another host was given other rows."""
    if self._compares:
      agree('order of rows (the digests of the batches differ)', str(self._digest))


class _NoLog:
  """Takes what a process other than the first would log."""

  def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
    """Writes nothing."""

  def flush(self) -> None:
    """Does nothing."""

  def close(self) -> None:
    """Does nothing."""


Log = MetricsLog | _NoLog


def open_log(model_dir: str | pathlib.Path, resumed_at: int) -> Log:
  """The run's log on the first process, and nothing on the others."""
  return MetricsLog(model_dir, resumed_at) if is_first() else _NoLog()


def console() -> rich.console.Console | None:
  """Where progress is shown: None, the usual place, on the first process; nowhere on the others."""
  return None if is_first() else rich.console.Console(quiet=True)


def summed(counts: Mapping[str, int]) -> dict[str, int]:
  """Counts added up over the processes, each of which counts its own rows."""
  total: collections.Counter[str] = collections.Counter()
  for theirs in gather(json.dumps(dict(counts)).encode()):
    total.update(json.loads(theirs))
  return dict(total)


class _StopTogether(StopSignals):
  """One host's SIGTERM or Ctrl-C ends all hosts after the same step.

  SIGTERM belongs to JAX here: its coordinator tells all processes, and they agree on the step after the furthest that
  any has reached, at no cost in the steps before. Ctrl-C is passed on as SIGTERM.
  """

  handled = (signal.SIGINT,)

  def look(self, step: int) -> None:
    """Takes notice after a step, which must be the same on all processes."""
    if self.requested is None and multihost_utils.reached_preemption_sync_point(step):
      self.requested = self.came or signal.SIGTERM.name

  def _handle(self, number: int, frame: FrameType | None) -> None:
    super()._handle(number, frame)
    os.kill(os.getpid(), signal.SIGTERM)


def stop_signals() -> StopSignals:
  """What turns signals into a request that the loop reads, at the same step on all processes."""
  return _StopTogether() if several() else StopSignals()


@contextlib.contextmanager
def first_alone(name: str) -> Iterator[bool]:
  """Says whether this process does the body's work; the others wait until it is done."""
  yield is_first()
  meet(name)


def spoken_by_first(report: Callable[[str], None]) -> Callable[[str], None]:
  """A reporter that is silent on all processes but the first."""
  return report if is_first() else lambda _: None
