"""Examples as a run would see them, each with where it came from, and with what would be cut off."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import seqio
import tensorflow as tf

from flan_jax.data import provenance
from flan_jax.data.extract import extract_fields
from flan_jax.data.few_shot import EXEMPLARS
from flan_jax.data.pipeline import Ask
from flan_jax.data.preprocessors import INPUTS, TARGETS, TEMPLATE
from flan_jax.data.registry import TaskInfo
from flan_jax.data.roles import ROW_ID
from flan_jax.data.vocabulary import active_vocabulary
from flan_jax.inspection import names


@dataclasses.dataclass(frozen=True)
class Measured:
  """A text and its length in tokens.

  Attributes:
    kept: what fits.
    cut: what does not.
    tokens: of the whole text, EOS included.
  """

  kept: str
  cut: str
  tokens: int


@dataclasses.dataclass(frozen=True)
class Example:
  """One example of a task.

  Attributes:
    template: which instruction, -1 for none.
    row: the id of its row.
    inputs: the prompt.
    targets: what the model should write; where options are ranked, all of them.
    options: the possible answers.
    answer: the right one.
    references: all acceptable ones.
    exemplars: the ids of the rows that are solved before the question.
    exemplars_left_out: how many had no room.
  """

  template: int
  row: str
  inputs: Measured
  targets: tuple[Measured, ...]
  options: tuple[str, ...]
  answer: str
  references: tuple[str, ...]
  exemplars: tuple[str, ...]
  exemplars_left_out: int


def read(info: TaskInfo, split: str, count: int, seed: int, lengths: Mapping[str, int]) -> list[Example]:
  """Reads the first examples of a task, in the order of its files.

  Args:
    info: the task.
    split: which rows.
    count: how many examples.
    seed: draws what the task draws.
    lengths: token limits of `inputs` and `targets`.

  Returns:
    At most so many examples.
  """
  examples = seqio.TaskRegistry.get(info.name).get_dataset(
    sequence_length=dict(lengths), split=split, shuffle=False, seed=seed, try_in_mem_cache=False
  )
  return _examples(examples.take(count), info, lengths)


def read_each(info: TaskInfo, split: str, count: int, seed: int, lengths: Mapping[str, int]) -> list[Example]:
  """Reads the first rows of a task under each of its templates in turn, so that templates can be compared.

  Args:
    info: the task.
    split: which rows.
    count: how many rows.
    seed: draws what the task draws.
    lengths: token limits of `inputs` and `targets`.

  Returns:
    Row after row, of each its templates in order.
  """
  in_turn = dataclasses.replace(info.variant, templates='round_robin')
  if len(info.templates) < 2 or info.variant.prompting != 'instructions':
    return read(info, split, count, seed, lengths)
  source, features = names.source_of(info), seqio.TaskRegistry.get(info.name).output_features
  fields = extract_fields(info.dataset)(source.get_dataset(split, shuffle=False)).take(count)
  repeats = len(in_turn.indices(info.dataset))
  repeated = fields.flat_map(lambda row: tf.data.Dataset.from_tensors(row).repeat(repeats))
  ask = Ask(info.dataset, info.name, in_turn, source, dict(lengths), features)
  with seqio.map_seed_manager(seed):
    asked = ask(repeated)
  return [example for example in _examples(asked, info, lengths) if example.template in info.templates]


def measure(text: str, vocabulary: seqio.Vocabulary, limit: int) -> Measured:
  """Returns a text's length, and where it would be cut: at the longest beginning whose tokens leave room for EOS."""
  tokens = len(vocabulary.encode(text)) + 1
  if tokens <= limit:
    return Measured(text, '', tokens)
  low, high = 0, len(text)
  while low < high:
    middle = (low + high + 1) // 2
    if len(vocabulary.encode(text[:middle])) < limit:
      low = middle
    else:
      high = middle - 1
  return Measured(text[:low], text[low:], tokens)


def _examples(examples: tf.data.Dataset, info: TaskInfo, lengths: Mapping[str, int]) -> list[Example]:
  return [_example(example, info, lengths) for example in examples.as_numpy_iterator()]


def _example(example: Mapping[str, Any], info: TaskInfo, lengths: Mapping[str, int]) -> Example:
  vocabulary = active_vocabulary()
  options = _texts(example['options'])
  targets = options if info.variant.rank else (example[f'{TARGETS}_pretokenized'].decode(),)
  (origin,) = provenance.decode(example[provenance.FEATURE], [info.name])
  return Example(
    template=int(example[TEMPLATE]),
    row=example[ROW_ID].decode(),
    inputs=measure(example[f'{INPUTS}_pretokenized'].decode(), vocabulary, lengths[INPUTS]),
    targets=tuple(measure(text, vocabulary, lengths[TARGETS]) for text in targets),
    options=options,
    answer=example['answer'].decode(),
    references=_texts(example['references']),
    exemplars=_texts(example.get(EXEMPLARS, ())),
    exemplars_left_out=origin.exemplars_left_out,
  )


def _texts(values: Iterable[bytes]) -> tuple[str, ...]:
  return tuple(value.decode() for value in values)
