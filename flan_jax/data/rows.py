"""Evaluation rows: what a person asks, the options tokenized, and where it all came from."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from flan_jax.data import provenance, registry
from flan_jax.data.dataset import GROUP
from flan_jax.data.source import ROW_ID
from flan_jax.data.vocabulary import active_vocabulary

# What is read of an example.
NEEDED = ('inputs', 'inputs_pretokenized', 'targets_pretokenized', 'options', 'answer', 'references', 'template',
          ROW_ID, provenance.FEATURE)


@dataclasses.dataclass(frozen=True)
class EvalRow:
  """One question under one template.

  Attributes:
    inputs: int32 tokens of the prompt, EOS last.
    inputs_pretokenized: the prompt as text.
    targets_pretokenized: what the template's target says (the answer, unless the template is inverted).
    options: the possible answers; empty for free text.
    option_tokens: int32 tokens of each option, EOS last.
    answer: the right answer.
    answer_index: its place among the options, -1 where it is none of them.
    references: all acceptable answers.
    task: the SeqIO task.
    dataset: its dataset.
    cluster: its task cluster.
    template: which instruction, -1 for none.
    inverted: the target is not the answer, so that the row says nothing about accuracy.
    row_id: the TFDS row.
    truncated: the prompt or the target did not fit the feature lengths.
    group: which rows belong together (`Dataset.group`); '' where none do.
  """

  inputs: np.ndarray
  inputs_pretokenized: str
  targets_pretokenized: str
  options: list[str]
  option_tokens: list[np.ndarray]
  answer: str
  answer_index: int
  references: list[str]
  task: str
  dataset: str
  cluster: str
  template: int
  inverted: bool
  row_id: str
  truncated: bool
  group: str = ''


def rows(
  task_name: str,
  split: str = 'test',
  limit: int | None = None,
  seed: int = 0,
  task_feature_lengths: Mapping[str, int] | None = None,
) -> list[EvalRow]:
  """Reads the evaluation rows of a task, in the order of the files.

  Args:
    task_name: a task of one dataset (`flan2021.sst2.template_3`, or `flan2021.sst2` for a template drawn per row).
    split: which rows.
    limit: at most this many.
    seed: draws templates where the task has several.
    task_feature_lengths: token limits; None cuts nothing.

  Returns:
    The rows; those with an inverted template included and marked.
  """
  info = registry.task_info(task_name)
  dataset = registry.get_mixture_or_task(task_name).get_dataset(
    sequence_length=dict(task_feature_lengths or {}), split=split, shuffle=False, seed=seed, try_in_mem_cache=False
  )
  if limit is not None:
    dataset = dataset.take(limit)
  return [of_example(info, example) for example in dataset.as_numpy_iterator()]


def of_example(info: registry.TaskInfo, example: Mapping[str, Any]) -> EvalRow:
  """Returns the row of a tokenized example, which has what `NEEDED` names."""
  vocabulary = active_vocabulary()
  options = [option.decode() for option in example['options']]
  answer = example['answer'].decode()
  template = int(example['template'])
  return EvalRow(
    inputs=example['inputs'],
    inputs_pretokenized=example['inputs_pretokenized'].decode(),
    targets_pretokenized=example['targets_pretokenized'].decode(),
    options=options,
    option_tokens=[np.array([*vocabulary.encode(option), vocabulary.eos_id], np.int32) for option in options],
    answer=answer,
    answer_index=options.index(answer) if answer in options else -1,
    references=[reference.decode() for reference in example['references']],
    task=info.name,
    dataset=info.dataset.name,
    cluster=info.dataset.cluster,
    template=template,
    inverted=template >= 0 and info.dataset.templates[template].inverted,
    row_id=example[ROW_ID].decode(),
    truncated=provenance.count_truncated(example[provenance.FEATURE]) > 0,
    group=example[GROUP].decode() if info.dataset.group else '',
  )
