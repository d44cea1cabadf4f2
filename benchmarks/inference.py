"""Rows per CPU-second and share of padding of inference: batches in the order of the inputs and by length in windows.

  python benchmarks/inference.py --tfds_data_dir=DIR --vocabulary=spiece.model [--rows=512] [--rounds=2] [--json=FILE]

Prompts of five real datasets, one template each, shuffled and cut to 256 tokens; a T5 1.1 tiny with random weights
writes 8 tokens for each, greedily, in batches of 8. All ways are measured in turn in every round, after one that
compiles and is not counted. CPU seconds, because wall seconds say as much about what else the machine does. "In order"
is what one gets without any sorting: the next 8 prompts, padded like every batch to a power of two.
"""

import argparse
import collections
import json
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from unittest import mock

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import numpy as np
import seqio
from flax import nnx

from flan_jax import models
from flan_jax.data import vocabulary
from flan_jax.data.rows import rows as read_rows
from flan_jax.models import bucketing
from tasks import flan2021  # noqa: F401  registers the tasks

TASKS = ('sst2', 'trec', 'cola', 'aeslc', 'imdb_reviews')
LENGTH, BATCH, WRITTEN = 256, 8, 8
CONFIG = models.T5Config(vocab_size=32128, emb_dim=128, num_heads=4, head_dim=32, mlp_dim=256, num_encoder_layers=2,
                         num_decoder_layers=2, mlp_activations=('gelu', 'linear'), dtype='float32')  # fmt: skip


def prompts(count: int) -> list[np.ndarray]:
  """Token rows of all tasks, shuffled."""
  each = -(-count // len(TASKS))
  found = [row.inputs for name in TASKS
           for row in read_rows(f'flan2021.{name}.template_0', 'train', each, 0, {'inputs': LENGTH, 'targets': 64})]
  order = np.random.default_rng(0).permutation(len(found))
  return [found[place] for place in order[:count]]


def in_order(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
  """What stands in for `bucketing.batches_by_length` where nothing is sorted."""
  for start in range(0, len(lengths), batch_size):
    yield list(range(start, min(start + batch_size, len(lengths))))


class Padding:
  """Stands in for `bucketing.pad_rows` and counts tokens and places."""

  def __init__(self) -> None:
    self.tokens = self.places = 0
    self._pad = bucketing.pad_rows

  def __call__(self, rows: Sequence[np.ndarray], count: int, length: int) -> np.ndarray:
    """Pads, and counts."""
    padded = self._pad(rows, count, length)
    self.tokens, self.places = self.tokens + int(np.count_nonzero(padded)), self.places + padded.size
    return padded

  @property
  def share(self) -> float:
    """Percent of all places that are padding."""
    return 100.0 * (1.0 - self.tokens / self.places)


def measure(ways: dict[str, Callable[[], object]], rows: int, rounds: int) -> dict[str, dict]:
  """Runs all ways in turn; returns rows per CPU-second of every counted round, and the share of padding."""
  speeds: dict[str, list[float]] = collections.defaultdict(list)
  shares: dict[str, float] = {}
  for round_number in range(rounds + 1):
    print(f'round {round_number} of {rounds}', file=sys.stderr, flush=True)
    for name, way in ways.items():
      padding = Padding()
      with mock.patch.object(bucketing, 'pad_rows', padding):
        began = time.process_time()
        way()
        took = time.process_time() - began
      if round_number:
        speeds[name].append(rows / took)
      shares[name] = padding.share
  return {name: {'rows_per_cpu_second': speeds[name], 'padding': shares[name]} for name in ways}


def main() -> None:
  """Measures and prints a table."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--tfds_data_dir', required=True)
  parser.add_argument('--vocabulary', required=True)
  parser.add_argument('--rows', type=int, default=512)
  parser.add_argument('--rounds', type=int, default=2)
  parser.add_argument('--json')
  args = parser.parse_args()
  seqio.set_tfds_data_dir_override(args.tfds_data_dir)
  vocabulary.use_vocabulary(seqio.SentencePieceVocabulary(args.vocabulary))
  found = prompts(args.rows)
  generator = models.Generator(models.T5(CONFIG, rngs=nnx.Rngs(0)), max_decode_len=WRITTEN, batch_size=BATCH)

  def windows(batches: int) -> None:
    size = batches * BATCH
    for start in range(0, len(found), size):
      collections.deque(generator.stream(found[start : start + size]), maxlen=0)

  def unsorted() -> None:
    with mock.patch.object(bucketing, 'batches_by_length', in_order):
      windows(len(found))

  ways = {'in order': unsorted, **{f'windows of {n} batches': lambda n=n: windows(n) for n in (4, 16, 64)},
          '64, without scores': lambda: generator(found)}
  results = measure(ways, len(found), args.rounds)
  lengths = [len(row) for row in found]
  print(f'{len(found):,} prompts of {min(lengths)} to {max(lengths)} tokens, median {statistics.median(lengths):g}')
  for name, result in results.items():
    speed = result['rows_per_cpu_second']
    print(f'{name:<22} padding {result["padding"]:5.1f} %   {statistics.median(speed):6.1f} rows per CPU-second '
          f'({min(speed):.1f} to {max(speed):.1f})')
  if args.json:
    pathlib.Path(args.json).write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
  main()
