"""The shape of a model from its checkpoint, so that no models/ file has to repeat it; needs no TensorFlow.

`models/of_initial_checkpoint.gin` and `models/of_checkpoint.gin` bind it, and `vocabulary_of_checkpoint`, to the path
that a run starts from.
"""

import dataclasses

from flan_jax.models.config import T5Config
from flan_jax.training import initial


def model_of_checkpoint(path: str, dropout_rate: float | None = None, dtype: str | None = None,
                        param_dtype: str | None = None) -> T5Config:  # fmt: skip
  """Returns the shape of a checkpoint's model.

  Args:
    path: see `initial.open_weights`.
    dropout_rate: while training; what the checkpoint says where None.
    dtype: of activations; our default, or that of the run where it is ours, where None.
    param_dtype: of parameters, likewise.

  Raises:
    UserError: if there is no checkpoint, or it does not say its shape.
  """
  changes = {'dropout_rate': dropout_rate, 'dtype': dtype, 'param_dtype': param_dtype}
  given = {name: value for name, value in changes.items() if value is not None}
  return dataclasses.replace(initial.open_weights(path).config, **given)  # type: ignore[arg-type]
