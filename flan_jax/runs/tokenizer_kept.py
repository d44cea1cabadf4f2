"""The tokenizer's files that a run or an export keeps, so that nobody has to name its vocabulary again."""

import seqio

from flan_jax.data.tokenizer_export import kept_files
from flan_jax.errors import UserError
from flan_jax.training.run_folder import TOKENIZER


def tokenizer_files(vocabulary: seqio.Vocabulary) -> tuple[dict[str, str | bytes], list[str]]:
  """The tokenizer's files, in a folder of their own; a line instead where the vocabulary is of no kind that has any."""
  try:
    return {f'{TOKENIZER}/{name}': content for name, content in kept_files(vocabulary).items()}, []
  except UserError as error:
    return {}, [f'no tokenizer is kept: {error}']
