"""All the ways of asking about one dataset's rows, which are read once: each template costs milliseconds, no pipeline.

An evaluation asks the same few rows under ten templates. A tf.data pipeline for each takes most of a second to build;
here the steps of `preprocessors` run on blocks of rows in memory.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from flan_jax.data import preprocessors, registry, rows
from flan_jax.data.blocks import BLOCK, in_blocks
from flan_jax.data.dataset import GROUP, Fields
from flan_jax.data.extract import extract_fields
from flan_jax.data.rows import EvalRow


def rows_of_tasks(
  names: Sequence[str],
  split: str = 'test',
  limit: int | None = None,
  seed: int = 0,
  task_feature_lengths: Mapping[str, int] | None = None,
) -> Iterator[list[EvalRow]]:
  """Reads the rows of tasks; what tasks of one dataset in a row have in common is read once.

  Args:
    names: of tasks.
    split: which rows.
    limit: at most this many of each.
    seed: draws templates where a task has several.
    task_feature_lengths: token limits; None cuts nothing.

  Yields:
    What `rows.rows` gives for each task.
  """
  owner, blocks = '', []
  for name in names:
    info = registry.task_info(name)
    if not _is_plain(info):
      yield rows.rows(name, split, limit, seed, task_feature_lengths)
      continue
    if info.dataset.name != owner:
      owner, blocks = info.dataset.name, _blocks(info, split, limit)
    yield [row for block in blocks for row in _ask(info, block, task_feature_lengths or {})]


def _is_plain(info: registry.TaskInfo) -> bool:
  """Whether all rows are asked in the same way, without exemplars, which are other rows."""
  return not (info.variant.shots or info.variant.rank or preprocessors.draws(info.dataset, info.variant))


def _blocks(info: registry.TaskInfo, split: str, limit: int | None) -> list[Fields]:
  """The declared fields of rows, in memory."""
  source = registry.get_mixture_or_task(info.name).source
  examples = extract_fields(info.dataset)(source.get_dataset(split=split, shuffle=False))
  return list(in_blocks(examples if limit is None else examples.take(limit), BLOCK))


def _ask(info: registry.TaskInfo, block: Fields, lengths: Mapping[str, int]) -> Iterator[EvalRow]:
  features = registry.get_mixture_or_task(info.name).output_features
  vocabularies = {name: features[name].vocabulary for name in (preprocessors.INPUTS, preprocessors.TARGETS)}
  asked = preprocessors.fix_template(block, info.dataset, info.variant)
  asked = preprocessors.render(info.dataset, info.name, info.variant)(asked)
  asked = preprocessors.tokenize(asked, vocabularies, lengths)
  columns = {name: _column(asked[name]) for name in (*rows.NEEDED, GROUP) if name in asked}
  for place in range(len(columns[rows.ROW_ID])):
    yield rows.of_example(info, {name: column[place] for name, column in columns.items()})


def _column(values: tf.Tensor | tf.RaggedTensor) -> Sequence[Any]:
  """The value of each row, lists as arrays."""
  if not isinstance(values, tf.RaggedTensor):
    return values.numpy()
  flat, ends = values.flat_values.numpy(), values.row_splits.numpy()
  return [np.asarray(flat[start:end]) for start, end in itertools.pairwise(ends)]
