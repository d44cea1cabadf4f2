"""The vocabulary of a checkpoint, so that nobody has to name its file (see `of_checkpoint`)."""

import seqio

from flan_jax.data.tokenizer_files import vocabulary_of
from flan_jax.errors import UserError
from flan_jax.training.run_folder import tokenizer_folder

_OWN = 'bind VOCABULARY, e.g. --gin.VOCABULARY=@seqio.SentencePieceVocabulary()'


def vocabulary_of_checkpoint(path: str) -> seqio.Vocabulary:
  """Returns the vocabulary that a checkpoint was trained with.

  Args:
    path: a model folder of transformers or of the hub, or a run of ours, which keeps its tokenizer's files.

  Raises:
    UserError: where it has none, as T5X's checkpoints.
  """
  folder = tokenizer_folder(path)
  if folder is None:
    raise UserError(f'{path} has no tokenizer beside it: {_OWN}')
  return vocabulary_of(folder)
