"""What happened to examples on their way into batches, by task: how it is kept in a run's log, and how it is told.

A counter gives flat names: `examples` and `truncated` of a batch, and `<task>/<what>` where `<what>` is one of `TOLD`.
"""

import collections
from collections.abc import Callable, Mapping

import numpy as np

CountExamples = Callable[[Mapping[str, np.ndarray]], Mapping[str, int]]

EXAMPLES, TRUNCATED = 'examples', 'truncated'
SPLIT = 'examples'  # of the metrics log, for what is counted by task
TOLD = {
  'inputs_cut': 'inputs cut',
  'targets_cut': 'targets cut',
  'filtered': 'rows left out by the filter beside them',
  'exemplars_left_out': 'exemplars without room',
}


def by_task(counts: Mapping[str, float]) -> dict[str, float]:
  """The counts that belong to a task."""
  return {name: value for name, value in counts.items() if '/' in name}


def overall(counts: Mapping[str, float]) -> dict[str, float]:
  """The counts of all tasks together."""
  return {name: value for name, value in counts.items() if '/' not in name}


def tell(counts: Mapping[str, float]) -> list[str]:
  """Says of each task what happened to its examples.

  Args:
    counts: summed, by `<task>/<what>`.

  Returns:
    A line for each task of which anything was cut or left out, such as
    '  flan2021.aeslc: of 210 examples 31 inputs cut, 4 targets cut'.
  """
  tasks: dict[str, dict[str, int]] = collections.defaultdict(dict)
  for name, value in counts.items():
    task, _, what = name.rpartition('/')
    tasks[task][what] = int(value)
  lines = []
  for task, found in sorted(tasks.items()):
    told = [f'{found[what]:,} {words}' for what, words in TOLD.items() if found.get(what)]
    if told:
      lines.append(f'  {task}: of {found.get(EXAMPLES, 0):,} examples {", ".join(told)}')
  return lines
