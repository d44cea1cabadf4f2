"""From declared fields to tokenized examples: the step that makes a variant of a dataset a SeqIO task."""

import dataclasses
import functools
from collections.abc import Mapping

import seqio
import tensorflow as tf

from flan_jax.data import few_shot
from flan_jax.data.blocks import BLOCK, as_written, padded_rows_of, rows_of
from flan_jax.data.dataset import REFERENCES, Dataset, Fields
from flan_jax.data.extract import extract_fields
from flan_jax.data.preprocessors import (
  INPUTS,
  TARGETS,
  Lengths,
  assign_templates,
  render,
  tokenize,
)
from flan_jax.data.template import OPTIONS
from flan_jax.data.variants import Variant

IS_CORRECT = 'is_correct'  # of a ranked example: which options are right, int32 [options]


@dataclasses.dataclass(frozen=True)
class Ask:
  """A SeqIO preprocessor: fields of rows in, tokenized examples of one variant out.

  Attributes:
    dataset: the declaration.
    task: the task's name, for the provenance.
    variant: the way of asking.
    source: the dataset's rows, where exemplars come from.
    sequence_length: token limits, which SeqIO fills in when the task is read. Where they name every feature (a
      trainer's do), nothing else is kept (texts that nobody reads would fill shuffle buffers), and vectors may end in
      zeros, which packing takes off.
    output_features: of the task, filled in likewise.
  """

  dataset: Dataset
  task: str
  variant: Variant
  source: seqio.DataSource
  sequence_length: Lengths | None = None
  output_features: Mapping[str, seqio.Feature] = dataclasses.field(default_factory=dict)

  def __call__(self, examples: tf.data.Dataset) -> tf.data.Dataset:
    """Renders and tokenizes the declared fields of rows."""
    lengths, features = self.sequence_length or {}, self.output_features
    vocabularies = {name: features[name].vocabulary for name in (INPUTS, TARGETS)}
    rank = self.variant.rank
    shots = self.variant.exemplars(self.dataset)
    training = features.keys() <= lengths.keys()
    blocks = self.rendered(examples, few_shot.BLOCK if shots else BLOCK)
    if shots:
      solve = functools.partial(few_shot.solve, vocabularies=vocabularies)
      pools = self.rendered(self._training_rows(), few_shot.POOL).map(as_written(solve))
      asked = blocks.map(as_written(functools.partial(few_shot.ask, vocabularies=vocabularies, rank=rank)))
      blocks = few_shot.prepend(shots, lengths, vocabularies, texts=not training)(tf.data.Dataset.zip((asked, pools)))
    else:
      finish = functools.partial(tokenize, vocabularies=vocabularies, lengths=lengths, rank=rank)
      blocks = blocks.map(as_written(finish))
    if rank:
      blocks = blocks.map(as_written(_with_correct))
    return padded_rows_of(blocks, features) if training else rows_of(blocks)

  def rendered(self, examples: tf.data.Dataset, block: int = BLOCK) -> tf.data.Dataset:
    """Blocks of texts from the declared fields of rows."""
    assigned = assign_templates(self.dataset, self.variant, examples, block)
    return assigned.map(render(self.dataset, self.task, self.variant))

  def _training_rows(self) -> tf.data.Dataset:
    rows = self.source.get_dataset('train', shuffle=False)
    return extract_fields(self.dataset)(rows).repeat()


def _with_correct(block: Fields) -> Fields:
  """Says which options are among the row's references; several may be (ReCoRD)."""
  options, references = block[OPTIONS], block[REFERENCES]
  pairs = tf.equal(options.to_tensor()[:, :, tf.newaxis], references.to_tensor(default_value='\0')[:, tf.newaxis, :])
  right = tf.cast(tf.reduce_any(pairs, axis=2), tf.int32)
  return block | {IS_CORRECT: tf.RaggedTensor.from_tensor(right, lengths=options.row_lengths())}
