"""What a SentencePiece model says of itself: its pieces, and whether it is built as T5's are."""

import dataclasses
import functools
import re
from typing import Any

import tensorflow as tf
from sentencepiece import sentencepiece_model_pb2

from flan_jax.errors import UserError

_PROTOS: Any = sentencepiece_model_pb2  # its classes are made while it is imported


@dataclasses.dataclass(frozen=True)
class SentencePieceFile:
  """A SentencePiece model on disk or cloud storage.

  Attributes:
    path: of the file.
  """

  path: str

  @functools.cached_property
  def content(self) -> bytes:
    """The file itself."""
    try:
      with tf.io.gfile.GFile(self.path, 'rb') as file:
        return file.read()
    except tf.errors.OpError as error:
      raise UserError(f'{self.path!r} cannot be read ({error.message}).') from error

  @functools.cached_property
  def model(self) -> Any:
    """The model, checked to be one that T5's tokenizer class of transformers can follow.

    Raises:
      UserError: where it is none, or the class would give other ids.
    """
    try:
      model = _PROTOS.ModelProto.FromString(self.content)
    except Exception as error:  # protobuf's implementations raise different ones
      raise UserError(f'{self.path!r} is no SentencePiece model ({error}).') from error
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    fits = {
      'ids of padding, end and unknown 0, 1 and 2': (trainer.pad_id, trainer.eos_id, trainer.unk_id) == (0, 1, 2),
      'a unigram model': trainer.model_type == _PROTOS.TrainerSpec.UNIGRAM,
      'no byte_fallback': not trainer.byte_fallback,
      'add_dummy_prefix': normalizer.add_dummy_prefix,
      'remove_extra_whitespaces': normalizer.remove_extra_whitespaces,
      'escape_whitespaces': normalizer.escape_whitespaces,
      'no treat_whitespace_as_suffix': not trainer.treat_whitespace_as_suffix,
    }
    unlike = [name for name, holds in fits.items() if not holds]
    if unlike:
      raise UserError(f"{self.path!r} is not built as T5's is, which has {', '.join(unlike)}; bind "
                      '@seqio.SentencePieceVocabulary() to train with it, which is not exported.')
    return model

  @property
  def size(self) -> int:
    """The number of pieces."""
    return len(self.model.pieces)

  @functools.cached_property
  def ids(self) -> dict[str, int]:
    """The ids of the pieces."""
    return {piece.piece: index for index, piece in enumerate(self.model.pieces)}

  @property
  def sentinels(self) -> int:
    """How many of the pieces are sentinels, as 100 of mT5's are."""
    return sum(re.fullmatch(r'▁?<extra_id_\d+>', piece) is not None for piece in self.ids)
