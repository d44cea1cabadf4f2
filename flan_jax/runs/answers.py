"""From records with a prompt to records with an answer and its score: tokens, one decode, text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import seqio
from jaxtyping import Int

from flan_jax.models import Continuation, Generator
from flan_jax.runs.mixed import MixedGenerator
from flan_jax.runs.prompts import Record


class Answerer:
  """Answers records, each by its adapter where there are several."""

  def __init__(self, generator: Generator | MixedGenerator, vocabulary: seqio.Vocabulary, limit: int | None = None):
    """Takes what to answer with.

    Args:
      generator: of the model; with several adapters a `MixedGenerator`, and records name theirs by `adapter`.
      vocabulary: of the model.
      limit: tokens of a prompt, EOS included; what is longer is cut and marked. None cuts nothing.
    """
    self._generator, self._vocabulary, self._limit = generator, vocabulary, limit

  def __call__(
    self, records: Sequence[Mapping[str, Any]], first: int = 0, advance: Callable[[], None] | None = None
  ) -> list[Record]:
    """Returns the records with `prediction` and `score`, in their order.

    Args:
      records: with a text `inputs`.
      first: the number of the first one in the whole file; draws depend on it.
      advance: is called whenever one more is answered.

    Returns:
      Copies of the records with `prediction`, and `score`: the log-probability of the tokens written, EOS included.
      `inputs_truncated` marks a prompt that was cut, `prediction_truncated` an answer that was stopped at its greatest
      length.
    """
    encoded = [self._encode(record['inputs']) for record in records]
    answers: list[Record] = [{} for _ in records]
    ids = range(first, first + len(records))
    for place, continuation in self._stream([tokens for tokens, _ in encoded], records, ids):
      answers[place] = self._answer(records[place], continuation, encoded[place][1])
      if advance is not None:
        advance()
    return answers

  def _stream(
    self, rows: list[np.ndarray], records: Sequence[Mapping[str, Any]], ids: Sequence[int]
  ) -> Iterator[tuple[int, Continuation]]:
    if isinstance(self._generator, MixedGenerator):
      return self._generator.stream(rows, [record.get('adapter') for record in records], ids)
    return self._generator.stream(rows, row_ids=ids)

  def _encode(self, text: str) -> tuple[Int[np.ndarray, 'length'], bool]:
    """Returns a prompt's tokens with EOS, and whether they were cut."""
    tokens = self._vocabulary.encode(text)
    cut = self._limit is not None and len(tokens) > self._limit - 1
    kept = tokens[: self._limit - 1] if self._limit is not None else tokens
    return np.array([*kept, self._vocabulary.eos_id], np.int32), cut

  def _answer(self, record: Mapping[str, Any], continuation: Continuation, cut: bool) -> Record:
    # Six decimals are what float32 holds of the scores of short answers; more would be noise.
    answer: Record = {**record, 'prediction': self._vocabulary.decode(continuation.tokens),
                      'score': round(continuation.log_prob, 6)}
    if cut:
      answer['inputs_truncated'] = True
    if not continuation.ended:
      answer['prediction_truncated'] = True
    return answer
