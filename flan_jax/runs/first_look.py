"""What the first batches of a run say about its examples, before the first step."""

import collections
from collections.abc import Callable, Mapping

import numpy as np

from flan_jax.data import registry
from flan_jax.data.iterator import BatchIterator
from flan_jax.runs.example_counter import counter_of
from flan_jax.training import example_counts
from flan_jax.training.example_counts import CountExamples

EXAMPLES = 1000


def counter(mixture_or_task: str) -> CountExamples:
  """Returns the function that counts a batch's examples, and what happened to them, by task."""
  return counter_of(registry.tasks_of(mixture_or_task))


def look(stream: BatchIterator, count: Callable[[Mapping[str, np.ndarray]], Mapping[str, int]]) -> list[str]:
  """Reads the first batches and says what was cut and left out.

  Args:
    stream: batches like the run's, which are used up. Not the run's own: tf.data cannot go back to the beginning of
      what has begun, since its shuffles go on to the seeds of another epoch.
    count: see `counter`.

  Returns:
    Lines for the start of the run.
  """
  totals: collections.Counter[str] = collections.Counter()
  while totals[example_counts.EXAMPLES] < EXAMPLES:
    totals.update(count(next(stream)))
  seen = f'of the first {totals[example_counts.EXAMPLES]:,} examples'
  lines = example_counts.tell(example_counts.by_task(totals))
  return [f'{seen}:', *lines] if lines else [f'{seen} none is cut, and no row between them left out']
