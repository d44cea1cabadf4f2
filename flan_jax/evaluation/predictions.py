"""What a model answered to one row, with where the row came from; written and read as JSON lines."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flan_jax.errors import UserError

if TYPE_CHECKING:  # data imports TensorFlow, which an evaluation over rows at hand does not need
  from flan_jax.data.rows import EvalRow


@dataclasses.dataclass(frozen=True)
class Prediction:
  """One answered row.

  Attributes:
    row_id: the TFDS row; the same for every template and for the opposite question about it.
    task: the SeqIO task.
    dataset: its dataset.
    cluster: its task cluster.
    template: which instruction, -1 for none.
    inputs: the prompt as text.
    answer: the right answer.
    references: all acceptable answers.
    prediction: the model's answer as text.
    credit: 1 where it is right and 0 where not; 1/k of it for a tie of k options; None where rank classification
      cannot judge the row because its answer is none of its options, or where no metric judges rows one by one.
    options: the options that were ranked; empty for free text.
    scores: one log-likelihood per option (divided by length where so normalised).
    answer_index: place of the answer among the options, -1 for none.
    tied: more than one option has the best score.
    truncated: the prompt or the target did not fit.
    group: which rows belong together, such as those about one question; '' where none do.
  """

  row_id: str
  task: str
  dataset: str
  cluster: str
  template: int
  inputs: str
  answer: str
  references: list[str]
  prediction: str
  credit: float | None
  options: list[str] = dataclasses.field(default_factory=list)
  scores: list[float] = dataclasses.field(default_factory=list)
  answer_index: int = -1
  tied: bool = False
  truncated: bool = False
  group: str = ''


def from_row(row: 'EvalRow', prediction: str, credit: float | None, **ranked: Any) -> Prediction:
  """Returns the prediction for a row; `ranked` holds the fields that only rank classification sets."""
  return Prediction(
    row_id=row.row_id,
    task=row.task,
    dataset=row.dataset,
    cluster=row.cluster,
    template=row.template,
    inputs=row.inputs_pretokenized,
    answer=row.answer,
    references=list(row.references),
    prediction=prediction,
    credit=credit,
    truncated=row.truncated,
    group=row.group,
    **ranked,
  )


def write_jsonl(path: str | pathlib.Path, predictions: Iterable[Prediction]) -> pathlib.Path:
  """Writes one JSON object per line, making the folder where it is missing."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open('w', encoding='utf-8') as file:
    for prediction in predictions:
      file.write(json.dumps(dataclasses.asdict(prediction), ensure_ascii=False, allow_nan=False) + '\n')
  return path


def read_jsonl(path: str | pathlib.Path) -> list[Prediction]:
  """Reads what `write_jsonl` wrote, as `stream_jsonl` does, into a list."""
  return list(stream_jsonl(path))


def stream_jsonl(path: str | pathlib.Path) -> Iterator[Prediction]:
  """Yields what `write_jsonl` wrote, one prediction in memory at a time.

  Raises:
    UserError: where the file is missing, is empty, or is not of this form.
  """
  line = ''
  try:
    with pathlib.Path(path).open(encoding='utf-8', newline='\n') as file:
      for line in file:
        yield Prediction(**json.loads(line))
    if not line:
      raise ValueError('there is no line')
  except OSError as error:
    raise UserError(f'Cannot read predictions from {str(path)!r}: {error.strerror}.') from error
  except (ValueError, TypeError) as error:
    raise UserError(f'{str(path)!r} is not a file of predictions written by flan_jax.') from error
