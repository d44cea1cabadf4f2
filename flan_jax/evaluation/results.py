"""The numbers of an evaluation and where each came from: dataclasses, `results.json`, and `predictions/`.

Accuracies and every other metric but `edit_distance` are percentages (0 to 100). Percentages of different datasets are
comparable only where their chance levels are, which is why chance and the majority class stand beside each.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.errors import UserError
from flan_jax.evaluation.predictions import Prediction, write_jsonl
from flan_jax.evaluation.statistics import Estimate
from flan_jax.versions import package_versions

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class TemplateResult:
  """One task (a dataset under one template, or one way of leaving instructions out) on one split.

  Attributes:
    task: the SeqIO task.
    dataset: its dataset.
    cluster: its task cluster.
    template: which instruction, -1 for none, None where rows have different ones.
    split: which rows.
    method: 'rank' or 'generate'; 'excluded' for an inverted template, which asks for something else than the answer.
    metric: the name of the metric that stands for the task in averages.
    metrics: percentages by name; corpus-level metrics have no interval.
    chance: what guessing among the options gives; None for free text.
    majority: what the most frequent answer gives; None for free text.
    rows: how many rows the metrics rest on.
    unanswerable: rows left out because their answer is none of their options.
    inverted: rows left out because their template is inverted.
    ties: scored rows with more than one best option.
    truncated: scored rows whose prompt or target was cut.
    seed: of template draws and of the bootstrap.
    predictions: what was answered; not part of the JSON.
  """

  task: str
  dataset: str
  cluster: str
  template: int | None
  split: str
  method: str
  metric: str
  metrics: dict[str, Estimate]
  chance: float | None
  majority: float | None
  rows: int
  unanswerable: int = 0
  inverted: int = 0
  ties: int = 0
  truncated: int = 0
  seed: int = 0
  predictions: list[Prediction] = dataclasses.field(default_factory=list, repr=False, compare=False)

  @property
  def score(self) -> Estimate:
    """The estimate of the headline metric."""
    return self.metrics[self.metric]


@dataclasses.dataclass(frozen=True)
class DatasetResult:
  """A dataset over its templates.

  Attributes:
    dataset: its name.
    cluster: its task cluster.
    split: which rows.
    metric: the headline metric.
    mean: mean over templates; its interval draws questions anew, each with all its templates. n counts questions.
    std: sample standard deviation over templates; None with fewer than two.
    best: the highest template mean.
    worst: the lowest template mean.
    metrics: mean over templates of every metric.
    by_template: the headline metric of each task.
    chance: mean over templates; None for free text.
    majority: mean over templates; None for free text.
    unanswerable: rows left out, over all templates.
    excluded: tasks left out because their template is inverted.
    seed: of the bootstrap.
  """

  dataset: str
  cluster: str
  split: str
  metric: str
  mean: Estimate
  std: float | None
  best: float
  worst: float
  metrics: dict[str, float]
  by_template: dict[str, float]
  chance: float | None
  majority: float | None
  unanswerable: int
  excluded: list[str]
  seed: int


@dataclasses.dataclass(frozen=True)
class ClusterResult:
  """A task cluster: the unweighted mean over its datasets (macro average).

  Attributes:
    cluster: its name.
    split: which rows.
    mean: the average; its interval draws the questions of each dataset anew. It says how sure the mean over these
      datasets is, not how other datasets would do.
    chance: mean over the datasets that have a chance level.
    datasets: the headline metric of each dataset.
    metric: the headline metrics that are averaged, joined by '+'.
    seed: of the bootstrap.
  """

  cluster: str
  split: str
  mean: Estimate
  chance: float | None
  datasets: dict[str, float]
  metric: str
  seed: int


@dataclasses.dataclass(frozen=True)
class PairedResult:
  """A question and its opposite about the same inputs (see `paired.py`).

  Attributes:
    dataset: what was asked plainly.
    opposite_dataset: what was asked of the same inputs the other way round.
    cluster: their task cluster.
    split: which rows.
    mean: mean of both halves; a model that does not read the instruction stays at chance.
    interval: of the mean, pairs drawn anew.
    plain: accuracy on the plain question.
    plain_interval: its interval.
    opposite: accuracy on the opposite question.
    opposite_interval: its interval.
    both: share of inputs with both questions right (over several templates: the product of the shares of each half).
    n: pairs.
    unpaired: rows of either half without a partner, left out.
    chance: what guessing gives.
    seed: of the bootstrap.
  """

  dataset: str
  opposite_dataset: str
  cluster: str
  split: str
  mean: float
  interval: tuple[float, float]
  plain: float
  plain_interval: tuple[float, float]
  opposite: float
  opposite_interval: tuple[float, float]
  both: float
  n: int
  unpaired: int
  chance: float | None
  seed: int


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """Everything that one model, prompted in one way, was asked.

  Attributes:
    model: a label that a reader understands, e.g. 'instruction-tuned' or 'same weights, instruction removed'.
    checkpoint: where its weights came from.
    templates: by task.
    datasets: by dataset.
    clusters: by cluster.
    paired: paired measures, where the tasks have opposites.
  """

  model: str
  checkpoint: str = ''
  templates: list[TemplateResult] = dataclasses.field(default_factory=list)
  datasets: list[DatasetResult] = dataclasses.field(default_factory=list)
  clusters: list[ClusterResult] = dataclasses.field(default_factory=list)
  paired: list[PairedResult] = dataclasses.field(default_factory=list)


def write_results(
  path: str | pathlib.Path, evaluations: Sequence[Evaluation], config: Mapping[str, Any] | None = None
) -> pathlib.Path:
  """Writes `results.json`: all numbers, the configuration, the command and the package versions.

  Args:
    path: the file; its folder is made where it is missing. An old one is replaced in one move.
    evaluations: one for each model and way of prompting.
    config: anything JSON that says how the numbers came about.

  Returns:
    The path.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  record = {
    'format': FORMAT,
    'created': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'command': sys.argv,
    'config': dict(config or {}),
    'versions': package_versions(),
    'evaluations': [_to_json(evaluation) for evaluation in evaluations],
  }
  partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
  partial.write_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + '\n', encoding='utf-8')
  partial.replace(path)
  return path


def read_results(path: str | pathlib.Path) -> list[Evaluation]:
  """Reads the evaluations of a `results.json`; predictions are files of their own and stay empty.

  Raises:
    UserError: where the file is missing, or is not one of ours.
  """
  try:
    record = json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
    if record['format'] != FORMAT:
      raise UserError(f'{str(path)!r} has results of format {record["format"]}; this version reads format {FORMAT}.')
    return [_from_json(evaluation) for evaluation in record['evaluations']]
  except OSError as error:
    raise UserError(f'Cannot read results from {str(path)!r}: {error.strerror}.') from error
  except (ValueError, KeyError, TypeError) as error:
    raise UserError(f'{str(path)!r} is not a results file written by flan_jax.') from error


def write_predictions(folder: str | pathlib.Path, evaluation: Evaluation) -> list[pathlib.Path]:
  """Writes `<folder>/<model>/<task>.<split>.jsonl` for every task that was answered; returns the paths."""
  root = pathlib.Path(folder) / _slug(evaluation.model)
  return [
    write_jsonl(root / f'{_slug(result.task)}.{_slug(result.split)}.jsonl', result.predictions)
    for result in evaluation.templates
    if result.predictions
  ]


def _slug(name: str) -> str:
  return re.sub(r'[^A-Za-z0-9_.-]+', '_', name).strip('_.')


def _to_json(evaluation: Evaluation) -> dict[str, Any]:
  # Estimates are written with their names: asdict alone would make them bare lists of four numbers.
  record = dataclasses.asdict(dataclasses.replace(evaluation, templates=[
    dataclasses.replace(result, predictions=[]) for result in evaluation.templates
  ]))  # fmt: skip
  for result in record['templates']:
    del result['predictions']
  return _name_estimates(record)


def _name_estimates(value: Any) -> Any:
  if isinstance(value, Estimate):
    return value._asdict()
  if isinstance(value, dict):
    return {key: _name_estimates(item) for key, item in value.items()}
  return [_name_estimates(item) for item in value] if isinstance(value, list | tuple) else value


def _from_json(record: Mapping[str, Any]) -> Evaluation:
  templates = [
    TemplateResult(**{**item, 'metrics': {name: Estimate(**value) for name, value in item['metrics'].items()}})
    for item in record['templates']
  ]
  datasets = [DatasetResult(**{**item, 'mean': Estimate(**item['mean'])}) for item in record['datasets']]
  clusters = [ClusterResult(**{**item, 'mean': Estimate(**item['mean'])}) for item in record['clusters']]
  intervals = ('interval', 'plain_interval', 'opposite_interval')
  paired = [PairedResult(**{**item, **{name: tuple(item[name]) for name in intervals}}) for item in record['paired']]
  return Evaluation(record['model'], record['checkpoint'], templates, datasets, clusters, paired)
