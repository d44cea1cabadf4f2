"""The declaration of a dataset: where its rows are, what they mean, and the ten ways of asking about them."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import ClassVar

import tensorflow as tf

from flan_jax.data import files
from flan_jax.data.splits import Splits
from flan_jax.data.template import ANSWER, OPTIONS, Template
from flan_jax.errors import UserError

Row = Mapping[str, tf.Tensor]
Fields = dict[str, tf.Tensor]

LABEL = 'label'
REFERENCES = 'references'
QUOTED_ANSWER = 'answer_'  # the answer where a target says more than it, see `official.OfficialDataset`
GROUP = 'group_'  # what `Dataset.group` gives
RESERVED = frozenset({ANSWER, OPTIONS, LABEL, REFERENCES, QUOTED_ANSWER, GROUP})


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A dataset with its instruction templates; every SeqIO task about it follows from this one literal.

  Attributes:
    name: the stem of its task names, e.g. `sst2`.
    cluster: the task cluster that it is held out with.
    source: a TFDS name with its version, e.g. `glue/sst2:2.0.0`, or rows of one's own (see `files`): `Jsonl(path)`,
      `Csv(path)`, `Tsv(path)`, `Parquet(path)`, `Rows(iterable)`.
    fields: from a row to named string scalars. Three names are special: `label` (an index into the options) or
      `answer` (a string) says what is right, `options` (string [n]) gives a row its own options, and `references`
      (string [n]) lists all acceptable answers where there are several.
    templates: the instructions; a template whose target is not the answer is inverted.
    splits: which rows train, validate and test; the default suits files too (see `own_rows.default_splits`).
    options: the options of every row, where they are always the same; `()` where each row has its own and no template
      lists them, since its question does.
    keep: rows for which it gives False are left out, and counted.
    metrics: names in `flan_jax.evaluation.metrics`; where options are ranked, they stand beside accuracy.
    exemplars: how many solved examples the `fewshot` tasks put before the question, as far as they fit.
    group: where rows belong together, the string that those of one group share: MultiRC asks about every answer to a
      question in a row of its own. Metrics that go by question need it, and intervals draw whole groups.
  """

  name: str
  cluster: str
  source: str | files.OwnData
  fields: Callable[[Row], Fields]
  templates: tuple[Template, ...]
  splits: Splits = dataclasses.field(default_factory=Splits)
  options: tuple[str, ...] | None = None
  keep: Callable[[Row], tf.Tensor] | None = None
  metrics: tuple[str, ...] = ('accuracy',)
  exemplars: int = 16
  group: Callable[[Row], tf.Tensor] | None = None

  repeats_templates: ClassVar[bool] = False  # ours never do; other people's may
  whole_rounds: ClassVar[bool] = False  # round-robin drops the rows behind the last whole round, as official code does

  def __post_init__(self) -> None:
    if not self.templates:
      raise UserError(f'Dataset {self.name!r} has no templates.')
    _check_source(self.name, self.source)
    seen: dict[str, int] = {}
    for index, template in enumerate(self.templates):
      if template.inputs in seen and not self.repeats_templates:
        raise UserError(f'Dataset {self.name!r}: templates {seen[template.inputs]} and {index} have the same inputs.')
      seen[template.inputs] = index

  @functools.cached_property
  def classifies(self) -> bool:
    """True where rows have options to choose from: their own, or always the same."""
    return self.options is not None or any(template.shows_options for template in self.templates)

  @functools.cached_property
  def answerable(self) -> tuple[int, ...]:
    """The templates whose target is the answer: those that an evaluation may average over."""
    return tuple(index for index, template in enumerate(self.templates) if not template.inverted)

  def example(self, row: Row) -> Fields:
    """Turns a TFDS row into string fields with `answer`, `options` and `references` always present.

    Args:
      row: one TFDS row.

    Returns:
      The declared fields, plus `answer` (string scalar), `options` (string [n], empty for free text) and `references`
      (string [m], the answer alone unless the dataset gives more); and the group, of a dataset that has groups.
    """
    fields = dict(self.fields(row))
    label = fields.pop(LABEL, None)
    choices = fields.pop(OPTIONS, None)
    if choices is None:
      choices = tf.constant(self.options or (), tf.string)
    if label is not None:
      fields[ANSWER] = tf.gather(choices, label)
    elif ANSWER not in fields:
      raise UserError(f'Dataset {self.name!r}: its fields give neither {ANSWER!r} nor {LABEL!r}.')
    references = fields.pop(REFERENCES, None)
    fields[OPTIONS] = choices
    fields[REFERENCES] = fields[ANSWER][tf.newaxis] if references is None else references
    if self.group is not None:
      fields[GROUP] = self.group(row)
    return fields


def _check_source(name: str, source: object) -> None:
  if isinstance(source, str):
    file = files.hint(source)
    if file:
      raise UserError(f'Dataset {name!r}: the source {source!r} is the name of a file; write source={file}.')
    if ':' not in source:
      raise UserError(f'Dataset {name!r}: the source {source!r} needs a version, e.g. "glue/sst2:2.0.0".')
  elif not isinstance(source, files.OwnData):
    raise UserError(f'Dataset {name!r}: the source is a {type(source).__name__}; it is a TFDS name, a file such as '
                    'Jsonl("rows.jsonl"), or Rows(...) around rows or a function that returns them.')


def text_fields(fields: Mapping[str, object]) -> list[str]:
  """Returns the names of the fields that describe the input, in the order of their declaration."""
  return [name for name in fields if name not in RESERVED]
