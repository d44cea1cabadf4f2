"""A SeqIO vocabulary over the `tokenizer.json` of a Hugging Face model folder."""

import hashlib
import itertools
import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import seqio
import tensorflow as tf

from flan_jax.data.tokenizer_folder import (
  ADDED_TOKENS,
  CONFIG,
  JSON,
  NAMED_TOKENS,
  T5,
  T5_STEPS,
  TokenizerFolder,
  listed,
)
from flan_jax.errors import UserError

_NEEDS = "reading a tokenizer.json needs the package 'tokenizers': pip install flan_jax[hf]."


class _Loaded(NamedTuple):
  """What is in memory once a vocabulary was used."""

  tokenizer: Any
  digest: str
  size: int
  eos_id: int
  unk_id: int | None


class HuggingFaceVocabulary(seqio.Vocabulary):
  """The tokens that transformers 5 gives for a folder's `tokenizer.json`, without the EOS that it appends.

  Opens no file until it is first used, and travels (copies, pickles) as the folder's name. Two are equal where their
  tokenizers have the same content, wherever they lie.

  Encoding inside a tf.data graph calls back into Python, whole blocks of texts at a time. A graph with it cannot be
  saved or sent to another process.
  """

  def __init__(self, folder: str | os.PathLike[str]):
    """Names the folder.

    Args:
      folder: a model folder with a `tokenizer.json`, here or on cloud storage.
    """
    super().__init__(extra_ids=0)
    self._folder = os.fspath(folder)
    self._loaded: _Loaded | None = None

  @property
  def folder(self) -> str:
    """Where it is read from."""
    return self._folder

  @property
  def tokenizer(self) -> Any:
    """The `tokenizers.Tokenizer`, cutting nothing and appending nothing.

    Raises:
      UserError: where the package or the file is missing, or the folder says two things.
    """
    return self._load().tokenizer

  @property
  def digest(self) -> str:
    """The SHA-256 of what decides the ids."""
    return self._load().digest

  @property
  def _base_vocab_size(self) -> int:
    return self._load().size

  @property
  def eos_id(self) -> int:
    """The end-of-sequence id."""
    return self._load().eos_id

  @property
  def bos_id(self) -> int | None:
    """None: T5's decoder starts from padding."""
    return None

  @property
  def unk_id(self) -> int | None:
    """The id of what the vocabulary cannot say, where it has one."""
    return self._load().unk_id

  def _load(self) -> _Loaded:
    if self._loaded is None:
      self._loaded = _load(TokenizerFolder(self._folder))
    return self._loaded

  def _encode(self, s: str) -> list[int]:
    return self._encode_all([s])[0]

  def _encode_all(self, texts: Sequence[str]) -> list[list[int]]:
    return [found.ids for found in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

  def _decode(self, ids: Sequence[int]) -> str:
    silent = (self.pad_id, self.eos_id)  # sentinels and <unk> are told, as SentencePiece tells them
    return self.tokenizer.decode([int(i) for i in ids if i not in silent], skip_special_tokens=False)

  def _encode_tf(self, s: tf.Tensor | tf.RaggedTensor) -> tf.Tensor | tf.RaggedTensor:
    """Encodes one text into int32 [tokens], or several into ragged [texts, tokens]."""
    texts = tf.convert_to_tensor(s)
    tokens, lengths = tf.numpy_function(
      self._encode_bytes, [tf.reshape(texts, [-1])], (tf.int32, tf.int64), stateful=False
    )
    tokens.set_shape([None])
    lengths.set_shape([None])
    return tokens if texts.shape.rank == 0 else tf.RaggedTensor.from_row_lengths(tokens, lengths, validate=False)

  def _encode_bytes(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = self._encode_all([text.decode('utf-8', errors='replace') for text in texts])  # U+FFFD, as TensorFlow does
    return np.fromiter(itertools.chain.from_iterable(rows), np.int32), np.fromiter(map(len, rows), np.int64)

  def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
    texts = tf.numpy_function(self._decode_array, [ids], tf.string, stateful=False)
    texts.set_shape(ids.shape[:-1])
    return texts

  def _decode_array(self, ids: np.ndarray) -> np.ndarray:
    rows = ids.reshape(math.prod(ids.shape[:-1]), ids.shape[-1])
    texts = [self._decode(row).encode() for row in rows.tolist()]
    return np.array(texts, object).reshape(ids.shape[:-1])

  def __getstate__(self) -> dict[str, Any]:
    return self.__dict__ | {'_loaded': None}  # gin copies what it is given, beam pickles it

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, HuggingFaceVocabulary):
      return False
    return self._folder == other._folder or self.digest == other.digest

  __hash__ = seqio.Vocabulary.__hash__

  def __str__(self) -> str:
    return f'HuggingFaceVocabulary(folder={self._folder!r}, sha256={self.digest})'


def _load(folder: TokenizerFolder) -> _Loaded:
  description = _description(folder)
  tokenizer = _tokenizer(folder, description)
  _refuse_contradictions(folder, tokenizer)
  ids = {role: tokenizer.token_to_id(folder.token(role)) for role in NAMED_TOKENS}
  if ids['pad_token'] != seqio.vocabularies.PAD_ID:
    raise UserError(f'{folder.path!r}: the padding {folder.token("pad_token")!r} has the id {ids["pad_token"]}, and '
                    'SeqIO pads with 0.')
  if ids['eos_token'] is None:
    raise UserError(f'{folder.path!r}: there is no end of sequence {folder.token("eos_token")!r} in {JSON}; name it as '
                    f'eos_token in {CONFIG}.')
  decides = f'{json.dumps(description, sort_keys=True)} {tokenizer.encode_special_tokens} {ids}'.encode()
  size = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())  # more than their number where ids are left out
  return _Loaded(tokenizer, hashlib.sha256(decides).hexdigest(), size, ids['eos_token'], ids['unk_token'])


def _tokenizer(folder: TokenizerFolder, description: dict[str, Any]) -> Any:
  try:
    import tokenizers
  except ImportError as error:
    raise UserError(f'{folder.file(JSON)}: {_NEEDS}') from error
  try:
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(description))
    # Scores in the last bit as transformers has them, which decides between pieces of equal likelihood: the package
    # rounds otherwise than Python when it reads a number, and T5's class lets Python read them.
    if folder.named_class == T5:
      model = description['model']
      tokenizer.model = tokenizers.models.Unigram([tuple(piece) for piece in model['vocab']], model['unk_id'], False)
    else:
      tokenizer.model = tokenizers.Tokenizer.from_str(folder.read(JSON).decode()).model
  except Exception as error:  # the package raises bare Exceptions
    raise UserError(f'{folder.file(JSON)} is not read by tokenizers {tokenizers.__version__} ({error}).') from error
  tokenizer.encode_special_tokens = bool(folder.config.get('split_special_tokens'))
  return tokenizer


def _description(folder: TokenizerFolder) -> dict[str, Any]:
  """The `tokenizer.json` as transformers 5 takes it, less what cuts, pads and appends."""
  if JSON not in folder.names:
    folder.read(JSON)  # tells what is there instead
  found = folder.settings(JSON)
  flags = folder.config.get('added_tokens_decoder')
  if flags:
    found['added_tokens'] = [{'id': int(index)} | token for index, token in sorted(flags.items(), key=_by_id)]
  if folder.named_class == T5:
    kind = found.get('model', {}).get('type', 'Unigram')
    if kind != 'Unigram':
      raise UserError(f'{folder.file(JSON)} holds a {kind} model, and its class {T5} reads Unigram.')
    found |= T5_STEPS
    found['normalizer'] = next(_precompiled(found.get('normalizer')), None)
    found['model'] |= {'unk_id': 2, 'byte_fallback': False}
  return found | {'post_processor': None, 'truncation': None, 'padding': None}


def _by_id(item: tuple[str, Any]) -> int:
  return int(item[0])


def _precompiled(normalizer: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
  """SentencePiece's table of characters among the normalizers; T5's class keeps no other."""
  for step in (normalizer or {}).get('normalizers', [normalizer or {}]):
    if step.get('type') == 'Precompiled':
      yield step


def _refuse_contradictions(folder: TokenizerFolder, tokenizer: Any) -> None:
  """Raises UserError where other files name tokens that `tokenizer.json` lacks or numbers otherwise."""
  wrong = [f'{token!r} the id {index}' for token, index in folder.added.items()
           if tokenizer.token_to_id(token) != index]
  if wrong:
    place = CONFIG if 'added_tokens_decoder' in folder.config else ADDED_TOKENS
    raise UserError(f'{folder.path!r}: {place} gives {listed(wrong, 3)}, and {JSON} does not; save it again from '
                    'transformers.')
  special = folder.extras
  if special is None:
    special = [f'<extra_id_{i}>' for i in range(folder.sentinels)] if folder.named_class == T5 else []
  if folder.named_class == T5:
    special = [*special, *map(folder.token, NAMED_TOKENS)]
  known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
  missing = [token for token in special if token not in known]
  if missing:
    raise UserError(f'{folder.path!r}: {JSON} does not list the special tokens {listed(missing, 3)} among its added '
                    'tokens, where transformers would add them; save it again from transformers.')
