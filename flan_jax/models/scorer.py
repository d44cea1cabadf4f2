"""Scoring of ragged rows: packs them into few shapes and compiles once a shape."""

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from flan_jax.models import bucketing, option_trees, row_filling, scoring
from flan_jax.models.bucketing import Rows
from flan_jax.models.option_packing import Item, pack
from flan_jax.models.row_filling import Size
from flan_jax.models.runner import Runner
from flan_jax.models.slots import RowIds
from flan_jax.models.t5 import T5

Scored = tuple[int, Sequence[int], Sequence[float] | np.ndarray]  # a row, some of its options, their scores


class Scorer(Runner):
  """Log-likelihoods of targets and of options for lists of token rows.

  Example:
    scorer = Scorer(model, batch_size=32)
    scores = scorer.options([[5, 9, 1]], [[[7, 1], [8, 1]]])[0]  # one score an option
  """

  def __init__(self, model: T5, *, batch_size: int = 32):
    """Takes a model and how many inputs to score at once."""
    super().__init__(model, batch_size=batch_size)
    self._programs: set[tuple[Size, int]] = set()  # shapes and numbers of packed rows that are compiled
    self._room: Size | None = None
    self._choosing: bool | None = None

  def update(self, model: T5) -> None:
    """Takes a model's new weights; see `Runner`."""
    before = self.graphdef
    super().update(model)
    self._room = self._choosing = None  # prompts of another length have the same structure
    if self.graphdef != before:
      self._programs.clear()

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
    sources, choices = self._stripped(inputs, options, adapters)
    results = [np.zeros(len(row), np.float32) for row in choices]
    if adapters is None and not self._chooses_adapters():
      for index, places, scores in self._packed(sources, choices):
        results[index][places] = scores
    else:  # an adapter is chosen for a whole row of the model's
      for index, found in self._padded(scoring.option_log_likelihoods, sources, choices, adapters):
        results[index][:] = found
    return results

  def judged_options(
    self, inputs: Rows, options: Sequence[Rows], *, adapters: Sequence[int] | None = None
  ) -> list[scoring.Judged]:
    """Returns, with the log-likelihoods of the options, whether greedy decoding would begin with each.

    Takes and raises what `options` does. Rows are padded, not packed, and the likeliest token of every place costs a
    further pass over all logits.
    """
    sources, choices = self._stripped(inputs, options, adapters)
    nothing = scoring.Judged(np.zeros(0, np.float32), np.zeros(0, bool))  # of a row without options
    results = [nothing] * len(choices)
    for index, found in self._padded(scoring.judged_options, sources, choices, adapters):
      results[index] = found
    return results

  def _stripped(
    self, inputs: Rows, options: Sequence[Rows], adapters: Sequence[int] | None
  ) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Checks the rows and takes their padding off."""
    if len(inputs) != len(options):
      raise ValueError(f'{len(inputs)} inputs but {len(options)} lists of options')
    if adapters is not None and len(adapters) != len(inputs):
      raise ValueError(f'{len(inputs)} inputs but {len(adapters)} adapters')
    sources = [bucketing.strip(row) for row in inputs]
    empty = next((place for place, source in enumerate(sources) if not len(source)), None)
    if empty is not None:
      raise ValueError(f'input {empty} has no tokens: an empty prompt is its EOS alone')
    return sources, [[bucketing.strip(option) for option in row] for row in options]

  def _packed(self, sources: list[np.ndarray], choices: list[list[np.ndarray]]) -> Iterator[Scored]:
    """Scores all rows, several to a row of the model's (`row_filling`)."""
    rooms = self._rooms()
    items = [
      Item(index, source, tree)
      for index, (source, row) in enumerate(zip(sources, choices, strict=True))
      for tree in option_trees.grow([option.tolist() for option in row])
    ]
    started: list[tuple[list[list[Item]], list[list[int]], jax.Array]] = []
    score = self.compiled(scoring.packed_log_probs)
    shapes = {shape for shape, _ in self._programs}
    for filled in row_filling.fill([item.size(rooms) for item in items], self.config, shapes):
      rows = [[items[place] for place in row] for row in filled.rows]
      count = self._rows_at_once(rows)
      for start in range(0, len(rows), count):
        batch = rows[start : start + count]
        padded = self._padded_count(len(batch), filled.shape)
        self._programs.add((filled.shape, padded))
        packed, edges = pack(batch, padded, filled.shape, rooms)
        started.append((batch, edges, score(packed)))  # the device works while the next batch is laid out
    for batch, edges, device_scores in started:
      log_probs = np.asarray(device_scores, np.float64)
      for row, row_items, firsts in zip(log_probs, batch, edges, strict=False):
        for item, first in zip(row_items, firsts, strict=True):
          yield item.row, item.tree.options, [sum(row[first + edge] for edge in path) for path in item.tree.paths]

  def _padded(
    self, function: Callable[..., Any], sources: list[np.ndarray], choices: list[list[np.ndarray]],
    adapters: Sequence[int] | None,
  ) -> Iterator[tuple[int, Any]]:
    """Runs a function of (model, inputs, options) on batches of one bucket in each of their sizes, row by row."""
    having = [index for index, row in enumerate(choices) if row]
    for members in bucketing.groups_of_options([choices[index] for index in having]):
      group = [having[place] for place in members]
      count = bucketing.bucket_size(max(len(choices[index]) for index in group), smallest=1)
      length = bucketing.bucket_size(max(len(option) for index in group for option in choices[index]))
      for places in bucketing.batches_by_length([len(sources[index]) for index in group], self.batch_size):
        indices = [group[place] for place in places]
        rows = min(bucketing.bucket_size(len(indices)), max(self.batch_size, len(indices)))
        options = np.zeros((rows, count, length), np.int32)
        for place, index in enumerate(indices):
          options[place, : len(choices[index])] = bucketing.pad_rows(choices[index], len(choices[index]), length)
        longest = bucketing.bucket_size(max(len(sources[index]) for index in indices))
        inputs = bucketing.pad_rows([sources[index] for index in indices], rows, longest)
        compiled = self.compiled(function, state=self.assigned(adapters, indices, rows))
        found = jax.tree.map(np.asarray, compiled(inputs, options))
        for place, index in enumerate(indices):
          yield index, jax.tree.map(operator.itemgetter((place, slice(len(choices[index])))), found)

  def _rows_at_once(self, rows: list[list[Item]]) -> int:
    """Returns how many packed rows hold about as many inputs as `batch_size`, a power of two."""
    inputs = sum(len(row) for row in rows) / len(rows)
    return 1 << max(1, int(self.batch_size / inputs)).bit_length() - 1

  def _padded_count(self, rows: int, shape: Size) -> int:
    """Returns how many rows a batch is padded to: a number that is compiled already, or the next power of two."""
    known = [count for one, count in self._programs if one == shape and rows <= count <= 4 * rows]
    return min(known, default=bucketing.bucket_size(rows, smallest=1))

  def _chooses_adapters(self) -> bool:
    """Returns whether the model holds several adapters, of which each of its rows has one."""
    if self._choosing is None:
      self._choosing = any(isinstance(variable, RowIds) for _, variable in nnx.to_flat_state(self.state))
    return self._choosing

  def _rooms(self) -> Size:
    """Returns the positions that soft prompts take before an input and before its options."""
    if self._room is not None:
      return self._room

    def prompts(state: nnx.State) -> list[jax.Array | None]:
      model = nnx.merge(self.graphdef, state)
      found = [stack.prompt(1, jnp.float32, rngs=None) for stack in (model.encoder, model.decoder)]
      return [None if prompt is None else prompt.embeddings for prompt in found]

    found = jax.eval_shape(prompts, self.state)
    self._room = Size(*(0 if prompt is None else prompt.shape[1] for prompt in found))
    return self._room
