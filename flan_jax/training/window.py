"""The steps between two log points: metrics stay on the device, batches on the host, until someone looks."""

import collections
import contextlib
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from typing import Any, NamedTuple

import jax
import numpy as np

from flan_jax.training import speed
from flan_jax.training.example_counts import CountExamples
from flan_jax.training.losses import LossConfig
from flan_jax.training.step import Metrics

LOW_ACCURACY = 0.5
Combine = Callable[[Mapping[str, int]], Mapping[str, int]]


class _Step(NamedTuple):
  """One step: its number, its metrics on the device, its batch on the host, and the time when it was done."""

  number: int
  metrics: Metrics
  batch: Mapping[str, np.ndarray]
  done: 'futures.Future[float]'


class Window:
  """Collects the metrics of the steps since the last log point without waiting for them.

  Steps are dispatched long before they are done, so a thread of its own waits for each and notes the time: the host
  never does, and the time of every single step is known.
  """

  def __init__(self) -> None:
    self._steps: list[_Step] = []
    self._watcher = futures.ThreadPoolExecutor(1, 'step_clock')
    self.begin()

  def begin(self) -> None:
    """Starts the clock anew: what was before, such as compiling, does not count as training."""
    self._began, self._waited = time.monotonic(), 0.0

  @contextlib.contextmanager
  def waiting(self) -> Iterator[None]:
    """Measures how long the loop waits for its next batch.

    The first wait after a log point starts the clock, so that evaluating and saving do not count as training.
    """
    if not self._steps:
      self.begin()
    began = time.monotonic()
    with jax.profiler.TraceAnnotation('wait_for_data'):
      yield
    self._waited += time.monotonic() - began

  def add(self, step: int, metrics: Metrics, batch: Mapping[str, np.ndarray]) -> None:
    """Remembers one step: its number (counted from 1), its metrics on the device and its batch on the host."""
    self._steps.append(_Step(step, metrics, batch, self._watcher.submit(_time_when_done, metrics)))

  def __len__(self) -> int:
    return len(self._steps)

  def fetch(self) -> 'WindowReport':
    """Waits for the steps, and empties the window."""
    host = jax.device_get([step.metrics for step in self._steps])
    times = [self._began, *(step.done.result() for step in self._steps)]
    report = WindowReport(self._steps, host, times, self._waited)
    self._steps = []
    return report


def _time_when_done(metrics: Metrics) -> float:
  jax.block_until_ready(metrics)
  return time.monotonic()


class WindowReport:
  """The metrics of a window, on the host."""

  def __init__(self, steps: list[_Step], host: list[dict[str, Any]], times: list[float], waited: float):
    self._steps, self._host, self._times, self._waited = steps, host, times, waited

  def first_fault(self) -> tuple[int, dict[str, float], Mapping[str, np.ndarray]] | None:
    """The first step whose loss or gradient is not finite: (step, metrics, batch)."""
    for step, metrics in zip(self._steps, self._host, strict=True):
      if not (math.isfinite(metrics['loss']) and math.isfinite(metrics['grad_norm'])):
        return step.number, {name: float(value) for name, value in metrics.items()}, step.batch
    return None

  def metrics(self, loss: LossConfig, count_examples: CountExamples | None = None,
              work: speed.Work | None = None, combine: Combine | None = None) -> dict[str, float]:
    """Means over the window, token-weighted where that is what is meant.

    Args:
      loss: says what the sums are divided by.
      count_examples: see `example_counts`.
      work: of a step.
      combine: adds up what the hosts count, where each counts its own rows.

    Returns:
      loss, z_loss, accuracy, grad_norm (mean), learning_rate (last); what `_speed` says; peak memory; and what is
      counted of the examples, summed.
    """
    total = {name: float(np.sum([m[name] for m in self._host], dtype=np.float64)) for name in self._host[0]}
    divisor = (loss.loss_normalizing_factor or 0.0) * len(self._host) or max(total['weight'], 1e-8)
    return {
        'loss': total['loss'] / divisor,
        'z_loss': total['z_loss'] / divisor,
        'accuracy': total['correct'] / max(total['target_tokens'], 1.0),
        'grad_norm': total['grad_norm'] / len(self._host),
        'learning_rate': float(self._host[-1]['learning_rate']),
        **self._speed(total['tokens'], total['padding'], work or speed.Work()),
        **speed.peak_memory(),
        **self._counts(count_examples, combine),
    }

  def _speed(self, tokens: float, padding: float, work: speed.Work) -> dict[str, float]:
    """Tokens and steps per second, seconds of a step (mean and median), shares of padding and of waiting for data."""
    seconds = max(self._times[-1] - self._times[0], 1e-9)
    steps = len(self._host) / seconds
    return {
        'tokens_per_second': tokens / seconds,
        'padding_share': padding / max(tokens + padding, 1.0),
        'steps_per_second': steps,
        'step_seconds': 1.0 / steps,
        'step_seconds_median': statistics.median(b - a for a, b in itertools.pairwise(self._times)),
        'data_wait_share': min(1.0, self._waited / seconds),
        **work.rates(steps),
    }

  def _counts(self, count_examples: CountExamples | None, combine: Combine | None) -> dict[str, float]:
    if count_examples is None:
      return {}
    sums: collections.Counter[str] = collections.Counter()
    for step in self._steps:
      sums.update(count_examples(step.batch))
    return {name: float(value) for name, value in (combine(sums) if combine else sums).items()}
