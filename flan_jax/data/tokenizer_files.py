"""The vocabulary of a model folder, and where the programs that read its files differ.

T5 is tokenized by two programs: SentencePiece (T5X, SeqIO) on `spiece.model`, and the package `tokenizers`
(transformers 5) on `tokenizer.json`. Of a folder that has both, `tokenizer.json` is read, so that a model gets the ids
that transformers would give it. Their ids are the same but in these places:

- Special tokens written in a text. `tokenizers` takes `</s>`, `<pad>` and `<unk>` wherever they stand as the ids 1, 0
  and 2; SentencePiece spells them out, T5's beginning with an unknown (`<` is not among its pieces).
- Sentinels. Both take `<extra_id_7>` between blanks, or at an end of the text, as one id. SeqIO's piece is
  `▁<extra_id_7>`: without white space before it, it is spelled out, and what follows it is of the same word.
  `tokenizers` finds it inside words, drops the blank before it (also one written as `▁`), and begins a new word after
  it. mT5's sentinels, which are pieces of its file, both treat as SentencePiece does, but where a text has the `▁`.
- U+0085 (next line): white space to `tokenizers`, an unknown character to SentencePiece, which counts the other white
  space, newlines and tabs among them, as blanks.
- A combining mark after a character that normalization rewrites, such as the acute accent of `①` + U+0301.
  `tokenizers` normalizes what is drawn as one character at a time and loses the mark; SentencePiece keeps it.
- Pieces of equal likelihood, most often in a run of one character: `###` is `##` `#` or `#` `##`. Here SentencePiece
  itself is not of one mind, SeqIO's `encode` (its Python package) and `encode_tf` (TensorFlow's copy) give the same
  pieces in different orders. `tokenizers` is the same in both.

ByT5's class differs from SeqIO's bytes in the special tokens of a text alone: it takes `</s>`, `<pad>`, `<unk>` (with
the blanks around them) and `<extra_id_0>` ... `<extra_id_124>` as the ids 1, 0, 2 and 259 ... 383, in this order; SeqIO
spells them out. ByT5 itself was trained with the ids 258, 257, ... as its sentinels.

Where transformers 5 reads a `tokenizer.json` as T5's class, it takes the pieces, the table of characters and the added
tokens, and replaces the rest by T5's own steps; transformers 4 follows the file. A `tokenizer.json` that keeps a blank
at the end of a text there loses it here, as in transformers 5.
"""

import os

import seqio

from flan_jax.data.huggingface_vocabulary import HuggingFaceVocabulary
from flan_jax.data.sentencepiece_file import SentencePieceFile
from flan_jax.data.tokenizer_folder import (
  BYT5,
  CONFIG,
  GENERIC,
  JSON,
  NAMED_TOKENS,
  SENTENCEPIECE,
  TokenizerFolder,
  listed,
)
from flan_jax.errors import UserError


def vocabulary_of(folder: str | os.PathLike[str]) -> seqio.Vocabulary:
  """Returns the vocabulary of a model folder.

  Args:
    folder: with a `tokenizer.json`, a SentencePiece model (`spiece.model`), or a `tokenizer_config.json` that names
      ByT5's class; of several, the first of these.

  Returns:
    A HuggingFaceVocabulary, or one of SeqIO's.

  Raises:
    UserError: where there is none of these, or another class of tokenizer. Pickles are never read.
  """
  found = TokenizerFolder(folder)
  if found.named_class == BYT5:
    return _bytes(found)
  if JSON in found.names:
    return HuggingFaceVocabulary(folder)
  for name in SENTENCEPIECE:
    if name in found.names:
      return _sentencepiece(found, name)
  raise UserError(f'{found.path!r} holds no vocabulary: {JSON}, {SENTENCEPIECE[0]}, or a {CONFIG} of class {BYT5}; it '
                  f'holds {listed(found.names)}.')


def _bytes(folder: TokenizerFolder) -> seqio.ByteVocabulary:
  sentinels = folder.sentinels
  ids = {folder.token(role): index for index, role in enumerate(NAMED_TOKENS)}
  ids |= {f'<extra_id_{i}>': 259 + i for i in range(sentinels)}
  _refuse_others(folder, ids)
  return seqio.ByteVocabulary(extra_ids=sentinels)


def _sentencepiece(folder: TokenizerFolder, name: str) -> seqio.SentencePieceVocabulary:
  if folder.named_class == GENERIC:
    raise UserError(f'{folder.path!r} names the class {folder.named_class}, which reads {JSON}, and holds {name} only.')
  file = SentencePieceFile(folder.file(name))
  says = 'extra_ids' in folder.config or folder.extras or folder.added
  sentinels = 0 if file.sentinels and not says else folder.sentinels  # mT5's are among its pieces
  ids = file.ids | {f'<extra_id_{i}>': file.size + sentinels - 1 - i for i in range(sentinels)}
  _refuse_others(folder, ids)
  return seqio.SentencePieceVocabulary(file.path, extra_ids=sentinels)


def _refuse_others(folder: TokenizerFolder, ids: dict[str, int]) -> None:
  """Raises UserError where the folder adds tokens that SeqIO's vocabulary would not have, or numbers them otherwise."""
  listed_only = {token: ids.get(token, -1) for token in folder.extras or ()}
  others = [repr(token) for token, index in {**listed_only, **folder.added}.items()
            if token not in ids or ids[token] != index]
  if others:
    raise UserError(f'{folder.path!r} adds the tokens {listed(others, 3)}, which SeqIO has no place for; open it with '
                    f'transformers and save it, which writes a {JSON}.')
