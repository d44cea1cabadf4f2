"""A vocabulary as the tokenizer files that `transformers.AutoTokenizer` opens, with the same ids."""

import base64
import json
import os
from collections.abc import Mapping
from typing import Any

import seqio
import tensorflow as tf

from flan_jax.data.huggingface_vocabulary import HuggingFaceVocabulary
from flan_jax.data.sentencepiece_file import SentencePieceFile
from flan_jax.data.tokenizer_folder import (
  BYT5,
  CONFIG,
  GENERIC,
  JSON,
  NAMED_TOKENS,
  SENTENCEPIECE,
  T5,
  T5_STEPS,
  TOKENIZER_FILES,
  TokenizerFolder,
  listed,
)
from flan_jax.data.vocabulary import ActiveVocabulary, WordVocabulary, active_vocabulary
from flan_jax.errors import UserError

Files = dict[str, bytes]

_BLANK = r'\s\x1c-\x1f'  # what Python splits at; the regular expressions of `tokenizers` leave the separators out
_WORD_STEPS: dict[str, Any] = {
  'normalizer': {'type': 'Lowercase'},
  'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [
    {'type': 'Split', 'pattern': {'Regex': f'[{_BLANK}]+'}, 'behavior': 'Removed', 'invert': False},
    {'type': 'Split', 'pattern': {'Regex': rf'[^\p{{L}}\p{{N}}_{_BLANK}]'}, 'behavior': 'Isolated', 'invert': False},
  ]},
  'decoder': None,  # words joined by blanks
}  # fmt: skip


def save_tokenizer(vocabulary: seqio.Vocabulary, folder: str | os.PathLike[str]) -> list[str]:
  """Writes the files from which `transformers.AutoTokenizer.from_pretrained(folder)` gives a vocabulary's ids.

  Where the ids of SentencePiece and of transformers differ, `flan_jax.data.tokenizer_files` tells.

  Args:
    vocabulary: the files of a HuggingFaceVocabulary are copied; a SentencePieceVocabulary becomes its model and a
      `tokenizer.json` for T5's class; a ByteVocabulary the settings of ByT5's; a WordVocabulary a `tokenizer.json` that
      takes special tokens in a text for words, as the vocabulary does (a final sigma stays a sigma).
    folder: here or on cloud storage; made where it is missing.

  Returns:
    The names of the files.

  Raises:
    UserError: where transformers has no such tokenizer, or the folder holds files of another one.
  """
  files = _files(active_vocabulary() if isinstance(vocabulary, ActiveVocabulary) else vocabulary)
  tf.io.gfile.makedirs(folder)
  place = TokenizerFolder(folder)
  foreign = sorted({*TOKENIZER_FILES}.intersection(place.names) - files.keys())
  if foreign:
    raise UserError(f'{place.path!r} holds {listed(foreign)} of another tokenizer; choose a folder without.')
  for name, content in files.items():
    with tf.io.gfile.GFile(place.file(name), 'wb') as file:
      file.write(content)
  return sorted(files)


def kept_files(vocabulary: seqio.Vocabulary) -> Files:
  """Returns the files that a run keeps of its vocabulary: what `vocabulary_of` gives the same ids from, and no more.

  Raises:
    UserError: as `save_tokenizer`.
  """
  chosen = active_vocabulary() if isinstance(vocabulary, ActiveVocabulary) else vocabulary
  if type(chosen) is seqio.SentencePieceVocabulary:
    # A tokenizer.json would win over the model that the run was trained with.
    return _of_sentencepiece(chosen, SentencePieceFile(chosen.sentencepiece_model_file))
  return _files(chosen)


def _files(vocabulary: seqio.Vocabulary) -> Files:
  if isinstance(vocabulary, HuggingFaceVocabulary):
    return _of_folder(vocabulary)
  if type(vocabulary) is seqio.SentencePieceVocabulary:
    model = SentencePieceFile(vocabulary.sentencepiece_model_file)
    return _of_sentencepiece(vocabulary, model) | {JSON: _text(_of_pieces(model, vocabulary.extra_ids))}
  if type(vocabulary) is seqio.ByteVocabulary:
    return {CONFIG: _text(_config(BYT5) | {'extra_ids': vocabulary.extra_ids})}
  if isinstance(vocabulary, WordVocabulary):
    # Without it transformers would take a </s> in a text for an end of sequence.
    config = _config(GENERIC) | {'split_special_tokens': True}
    return {JSON: _text(_of_words(vocabulary)), CONFIG: _text(config)}
  raise UserError(f'transformers has no tokenizer like a {type(vocabulary).__name__}.')


def _of_folder(vocabulary: HuggingFaceVocabulary) -> Files:
  folder = TokenizerFolder(vocabulary.folder)
  files = {name: folder.read(name) for name in TOKENIZER_FILES if name in folder.names}
  if 'tokenizer_class' not in folder.settings(CONFIG):  # said by the model's config or by nobody, and told from here on
    said = {role: folder.token(role) for role in NAMED_TOKENS if role != 'unk_token' or vocabulary.unk_id is not None}
    files[CONFIG] = _text(said | folder.settings(CONFIG) | {'tokenizer_class': folder.named_class or GENERIC})
  return files


def _of_sentencepiece(vocabulary: seqio.SentencePieceVocabulary, file: SentencePieceFile) -> Files:
  settings = vocabulary.__getstate__()
  if settings['_normalizer_spec_overrides'] is not None or not settings['_reverse_extra_ids']:
    raise UserError("transformers' T5 has no normalizer_spec_overrides, and its sentinels count from the end: leave "
                    'seqio.SentencePieceVocabulary.normalizer_spec_overrides and .reverse_extra_ids as they are.')
  roles = dict(zip(NAMED_TOKENS, (piece.piece for piece in file.model.pieces), strict=False))
  names = [f'<extra_id_{i}>' for i in range(vocabulary.extra_ids)]
  # None is said too, as mT5 does: its sentinels are pieces, and would be taken for special tokens otherwise.
  config = _config(T5) | roles | {'extra_ids': vocabulary.extra_ids, 'additional_special_tokens': names or None}
  return {SENTENCEPIECE[0]: file.content, CONFIG: _text(config)}


def _of_pieces(file: SentencePieceFile, sentinels: int) -> dict[str, Any]:
  """The `tokenizer.json` that T5's class of transformers 5 saves for a SentencePiece model."""
  pieces = [[piece.piece, piece.score] for piece in file.model.pieces]
  pieces += [[f'<extra_id_{i}>', 0.0] for i in reversed(range(sentinels))]
  special = [*range(len(NAMED_TOKENS)), *range(file.size, len(pieces))]
  table = file.model.normalizer_spec.precompiled_charsmap
  return _description(
    {index: pieces[index][0] for index in special},
    normalizer={'type': 'Precompiled', 'precompiled_charsmap': base64.b64encode(table).decode()} if table else None,
    model={'type': 'Unigram', 'unk_id': 2, 'vocab': pieces, 'byte_fallback': False},
  ) | T5_STEPS


def _of_words(vocabulary: WordVocabulary) -> dict[str, Any]:
  ids = {token: index for index, token in enumerate((*NAMED_TOKENS.values(), *vocabulary.words))}
  if len(ids) < vocabulary.vocab_size:
    raise UserError(f'transformers needs {listed(NAMED_TOKENS.values())} for itself, and they are among the words.')
  model = {'type': 'WordLevel', 'vocab': ids, 'unk_token': NAMED_TOKENS['unk_token']}
  return _description(dict(enumerate(NAMED_TOKENS.values())), model=model) | _WORD_STEPS


def _description(special: Mapping[int, str], **rest: Any) -> dict[str, Any]:
  """A `tokenizer.json` that appends EOS, of special tokens by id."""
  flags = {'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False, 'special': True}
  end = special[1]
  a, b = ({'Sequence': {'id': name, 'type_id': 0}} for name in 'AB')
  eos = {'SpecialToken': {'id': end, 'type_id': 0}}
  return {
    'version': '1.0', 'truncation': None, 'padding': None,
    'added_tokens': [{'id': index, 'content': token} | flags for index, token in special.items()],
    'post_processor': {
      'type': 'TemplateProcessing', 'single': [a, eos], 'pair': [a, eos, b, eos],
      'special_tokens': {end: {'id': end, 'ids': [1], 'tokens': [end]}},
    },
    **rest,
  }  # fmt: skip


def _config(tokenizer_class: str) -> dict[str, Any]:
  return {'tokenizer_class': tokenizer_class, **NAMED_TOKENS}


def _text(content: Mapping[str, Any]) -> bytes:
  return (json.dumps(content, ensure_ascii=False, indent=2) + '\n').encode()
