"""Evaluation rows made by hand, so that these tests load no TensorFlow, and scorers that answer by rule."""

import dataclasses
from collections.abc import Callable

import numpy as np

YES, NO = [7, 1], [8, 1]


@dataclasses.dataclass(frozen=True)
class Row:
  """Has the attributes of `flan_jax.data.rows.EvalRow` that evaluation reads."""

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


def row(
  row_id='r0', *, answer='yes', options=('yes', 'no'), option_tokens=None, inputs=(5, 6, 1), dataset='nli',
  cluster='nli', template=0, inverted=False, references=None, truncated=False,
  group='',
) -> Row:  # fmt: skip
  if option_tokens is None:
    option_tokens = [YES if option == 'yes' else NO if option == 'no' else [20 + len(option), 1] for option in options]
  return Row(
    inputs=np.array(inputs, np.int32), inputs_pretokenized=f'prompt {row_id}', targets_pretokenized=answer,
    options=list(options), option_tokens=[np.array(tokens, np.int32) for tokens in option_tokens], answer=answer,
    answer_index=list(options).index(answer) if answer in options else -1, references=references or [answer],
    task=f'{dataset}.template_{template}', dataset=dataset, cluster=cluster, template=template, inverted=inverted,
    row_id=row_id, truncated=truncated, group=group,
  )  # fmt: skip


class RuleScorer:
  """Scores options by a function of (input tokens, option tokens)."""

  def __init__(self, rule: Callable[[list[int], list[int]], float]):
    self.rule = rule
    self.calls: list[int] = []

  def options(self, inputs, options):
    self.calls.append(len(inputs))
    pairs = zip(inputs, options, strict=True)
    return [np.array([self.rule(list(source), list(option)) for option in row], np.float32) for source, row in pairs]


def always(word_tokens) -> RuleScorer:
  """A scorer that prefers one option whatever it is asked."""
  return RuleScorer(lambda source, option: 0.0 if option == list(word_tokens) else -1.0)
