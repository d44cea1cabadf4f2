"""A model of ours as EleutherAI's lm_eval runs models: `lm_eval.simple_evaluate(model=FlanJaxLM(model, vocabulary))`.

What a request means is what lm_eval's own Hugging Face model makes of it for an encoder-decoder: the encoder reads the
context with EOS behind it, blanks at its end go over to the continuation, and the decoder is scored on the
continuation. EOS does not count there; with `score_eos` it does, as in FLAN's rank classification and all evaluation
of ours, where 'no' is an answer and not the beginning of 'no way'.

This module imports lm_eval, an optional package; of ours, only `runs.lm_eval_checkpoint` imports it.
"""

import collections
import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
from flax import nnx
from lm_eval import utils
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm

from flan_jax.errors import UserError
from flan_jax.interop import lm_eval_generation
from flan_jax.interop.lm_eval_generation import LOG, Generation
from flan_jax.models import T5, Generator, Scorer, bucketing

if TYPE_CHECKING:  # TensorFlow is behind it
  import seqio

Tokens = tuple[int, ...]
Answer = tuple[float, bool]


class Pair(NamedTuple):
  """What the encoder reads, and what the decoder is scored on."""

  context: Tokens
  continuation: Tokens


class FlanJaxLM(LM):
  """Answers lm_eval's three kinds of requests, each in the order in which they come."""

  def __init__(
    self,
    model: T5,
    vocabulary: 'seqio.Vocabulary',
    *,
    batch_size: int | str = 32,
    max_length: int | None = None,
    max_gen_toks: int = 256,
    score_eos: bool = False,
    seed: int = 0,
  ):
    """Takes a model and how to ask it.

    Args:
      model: adapters included.
      vocabulary: of the model.
      batch_size: contexts at once; all continuations of a context are scored beside it.
      max_length: tokens of a context, EOS included; of a longer one the end is kept, as in lm_eval, and a line says of
        how many. None cuts nothing: T5 knows no greatest length.
      max_gen_toks: tokens that are generated at most, where a task does not say.
      score_eos: whether the EOS behind a continuation counts.
      seed: of sampling.

    Raises:
      UserError: for a size that is none.
    """
    super().__init__()
    if not isinstance(score_eos, bool):
      raise UserError(f'score_eos must be True or False, not {score_eos!r}.')
    self.batch_size, self.max_gen_toks = _size('batch_size', batch_size), _size('max_gen_toks', max_gen_toks)
    self.max_length = None if max_length is None else _size('max_length', max_length)
    self._model, self._vocabulary, self._score_eos, self._seed = model, vocabulary, score_eos, seed
    self._eos: int = vocabulary.eos_id
    self._scorer = Scorer(model, batch_size=self.batch_size)
    self._generators: dict[Any, Generator] = {}

  def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[Answer]:
    """Returns the log-likelihood of each continuation after its context, and whether greedy decoding would write it.

    Raises:
      UserError: for a continuation without tokens.
    """
    pairs = [self._pair(*request.args) for request in requests]
    self._tell_cut(pair.context for pair in pairs)
    answers: list[Answer] = [(0.0, False)] * len(pairs)
    short = [Pair(self._cut(pair.context), pair.continuation) for pair in pairs]
    for place, answer in self._scored(short, disable_tqdm):
      answers[place] = answer
      self.cache_hook.add_partial('loglikelihood', requests[place].args, answer)
    return answers

  def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
    """Returns the log-likelihood of each text, EOS included, as written after an empty prompt.

    That is what lm_eval takes it to be for encoder-decoders. With `max_length`, a longer text is written in pieces of
    so many tokens, each after a prompt of the last tokens before it: one, and more where the last piece is shorter.
    """
    windows = [(place, pair) for place, request in enumerate(requests) for pair in self._windows(*request.args)]
    totals = [0.0] * len(requests)
    for index, (score, _) in self._scored([pair for _, pair in windows], disable_tqdm):
      totals[windows[index][0]] += score
    for request, total in zip(requests, totals, strict=True):
      self.cache_hook.add_partial('loglikelihood_rolling', request.args, total)
    return totals

  def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
    """Returns what the model writes after each context, up to the first of the request's stop strings.

    Decoding itself ends at EOS or at the greatest length, and a line says how many texts reached that. What is drawn
    depends on the seed and on the request's place.

    Raises:
      UserError: for generation settings that we do not have, see `lm_eval_generation.read`.
    """
    contexts = [self._context(request.args[0]) for request in requests]
    self._tell_cut(contexts)
    groups = collections.defaultdict(list)
    for place, request in enumerate(requests):
      groups[json.dumps(request.args[1], sort_keys=True)].append(place)
    asked = [(lm_eval_generation.read(json.loads(key), self.max_gen_toks), places) for key, places in groups.items()]
    texts, full = [''] * len(requests), 0
    with tqdm(total=len(requests), disable=disable_tqdm, desc='Running generate_until requests') as bar:
      for generation, places in asked:
        rows = [self._cut(contexts[place]) for place in places]
        for index, written in self._generator(generation).stream(rows, row_ids=places):
          place, text = places[index], self._vocabulary.decode(written.tokens)
          texts[place] = generation.up_to_stop(text)
          full += not written.ended and texts[place] == text
          self.cache_hook.add_partial('generate_until', requests[place].args, texts[place])
          bar.update(1)
    if full:
      LOG.warning('%d of %d texts reached their greatest number of tokens before they ended', full, len(texts))
    return texts

  def get_model_info(self) -> dict[str, Any]:
    """Returns what lm_eval keeps about a model in its results."""
    parameters = jax.tree.leaves(nnx.state(self._model, nnx.Param))
    return {'model_num_parameters': sum(int(array.size) for array in parameters),
            'model_dtype': self._model.config.dtype, 'max_length': self.max_length, 'score_eos': self._score_eos}

  def _context(self, text: str) -> Tokens:
    return (*self._vocabulary.encode(text), self._eos)

  def _pair(self, context: str, continuation: str) -> Pair:
    kept = context.rstrip()
    tokens = tuple(self._vocabulary.encode(context[len(kept) :] + continuation))
    if self._score_eos:
      tokens = (*tokens, self._eos)
    if not tokens or 0 in tokens:
      what = 'the padding id among its' if tokens else 'no'
      raise UserError(f'The continuation {continuation!r} has {what} tokens, and so no log-likelihood; its context '
                      f'ends in {context[-40:]!r}.')  # fmt: skip
    return Pair(self._context(kept), tokens)

  def _windows(self, text: str) -> Iterator[Pair]:
    tokens = list(self._context(text))
    for window in utils.get_rolling_token_windows(tokens, self._eos, self.max_length or len(tokens), context_len=1):
      context, written = utils.make_disjoint_window(window)
      yield Pair(tuple(context), tuple(written))

  def _cut(self, context: Tokens) -> Tokens:
    return context if self.max_length is None else context[-self.max_length :]

  def _tell_cut(self, contexts: Iterator[Tokens] | Sequence[Tokens]) -> None:
    different = set(contexts)
    cut = sum(len(self._cut(context)) < len(context) for context in different)
    if cut:
      LOG.warning('%d of %d different contexts were cut to their last %d tokens, max_length', cut, len(different),
                  self.max_length)  # fmt: skip

  def _scored(self, pairs: Sequence[Pair], disable_tqdm: bool) -> Iterator[tuple[int, Answer]]:
    """Yields the place and the answer of each pair, batch by batch of like shape; the encoder runs once a context."""
    places = collections.defaultdict(list)
    for place, pair in enumerate(pairs):
      places[pair.context].append(place)
    contexts = list(places)
    options = [[pairs[place].continuation for place in places[context]] for context in contexts]
    with tqdm(total=len(pairs), disable=disable_tqdm, desc='Running loglikelihood requests') as bar:
      for batch in self._batches(contexts, options):
        judged = self._scorer.judged_options([contexts[i] for i in batch], [options[i] for i in batch])
        for index, found in zip(batch, judged, strict=True):
          for place, score, greedy in zip(places[contexts[index]], *found, strict=True):
            if not math.isfinite(score):
              raise FloatingPointError(f'the model gives {pairs[place]} the log-likelihood {score}')
            yield place, (float(score), bool(greedy))
          bar.update(len(options[index]))

  def _batches(self, contexts: Sequence[Tokens], options: Sequence[Sequence[Tokens]]) -> Iterator[list[int]]:
    for group in bucketing.groups_of_options(options):
      for batch in bucketing.batches_by_length([len(contexts[index]) for index in group], self.batch_size):
        yield [group[place] for place in batch]

  def _generator(self, generation: Generation) -> Generator:
    if generation.options not in self._generators:
      self._generators[generation.options] = Generator(
        self._model, eos_id=self._eos, batch_size=self.batch_size, seed=self._seed, **dict(generation.options))
    return self._generators[generation.options]


def _size(name: str, value: Any) -> int:
  """Returns a number of at least 1; lm_eval's command line gives the batch size as text."""
  number = int(value) if isinstance(value, str) and value.isdecimal() else value
  if isinstance(number, bool) or not isinstance(number, int) or number < 1:
    raise UserError(f'{name} must be a whole number of at least 1, not {value!r}.')
  return number
