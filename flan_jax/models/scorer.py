"""Scoring of ragged rows: batches them by shape and compiles once a shape."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
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
    return self._over_batches(scoring.option_log_likelihoods, inputs, options, adapters)

  def judged_options(
    self, inputs: Rows, options: Sequence[Rows], *, adapters: Sequence[int] | None = None
  ) -> list[scoring.Judged]:
    """Returns, with the log-likelihoods of the options, whether greedy decoding would begin with each.

    Takes, batches and raises what `options` does. The likeliest token of every place costs a further pass over all
    logits.
    """
    return self._over_batches(scoring.judged_options, inputs, options, adapters)

  def _over_batches(
    self, function: Callable[..., Any], inputs: Rows, options: Sequence[Rows], adapters: Sequence[int] | None
  ) -> list[Any]:
    """Runs a function of (model, inputs, options) batch by batch, and returns its results by input."""
    if len(inputs) != len(options):
      raise ValueError(f'{len(inputs)} inputs but {len(options)} lists of options')
    if adapters is not None and len(adapters) != len(inputs):
      raise ValueError(f'{len(inputs)} inputs but {len(adapters)} adapters')
    sources = [bucketing.strip(row) for row in inputs]
    choices = [[bucketing.strip(option) for option in row] for row in options]
    results: list[Any] = [None] * len(sources)
    for indices in bucketing.batches_by_length([len(row) for row in sources], self.batch_size):
      compiled = self.compiled(function, state=self.assigned(adapters, indices, self._count(indices)))
      found = self._score(compiled, [sources[i] for i in indices], [choices[i] for i in indices])
      for index, row in zip(indices, found, strict=True):
        results[index] = row
    return results

  def _score(self, compiled: Callable, sources: list[np.ndarray], choices: list[list[np.ndarray]]) -> list[Any]:
    """Scores one batch, padded to a bucket in each of its four sizes."""
    rows = self._count(sources)
    count = bucketing.bucket_size(max(len(row) for row in choices), smallest=1)
    length = bucketing.bucket_size(max((len(option) for row in choices for option in row), default=1))
    source_length = bucketing.bucket_size(max(len(row) for row in sources))
    options = np.zeros((rows, count, length), np.int32)
    for index, row in enumerate(choices):
      options[index, : len(row)] = bucketing.pad_rows(row, len(row), length)
    found = jax.tree.map(np.asarray, compiled(bucketing.pad_rows(sources, rows, source_length), options))
    return [jax.tree.map(operator.itemgetter((index, slice(len(row)))), found) for index, row in enumerate(choices)]

  def _count(self, batch: Sequence[Any]) -> int:
    """Returns the rows that a batch is padded to."""
    return min(bucketing.bucket_size(len(batch)), max(self.batch_size, len(batch)))
