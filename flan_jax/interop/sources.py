"""Opening a checkpoint of another program, whatever INITIAL_CHECKPOINT_PATH names."""

import pathlib

from flan_jax.interop import hub, t5x
from flan_jax.interop.hf_folder import HuggingFaceWeights, is_huggingface
from flan_jax.interop.weights import Weights


def open_foreign(path: str | pathlib.Path) -> Weights | None:
  """Opens a checkpoint that another program wrote.

  Args:
    path: a model folder of transformers; `hf://OWNER/NAME[@REVISION]`; a T5X checkpoint or the folder of its run, local
      or under gs://.

  Returns:
    Its weights, or None where the path holds nothing of another program's, so that it may be ours.

  Raises:
    UserError: where it is another program's, but damaged or none that we can read.
  """
  name = str(path)
  if hub.is_hub(name):
    return HuggingFaceWeights(hub.fetch(name))
  folder = pathlib.Path(name).expanduser()
  if is_huggingface(folder):
    return HuggingFaceWeights(folder)
  if t5x.detect(name) is not None:
    return t5x.open_t5x(name)
  return None
