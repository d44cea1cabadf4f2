"""What a model forgets while it learns something else: watched tasks, scored before training and along the run."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

from flan_jax.errors import UserError
from flan_jax.evaluation.statistics import Estimate
from flan_jax.evaluation.tables import Table, interval, number

FILE = 'forgetting.jsonl'  # in a run folder


@dataclasses.dataclass(frozen=True)
class Watched:
  """One score of one watched task.

  Attributes:
    step: updates done; 0 is the model before training.
    task: the SeqIO task.
    dataset: its dataset.
    metric: the name of the score.
    score: in percent, on the same rows and templates at every step.
    change: points above step 0, each row drawn with both its answers; None at step 0.
  """

  step: int
  task: str
  dataset: str
  metric: str
  score: Estimate
  change: Estimate | None

  def line(self) -> str:
    """Returns the line of `forgetting.jsonl`."""
    change = self.change and self.change._asdict()
    return json.dumps({**vars(self), 'score': self.score._asdict(), 'change': change}) + '\n'


def read(path: str | pathlib.Path) -> list[Watched]:
  """Reads the scores of a run.

  Args:
    path: the file, or the run folder that it is in.

  Returns:
    The scores, in the order in which they were measured.

  Raises:
    UserError: where there is no such file, or it is none of ours.
  """
  path = pathlib.Path(path)
  path = path / FILE if path.is_dir() else path
  try:
    return [_watched(line) for line in path.read_text(encoding='utf-8').splitlines()]
  except OSError as error:
    raise UserError(f'Cannot read what a run forgot from {str(path)!r}: {error.strerror}.') from error
  except (ValueError, KeyError, TypeError) as error:
    raise UserError(f'{str(path)!r} is not a {FILE} written by flan_jax.') from error


def table(found: Sequence[Watched]) -> Table:
  """Returns one row per task: its score before training, its last score, and how far they are apart."""
  rows = []
  for task in dict.fromkeys(one.task for one in found):
    scores = [one for one in found if one.task == task]
    first, last = scores[0], scores[-1]
    change = last.change or Estimate(0.0, None, None, last.score.n)
    rows.append((task, last.metric, number(first.score.value), number(last.score.value), str(last.step),
                 f'{change.value:+.1f}', interval(change.low, change.high), str(last.score.n)))  # fmt: skip
  columns = ('watched task', 'metric', 'before', 'after', 'step', 'change', '95 % interval', 'rows')
  note = 'Percent. The interval of the change draws rows anew, each with its answer before and after.'
  return Table('What was forgotten', columns, rows, note, texts=2, optional=('metric', 'rows', 'step'))


def _watched(line: str) -> Watched:
  entry = json.loads(line)
  change = entry['change'] and Estimate(**entry['change'])
  return Watched(**{**entry, 'score': Estimate(**entry['score']), 'change': change})
