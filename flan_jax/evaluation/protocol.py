"""The held-out protocol: every task with a model, then averages over templates, over datasets, over clusters.

Tasks whose rows have options are answered by rank classification, the others by generation. Ranking is scored by
accuracy, with what else the dataset is measured by beside it: the options ranked first are texts like others. Rows of
inverted templates ("write a question whose answer is ...") are left out: their target is not the answer. What is left
out is counted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from flan_jax.errors import UserError
from flan_jax.evaluation import answers, averages, baselines
from flan_jax.evaluation import metrics as metric_registry
from flan_jax.evaluation.generate import Decode, Generator, generate
from flan_jax.evaluation.rank import Normalization, OptionScorer, rank
from flan_jax.evaluation.results import Evaluation, TemplateResult
from flan_jax.evaluation.statistics import Estimate

if TYPE_CHECKING:
  from flan_jax.data.rows import EvalRow
  from flan_jax.evaluation.predictions import Prediction

Method = Literal['auto', 'rank', 'generate']


def evaluate_task(
  rows: Sequence['EvalRow'],
  scorer: OptionScorer | None = None,
  generator: Generator | None = None,
  *,
  decode: Decode | None = None,
  metrics: Sequence[str] = ('accuracy',),
  method: Method = 'auto',
  normalization: Normalization = 'none',
  split: str = 'test',
  seed: int = 0,
) -> TemplateResult:
  """Answers the rows of one task and scores the answers.

  Args:
    rows: from `flan_jax.data.rows`, all of one task.
    scorer: ranks options; needed for tasks with options.
    generator: writes text; needed for tasks without.
    decode: tokens to text; needed with `generator`.
    metrics: metric names. Rank classification measures accuracy first, where options tie by the expectation of a fair
      draw, then the others by the first of the best options.
    method: 'auto' ranks where every row has options; 'generate' writes even there.
    normalization: of the options' log-likelihoods, see `rank`.
    split: the name of the split the rows are from, for the record.
    seed: of the bootstrap, and for the record.

  Returns:
    The result with its predictions; `method` is 'excluded' where all rows are of inverted templates.

  Raises:
    UserError: without rows, with rows of several tasks, where no row can be scored, or where what the method needs is
      not given.
  """
  kept = _kept(rows, split)
  if not kept:
    return _excluded(rows, split, seed)
  if method == 'rank' or (method == 'auto' and all(row.options for row in kept)):
    if scorer is None:
      raise UserError(f'Task {rows[0].task!r} is answered by ranking its options, which needs a scorer.')
    ranked, estimates = _rank(kept, scorer, metrics, normalization, split, seed)
    return _result(rows, ranked, estimates, 'rank', split, seed)
  if generator is None or decode is None:
    raise UserError(f'Task {rows[0].task!r} is answered by generation, which needs a generator and a vocabulary.')
  predictions, estimates = generate(kept, generator, decode, metrics=metrics, seed=seed)
  return _result(rows, predictions, estimates, 'generate', split, seed)


def evaluate_tasks(
  tasks: Iterable[Sequence['EvalRow']],
  model: str,
  scorer: OptionScorer | None = None,
  generator: Generator | None = None,
  *,
  checkpoint: str = '',
  decode: Decode | None = None,
  metrics: Mapping[str, Sequence[str]] | None = None,
  method: Method = 'auto',
  normalization: Normalization = 'none',
  split: str = 'test',
  seed: int = 0,
  on_result: Callable[[TemplateResult], None] | None = None,
) -> Evaluation:
  """Answers many tasks with one model and averages over templates, datasets and clusters.

  Args:
    tasks: the rows of each task; read as they are needed, so that a generator of lists keeps one task in memory.
    model: a label for the model and the way it is prompted.
    scorer: as in `evaluate_task`.
    generator: as in `evaluate_task`.
    checkpoint: where the weights came from, for the record.
    decode: as in `evaluate_task`.
    metrics: metric names by dataset; ('accuracy',) where one is not named.
    method: as in `evaluate_task`.
    normalization: as in `evaluate_task`.
    split: as in `evaluate_task`.
    seed: as in `evaluate_task`.
    on_result: called after each task, to show progress.

  Returns:
    The evaluation, tasks in order, without paired measures.
  """
  templates = []
  for rows in tasks:
    dataset = rows[0].dataset if rows else ''
    result = evaluate_task(
      rows, scorer, generator, decode=decode, metrics=(metrics or {}).get(dataset, ('accuracy',)), method=method,
      normalization=normalization, split=split, seed=seed,
    )  # fmt: skip
    templates.append(result)
    if on_result is not None:
      on_result(result)
  datasets, clusters = averages.over_templates(templates, seed), averages.over_datasets(templates, seed)
  return Evaluation(model, checkpoint, templates, datasets, clusters)


def _kept(rows: Sequence['EvalRow'], split: str) -> list['EvalRow']:
  """Returns the rows that ask for the answer, having checked that all are different questions of one task."""
  if not rows:
    raise UserError(f'There is no row to evaluate in split {split!r}.')
  tasks = {row.task for row in rows}
  if len(tasks) > 1:
    raise UserError(f'One task at a time: the rows are of {", ".join(sorted(tasks))}.')
  if len({row.row_id for row in rows}) < len(rows):
    raise ValueError(f'{rows[0].task}: rows must have ids of their own, for averages and pairs go by row id')
  return [row for row in rows if not row.inverted]


def _rank(
  rows: Sequence['EvalRow'],
  scorer: OptionScorer,
  metrics: Sequence[str],
  normalization: Normalization,
  split: str,
  seed: int,
) -> tuple[list['Prediction'], dict[str, Estimate]]:
  """Ranks the options of rows, and measures those that can be judged: by accuracy, then by the other metrics."""
  others = [name for name in metrics if name != 'accuracy']
  metric_registry.check(others, answers.groups_of(rows), answers.shared_options(rows))
  predictions = rank(rows, scorer, normalization=normalization)
  judged = [prediction for prediction in predictions if prediction.credit is not None]
  if not judged:
    raise UserError(f'No row of {rows[0].task!r} ({split}) has its answer among its options.')
  given = answers.of_rows(judged, [prediction.prediction for prediction in judged])
  credits = np.array([prediction.credit for prediction in judged], np.float64)
  estimates = {'accuracy': metric_registry.mean(credits, given).estimate(seed=seed)}
  for name in others:
    estimates |= metric_registry.measure(name, given, seed).estimates
  return predictions, estimates


def _result(
  rows: Sequence['EvalRow'],
  predictions: list['Prediction'],
  estimates: dict[str, Estimate],
  method: Literal['rank', 'generate'],
  split: str,
  seed: int,
) -> TemplateResult:
  """Makes the result of answered rows; what can be had without a model stands beside accuracy."""
  ranked, metric = method == 'rank', next(iter(estimates))
  scored = [prediction for prediction in predictions if not ranked or prediction.credit is not None]
  asked = scored if ranked else [row for row in rows if not row.inverted]  # written answers do not carry the options
  return TemplateResult(
    task=rows[0].task,
    dataset=rows[0].dataset,
    cluster=rows[0].cluster,
    template=_template(rows),
    split=split,
    method=method,
    metric=metric,
    metrics=estimates,
    chance=baselines.chance(asked) if metric == 'accuracy' else None,
    majority=baselines.majority(asked) if metric == 'accuracy' else None,
    rows=len(scored),
    unanswerable=len(predictions) - len(scored),
    inverted=len(rows) - len(predictions),
    ties=sum(prediction.tied for prediction in scored),
    truncated=sum(prediction.truncated for prediction in scored),
    seed=seed,
    predictions=predictions,
  )


def _excluded(rows: Sequence['EvalRow'], split: str, seed: int) -> TemplateResult:
  return TemplateResult(
    task=rows[0].task, dataset=rows[0].dataset, cluster=rows[0].cluster, template=_template(rows), split=split,
    method='excluded', metric='', metrics={}, chance=None, majority=None, rows=0, inverted=len(rows), seed=seed,
  )  # fmt: skip


def _template(rows: Sequence['EvalRow']) -> int | None:
  templates = {row.template for row in rows}
  return templates.pop() if len(templates) == 1 else None
