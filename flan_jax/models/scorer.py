"""Scoring of ragged rows: batches them by shape and compiles once a shape."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from flax import nnx
from jaxtyping import Float

from flan_jax.models import bucketing, scoring
from flan_jax.models.bucketing import Rows
from flan_jax.models.runner import Runner


class Scorer(Runner):
  """Log-likelihoods of targets and of options for lists of token rows.

  Example:
    scorer = Scorer(model, batch_size=32)
    scores = scorer.options([[5, 9, 1]], [[[7, 1], [8, 1]]])[0]  # one score an option
  """

  def targets(
    self, inputs: Rows, targets: Rows, *, adapters: Sequence[int] | None = None
  ) -> Float[np.ndarray, 'rows']:
    """Returns the log-likelihood of one target for each input.

    Args:
      inputs: token rows, ragged or padded with id 0.
      targets: as many token rows, with EOS where it should count.
      adapters: which one each input uses, -1 for none, where the model holds several (`peft.attach_rows`).

    Raises:
      ValueError: as many targets as inputs are needed.
    """
    scores = self.options(inputs, [[target] for target in targets], adapters=adapters)
    return np.array([row[0] for row in scores], np.float32)

  def options(
    self, inputs: Rows, options: Sequence[Rows], *, adapters: Sequence[int] | None = None
  ) -> list[Float[np.ndarray, 'options']]:
    """Returns the log-likelihoods of the options of each input; the encoder runs once an input.

    Args:
      inputs: token rows, ragged or padded with id 0.
      options: for each input any number of token rows, with EOS where it should count.
      adapters: which one each input uses, -1 for none, where the model holds several (`peft.attach_rows`).

    Returns:
      One float32 array for each input, in the inputs' order, with one score for each of its options.

    Raises:
      ValueError: as many lists of options (and adapters, if any) as inputs are needed.
    """
    if len(inputs) != len(options):
      raise ValueError(f'{len(inputs)} inputs but {len(options)} lists of options')
    if adapters is not None and len(adapters) != len(inputs):
      raise ValueError(f'{len(inputs)} inputs but {len(adapters)} adapters')
    sources = [bucketing.strip(row) for row in inputs]
    choices = [[bucketing.strip(option) for option in row] for row in options]
    results: list[np.ndarray] = [np.zeros(0, np.float32)] * len(sources)
    for indices in bucketing.batches_by_length([len(row) for row in sources], self.batch_size):
      state = self.assigned(adapters, indices, self._count(indices))
      scores = self._score(state, [sources[i] for i in indices], [choices[i] for i in indices])
      for index, row in zip(indices, scores, strict=True):
        results[index] = row
    return results

  def _score(self, state: nnx.State, sources: list[np.ndarray], choices: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Scores one batch, padded to a bucket in each of its four sizes."""
    rows = self._count(sources)
    count = bucketing.bucket_size(max(len(row) for row in choices), smallest=1)
    length = bucketing.bucket_size(max((len(option) for row in choices for option in row), default=1))
    source_length = bucketing.bucket_size(max(len(row) for row in sources))
    options = np.zeros((rows, count, length), np.int32)
    for index, row in enumerate(choices):
      options[index, : len(row)] = bucketing.pad_rows(row, len(row), length)
    inputs = bucketing.pad_rows(sources, rows, source_length)
    scores = np.asarray(self.compiled(scoring.option_log_likelihoods, state=state)(inputs, options))
    return [scores[index, : len(row)] for index, row in enumerate(choices)]

  def _count(self, batch: Sequence[Any]) -> int:
    """Returns the rows that a batch is padded to."""
    return min(bucketing.bucket_size(len(batch)), max(self.batch_size, len(batch)))
