"""Evaluating one model on tasks, and writing down what came out: tables, pictures, predictions, a report."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from flan_jax.data import registry
from flan_jax.data.vocabulary import active_vocabulary
from flan_jax.errors import UserError
from flan_jax.evaluation import protocol
from flan_jax.evaluation.rank import Normalization
from flan_jax.evaluation.results import Evaluation
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

  def __init__(self, model: T5, questions: Questions):
    """Takes the first model and what will be asked."""
    self.questions = questions
    vocabulary = active_vocabulary()
    self._scorer = Scorer(model, batch_size=questions.batch_size)
    self._generator = Generator(
      model, max_decode_len=questions.max_decode_len, eos_id=vocabulary.eos_id, batch_size=questions.batch_size
    )
    self._decode = vocabulary.decode
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
    self._scorer.update(model)
    self._generator.update(model)
    asked = questions or self.questions
    return protocol.evaluate_tasks(
      self._read(tasks, asked), label, self._scorer, self._generator, checkpoint=checkpoint,
      decode=self._decode, metrics=_metrics(tasks), method=asked.method, normalization=asked.normalization,
      split=asked.split, seed=asked.seed,
    )  # fmt: skip

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
