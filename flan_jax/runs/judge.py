"""Evaluating one model on tasks, and writing down what came out: tables, pictures, predictions, a report."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from flan_jax.data import registry
from flan_jax.data.rows import EvalRow
from flan_jax.data.vocabulary import active_vocabulary
from flan_jax.errors import UserError
from flan_jax.evaluation import protocol
from flan_jax.evaluation.rank import Normalization
from flan_jax.evaluation.results import Evaluation, TemplateResult
from flan_jax.models import T5, Generator, Scorer
from flan_jax.runs import parts


@dataclasses.dataclass(frozen=True)
class Questions:
  """What is asked: which rows of which tasks, cut to which lengths.

  Attributes:
    split: the rows' role.
    examples: rows of each task; None takes all.
    lengths: token limits of `inputs` and `targets`; None cuts nothing.
    batch_size: rows scored at once.
    normalization: of the options' log-likelihoods, see `rank`.
    max_decode_len: tokens that generation may write.
    method: 'auto' ranks where rows have options and generates elsewhere; 'generate' always generates.
    seed: of template draws, sampling and the bootstrap.
  """

  split: str = 'test'
  examples: int | None = None
  lengths: Mapping[str, int] | None = None
  batch_size: int = 64
  normalization: Normalization = 'none'
  max_decode_len: int = 64
  method: protocol.Method = 'auto'
  seed: int = 0


class Judge:
  """Answers tasks with models of one shape; what is compiled for the first serves them all."""

  def __init__(self, questions: Questions):
    """Takes what will be asked; models come with the questions."""
    self.questions = questions
    self._runners: tuple[Scorer, Generator] | None = None
    self._rows: dict[tuple[str, str], list] = {}

  def evaluate(self, model: T5, tasks: Sequence[str], label: str, checkpoint: str = '',
               questions: Questions | None = None) -> Evaluation:
    """Answers all rows of the tasks.

    Args:
      model: whose weights to use.
      tasks: single-template tasks, e.g. from `parts.evaluation_tasks`.
      label: names the model and its way of being asked.
      checkpoint: where the weights came from, for the record.
      questions: other rows than the judge's own; how they are scored stays.

    Returns:
      Per template, per dataset and per cluster, with the predictions.
    """
    asked = questions or self.questions
    return protocol.evaluate_tasks(
      self._read(tasks, asked), label, *self._holding(model), checkpoint=checkpoint,
      decode=active_vocabulary().decode, metrics=_metrics(tasks), method=asked.method,
      normalization=asked.normalization, split=asked.split, seed=asked.seed,
    )  # fmt: skip

  def answer(self, model: T5, rows: Sequence[EvalRow], metrics: Sequence[str]) -> TemplateResult:
    """Answers rows of one task that are at hand: see `protocol.evaluate_task`."""
    asked = self.questions
    return protocol.evaluate_task(
      rows, *self._holding(model), decode=active_vocabulary().decode, metrics=metrics, method=asked.method,
      normalization=asked.normalization, split=asked.split, seed=asked.seed,
    )  # fmt: skip

  def _holding(self, model: T5) -> tuple[Scorer, Generator]:
    """What ranks and what writes, with a model's weights."""
    asked = self.questions
    if self._runners is None:
      self._runners = Scorer(model, batch_size=asked.batch_size), Generator(
        model, max_decode_len=asked.max_decode_len, eos_id=active_vocabulary().eos_id, batch_size=asked.batch_size
      )  # fmt: skip
    for runner in self._runners:
      runner.update(model)
    return self._runners

  def forget(self, but: Collection[str] = ()) -> None:
    """Drops the rows that were read for other models to be asked, those of some tasks excepted."""
    self._rows = {key: rows for key, rows in self._rows.items() if key[0] in but}

  def _read(self, tasks: Sequence[str], asked: Questions) -> Iterator[list]:
    """The rows of tasks, read once for all models."""
    new = [task for task in tasks if (task, asked.split) not in self._rows]
    fresh = parts.read_tasks(new, asked.split, asked.examples, asked.lengths, asked.seed)
    for task in tasks:
      if (task, asked.split) not in self._rows:
        self._rows[task, asked.split] = next(fresh)
      yield self._rows[task, asked.split]


def _metrics(tasks: Sequence[str]) -> dict[str, tuple[str, ...]]:
  datasets = [registry.task_info(task).dataset for task in tasks]
  return {dataset.name: dataset.metrics for dataset in datasets}


def folder_for(path: str) -> pathlib.Path:
  """Makes an output folder, or says why it cannot be written."""
  folder = pathlib.Path(path)
  try:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / '.writable'
    probe.touch()
    probe.unlink()
  except OSError as error:
    raise UserError(f'Cannot write to {folder}: {error.strerror or error}.') from error
  return folder
