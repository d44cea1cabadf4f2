"""What a run makes of its devices: model FLOP/s, their share of the peak, and memory."""

import dataclasses
import pathlib
import re
import resource
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from flan_jax.peft.partition import Blueprint
from flan_jax.training import flops, peaks

_STATUS = pathlib.Path('/proc/self/status')


@dataclasses.dataclass(frozen=True)
class Work:
  """What a step has to do, and what the devices could do.

  Attributes:
    flops: model FLOPs of a step; None where they are not known.
    peak: published bfloat16 FLOP/s of all devices together; None where one is not known.
  """

  flops: float | None = None
  peak: float | None = None

  @classmethod
  def of(cls, blueprint: Blueprint, arrays: Mapping[str, jax.Array], devices: Iterable[Any]) -> 'Work':
    """Returns the work of a training step.

    Args:
      blueprint: the model and what trains.
      arrays: a batch on the devices, of many hosts the global one.
      devices: that share it.
    """
    return cls(flops.of_step(blueprint, arrays), peaks.peak(devices))

  def rates(self, steps_per_second: float) -> dict[str, float]:
    """Returns model_flops_per_second and model_flops_share_of_peak, as far as they are known."""
    if self.flops is None:
      return {}
    rate = self.flops * steps_per_second
    found = {'model_flops_per_second': rate}
    if self.peak is not None:
      found['model_flops_share_of_peak'] = rate / self.peak
    return found


def peak_memory() -> dict[str, float]:
  """The most memory that this process has used so far, in bytes.

  Returns:
    peak_device_memory_bytes, of the local device that had most, where the backend tells; peak_resident_memory_bytes of
    the process elsewhere (CPU), which counts everything that it holds, the data pipeline's libraries included.
  """
  device = device_peak()
  if device is not None:
    return {'peak_device_memory_bytes': float(device)}
  return {'peak_resident_memory_bytes': float(resident_peak())}


def device_peak() -> int | None:
  """The highest mark of any local device; None where the backend does not tell."""
  marks = [(device.memory_stats() or {}).get('peak_bytes_in_use') for device in jax.local_devices()]
  known = [int(mark) for mark in marks if mark is not None]
  return max(known) if known else None


def resident_peak() -> int:
  """The most memory that this process had, in bytes; on Linux since the mark was last lowered."""
  found = re.search(r'VmHWM:\s*(\d+)', _STATUS.read_text()) if _STATUS.exists() else None
  if found:
    return int(found[1]) * 1024
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak if sys.platform == 'darwin' else peak * 1024
