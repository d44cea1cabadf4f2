"""What lies in a model folder as Hugging Face lays it out: settings, added tokens, and which tokenizer class reads it.

`tokenizer_config.json` names the class. Its settings, `special_tokens_map.json` and `added_tokens.json` name tokens
beside the vocabulary; where `tokenizer_config.json` has an `added_tokens_decoder`, that one counts. This is how
transformers 5 reads a folder; its classes of version 4 are read as the class that took their place.
"""

import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from flan_jax.errors import UserError

JSON, CONFIG, MODEL_CONFIG = 'tokenizer.json', 'tokenizer_config.json', 'config.json'
SPECIAL_TOKENS, ADDED_TOKENS = 'special_tokens_map.json', 'added_tokens.json'
SENTENCEPIECE = ('spiece.model', 'sentencepiece.model', 'sentencepiece.bpe.model')
TOKENIZER_FILES = (JSON, CONFIG, SPECIAL_TOKENS, ADDED_TOKENS, *SENTENCEPIECE)

NAMED_TOKENS = {'pad_token': '<pad>', 'eos_token': '</s>', 'unk_token': '<unk>'}  # T5's, in the order of their ids
T5, MT5, BYT5, GENERIC = 'T5Tokenizer', 'MT5Tokenizer', 'ByT5Tokenizer', 'PreTrainedTokenizerFast'
_CLASSES = {name: name for name in (T5, MT5, BYT5, GENERIC)} | {
  'T5TokenizerFast': T5, 'MT5TokenizerFast': MT5, 'TokenizersBackend': GENERIC,
}  # fmt: skip
_CLASS_OF_MODEL = {'t5': T5, 'mt5': T5, 'switch_transformers': T5, 'byt5': BYT5}  # where a folder names no class
_SENTINELS = {T5: 100, MT5: 100, BYT5: 125}  # where a folder does not say how many

_METASPACE = {'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': 'always', 'split': True}
# How T5's class cuts a text, whatever its tokenizer.json says: at every white space, each word with a blank before it.
T5_STEPS: dict[str, Any] = {
  'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [{'type': 'WhitespaceSplit'}, _METASPACE]},
  'decoder': _METASPACE,
}


class TokenizerFolder:
  """A folder, here or on cloud storage, read as far as it is asked for.

  Attributes:
    path: where it is.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Opens nothing yet."""
    self.path = os.fspath(path)

  @functools.cached_property
  def names(self) -> list[str]:
    """What lies in it.

    Raises:
      UserError: where it is no folder.
    """
    if not tf.io.gfile.isdir(self.path):
      raise UserError(f'{self.path!r} is not a folder; name one with {JSON}, {SENTENCEPIECE[0]} or {CONFIG}.')
    return sorted(name.rstrip('/') for name in tf.io.gfile.listdir(self.path))

  def file(self, name: str) -> str:
    """The path of a file in it."""
    return os.path.join(self.path, name)  # noqa: PTH118  a pathlib.Path would turn gs:// into gs:/

  def read(self, name: str) -> bytes:
    """The content of a file in it.

    Raises:
      UserError: where it has no such file.
    """
    if name not in self.names:
      raise UserError(f'{self.path!r} has no {name}; it holds {listed(self.names)}.')
    with tf.io.gfile.GFile(self.file(name), 'rb') as file:
      return file.read()

  def settings(self, name: str) -> dict[str, Any]:
    """The JSON object of a file in it, empty where it has no such file.

    Raises:
      UserError: where it is something else.
    """
    if name not in self.names:
      return {}
    try:
      found = json.loads(self.read(name))
    except ValueError as error:
      raise UserError(f'{self.file(name)} is not JSON ({error}).') from error
    if not isinstance(found, dict):
      raise UserError(f'{self.file(name)} is not a JSON object.')
    return found

  @functools.cached_property
  def config(self) -> dict[str, Any]:
    """`tokenizer_config.json`, under what an older folder says in `special_tokens_map.json`."""
    config = self.settings(CONFIG)
    return config if 'added_tokens_decoder' in config else config | self.settings(SPECIAL_TOKENS)

  @functools.cached_property
  def named_class(self) -> str | None:
    """The class that the folder itself names, or that its model has; None where it says nothing.

    Raises:
      UserError: where it is a class that is not read here, or one that the folder brings along as code.
    """
    if 'auto_map' in self.config:
      raise UserError(f'{self.path!r} brings its tokenizer as code (auto_map), which is never run; save it from '
                      f'transformers as a {GENERIC}.')
    model = self.settings(MODEL_CONFIG)
    of_model = _CLASS_OF_MODEL.get(model.get('model_type', ''))
    named = self.config.get('tokenizer_class') or (of_model and (model.get('tokenizer_class') or of_model))
    if named is not None and named not in _CLASSES:
      raise UserError(f'{self.path!r} has a tokenizer of class {named!r}; {listed(_CLASSES)} are read.')
    return _CLASSES[named] if named else None

  def token(self, role: str) -> str:
    """The text of the `eos_token`, `pad_token` or `unk_token`; T5's where the folder does not name one."""
    return text_of(self.config.get(role)) or NAMED_TOKENS[role]

  @functools.cached_property
  def added(self) -> dict[str, int]:
    """The ids of the tokens that are said, outside of `tokenizer.json`, to have been added."""
    decoder = self.config.get('added_tokens_decoder')
    if decoder is not None:
      return {token['content']: int(index) for index, token in decoder.items()}
    return self.settings(ADDED_TOKENS)

  @functools.cached_property
  def extras(self) -> list[str] | None:
    """The special tokens beside the named ones, most often T5's sentinels; None where nothing is said of them."""
    for key in ('extra_special_tokens', 'additional_special_tokens'):
      if key in self.config:
        given = self.config[key] or []
        return [text_of(token) or '' for token in (given.values() if isinstance(given, Mapping) else given)]
    return None

  @functools.cached_property
  def sentinels(self) -> int:
    """How many ids `<extra_id_0>`, `<extra_id_1>`, ... follow the vocabulary's own."""
    listed_ones = {token for token in (*self.added, *(self.extras or ())) if re.fullmatch(r'<extra_id_\d+>', token)}
    # Counted where they are listed: ByT5's class of transformers 5 lists its 125 and writes extra_ids 0.
    said = self.config.get('extra_ids', _SENTINELS.get(self.named_class or T5, 0))
    return len(listed_ones) or int(said)


def text_of(token: Any) -> str | None:
  """The text of a token that a JSON file gives as a string or as an object with its content."""
  return token.get('content') if isinstance(token, Mapping) else token


def listed(names: Iterable[str], limit: int = 12) -> str:
  """The names in a sentence, the first of many; 'nothing' for none."""
  found = [*names]
  return ', '.join(found[:limit]) + (', ...' if len(found) > limit else '') or 'nothing'
