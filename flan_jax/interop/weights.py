"""The weights of a checkpoint, of whatever program wrote it, under our names and read one at a time."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import jax
import numpy as np

from flan_jax.models.config import T5Config


class Weights(Protocol):
  """A checkpoint that is open for reading; what `convert` reads from and what a run starts from.

  Reading is lazy, so that a model of 45 GB passes through a machine of 24 one array at a time.
  """

  @property
  def where(self) -> str:
    """The folder or address, for messages."""
    ...

  @property
  def kind(self) -> str:
    """What wrote it, such as 'Hugging Face' or 'T5X'."""
    ...

  @property
  def shapes(self) -> Mapping[str, jax.ShapeDtypeStruct]:
    """By our path ('encoder/layers/0/attention/query/kernel'), our shape and the dtype as stored."""
    ...

  @property
  def notes(self) -> Sequence[str]:
    """What the files hold and is not read, a counted line each."""
    ...

  @property
  def config(self) -> T5Config:
    """The shape of the model, as far as the files say it."""
    ...

  def check(self) -> None:
    """Checks files against their digests where they have any; before the first array is read.

    Raises:
      UserError: naming the files that are not what was written.
    """
    ...

  def read(self, path: str) -> np.ndarray:
    """Returns one parameter in our layout and the dtype as stored.

    Raises:
      UserError: if the files are damaged; the message names the file and the array.
    """
    ...


def nbytes(shape: jax.ShapeDtypeStruct) -> int:
  """Returns the bytes of an array of this shape and dtype; a model's do not fit into 32 bits."""
  return int(np.prod(shape.shape, dtype=np.int64)) * np.dtype(shape.dtype).itemsize


@dataclasses.dataclass(frozen=True)
class Held:
  """Weights that are in memory; see `Weights`.

  Attributes:
    where: what they are, for messages.
    config: the shape of the model.
    arrays: by our path.
    kind: where they come from.
    notes: see `Weights`.
  """

  where: str
  config: T5Config
  arrays: Mapping[str, np.ndarray]
  kind: str = 'flan_jax'
  notes: tuple[str, ...] = ()

  @property
  def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and dtype by path."""
    return {path: jax.ShapeDtypeStruct(value.shape, value.dtype) for path, value in self.arrays.items()}

  def check(self) -> None:
    """Does nothing."""

  def read(self, path: str) -> np.ndarray:
    """Returns one parameter."""
    return self.arrays[path]
