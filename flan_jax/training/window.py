"""The steps between two log points: metrics stay on the device, batches on the host, until someone looks."""

import collections
import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from flan_jax.training.example_counts import CountExamples
from flan_jax.training.losses import LossConfig
from flan_jax.training.step import Metrics

LOW_ACCURACY = 0.5


class Window:
  """Collects the metrics of the steps since the last log point without waiting for them."""

  def __init__(self) -> None:
    self._steps: list[tuple[int, Metrics, Mapping[str, np.ndarray]]] = []
    self._began = 0.0

  def add(self, step: int, metrics: Metrics, batch: Mapping[str, np.ndarray]) -> None:
    """Remembers one step: its number (counted from 1), its metrics on the device and its batch on the host.

    The clock starts with the first one, so that compiling, evaluating and saving do not count as training.
    """
    if not self._steps:
      self._began = time.monotonic()
    self._steps.append((step, metrics, batch))

  def __len__(self) -> int:
    return len(self._steps)

  def fetch(self) -> 'WindowReport':
    """Waits for the steps, and empties the window."""
    host = jax.device_get([metrics for _, metrics, _ in self._steps])
    report = WindowReport(self._steps, host, time.monotonic() - self._began)
    self._steps = []
    return report


class WindowReport:
  """The metrics of a window, on the host."""

  def __init__(self, steps: list[tuple[int, Metrics, Mapping[str, np.ndarray]]], host: list[dict[str, Any]],
               seconds: float):
    self._steps, self._host, self._seconds = steps, host, seconds

  def first_fault(self) -> tuple[int, dict[str, float], Mapping[str, np.ndarray]] | None:
    """The first step whose loss or gradient is not finite: (step, metrics, batch)."""
    for (step, _, batch), metrics in zip(self._steps, self._host, strict=True):
      if not (math.isfinite(metrics['loss']) and math.isfinite(metrics['grad_norm'])):
        return step, {name: float(value) for name, value in metrics.items()}, batch
    return None

  def metrics(self, loss: LossConfig, count_examples: CountExamples | None = None) -> dict[str, float]:
    """Means over the window, token-weighted where that is what is meant.

    Args:
      loss: says what the sums are divided by.
      count_examples: see `example_counts`.

    Returns:
      loss, z_loss, accuracy, grad_norm (mean), learning_rate (last), tokens_per_second, steps_per_second; and what is
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
        'tokens_per_second': total['tokens'] / max(self._seconds, 1e-9),
        'steps_per_second': len(self._host) / max(self._seconds, 1e-9),
        **self._counts(count_examples),
    }

  def _counts(self, count_examples: CountExamples | None) -> dict[str, float]:
    if count_examples is None:
      return {}
    sums: collections.Counter[str] = collections.Counter()
    for _, _, batch in self._steps:
      sums.update(count_examples(batch))
    return {name: float(value) for name, value in sums.items()}
