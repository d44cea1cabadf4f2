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
  """Returns the percentage of rows with the most frequent answer; None where a row has no options.

  Where rows have options of their own (COPA), their texts hardly repeat, and the class is the answer's position.
  """
  if not predictions or not all(prediction.options for prediction in predictions):
    return None
  shared = len({frozenset(prediction.options) for prediction in predictions}) == 1
  classes = collections.Counter(
    prediction.answer if shared else prediction.answer_index for prediction in predictions
  )
  return 100.0 * max(classes.values()) / len(predictions)
