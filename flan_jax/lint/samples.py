"""The rows that the linter reads: some of a dataset's own, or none where they are not on disk. It fetches nothing."""

import dataclasses
from collections.abc import Sequence

import seqio
import tensorflow as tf

from flan_jax.data.blocks import ragged
from flan_jax.data.dataset import GROUP, REFERENCES, Dataset, Fields
from flan_jax.data.extract import FILTERED, extract_fields
from flan_jax.data.roles import ROW_ID, RowsByRole, why_missing
from flan_jax.data.template import OPTIONS
from flan_jax.errors import UserError

ROLES = ('train', 'test', 'validation')
_OURS = frozenset({ROW_ID, FILTERED, GROUP})


@dataclasses.dataclass(frozen=True)
class Sample:
  """Some rows of a dataset, as its declaration reads them.

  Attributes:
    split: their role.
    block: the fields, string [rows], with `options` and `references` ragged [rows, n].
    texts: the same in Python, without the lists.
    options: of each row.
    references: of each row.
    ids: of each row.
  """

  split: str
  block: Fields
  texts: dict[str, list[str]]
  options: list[list[str]]
  references: list[list[str]]
  ids: list[str]

  def __len__(self) -> int:
    return len(self.ids)


def on_disk(source: seqio.DataSource) -> str | None:
  """Returns the first role that has rows here, training before test; None where nothing is here."""
  for role in ROLES:
    if role in source.splits and why_missing(source, role) is None:
      return role
  return None


def origin(dataset: Dataset, source: seqio.DataSource) -> str:
  """Returns where a dataset's rows come from, in words."""
  return source.origin if isinstance(source, RowsByRole) else str(dataset.source)


def read(dataset: Dataset, source: seqio.DataSource, split: str, limit: int) -> Sample | None:
  """Reads the first rows that the dataset keeps; None where it keeps none.

  Raises:
    Exception: whatever reading raises, where the declaration does not fit the rows.
  """
  rows = source.get_dataset(split, shuffle=False)
  fields = extract_fields(dataset)(rows).take(limit).ragged_batch(limit)
  for block in fields:
    block = {name: ragged(value) if name in (OPTIONS, REFERENCES) else value for name, value in block.items()}
    texts = {name: _decoded(value) for name, value in block.items()
             if name not in (OPTIONS, REFERENCES, *_OURS) and value.dtype == tf.string}  # fmt: skip
    options, references = ([[text.decode() for text in row] for row in block[name].to_list()]
                           for name in (OPTIONS, REFERENCES))
    return Sample(split, block, texts, options, references, _decoded(block[ROW_ID]))
  return None


def declared_fields(dataset: Dataset, source: seqio.DataSource) -> Sequence[str] | None:
  """Returns the names that a dataset's fields have, from the types of a row alone; None where these are unknown."""
  if not isinstance(source, RowsByRole):
    return None
  try:
    spec = source.element_spec
  except UserError:  # a builder that cannot be had here: whoever reads the rows will say so
    return None
  return list(tf.function(dataset.example).get_concrete_function(spec).structured_outputs)


def _decoded(texts: tf.Tensor) -> list[str]:
  return [text.decode() for text in texts.numpy()]
