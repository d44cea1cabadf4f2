"""Models of the Hugging Face hub by name, `hf://google/flan-t5-small` or `hf://google/flan-t5-small@REVISION`.

The files come into huggingface_hub's own cache, which transformers shares, and stay there: a second start needs no
network, nor does any with HF_HUB_OFFLINE=1. A name without a revision means what the hub has now; a run that is to
be repeated should pin one.
"""

import functools
import pathlib
import re

from flan_jax.errors import UserError

SCHEME = 'hf://'
_NAME = re.compile(r'(?P<repo>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?')
MODEL_FILES = ('config.json', 'generation_config.json', '*.safetensors', '*.safetensors.index.json')
TOKENIZER_FILES = ('tokenizer*.json', 'special_tokens_map.json', 'added_tokens.json', 'spiece.model',
                   'sentencepiece*.model')  # fmt: skip


def is_hub(path: str) -> bool:
  """Whether a path means a model of the hub."""
  return path.startswith(SCHEME)


@functools.cache
def fetch(path: str) -> pathlib.Path:
  """Brings a model's files into the cache, with progress bars, and returns their folder.

  A process asks the hub once: what a name without a revision means may change while it runs.

  Args:
    path: 'hf://owner/name' or 'hf://owner/name@revision'.

  Raises:
    UserError: where huggingface_hub is missing, the name is malformed, there is no such model or revision, or the
      hub cannot be reached and the cache lacks the files.
  """
  named = _NAME.fullmatch(path.removeprefix(SCHEME))
  if named is None:
    raise UserError(f'{path!r} is no model of the hub: expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION')
  try:
    import huggingface_hub
    from huggingface_hub import errors
  except ImportError as error:
    raise UserError(f'{path} needs the package huggingface_hub: pip install "flan_jax[hf]"') from error
  wanted = [*MODEL_FILES, *TOKENIZER_FILES]
  try:
    folder = huggingface_hub.snapshot_download(named['repo'], revision=named['revision'], allow_patterns=wanted)
  except errors.RevisionNotFoundError as error:
    raise UserError(f'{path}: the model has no revision {named["revision"]!r}') from error
  except errors.RepositoryNotFoundError as error:
    raise UserError(f'{path}: the hub has no such model, or it is private: then log in by `hf auth login`') from error
  except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError, OSError, ValueError) as error:
    cause = ' '.join(str(error).split())[:200]
    raise UserError(f'{path} cannot be fetched and is not in the cache: {cause}') from error
  found = pathlib.Path(folder)
  if not (found / 'config.json').is_file():
    raise UserError(f'{path} has no config.json: it is not a model of transformers')
  return found
