"""Evaluation by generation: the model writes its answer, and metrics compare the text with the references."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from flan_jax.evaluation import answers
from flan_jax.evaluation import metrics as metric_registry
from flan_jax.evaluation.predictions import Prediction, from_row
from flan_jax.evaluation.statistics import Estimate

if TYPE_CHECKING:
  from flan_jax.data.rows import EvalRow

Generator = Callable[[Sequence[np.ndarray]], Sequence[Sequence[int]]]
Decode = Callable[[list[int]], str]


def generate(
  rows: Sequence['EvalRow'],
  generator: Generator,
  decode: Decode,
  *,
  metrics: Sequence[str] = ('accuracy',),
  seed: int = 0,
) -> tuple[list[Prediction], dict[str, Estimate]]:
  """Generates an answer to every row and computes metrics.

  Args:
    rows: any rows; their references are what counts.
    generator: token rows to token rows without EOS, such as `flan_jax.models.Generator`.
    decode: tokens to text, such as the vocabulary's `decode`.
    metrics: names in `evaluation.metrics`; the first number of the first one is the headline.
    seed: of the bootstrap.

  Returns:
    One prediction per row, with the headline metric of the row as credit (None for a corpus-level metric, and for a
    row that does not count), and the metrics in percent, with intervals (BLEU: without).

  Raises:
    UserError: for an unknown metric and one that the rows lack something for, before anything is generated.
  """
  metric_registry.check(metrics, answers.groups_of(rows), answers.shared_options(rows))
  texts = [decode([int(token) for token in tokens]) for tokens in generator([row.inputs for row in rows])]
  given = answers.of_rows(rows, texts)
  estimates: dict[str, Estimate] = {}
  credits: list[float | None] = [None] * len(rows)
  for place, name in enumerate(metrics):
    measured = metric_registry.measure(name, given, seed)
    estimates |= measured.estimates
    if place == 0 and measured.rows is not None:
      credits = [None if np.isnan(value) else float(value) for value in next(iter(measured.rows.values()))]
  predictions = [from_row(row, text, credit) for row, text, credit in zip(rows, texts, credits, strict=True)]
  return predictions, estimates
