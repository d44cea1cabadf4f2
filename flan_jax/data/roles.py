"""What every data source of ours can say, wherever its rows come from: which rows train, validate and test."""

import abc

import tensorflow as tf

from flan_jax.data.splits import RowRange
from flan_jax.errors import UserError

ROW_ID = 'tfds_id'  # TFDS's own: '<file of the shard>__<row in it>'; rows of one's own get one in the same form


class RowsByRole(abc.ABC):
  """Rows by role (train, validation, test); the part of a SeqIO data source that SeqIO does not know."""

  @property
  @abc.abstractmethod
  def origin(self) -> str:
    """Where the rows come from, for people: a TFDS name or a file."""

  @property
  @abc.abstractmethod
  def element_spec(self) -> dict[str, tf.TypeSpec]:
    """The names and types of a row's values, `tfds_id` included; no row is prepared or fetched for it.

    Raises:
      UserError: where they cannot be known here.
    """

  @property
  @abc.abstractmethod
  def ranges(self) -> dict[str, RowRange]:
    """The rows of each role that there are."""

  @abc.abstractmethod
  def rows(self, split: str) -> RowRange:
    """The rows of one role.

    Raises:
      UserError: where there are none.
    """

  @abc.abstractmethod
  def numbers(self, split: str) -> dict[str, range]:
    """The rows of one role by file, as their ids count them: the row `<file>__<number>` is the role's.

    Raises:
      UserError: where there are none.
    """

  def num_input_examples(self, split: str) -> int:
    """The number of rows of a role, before any filter."""
    return len(self.rows(split))

  def why_missing(self, split: str) -> str | None:
    """Says why a role has no rows here, and fetches none; None where it has some."""
    try:
      self.rows(split)
    except UserError as error:
      return str(error)
    return None


def why_missing(source: object, split: str) -> str | None:
  """Says why a role of a data source has no rows here; a source that cannot tell has them."""
  return source.why_missing(split) if isinstance(source, RowsByRole) else None
