"""Examples per CPU-second from prepared TFDS rows to tokenized, packed batches, beside tokenizing the same texts alone.

  python benchmarks/data_pipeline.py --tfds_data_dir=DIR --vocabulary=spiece.model [--rounds=5] [--json=FILE]
  python benchmarks/data_pipeline.py ... --profile=flan2021.sst2

Both sides are measured in turn in every round. CPU seconds, because wall seconds say as much about what else the
machine does; the number of threads changes nothing in what they count. "Alone" is what tokenizing costs by itself: the
texts lie in memory and pass through the vocabulary one at a time, as in SeqIO's own `tokenize` step, or in blocks.
`--profile` says what each stage adds. The official pipeline's figures are those of
google-research/FLAN v1 with ten templates and a 16k SentencePiece, on another machine that was busy.
"""

import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import seqio
import tensorflow as tf

from flan_jax.data import iterator, preprocessors, provenance, registry, vocabulary
from tasks import flan2021  # noqa: F401  registers the tasks

LENGTHS = {'inputs': 1024, 'targets': 256}
ROWS = 8  # of a batch
MIXED = ('sst2', 'common_gen', 'rte', 'trec', 'cola', 'mrpc', 'arc_easy', 'aeslc', 'cb', 'copa', 'wsc', 'imdb_reviews')
# name -> (what is read, the official pipeline's examples per CPU-second with a vocabulary, lowest and highest seen)
CASES: dict[str, tuple[str | tuple[str, ...], tuple[int, int] | None]] = {
  'SST-2': ('flan2021.sst2', None),
  'CommonGen': ('flan2021.common_gen', None),
  'RTE': ('flan2021.rte', (564, 679)),
  '12 datasets': (tuple(f'flan2021.{name}' for name in MIXED), None),
  'SST-2, 5 exemplars': ('flan2021.sst2.5shot', None),
  'RTE, 5 exemplars': ('flan2021.rte.5shot', (108, 108)),
}
EXAMPLES = 6000  # of a measurement


@dataclasses.dataclass(frozen=True)
class Round:
  """Examples per CPU-second of one round: the pipeline, and tokenizing alone one text at a time and in blocks."""

  pipeline: float
  one_by_one: float
  in_blocks: float


class Stream:
  """Batches of a task or mixture that go on from round to round."""

  def __init__(self, name: str):
    self._batches = iterator.batches(name, LENGTHS, ROWS)
    self.read(EXAMPLES // 4)

  def read(self, examples: int) -> int:
    """Reads at least so many examples and returns how many they were."""
    seen = 0
    while seen < examples:
      seen += sum(counts.examples for counts in provenance.count(next(self._batches)[provenance.FEATURE]).values())
    return seen


def texts_of(name: str, count: int) -> tuple[list[bytes], list[bytes]]:
  """The prompts and targets that a task or mixture tokenizes."""
  provider = registry.get_mixture_or_task(name)
  more = {'copy_pretokenized': True} if isinstance(provider, seqio.Mixture) else {}
  dataset = provider.get_dataset(LENGTHS, split='train', shuffle=True, seed=0, num_epochs=None, try_in_mem_cache=False,
                                 **more)  # fmt: skip
  found = [(e['inputs_pretokenized'], e['targets_pretokenized']) for e in dataset.take(count).as_numpy_iterator()]
  return tuple(map(list, zip(*found, strict=True)))


def alone(texts: tuple[list[bytes], list[bytes]], block: int | None) -> Iterator:
  """Tokenizes texts for ever, one pair at a time or in blocks; gives a number for every 128."""
  encode = vocabulary.active_vocabulary().encode_tf
  pairs = tf.data.Dataset.from_tensor_slices(texts).repeat()
  pairs = pairs.batch(block) if block else pairs

  @tf.autograph.experimental.do_not_convert
  def size(inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    tokens = (encode(inputs), encode(targets))
    return tf.add_n([tf.size(t.flat_values if isinstance(t, tf.RaggedTensor) else t) for t in tokens])

  sizes = pairs.map(size)
  return iter((sizes if block else sizes.batch(128)).with_options(iterator.options()))


def cpu(action: Callable[[], int]) -> float:
  """Examples per CPU-second of something that returns how many it did."""
  begin = time.process_time()
  done = action()
  return done / (time.process_time() - begin)


def measure(name: str, rounds: int) -> list[Round]:
  """Measures one case."""
  stream, texts = Stream(name), texts_of(name, 4000)
  one, blocks = alone(texts, None), alone(texts, 128)

  def tokenize(sizes: Iterator) -> int:
    return 128 * len(list(itertools.islice(sizes, EXAMPLES // 128)))

  tokenize(one), tokenize(blocks)
  return [Round(cpu(lambda: stream.read(EXAMPLES)), cpu(lambda: tokenize(one)), cpu(lambda: tokenize(blocks)))
          for _ in range(rounds)]


def told(values: list[float], digits: int = 0) -> str:
  """A median with its range."""
  median, low, high = statistics.median(values), min(values), max(values)
  return f'{median:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})'


def profile(name: str, rounds: int) -> None:
  """Prints what each stage of a task's pipeline costs: microseconds of CPU an example, cumulated."""
  task = seqio.TaskRegistry.get(name)
  lengths = iterator.with_provenance(LENGTHS)
  ask = dataclasses.replace(task.preprocessors[2], sequence_length=lengths, output_features=task.output_features)
  rows = task.source.get_dataset('train', shuffle=False)
  fields = task.preprocessors[0](rows).repeat()
  assigned = preprocessors.assign_templates(ask.dataset, ask.variant, fields, 128)
  tokenized = ask(fields)
  shuffled = task.get_dataset(lengths, split='train', num_epochs=None, seed=0, try_in_mem_cache=False)
  stages = {
    'rows read, one by one': rows.repeat().ragged_batch(128), 'fields': fields.ragged_batch(128),
    'templates drawn': assigned,
    'rendered': ask.rendered(fields), 'tokenized': tokenized.padded_batch(128), 'shuffled': shuffled.padded_batch(128),
  }  # fmt: skip
  streams = {stage: iter(dataset.with_options(iterator.options())) for stage, dataset in stages.items()}
  costs: dict[str, list[float]] = {stage: [] for stage in [*stages, 'packed']}
  packed = Stream(name)
  for _ in range(rounds + 1):
    for stage, stream in streams.items():
      costs[stage].append(1e6 / cpu(lambda s=stream: 128 * len(list(itertools.islice(s, EXAMPLES // 128)))))
    costs['packed'].append(1e6 / cpu(lambda: packed.read(EXAMPLES)))
  print(f'{name}: microseconds of CPU an example up to each stage')
  for stage, values in costs.items():
    print(f'  {stage:24}{told(values[1:])}')


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--tfds_data_dir', required=True)
  parser.add_argument('--vocabulary', required=True, help='a SentencePiece model')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--json', type=pathlib.Path)
  parser.add_argument('--profile', help='a task: what each stage of its pipeline costs, and nothing else')
  arguments = parser.parse_args()
  seqio.set_tfds_data_dir_override(arguments.tfds_data_dir)
  vocabulary.use_vocabulary(seqio.SentencePieceVocabulary(arguments.vocabulary))
  if arguments.profile:
    profile(arguments.profile, arguments.rounds)
    return
  results = {}
  print(f'{"":20}{"examples per CPU-second":>34}{"cost / tokenizing one by one":>34}{"/ in blocks":>26}  official')
  for case, (names, official) in CASES.items():
    found = measure(registry.mixture_of((names,) if isinstance(names, str) else names), arguments.rounds)
    rates = [each.pipeline for each in found]
    single = [each.one_by_one / each.pipeline for each in found]
    blocks = [each.in_blocks / each.pipeline for each in found]
    times = f'{official[0]} to {official[1]}: x {statistics.median(rates) / official[1]:.1f}' if official else ''
    print(f'{case:20}{told(rates):>34}{told(single, 2):>34}{told(blocks, 2):>26}  {times}', flush=True)
    results[case] = {'rounds': [dataclasses.asdict(each) for each in found], 'official': official}
  if arguments.json:
    arguments.json.write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
  main()
