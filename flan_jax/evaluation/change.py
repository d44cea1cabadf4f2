"""What a model gained or lost against another one on the same questions, each question drawn with both its answers."""

from collections.abc import Sequence

import numpy as np

from flan_jax.errors import UserError
from flan_jax.evaluation import statistics
from flan_jax.evaluation.results import TemplateResult
from flan_jax.evaluation.statistics import Estimate


def change(after: Sequence[TemplateResult], before: Sequence[TemplateResult], seed: int = 0) -> Estimate:
  """Returns how many points results are above earlier ones: unweighted mean over datasets, each over its templates.

  Args:
    after: results of one model.
    before: results of the other, by the same tasks on the same rows.
    seed: of the bootstrap.

  Returns:
    The difference; its interval draws each dataset's questions anew, with the answers of both models under all
    templates. There is none where a metric is no mean over rows.

  Raises:
    UserError: where the two were not asked the same.
  """
  groups: dict[str, list[tuple[TemplateResult, TemplateResult]]] = {}
  earlier = {result.task: result for result in before if result.method != 'excluded'}
  later = {result.task: result for result in after if result.method != 'excluded'}
  if not later or earlier.keys() != later.keys():
    raise UserError(f'a change needs the same tasks before and after, not {sorted(earlier)} and {sorted(later)}')
  for task, result in later.items():
    groups.setdefault(result.dataset, []).append((result, earlier[task]))
  tables = [statistics.align([_differences(*pair) for pair in pairs]) for pairs in groups.values()]
  if all(table.size and not np.isnan(table).all(axis=0).any() for table in tables):
    return statistics.macro_average(tables, seed=seed)
  means = [np.mean([one.score.value - two.score.value for one, two in pairs]) for pairs in groups.values()]
  return Estimate(float(np.mean(means)), None, None, sum(pairs[0][0].rows for pairs in groups.values()))


def _differences(after: TemplateResult, before: TemplateResult) -> dict[str, float]:
  """The difference of each row's credit, in percent."""
  one, two = _credits(after), _credits(before)
  if one.keys() != two.keys():
    raise UserError(f'{after.task!r} was asked about {len(two)} rows before and {len(one)} others after')
  return {row: 100.0 * (one[row] - two[row]) for row in one}


def _credits(result: TemplateResult) -> dict[str, float]:
  return {
    prediction.row_id: prediction.credit for prediction in result.predictions if prediction.credit is not None
  }
