"""A finished run of the held-out protocol (or of an evaluation) as reports look at it: its arms with their answers."""

import dataclasses
import pathlib
from collections.abc import Sequence

from flan_jax.evaluation import answers_kept, compare, results_file
from flan_jax.evaluation.answers_kept import Answers
from flan_jax.evaluation.compare import Columns
from flan_jax.evaluation.results import Evaluation
from flan_jax.evaluation.results_file import Record
from flan_jax.evaluation.statistics import Estimate

RESULTS, PREDICTIONS = 'results.json', 'predictions'


@dataclasses.dataclass(frozen=True)
class Arm:
  """An evaluation under the name that a report calls it by.

  Attributes:
    held_out: the cluster that training left out; '' where the evaluation is not of the protocol.
    name: of the condition; the model's label where the evaluation is not of the protocol.
    evaluation: its numbers.
    answers: by task; empty for tasks whose predictions are not at hand.
    files: of predictions, by task, relative to the run's folder.
  """

  held_out: str
  name: str
  evaluation: Evaluation
  answers: dict[str, Answers]
  files: dict[str, str]

  @property
  def where(self) -> str:
    """What the arm is called where several held-out clusters are spoken of."""
    return f'{self.held_out} / {self.name}' if self.held_out else self.name

  @property
  def groups(self) -> dict[str, str]:
    """The group of every row that has one."""
    return {row: group for found in self.answers.values() for row, group in found.groups.items()}

  def columns(self, dataset: str) -> Columns | None:
    """Returns the credit of every row under each template of a dataset; None where an answer is not at hand."""
    tasks = [result.task for result in self.evaluation.templates
             if result.dataset == dataset and result.method != 'excluded']  # fmt: skip
    if not tasks or not all(task in self.answers for task in tasks):
      return None
    return [self.answers[task].credits for task in tasks]

  def above(self, other: 'Arm', datasets: Sequence[str]) -> Estimate | None:
    """Returns how many points this arm is above another on the same questions; None where that cannot be paired."""
    sides = [(self.columns(dataset), other.columns(dataset)) for dataset in datasets]
    pairs = [(one, two) for one, two in sides if one is not None and two is not None]
    return compare.difference(pairs, groups=self.groups) if len(pairs) == len(sides) else None


@dataclasses.dataclass(frozen=True)
class Run:
  """A run's folder.

  Attributes:
    folder: where results.json lies.
    record: what it says.
    arms: the ordinary conditions.
    points: evaluations that are points of curves; their predictions are not read.
    missing: files of predictions that should be there and are not.
  """

  folder: pathlib.Path
  record: Record
  arms: list[Arm]
  points: list[Arm]
  missing: list[str]

  @property
  def names(self) -> list[str]:
    """The conditions, in order."""
    return list(dict.fromkeys(arm.name for arm in self.arms))

  @property
  def held_out(self) -> list[str]:
    """The held-out clusters, in order; '' stands for evaluations outside of the protocol."""
    return list(dict.fromkeys(arm.held_out for arm in self.arms))

  @property
  def extra(self) -> list[str]:
    """Clusters that every arm was asked beside the held-out ones."""
    return list(self.record.config.get('extra', []))

  def is_own(self, held_out: str, cluster: str) -> bool:
    """Whether a cluster speaks for what was held out: it is the one, or it left training with it and only with it."""
    return cluster == held_out or (cluster not in self.held_out and cluster not in self.extra)

  def of(self, held_out: str) -> list[Arm]:
    """The arms that are judged on a held-out cluster."""
    return [arm for arm in self.arms if arm.held_out == held_out]


def reference(arms: Sequence[Arm]) -> Arm:
  """Returns the arm that the others are compared with: 'tuned' where there is one, or else the first."""
  return next((arm for arm in arms if arm.name == 'tuned'), arms[0])


def load(folder: str | pathlib.Path, limit: int = answers_kept.LIMIT) -> Run:
  """Reads a run's results and goes once through its predictions.

  Args:
    folder: where results.json lies.
    limit: how many answers of each kind to keep of a task, see `answers_kept.read`.

  Raises:
    UserError: where results.json or a file of predictions is not one of ours.
  """
  folder = pathlib.Path(folder)
  record = results_file.read_record(folder / RESULTS)
  arms: list[Arm] = []
  points: list[Arm] = []
  missing: list[str] = []
  for evaluation in record.evaluations:
    origin = evaluation.origin
    held_out, name = (origin.held_out, origin.arm) if origin else ('', evaluation.model)
    files = {result.task: results_file.predictions_file(folder / PREDICTIONS, evaluation, result)
             for result in evaluation.templates if result.method != 'excluded'}  # fmt: skip
    is_point = origin is not None and origin.point is not None
    found = {} if is_point else {task: answers_kept.read(path, limit) for task, path in files.items() if path.exists()}
    shown = {task: path.relative_to(folder).as_posix() for task, path in files.items()}
    (points if is_point else arms).append(Arm(held_out, name, evaluation, found, shown))
    if not is_point:
      missing += [path for task, path in shown.items() if task not in found]
  return Run(folder, record, arms, points, missing)
