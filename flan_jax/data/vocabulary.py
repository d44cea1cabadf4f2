"""Vocabularies: the one that a run uses, chosen when it starts, and a word-level one that needs no file."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import seqio
import tensorflow as tf

from flan_jax.data.huggingface_vocabulary import HuggingFaceVocabulary
from flan_jax.errors import UserError

_ACTIVE: list[seqio.Vocabulary] = []


def use_vocabulary(vocabulary: seqio.Vocabulary) -> seqio.Vocabulary:
  """Makes a vocabulary the one of every task from now on, and returns it."""
  _ACTIVE[:] = [vocabulary]
  return vocabulary


def active_vocabulary() -> seqio.Vocabulary:
  """Returns the vocabulary that the run uses.

  Raises:
    UserError: where none was chosen.
  """
  if not _ACTIVE:
    raise UserError('No vocabulary is chosen: bind VOCABULARY, e.g. --gin.VOCABULARY=@seqio.SentencePieceVocabulary().')
  return _ACTIVE[0]


def identity_of(vocabulary: seqio.Vocabulary) -> str:
  """A word for how a vocabulary turns text into ids, wherever its file lies."""
  if isinstance(vocabulary, HuggingFaceVocabulary):
    return vocabulary.digest[:16]
  words = getattr(vocabulary, 'sp_model', None) or '\n'.join(getattr(vocabulary, 'words', ())).encode()
  found = hashlib.sha256(f'{type(vocabulary).__name__} {vocabulary.vocab_size} {vocabulary.extra_ids}\n'.encode())
  found.update(words)
  return found.hexdigest()[:16]


class ActiveVocabulary(seqio.Vocabulary):
  """Stands for whatever vocabulary the run chooses, so that registering tasks opens no file."""

  def __init__(self) -> None:
    super().__init__(extra_ids=0)

  @property
  def _base_vocab_size(self) -> int:
    return active_vocabulary().vocab_size

  @property
  def eos_id(self) -> int | None:
    """The end-of-sequence id."""
    return active_vocabulary().eos_id

  @property
  def bos_id(self) -> int | None:
    """The id that a decoder starts from, where the vocabulary has one."""
    return active_vocabulary().bos_id

  @property
  def unk_id(self) -> int | None:
    """The id of what the vocabulary cannot say."""
    return active_vocabulary().unk_id

  def _encode(self, s: str) -> Sequence[int]:
    return active_vocabulary().encode(s)

  def _decode(self, ids: Sequence[int]) -> str:
    return active_vocabulary().decode(ids)

  def _encode_tf(self, s: tf.Tensor) -> tf.Tensor:
    return active_vocabulary().encode_tf(s)

  def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
    return active_vocabulary().decode_tf(ids)

  def __eq__(self, other: object) -> bool:
    return isinstance(other, ActiveVocabulary)

  __hash__ = seqio.Vocabulary.__hash__


def encode_block(vocabulary: seqio.Vocabulary, texts: tf.Tensor | tf.RaggedTensor) -> tf.RaggedTensor:
  """Encodes many texts at once, where a vocabulary can; the tokens are those that each text alone has.

  Args:
    vocabulary: the feature's; one that stands for the run's is followed.
    texts: string [texts] or ragged [rows, texts].

  Returns:
    int32 ragged [texts, tokens] or [rows, texts, tokens], without EOS.
  """
  if isinstance(texts, tf.RaggedTensor):
    return texts.with_flat_values(encode_block(vocabulary, texts.flat_values))
  chosen = active_vocabulary() if isinstance(vocabulary, ActiveVocabulary) else vocabulary
  if type(chosen) is seqio.ByteVocabulary:  # reads one text at a time, but a text of one byte is a byte
    return tf.ragged.map_flat_values(lambda byte: chosen.encode_tf(byte)[:, 0], tf.strings.bytes_split(texts))
  if isinstance(chosen, seqio.SentencePieceVocabulary):
    return tf.cast(_tokenizer(chosen).tokenize(texts), tf.int32)
  if isinstance(chosen, (WordVocabulary, HuggingFaceVocabulary)):
    return chosen.encode_tf(texts)
  spec = tf.RaggedTensorSpec([None], tf.int32, ragged_rank=0)
  return tf.map_fn(lambda text: tf.cast(chosen.encode_tf(text), tf.int32), texts, fn_output_signature=spec)


_TOKENIZERS: dict[int, tuple[seqio.SentencePieceVocabulary, Any]] = {}  # by identity: vocabularies have no hash


def _tokenizer(vocabulary: seqio.SentencePieceVocabulary) -> Any:
  """The vocabulary's TensorFlow tokenizer, one for all graphs: SeqIO makes a new one, model and all, at each call."""
  if id(vocabulary) not in _TOKENIZERS:
    with tf.init_scope():
      _TOKENIZERS[id(vocabulary)] = (vocabulary, vocabulary.tf_tokenizer)
  return _TOKENIZERS[id(vocabulary)][1]


_PUNCTUATION = r'([^\w\s])'


class WordVocabulary(seqio.Vocabulary):
  """Lower-case words and punctuation marks, one id each: for embedded suites whose words are all known.

  Ids: 0 padding, 1 end of sequence, 2 unknown, then the words in their given order.
  """

  FIRST_WORD = 3

  def __init__(self, words: Iterable[str]):
    """Numbers the words.

    Args:
      words: distinct, lower-case; a word is a run of letters, digits and underscores, or one other mark.
    """
    super().__init__(extra_ids=0)
    self._words = tuple(words)
    self._ids = {word: index + self.FIRST_WORD for index, word in enumerate(self._words)}
    if len(self._ids) != len(self._words):
      raise UserError('A word vocabulary needs each word once.')
    self._table: tf.lookup.StaticHashTable | None = None

  @staticmethod
  def split(text: str) -> list[str]:
    """Splits a text into the words and marks that get an id each."""
    return re.sub(_PUNCTUATION, r' \1 ', text.lower()).split()

  @property
  def words(self) -> tuple[str, ...]:
    """The words, in the order of their ids."""
    return self._words

  @property
  def _base_vocab_size(self) -> int:
    return self.FIRST_WORD + len(self._words)

  @property
  def eos_id(self) -> int:
    """The end-of-sequence id."""
    return 1

  @property
  def bos_id(self) -> int | None:
    """None: T5's decoder starts from padding."""
    return None

  @property
  def unk_id(self) -> int:
    """The id of a word that is not listed."""
    return 2

  def _encode(self, s: str) -> list[int]:
    return [self._ids.get(word, self.unk_id) for word in self.split(s)]

  def _decode(self, ids: Sequence[int]) -> str:
    return ' '.join(self._words[i - self.FIRST_WORD] for i in ids if i >= self.FIRST_WORD)

  def _encode_tf(self, s: tf.Tensor) -> tf.Tensor:
    spaced = tf.strings.regex_replace(tf.strings.lower(s, encoding='utf-8'), r'([^\pL\pN_\s])', r' \1 ')
    return self._lookup().lookup(tf.strings.split(spaced))

  def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
    spaced = tf.strings.reduce_join(tf.gather(('', '', '', *self._words), ids), separator=' ', axis=-1)
    return tf.strings.strip(tf.strings.regex_replace(spaced, ' +', ' '))

  def _lookup(self) -> tf.lookup.StaticHashTable:
    if self._table is None:
      with tf.init_scope():
        pairs = tf.lookup.KeyValueTensorInitializer(list(self._ids), list(self._ids.values()), tf.string, tf.int32)
        self._table = tf.lookup.StaticHashTable(pairs, self.unk_id)
    return self._table

  def __eq__(self, other: object) -> bool:
    return isinstance(other, WordVocabulary) and self._words == other._words

  __hash__ = seqio.Vocabulary.__hash__


def padded_size(vocabulary: seqio.Vocabulary, multiple: int = 128) -> int:
  """Returns the number of embedding rows: the vocabulary's size rounded up, as T5 does (32,100 ids, 32,128 rows)."""
  return -(-vocabulary.vocab_size // multiple) * multiple
