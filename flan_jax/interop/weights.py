"""The weights of a checkpoint, of whatever program wrote it, under our names and read one at a time."""

from collections.abc import Mapping
from typing import Protocol

import jax
import numpy as np

from flan_jax.models.config import T5Config


class Weights(Protocol):
  """A checkpoint that is open for reading; what `convert` reads from and what a run starts from.

  Reading is lazy, so that a model of 45 GB passes through a machine of 24 one array at a time.

  Attributes:
    where: the folder or address, for messages.
    kind: what wrote it, such as 'Hugging Face' or 'T5X'.
    config: the shape of the model, as far as the files say it.
    shapes: by our path ('encoder/layers/0/attention/query/kernel'), our shape and the dtype as stored.
  """

  where: str
  kind: str
  config: T5Config
  shapes: Mapping[str, jax.ShapeDtypeStruct]

  def read(self, path: str) -> np.ndarray:
    """Returns one parameter in our layout and the dtype as stored.

    Raises:
      UserError: if the files are damaged; the message names the file and the array.
    """
    ...
