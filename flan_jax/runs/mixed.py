"""Inputs that each name their adapter, answered by one base model in one go and in their order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from flan_jax.models import T5, Continuation, Generator
from flan_jax.peft import AdapterSet, attach_rows
from flan_jax.peft.digest import fingerprint
from flan_jax.peft.rows import NotByRow


class MixedGenerator:
  """Answers token rows with an adapter each.

  LoRA, IA3 and soft prompts share batches, whatever adapter a row uses. If one of the adapters is of another method,
  the rows of each adapter are answered together, one adapter after the other.

  Attributes:
    by_row: whether adapters share batches.
  """

  def __init__(self, generator: Generator, model: T5, directories: Mapping[str, str], *, force: bool = False):
    """Loads adapters.

    Args:
      generator: made for the model, with how to decode.
      model: the base; its slots are filled.
      directories: where each adapter was saved, by name.
      force: take those that were trained on another base, too.

    Raises:
      UserError: if an adapter is damaged, does not fit, or was trained on another base.
    """
    self._generator, self._model = generator, model
    self._set = AdapterSet(model)
    for name, directory in directories.items():
      self._set.load(name, directory, force=force)
    try:
      self._rows = attach_rows(model, {name: self._set[name] for name in self._set.names})
      self.by_row = True
    except NotByRow:
      self.by_row = False
    generator.update(model)

  @property
  def identity(self) -> dict[str, Any]:
    """The adapters by name: method, hyperparameters and a word for their values, wherever they lie."""
    adapters = {name: self._set[name] for name in self._set.names}
    return {name: [method.config, fingerprint(arrays)] for name, (method, arrays) in adapters.items()}

  def __call__(self, rows: Sequence[np.ndarray], names: Sequence[str | None]) -> list[list[int]]:
    """Returns one continuation for each row, in the order of the rows; arguments as for `stream`."""
    results: list[list[int]] = [[] for _ in rows]
    for place, continuation in self.stream(rows, names):
      results[place] = continuation.tokens
    return results

  def stream(
    self, rows: Sequence[np.ndarray], names: Sequence[str | None], row_ids: Sequence[int] | None = None
  ) -> Iterator[tuple[int, Continuation]]:
    """Yields the place and the continuation of each row as soon as its batch is decoded.

    Args:
      rows: token rows.
      names: the adapter of each; None for the base.
      row_ids: numbers that a row's draw depends on where the generator samples; by default the rows' places.
    """
    if self.by_row:
      yield from self._generator.stream(rows, adapters=self._rows.ids(names).tolist(), row_ids=row_ids)
      return
    ids = range(len(rows)) if row_ids is None else row_ids
    for name in dict.fromkeys(names):
      own = [place for place, other in enumerate(names) if other == name]
      self._set.switch(name)
      self._generator.update(self._model)
      for index, continuation in self._generator.stream([rows[i] for i in own], row_ids=[ids[i] for i in own]):
        yield own[index], continuation
