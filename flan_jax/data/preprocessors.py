"""The steps between a TFDS row and a tokenized example, each lifted to datasets for SeqIO."""

import functools
from collections.abc import Callable, Mapping, Sequence

import seqio
import tensorflow as tf

from flan_jax.data import provenance
from flan_jax.data.dataset import Dataset, Fields, Row, text_fields
from flan_jax.data.source import ROW_ID
from flan_jax.data.template import ANSWER
from flan_jax.data.template_table import render_one_of

PROMPTINGS = ('instructions', 'fields_only', 'dataset_name')

Preprocessor = Callable[[tf.data.Dataset], tf.data.Dataset]

# Our own steps have no Python control flow over tensors: converting them would only cost seconds at every start.
_as_written = tf.autograph.experimental.do_not_convert


def extract_fields(dataset: Dataset) -> Preprocessor:
  """Returns the step from TFDS rows to the declared fields, rows that `keep` refuses left out."""

  def step(rows: tf.data.Dataset) -> tf.data.Dataset:
    if dataset.keep is not None:
      rows = rows.filter(dataset.keep)
    examples = rows.map(functools.partial(_example, dataset), num_parallel_calls=tf.data.AUTOTUNE)
    for template in dataset.templates:
      template.check(frozenset(examples.element_spec), f'Dataset {dataset.name!r}')
    return examples

  return step


def _example(dataset: Dataset, row: Row) -> Fields:
  return dataset.example(row) | {ROW_ID: row[ROW_ID]}


def render(dataset: Dataset, task: str, templates: Sequence[int], prompting: str) -> Preprocessor:
  """Returns the step from fields to `inputs` and `targets`.

  With several templates each example draws one from its seed, anew in every epoch. `fields_only` leaves the
  instruction out, `dataset_name` puts the name of the dataset in its place (ablations of Wei et al. 2021, 4.3); both
  ask for the answer and show no options.
  """

  @seqio.map_over_dataset(num_seeds=1)
  @_as_written
  def with_instruction(fields: Fields, seed: tf.Tensor) -> Fields:
    if len(templates) == 1:
      index = tf.constant(templates[0], tf.int32)
      inputs, targets = dataset.templates[templates[0]].render(fields)
    else:
      drawn = tf.random.stateless_uniform([], seed, 0, len(templates), tf.int32)
      index = tf.gather(tf.constant(templates, tf.int32), drawn)
      inputs, targets = render_one_of([dataset.templates[i] for i in templates], drawn, fields)
    return _rendered(fields, task, index, inputs, targets)

  @seqio.map_over_dataset
  @_as_written
  def without_instruction(fields: Fields) -> Fields:
    values = [fields[name] for name in text_fields(fields) if name != ROW_ID]
    inputs = tf.strings.join([dataset.name, *values] if prompting == 'dataset_name' else values, separator='\n')
    return _rendered(fields, task, tf.constant(-1, tf.int32), inputs, fields[ANSWER])

  return with_instruction if prompting == 'instructions' else without_instruction


def _rendered(fields: Fields, task: str, index: tf.Tensor, inputs: tf.Tensor, targets: tf.Tensor) -> Fields:
  return {
    **fields,
    'inputs': inputs,
    'targets': targets,
    'template': index,
    provenance.FEATURE: provenance.encode(task, index, fields[ROW_ID]),
  }


@seqio.map_over_dataset
@_as_written
def tokenize(
  example: Fields, sequence_length: Mapping[str, int] | None, output_features: Mapping[str, seqio.Feature]
) -> Fields:
  """Encodes inputs and targets, cuts what does not fit, appends EOS; a cut is flagged in the provenance."""
  result = dict(example)
  record = example[provenance.FEATURE]
  flags = {'inputs': provenance.INPUTS_TRUNCATED, 'targets': provenance.TARGETS_TRUNCATED}
  for name, bit in flags.items():
    vocabulary = output_features[name].vocabulary
    tokens = tf.cast(vocabulary.encode_tf(example[name]), tf.int32)
    limit = (sequence_length or {}).get(name)
    if limit is not None:
      record = provenance.flag(record, bit, tf.size(tokens) > limit - 1)
      tokens = tokens[: limit - 1]
    result[name] = tf.concat([tokens, [vocabulary.eos_id]], axis=0)
    result[f'{name}_pretokenized'] = example[name]
  result[provenance.FEATURE] = record
  return result
