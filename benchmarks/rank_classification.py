"""Rank classification four ways with the same weights: PYTHONPATH=. python benchmarks/rank_classification.py.

  [--tfds_data_dir=DIR --vocabulary=spiece.model] [--cases uniform mixed] [--shapes tiny small] [--json=FILE]

  flan_jax                      `Scorer.options`: inputs and their options packed, the encoder once an input
  naive, flan_jax               the same model; every (input, option) pair through encoder and decoder, in batches
  naive, transformers           the same in PyTorch
  encoder once, transformers    PyTorch; the encoder's output repeated for the options of each input

The uniform case has 4 options of 6 tokens on inputs of 128; the mixed one rows of CB, COPA and ARC, shuffled. The naive
ways and PyTorch's get rows sorted by length. All ways must have found the same scores before anything is timed.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import sides
from flan_jax.models import T5, Scorer, bucketing, target_log_likelihood
from flan_jax.models.runner import Runner

Row = tuple[np.ndarray, list[np.ndarray]]  # an input, its options
TASKS = ('cb', 'copa', 'arc_easy', 'arc_challenge')
LENGTHS = {'inputs': 512, 'targets': 64}
BATCH = 16


def uniform(count: int, vocab_size: int) -> list[Row]:
  """Rows of one shape, whose options have nothing but EOS in common."""
  random = np.random.default_rng(0)
  return [(random.integers(2, vocab_size, 128, np.int32),
           [np.append(random.integers(2, vocab_size, 5, np.int32), 1) for _ in range(4)]) for _ in range(count)]


def mixed(count: int, data_dir: str, vocabulary_file: str) -> list[Row]:
  """Real rows of all tasks, shuffled."""
  import seqio

  from flan_jax.data import vocabulary
  from flan_jax.data.rows import rows as read_rows
  from tasks import flan2021  # noqa: F401  registers the tasks

  seqio.set_tfds_data_dir_override(data_dir)
  vocabulary.use_vocabulary(seqio.SentencePieceVocabulary(vocabulary_file))
  found = [(row.inputs, row.option_tokens) for task in TASKS
           for row in read_rows(f'flan2021.{task}.template_0', 'validation', count, 0, LENGTHS)]
  order = np.random.default_rng(0).permutation(len(found))
  return [found[place] for place in order[:count]]


class Naive(Runner):
  """Every pair of input and option through the whole of our model, padded to powers of two."""

  def __call__(self, rows: Sequence[Row]) -> np.ndarray:
    """Returns the scores of all options of all rows."""
    pairs = [(source, option) for source, options in rows for option in options]
    scores = np.zeros(len(pairs), np.float32)
    for places in bucketing.batches_by_length([len(source) for source, _ in pairs], self.batch_size):
      arrays = [bucketing.pad_rows(side, self.batch_size, bucketing.bucket_size(max(map(len, side))))
                for side in zip(*(pairs[place] for place in places), strict=True)]
      scores[places] = np.asarray(self.compiled(target_log_likelihood)(*arrays))[: len(places)]
    return scores


class Transformers:
  """The ways of PyTorch."""

  def __init__(self, model: Any):
    """Takes a model of transformers."""
    self.model = model

  def naive(self, rows: Sequence[Row]) -> np.ndarray:
    """Every pair of input and option through the whole model."""
    return self._in_batches([(source, [option]) for source, options in rows for option in options])

  def encoder_once(self, rows: Sequence[Row]) -> np.ndarray:
    """Every input through the encoder once."""
    return self._in_batches(rows)

  def _in_batches(self, rows: Sequence[Row]) -> np.ndarray:
    order = sorted(range(len(rows)), key=lambda place: len(rows[place][0]))
    scores: list[np.ndarray] = [np.zeros(0)] * len(rows)
    for start in range(0, len(rows), BATCH):
      places = order[start : start + BATCH]
      found = self._scores([rows[place] for place in places])
      ends = np.cumsum([len(rows[place][1]) for place in places])
      for place, part in zip(places, np.split(found, ends[:-1]), strict=True):
        scores[place] = part
    return np.concatenate(scores)

  def _scores(self, rows: Sequence[Row]) -> np.ndarray:
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    def padded(tokens: Sequence[np.ndarray]) -> Any:
      return torch.tensor(bucketing.pad_rows(tokens, len(tokens), max(map(len, tokens))), dtype=torch.long)

    with torch.inference_mode():
      inputs = padded([source for source, _ in rows])
      targets = padded([option for _, options in rows for option in options])
      repeats = torch.tensor([len(options) for _, options in rows])
      mask = (inputs > 0).long()
      states = self.model.encoder(input_ids=inputs, attention_mask=mask).last_hidden_state
      logits = self.model(
        encoder_outputs=BaseModelOutput(states.repeat_interleave(repeats, 0)),
        attention_mask=mask.repeat_interleave(repeats, 0),
        decoder_input_ids=torch.nn.functional.pad(targets[:, :-1], (1, 0)),
        use_cache=False,
      ).logits
      picked = logits.gather(2, targets[..., None])[..., 0] - logits.logsumexp(2)
      return (picked * (targets > 0)).sum(1).numpy()


def ways(ours: T5, theirs: Any, rows: Sequence[Row]) -> dict[str, Callable[[], np.ndarray]]:
  """Returns what is timed, with nothing compiled yet."""
  scorer, naive, pytorch = Scorer(ours, batch_size=BATCH), Naive(ours, batch_size=BATCH), Transformers(theirs)
  inputs, options = [source for source, _ in rows], [row_options for _, row_options in rows]
  return {
    'flan_jax': lambda: np.concatenate(scorer.options(inputs, options)),
    'naive, flan_jax': lambda: naive(rows),
    'naive, transformers': lambda: pytorch.naive(rows),
    'encoder once, transformers': lambda: pytorch.encoder_once(rows),
  }


def check(found: dict[str, Callable[[], np.ndarray]]) -> None:
  """Raises AssertionError unless all ways find the same scores."""
  scores = {name: way() for name, way in found.items()}
  for name, others in scores.items():
    np.testing.assert_allclose(others, scores['flan_jax'], rtol=1e-4, err_msg=name)


def main() -> None:
  """Measures and prints a table for each shape and case."""
  parser = sides.parser(__doc__)
  parser.add_argument('--cases', nargs='+', choices=('uniform', 'mixed'), default=['uniform', 'mixed'])
  parser.add_argument('--rows', type=int, default=64)
  parser.add_argument('--tfds_data_dir')
  parser.add_argument('--vocabulary')
  args = parser.parse_args()
  if 'mixed' in args.cases and not (args.tfds_data_dir and args.vocabulary):
    parser.error('real rows need --tfds_data_dir and --vocabulary; --cases uniform needs neither')
  sides.use_threads(args.threads)
  results = {}
  for case in args.cases:
    for shape in args.shapes:
      sizes = sides.SHAPES[shape] | ({'vocab_size': 32128} if case == 'mixed' else {})
      rows = uniform(args.rows, sizes['vocab_size']) if case == 'uniform' else \
          mixed(args.rows, args.tfds_data_dir, args.vocabulary)
      models = sides.pair(**sizes)
      check(ways(*models, rows))
      results[f'{case}, {shape}'] = sides.in_turns(ways(*models, rows), args.rounds)
      lengths, scored = [len(source) for source, _ in rows], [len(o) for _, options in rows for o in options]
      title = (f'{case}, {shape}: {len(rows)} rows, inputs of {min(lengths)} to {max(lengths)} tokens, '
               f'{math.fsum(len(options) for _, options in rows) / len(rows):.1f} options a row of {min(scored)} to '
               f'{max(scored)} tokens (median {statistics.median(scored):g}), {args.threads} threads')
      sides.show(title, results[f'{case}, {shape}'], len(rows), 'rows')
  sides.write(args.json, results)


if __name__ == '__main__':
  main()
