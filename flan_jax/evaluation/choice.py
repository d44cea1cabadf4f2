"""The template that does best on validation rows, scored on test rows: FLAN's rule (Wei et al. 2021, section 3).

The best of ten templates on the test itself is a number that nobody could have had beforehand, and the mean over
templates is what an unlucky reader gets; this is what one gets who may look at some labelled rows first.
"""

import dataclasses

from flan_jax.errors import UserError
from flan_jax.evaluation import averages, credits
from flan_jax.evaluation.metrics import LESS_IS_BETTER
from flan_jax.evaluation.results import Chosen, DatasetResult, Evaluation, TemplateResult
from flan_jax.evaluation.statistics import Estimate


def choose(test: Evaluation, validation: Evaluation, seed: int = 0) -> Evaluation:
  """Chooses a template for each dataset.

  Args:
    test: what is reported.
    validation: the same model and tasks on other rows.
    seed: of the bootstrap.

  Returns:
    The test evaluation with `chosen` in every dataset: of equally good templates the first. The interval draws test
    rows anew and takes the choice as it was made.

  Raises:
    UserError: where the two are of different models, tasks or metrics, or of the same rows.
  """
  if test.model != validation.model:
    raise UserError(f'A model chooses its own templates, not {validation.model!r} those of {test.model!r}.')
  return dataclasses.replace(test, datasets=[
    dataclasses.replace(dataset, chosen=_chosen(dataset, test, validation, seed)) for dataset in test.datasets
  ])  # fmt: skip


def chosen_templates(evaluation: Evaluation) -> list[TemplateResult]:
  """Returns the chosen template of each dataset, e.g. for `averages.over_datasets`: clusters by FLAN's rule.

  Raises:
    UserError: where none was chosen for a dataset.
  """
  by_task = {result.task: result for result in evaluation.templates}
  missing = [dataset.dataset for dataset in evaluation.datasets if dataset.chosen is None]
  if missing:
    raise UserError(f'No template was chosen for {", ".join(missing)} ({evaluation.model}).')
  return [by_task[dataset.chosen.task] for dataset in evaluation.datasets if dataset.chosen is not None]


def _chosen(dataset: DatasetResult, test: Evaluation, validation: Evaluation, seed: int) -> Chosen:
  tested, tried = _scored(test, dataset.dataset), _scored(validation, dataset.dataset)
  name = f'dataset {dataset.dataset!r}'
  if tested.keys() != tried.keys():
    alone = sorted(tested.keys() ^ tried.keys())
    raise UserError(f'A template of {name} can be chosen among those that both evaluations asked; only one of them '
                    f'has {", ".join(alone)}.')
  for task, result in tested.items():
    if result.split == tried[task].split:
      raise UserError(f'The template of {name} must be chosen on other rows than it is tested on; both evaluations are '
                      f'of {result.split!r}.')
    if result.metric != tried[task].metric:
      raise UserError(f'{task!r} was measured by {tried[task].metric} on {tried[task].split!r} and by {result.metric} '
                      f'on {result.split!r}; choose by the metric that is reported.')
  sign = -1.0 if dataset.metric in LESS_IS_BETTER else 1.0
  best = max(tried.values(), key=lambda result: sign * result.score.value)  # of equals the first
  return Chosen(best.task, best.split, best.score.value, _score(tested[best.task], seed))


def _scored(evaluation: Evaluation, dataset: str) -> dict[str, TemplateResult]:
  return {
    result.task: result
    for result in evaluation.templates
    if result.dataset == dataset and result.method != 'excluded'
  }


def _score(result: TemplateResult, seed: int) -> Estimate:
  """The interval of a corpus metric, and of results that were read without their predictions, is the one they have."""
  return averages.overall([result], seed) if credits.table([result]).complete else result.score
