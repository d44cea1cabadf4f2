"""What a run mixes: each task with its rows, its rate and its share, and what was left out; kept in the run folder."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import seqio

from flan_jax.data import registry

FILE = 'mixture.json'


@dataclasses.dataclass(frozen=True)
class Part:
  """One task of a mixture.

  Attributes:
    task: the SeqIO task.
    rows: how many it has in the role, before any filter.
    rate: its weight in the mixture: rows up to the cap where the family is mixed examples-proportionally.
    share: of the examples, from 0 to 1: its rate among the rates of all.
  """

  task: seqio.Task
  rows: int
  rate: float
  share: float


def mixed(name: str, split: str = 'train') -> list[Part]:
  """Returns the tasks of a mixture by name, with their effective rates; a single task has the whole share.

  Args:
    name: of the task or mixture.
    split: the rows' role; rates always go by the rows that train.

  Raises:
    UserError: where a task has no such rows.
  """
  provider = registry.get_mixture_or_task(name)
  single = isinstance(provider, seqio.Task)
  tasks = [provider] if single else sorted(provider.tasks, key=lambda task: task.name)
  rates = [1.0 if single else provider.get_rate(task) for task in tasks]
  return [Part(task, task.num_input_examples(split) or 0, rate, rate / sum(rates))
          for task, rate in zip(tasks, rates, strict=True)]


def text(name: str, split: str, left_out: Mapping[str, Sequence[str]]) -> str:
  """Returns the content of mixture.json.

  Args:
    name: of the mixture.
    split: the rows' role.
    left_out: tasks that were asked for and left out, by the line that says why.
  """
  content = {
    'mixture': name,
    'split': split,
    'tasks': [{'task': part.task.name, 'rows': part.rows, 'rate': part.rate, 'share': part.share}
              for part in mixed(name, split)],
    'left_out': [{'tasks': list(tasks), 'reason': reason.removeprefix('left out: ')}
                 for reason, tasks in left_out.items()],
  }
  return json.dumps(content, indent=2) + '\n'
