"""Inputs that each name their adapter, answered by one base model in one go and in their order."""

from collections.abc import Mapping, Sequence

import numpy as np

from flan_jax.models import T5, Generator
from flan_jax.peft import AdapterSet, attach_rows
from flan_jax.peft.rows import NotByRow


class MixedGenerator:
  """Answers token rows with an adapter each.

  LoRA, IA3 and soft prompts share batches, whatever adapter a row uses. If one of the adapters is of another method,
  the rows of each adapter are answered together, one adapter after the other.

  Attributes:
    by_row: whether adapters share batches.
  """

  def __init__(self, generator: Generator, model: T5, directories: Mapping[str, str]):
    """Loads adapters.

    Args:
      generator: made for the model, with how to decode.
      model: the base; its slots are filled.
      directories: where each adapter was saved, by name.

    Raises:
      UserError: if an adapter is damaged, does not fit, or was trained on another base.
    """
    self._generator, self._model = generator, model
    self._set = AdapterSet(model)
    for name, directory in directories.items():
      self._set.load(name, directory)
    try:
      self._rows = attach_rows(model, {name: self._set[name] for name in self._set.names})
      self.by_row = True
    except NotByRow:
      self.by_row = False
    generator.update(model)

  def __call__(self, rows: Sequence[np.ndarray], names: Sequence[str | None]) -> list[list[int]]:
    """Returns one continuation for each row, in the order of the rows.

    Args:
      rows: token rows.
      names: the adapter of each; None for the base.
    """
    if self.by_row:
      return self._generator(rows, adapters=self._rows.ids(names).tolist())
    results: list[list[int]] = [[] for _ in rows]
    for name in dict.fromkeys(names):
      own = [place for place, other in enumerate(names) if other == name]
      self._set.switch(name)
      self._generator.update(self._model)
      for place, continuation in zip(own, self._generator([rows[place] for place in own]), strict=True):
        results[place] = continuation
    return results
