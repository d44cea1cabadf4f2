"""What can be had without a model: guessing among the options, and always giving the most frequent answer."""

import collections
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from flan_jax.evaluation.predictions import Prediction

if TYPE_CHECKING:  # data imports TensorFlow, which an evaluation over rows at hand does not need
  from flan_jax.data.rows import EvalRow


def chance(predictions: 'Sequence[Prediction] | Sequence[EvalRow]') -> float | None:
  """Returns the expected percentage of a uniform guess among each row's options; None where a row has no options."""
  if not predictions or not all(prediction.options for prediction in predictions):
    return None
  shares = [np.mean([option in prediction.references for option in prediction.options]) for prediction in predictions]
  return 100.0 * float(np.mean(shares))


def majority(predictions: 'Sequence[Prediction] | Sequence[EvalRow]') -> float | None:
  """Returns the percentage of rows for which the most frequent answer is right; None where a row has no options.

  Where rows have options of their own (COPA), their texts hardly repeat, and the class is the answer's position. A row
  with several right options (ReCoRD) counts for each of them, once.
  """
  if not predictions or not all(prediction.options for prediction in predictions):
    return None
  shared = len({frozenset(prediction.options) for prediction in predictions}) == 1
  classes: collections.Counter[str | int] = collections.Counter()
  for prediction in predictions:
    right = [place for place, option in enumerate(prediction.options) if option in prediction.references]
    classes.update({prediction.options[place] for place in right} if shared else right)
  return 100.0 * max(classes.values(), default=0) / len(predictions)
