"""Counting the examples of batches by task; needs no TensorFlow, so that batches written beforehand are counted too."""

from collections.abc import Iterable, Mapping

import numpy as np

from flan_jax.data import provenance
from flan_jax.training import example_counts
from flan_jax.training.example_counts import CountExamples


def counter_of(tasks: Iterable[str]) -> CountExamples:
  """Returns the function that counts a batch's examples, and what happened to them.

  Args:
    tasks: the names of those that may occur.
  """
  names = {provenance.task_id(name): name for name in tasks}

  def count(batch: Mapping[str, np.ndarray]) -> dict[str, int]:
    found = provenance.count(batch[provenance.FEATURE])
    every = sum(found.values(), provenance.Counts())
    counts = {example_counts.EXAMPLES: every.examples,
              example_counts.TRUNCATED: provenance.count_truncated(batch[provenance.FEATURE])}
    for number, told in found.items():
      task = names.get(number, f'task #{number}')
      counts |= {f'{task}/{what}': value for what, value in vars(told).items() if value}
    return counts

  return count
