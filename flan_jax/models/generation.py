"""Generation from ragged rows: batches them by shape, compiles once a shape, returns plain lists of tokens."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from flan_jax import errors
from flan_jax.models import beam, bucketing, decoding, sampling
from flan_jax.models.beam_rules import make_rules
from flan_jax.models.bucketing import Rows
from flan_jax.models.runner import Runner
from flan_jax.models.t5 import T5

METHODS = ('greedy', 'sample', 'beam')


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
    if adapters is not None and len(adapters) != len(rows):
      raise ValueError(f'{len(rows)} rows but {len(adapters)} adapters')
    sources = [bucketing.strip(row) for row in rows]
    results: list[list[int]] = [[] for _ in sources]
    key = jax.random.key(self.seed if seed is None else seed)
    length = self.max_decode_len if max_decode_len is None else max_decode_len
    for indices in bucketing.batches_by_length([len(row) for row in sources], self.batch_size):
      for index, tokens in zip(indices, self._run(sources, indices, length, key, adapters), strict=False):
        results[index] = self._until_eos(tokens) if len(sources[index]) else []
    return results

  def _run(
    self, sources: Sequence[np.ndarray], indices: list[int], length: int, key: jax.Array, adapters: Sequence[int] | None
  ) -> np.ndarray:
    """Decodes one batch of rows, padded to a bucket in both sizes."""
    count = min(bucketing.bucket_size(len(indices)), max(self.batch_size, len(indices)))
    longest = bucketing.bucket_size(max(len(sources[i]) for i in indices))
    inputs = bucketing.pad_rows([sources[i] for i in indices], count, longest)
    ids = np.zeros(count, np.int32)
    ids[: len(indices)] = indices
    function = {'greedy': _greedy, 'sample': _sample, 'beam': _beam}[self.method]
    state = self.assigned(adapters, indices, count)
    run = self.compiled(function, state=state, max_decode_len=length, eos_id=self.eos_id, **self._settings)
    return np.asarray(run(inputs, key, ids))

  def _until_eos(self, tokens: np.ndarray) -> list[int]:
    ends = np.flatnonzero(tokens == self.eos_id)
    return bucketing.strip(tokens[: ends[0]] if ends.size else tokens).tolist()


def _greedy(model: T5, inputs: jax.Array, key: jax.Array, ids: jax.Array, **settings: Any) -> jax.Array:
  del key, ids
  return decoding.greedy(model, inputs, **settings).tokens


def _sample(model: T5, inputs: jax.Array, key: jax.Array, ids: jax.Array, **settings: Any) -> jax.Array:
  return decoding.sample(model, inputs, key=key, row_ids=ids, **settings).tokens


def _beam(model: T5, inputs: jax.Array, key: jax.Array, ids: jax.Array, **settings: Any) -> jax.Array:
  del key, ids
  return beam.beam_search(model, inputs, **settings).tokens[:, 0]
