"""Generation from ragged rows: batches them by shape, compiles once a shape, returns plain lists of tokens."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from flan_jax import errors
from flan_jax.models import beam, bucketing, decoding, sampling
from flan_jax.models.beam_rules import make_rules
from flan_jax.models.bucketing import Rows
from flan_jax.models.runner import Runner
from flan_jax.models.t5 import T5

METHODS = ('greedy', 'sample', 'beam')


class Continuation(NamedTuple):
  """What a row was continued by.

  Attributes:
    tokens: without padding and EOS.
    log_prob: sum of the log-probabilities of all tokens written, EOS included, under the model's own distribution: no
      temperature, no filter and no length penalty is in it. It is what `Scorer` gives the same tokens, but that a
      padding id which the model wrote counts here.
    ended: whether EOS came before the length was used up.
  """

  tokens: list[int]
  log_prob: float
  ended: bool


class Generator(Runner):
  """Continues lists of token rows by greedy decoding, sampling or beam search.

  Example:
    generator = Generator(model, max_decode_len=32)
    texts = [vocabulary.decode(row) for row in generator(rows)]
  """

  def __init__(
    self,
    model: T5,
    *,
    method: str = 'greedy',
    max_decode_len: int = 64,
    eos_id: int = 1,
    batch_size: int = 32,
    num_beams: int = 4,
    alpha: float = 0.6,
    beam_rules: str = 't5x',
    early_stopping: bool | str = False,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
  ):
    """Takes a model and how to decode; see `decoding.greedy`, `decoding.sample` and `beam.beam_search`.

    `beam_rules` are the latter's `rules`.

    Raises:
      UserError: an unknown method or a setting outside its range.
    """
    super().__init__(model, batch_size=batch_size)
    if method not in METHODS:
      raise errors.UserError(f'There is no decoding method {method!r}. {errors.did_you_mean(method, METHODS)}')
    for name, value in (('max_decode_len', max_decode_len), ('num_beams', num_beams)):
      if value < 1:
        raise errors.UserError(f'{name} must be at least 1, not {value}.')
    make_rules(beam_rules, alpha=alpha, max_decode_len=max_decode_len, early_stopping=early_stopping)
    sampling.check(temperature=temperature, top_k=top_k, top_p=top_p)
    self.method = method
    self.max_decode_len = max_decode_len
    self.eos_id = eos_id
    self.seed = seed
    settings: dict[str, dict[str, Any]] = {
      'greedy': {},
      'sample': {'temperature': temperature, 'top_k': top_k, 'top_p': top_p},
      'beam': {'num_beams': num_beams, 'alpha': alpha, 'rules': beam_rules, 'early_stopping': early_stopping},
    }
    self._settings = settings[method]

  @property
  def settings(self) -> dict[str, Any]:
    """All that decides, beside the model and the rows, what is written; rounding hangs on the batches, too."""
    seed = {'seed': self.seed} if self.method == 'sample' else {}
    return {'method': self.method, 'max_decode_len': self.max_decode_len, 'eos_id': self.eos_id,
            'batch_size': self.batch_size, **self._settings, **seed}

  def __call__(
    self,
    rows: Rows,
    *,
    max_decode_len: int | None = None,
    seed: int | None = None,
    adapters: Sequence[int] | None = None,
  ) -> list[list[int]]:
    """Returns one continuation for each row, without padding and EOS.

    Args:
      rows: token rows, ragged or padded with id 0; a row without tokens has an empty continuation.
      max_decode_len: overrides the generator's for this call.
      seed: overrides the generator's for this call; a row's draw depends on it and on the row's place alone.
      adapters: which one each row uses, -1 for none, where the model holds several (`peft.attach_rows`).
    """
    results: list[list[int]] = [[] for _ in rows]
    for index, tokens, _ in self._batches(rows, False, max_decode_len, seed, adapters, None):
      results[index] = self._until_eos(tokens)
    return results

  def stream(
    self,
    rows: Rows,
    *,
    max_decode_len: int | None = None,
    seed: int | None = None,
    adapters: Sequence[int] | None = None,
    row_ids: Sequence[int] | None = None,
  ) -> Iterator[tuple[int, Continuation]]:
    """Yields the place and the continuation of each row, with its score, as soon as its batch is decoded.

    Batches hold rows of like length, so the order is not that of the rows. Scores come out of the same decode.

    Args:
      rows: token rows, ragged or padded with id 0; a row without tokens has an empty continuation that did not end.
      max_decode_len: overrides the generator's for this call.
      seed: overrides the generator's for this call.
      adapters: which one each row uses, -1 for none, where the model holds several (`peft.attach_rows`).
      row_ids: numbers that a row's draw depends on beside the seed, by default the rows' places: with numbers of their
        own, rows are drawn the same however they are spread over calls.
    """
    for index, tokens, log_prob in self._batches(rows, True, max_decode_len, seed, adapters, row_ids):
      yield index, Continuation(self._until_eos(tokens), log_prob, bool((tokens == self.eos_id).any()))

  def _batches(
    self,
    rows: Rows,
    scored: bool,
    max_decode_len: int | None,
    seed: int | None,
    adapters: Sequence[int] | None,
    row_ids: Sequence[int] | None,
  ) -> Iterator[tuple[int, np.ndarray, float]]:
    """Yields place, tokens and log-probability (0 unless `scored`) of each row, batch by batch."""
    for name, values in (('adapters', adapters), ('row_ids', row_ids)):
      if values is not None and len(values) != len(rows):
        raise ValueError(f'{len(rows)} rows but {len(values)} {name}')
    sources = [bucketing.strip(row) for row in rows]
    key = jax.random.key(self.seed if seed is None else seed)
    length = self.max_decode_len if max_decode_len is None else max_decode_len
    for indices in bucketing.batches_by_length([len(row) for row in sources], self.batch_size):
      ids = indices if row_ids is None else [row_ids[index] for index in indices]
      tokens, log_probs = self._run(sources, indices, ids, length, key, adapters, scored)
      for place, index in enumerate(indices):
        if len(sources[index]):
          yield index, tokens[place], float(log_probs[place])
        else:
          yield index, np.zeros(0, np.int32), 0.0

  def _run(
    self,
    sources: Sequence[np.ndarray],
    indices: list[int],
    row_ids: Sequence[int],
    length: int,
    key: jax.Array,
    adapters: Sequence[int] | None,
    scored: bool,
  ) -> tuple[np.ndarray, np.ndarray]:
    """Decodes one batch of rows, padded to a bucket in both sizes."""
    count = min(bucketing.bucket_size(len(indices)), max(self.batch_size, len(indices)))
    longest = bucketing.bucket_size(max(len(sources[i]) for i in indices))
    inputs = bucketing.pad_rows([sources[i] for i in indices], count, longest)
    ids = np.zeros(count, np.int32)
    ids[: len(indices)] = row_ids
    function = {'greedy': _greedy, 'sample': _sample, 'beam': _beam}[self.method]
    state = self.assigned(adapters, indices, count)
    settings = {'max_decode_len': length, 'eos_id': self.eos_id, **self._settings}
    tokens, log_probs = self.compiled(function, state=state, scored=scored, **settings)(inputs, key, ids)
    return np.asarray(tokens), np.asarray(log_probs) if scored else np.zeros(count, np.float32)

  def _until_eos(self, tokens: np.ndarray) -> list[int]:
    ends = np.flatnonzero(tokens == self.eos_id)
    return bucketing.strip(tokens[: ends[0]] if ends.size else tokens).tolist()


# A program that is not asked for scores has no log-probabilities among its results, and XLA leaves their work out.
Results = tuple[jax.Array, jax.Array | None]


def _greedy(model: T5, inputs: jax.Array, key: jax.Array, ids: jax.Array, scored: bool, **settings: Any) -> Results:
  del key, ids
  decoded = decoding.greedy(model, inputs, **settings)
  return decoded.tokens, decoded.log_probs if scored else None


def _sample(model: T5, inputs: jax.Array, key: jax.Array, ids: jax.Array, scored: bool, **settings: Any) -> Results:
  decoded = decoding.sample(model, inputs, key=key, row_ids=ids, **settings)
  return decoded.tokens, decoded.log_probs if scored else None


def _beam(model: T5, inputs: jax.Array, key: jax.Array, ids: jax.Array, scored: bool, **settings: Any) -> Results:
  del key, ids
  beams = beam.beam_search(model, inputs, **settings)
  return beams.tokens[:, 0], beams.log_probs[:, 0] if scored else None
