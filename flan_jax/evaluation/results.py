"""The numbers of an evaluation and where each came from, as dataclasses; `results_file` writes and reads them.

Accuracies and every other metric but `edit_distance` are percentages (0 to 100). Percentages of different datasets are
comparable only where their chance levels are, which is why chance and the majority class stand beside each.
"""

import dataclasses
from typing import Any

from flan_jax.evaluation.predictions import Prediction
from flan_jax.evaluation.statistics import Estimate


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
    metrics: percentages by name, of the dataset's metrics; BLEU has no interval.
    chance: what guessing among the options gives; None for free text, and beside another metric than accuracy.
    majority: what the most frequent answer gives; None likewise.
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
class Chosen:
  """The template that did best on one split, as it does on another (FLAN's rule, Wei et al. 2021, section 3).

  Attributes:
    task: the task of the chosen template.
    chosen_on: the split that it was chosen on.
    validation: its headline metric there, the highest of all templates (of equals the first).
    score: its headline metric on the split of the dataset's result.
  """

  task: str
  chosen_on: str
  validation: float
  score: Estimate


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
    chosen: the template chosen on another split; None where none was asked.
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
  chosen: Chosen | None = None


@dataclasses.dataclass(frozen=True)
class ClusterResult:
  """A task cluster: the unweighted mean over its datasets (macro average).

  Attributes:
    cluster: its name.
    split: which rows.
    mean: the average; its interval draws the questions of each dataset anew. It says how sure the mean over these
      datasets is, not how other datasets would do.
    chance: mean over the datasets; None where one of them has no chance level (free text).
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
class Point:
  """A place on a curve, such as 'three training clusters, second order'.

  Attributes:
    curve: what runs along the axis, e.g. 'training clusters'.
    x: the place on it.
    series: which line of the curve; '' where there is one.
  """

  curve: str
  x: float
  series: str = ''


@dataclasses.dataclass(frozen=True)
class Origin:
  """How the model of an evaluation in the held-out protocol came about.

  Attributes:
    held_out: the cluster that it is judged on.
    arm: the short name of the condition, e.g. 'tuned' or 'untuned'; the same for every held-out cluster.
    trained_on: datasets that trained it, over all stages; empty for a model that was not trained.
    steps: updates, over all stages.
    method: name and hyperparameters of what trained; empty for nothing.
    parameters: of the model, adapters included.
    trainable: how many of them trained.
    seed: of weights, order and templates.
    digest: of everything that decides its numbers (configuration, checkpoint, rows asked); hexadecimal.
    point: its place on a curve; None for an ordinary condition.
    folder: its training run's folder, relative to results.json; '' for none.
  """

  held_out: str
  arm: str
  trained_on: list[str]
  steps: int
  method: dict[str, Any]
  parameters: int
  trainable: int
  seed: int
  digest: str
  point: Point | None = None
  folder: str = ''


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
    origin: how the model came about, in the held-out protocol; None elsewhere.
  """

  model: str
  checkpoint: str = ''
  templates: list[TemplateResult] = dataclasses.field(default_factory=list)
  datasets: list[DatasetResult] = dataclasses.field(default_factory=list)
  clusters: list[ClusterResult] = dataclasses.field(default_factory=list)
  paired: list[PairedResult] = dataclasses.field(default_factory=list)
  origin: Origin | None = None
