"""Rows of evaluations that are among the rows that train: found by the texts of their fields, counted and listed.

Compared are the declared fields, not prompts: what an instruction says is the same in every row. Options, labels and
answers of rows with options do not count either. Training rows also show the answers of rows without options.
"""

import collections
import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import seqio
import tensorflow as tf

from flan_jax.data import registry, words
from flan_jax.data.blocks import BLOCK, as_written, ragged
from flan_jax.data.dataset import Dataset, Fields, text_fields
from flan_jax.data.extract import FILTERED, blocks_of_fields
from flan_jax.data.roles import ROW_ID
from flan_jax.data.shared_text import KnownTexts
from flan_jax.data.source import rows_of
from flan_jax.data.template import ANSWER, OPTIONS
from flan_jax.errors import UserError

NGRAM = 13  # words in a row that make an overlap, as GPT-3 counted it (Brown et al. 2020, appendix C)
FIELD_WORDS = 8  # a field of so many words is found on its own; of shorter ones the whole row must be
JSON, JSONL = 'contamination.json', 'contamination.jsonl'

Kind = Literal['exact', 'overlap']


class Pair(NamedTuple):
  """A row of an evaluation and a row that trains, and what both say.

  Attributes:
    dataset: the evaluation's.
    row: its id.
    training_dataset: the one that trains.
    training_row: its id.
    kind: 'exact' where a long field, or all fields, are the same; 'overlap' where n words in a row are.
    text: what they share, normalized (see `words`).
  """

  dataset: str
  row: str
  training_dataset: str
  training_row: str
  kind: Kind
  text: str


@dataclasses.dataclass(frozen=True)
class DatasetContamination:
  """What of one evaluation dataset is among the training rows.

  Attributes:
    dataset: its name.
    cluster: its task cluster.
    rows: how many rows were looked for.
    exact: of these, how many have an exact match.
    overlapping: how many others share n words in a row with some training row.
    training_rows: how many training rows are concerned.
    by_training_dataset: the same by training dataset; those without any are not named.
  """

  dataset: str
  cluster: str
  rows: int
  exact: int
  overlapping: int
  training_rows: int
  by_training_dataset: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Contamination:
  """What was looked for, and what was found.

  Attributes:
    n: words in a row that make an overlap.
    split: the evaluations' rows.
    training: the datasets that train.
    datasets: a count for each evaluation dataset.
    pairs: every match.
    removed: whether the training rows left training.
  """

  n: int
  split: str
  training: tuple[str, ...]
  datasets: tuple[DatasetContamination, ...]
  pairs: tuple[Pair, ...] = dataclasses.field(repr=False)
  removed: bool = False

  @functools.cached_property
  def training_rows(self) -> dict[str, tuple[str, ...]]:
    """The ids of the training rows that are concerned, by dataset: what `registry.without_rows` takes."""
    found: dict[str, dict[str, None]] = {}
    for pair in self.pairs:
      found.setdefault(pair.training_dataset, {})[pair.training_row] = None
    return {dataset: tuple(rows) for dataset, rows in found.items()}

  def lines(self) -> list[str]:
    """Returns the counts in sentences."""
    done = 'left out of training' if self.removed else 'still train'
    lines = [f'contamination: rows of {self.split!r} that are in training, or share {self.n} words in a row with it:']
    for one in self.datasets:
      where = ', '.join(f'{name} {count:,}' for name, count in one.by_training_dataset.items())
      told = f'; {one.training_rows:,} training rows ({where})' if where else ''
      lines.append(f'  {one.dataset}: of {one.rows:,} rows {one.exact:,} exact, {one.overlapping:,} overlapping{told}')
    count = sum(map(len, self.training_rows.values()))
    return [*lines, f'  {count:,} training rows altogether {done}' if count else '  no training row is concerned']

  def files(self) -> dict[str, str]:
    """Returns the content of `contamination.json` (the counts) and `contamination.jsonl` (every pair), by name."""
    counts: dict[str, Any] = {
      'n': self.n, 'split': self.split, 'removed': self.removed, 'training': list(self.training),
      'datasets': [dataclasses.asdict(dataset) for dataset in self.datasets],
    }  # fmt: skip
    pairs = (json.dumps(pair._asdict(), ensure_ascii=False) + '\n' for pair in self.pairs)
    return {JSON: json.dumps(counts, indent=2, ensure_ascii=False) + '\n', JSONL: ''.join(pairs)}

  def write(self, folder: str | pathlib.Path) -> None:
    """Writes the two files; the folder is made where it is missing."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in self.files().items():
      (folder / name).write_text(text, encoding='utf-8')


def find(
  training: Sequence[str | Dataset],
  evaluation: Sequence[str | Dataset],
  split: str = 'test',
  n: int = NGRAM,
  limit: int | None = None,
) -> Contamination:
  """Looks for the rows of evaluations among the rows that train.

  Texts are compared as words (see `words.normalized`). A row is found exactly where a field of at least `FIELD_WORDS`
  words is a field of a training row, or where all its fields are; it overlaps where n words in a row of one of its
  fields are in a training row. Evaluation rows are held in memory, training rows are read once, as they train: those of
  the 'train' role, up to its cap, without those that `keep` refuses.

  Args:
    training: datasets, or the names of tasks or mixtures, which stand for theirs.
    evaluation: likewise.
    split: the rows of the evaluations.
    n: words in a row that make an overlap.
    limit: at most so many rows of each evaluation, those that `rows.rows` gives under the same limit.

  Returns:
    Counts and pairs, evaluations and training rows in the order of reading.

  Raises:
    UserError: for an unknown name, rows that are not there, two datasets of one name, or an n below 2.
  """
  if n < 2:
    raise UserError(f'An overlap of {n} words says nothing: CONTAMINATION_NGRAM is at least 2, and usually {NGRAM}.')
  trained, judged = _sources(training, 'training'), _sources(evaluation, 'evaluation')
  asked = _Asked(judged, split, n, limit)
  pairs: list[Pair] = []
  for dataset, source in trained.values():
    for block in _blocks(dataset, source, 'train', answers=True):
      pairs += asked.pairs(dataset.name, block)
  counts = tuple(_counted(dataset, asked.sizes[dataset.name], pairs) for dataset, _ in judged.values())
  return Contamination(n, split, tuple(trained), counts, tuple(pairs))


class _Row(NamedTuple):
  """A row's id and the normalized texts of its fields."""

  row: str
  texts: list[str]


Sources = dict[str, tuple[Dataset, seqio.DataSource]]


def _sources(named: Sequence[str | Dataset], role: str) -> Sources:
  """The datasets behind names and where their rows are, by dataset name, each once whatever its variants."""
  found: Sources = {}
  for item in named:
    members = [(item, rows_of(item))] if isinstance(item, Dataset) else [
      (registry.task_info(task).dataset, seqio.TaskRegistry.get(task).source) for task in registry.tasks_of(item)
    ]  # fmt: skip
    for dataset, source in members:
      if found.setdefault(dataset.name, (dataset, source))[0] != dataset:
        raise UserError(f'Two different {role} datasets are called {dataset.name!r}: rows are counted by the name, so '
                        'that one of them needs another.')
  return found


def _blocks(dataset: Dataset, source: seqio.DataSource, split: str, limit: int | None = None, *,
            answers: bool = False) -> Iterator[list[_Row]]:
  """Reads the rows of a role, those that `keep` refuses left out; with the answers to rows without options or not."""

  @as_written
  def chosen(block: Fields) -> tuple[tf.Tensor, tf.Tensor]:
    texts = [block[name] for name in text_fields(block) if name not in (ROW_ID, FILTERED)]
    if answers:
      texts.append(tf.where(ragged(block[OPTIONS]).row_lengths() == 0, block[ANSWER], ''))
    return block[ROW_ID], tf.stack(texts, axis=1)

  rows = blocks_of_fields(dataset, source.get_dataset(split, shuffle=False)).map(chosen)
  if limit is not None:
    rows = rows.unbatch().take(limit).batch(BLOCK)
  for ids, fields in rows.as_numpy_iterator():
    texts = ([words.normalized(text.decode(errors='replace')) for text in row] for row in fields)
    yield [_Row(row.decode(), list(filter(None, found))) for row, found in zip(ids, texts, strict=True)]


class _Asked:
  """The rows of all evaluations, by their texts.

  Attributes:
    sizes: how many rows each dataset has.
  """

  def __init__(self, judged: Sources, split: str, n: int, limit: int | None):
    """Reads the rows."""
    self.sizes: dict[str, int] = {}
    self._rows: list[tuple[str, str, frozenset[int]]] = []  # dataset, id, texts
    self._numbers: dict[str, int] = {}  # of every text
    for dataset, source in judged.values():
      rows = [row for block in _blocks(dataset, source, split, limit) for row in block]
      self.sizes[dataset.name] = len(rows)
      for row, texts in rows:
        numbers = frozenset(self._numbers.setdefault(text, len(self._numbers)) for text in texts)
        self._rows.append((dataset.name, row, numbers))
    self._texts = list(self._numbers)
    self._with: list[list[int]] = [[] for _ in self._texts]  # the rows that have a text
    self._sought: list[list[int]] = [[] for _ in self._texts]  # those that a training row with the text may equal
    for place, (_, _, numbers) in enumerate(self._rows):
      for number in numbers:
        self._with[number].append(place)
      # A row is looked for where a training row has one of its long texts, or else the longest of its short ones.
      longest = sorted(numbers, key=lambda number: (len(self._texts[number]), number))[-1:]
      for number in [number for number in numbers if self._is_long(number)] or longest:
        self._sought[number].append(place)
    self._known = KnownTexts(self._texts, n)

  def pairs(self, training_dataset: str, block: Sequence[_Row]) -> Iterator[Pair]:
    """Yields the matches of a block of training rows, each pair of rows once."""
    owners = [place for place, row in enumerate(block) for _ in row.texts]
    runs: dict[int, dict[int, str]] = collections.defaultdict(dict)  # the longest, by training row and evaluation row
    for found in self._known.shared([text for row in block for text in row.texts]):
      longest = runs[owners[found.place]]
      for row in self._with[found.known]:
        longest[row] = max(longest.get(row, ''), found.run, key=len)
    for place, (training_row, texts) in enumerate(block):
      exact = dict(self._exact({self._numbers[text] for text in texts if text in self._numbers}))
      overlapping = {row: run for row, run in runs.get(place, {}).items() if row not in exact}
      kinds: list[tuple[Kind, dict[int, str]]] = [('exact', exact), ('overlap', overlapping)]
      for kind, rows in kinds:
        for row, text in rows.items():
          yield Pair(*self._rows[row][:2], training_dataset, training_row, kind, text)

  def _exact(self, numbers: set[int]) -> Iterator[tuple[int, str]]:
    """The rows that a training row with these of the texts equals, and the texts that say so."""
    for number in sorted(numbers):
      for row in self._sought[number]:
        same = {number} if self._is_long(number) else self._rows[row][2]
        if same <= numbers:
          yield row, ' | '.join(self._texts[one] for one in sorted(same))

  def _is_long(self, number: int) -> bool:
    return self._texts[number].count(' ') >= FIELD_WORDS - 1


def _counted(dataset: Dataset, rows: int, pairs: Sequence[Pair]) -> DatasetContamination:
  own = [pair for pair in pairs if pair.dataset == dataset.name]
  exact = {pair.row for pair in own if pair.kind == 'exact'}
  overlapping = {pair.row for pair in own} - exact
  training = collections.Counter(name for name, _ in {(pair.training_dataset, pair.training_row) for pair in own})
  return DatasetContamination(dataset.name, dataset.cluster, rows, len(exact), len(overlapping), training.total(),
                              dict(sorted(training.items())))
