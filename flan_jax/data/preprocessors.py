"""The steps between a source's rows and tokenized examples, as SeqIO preprocessors.

A declaration's `fields` sees one row at a time. What follows is the same few operations for every row, and runs on
blocks of rows: a step of tf.data costs more to start than to render and tokenize a sentence.
"""

import functools
from collections.abc import Callable, Mapping

import seqio
import tensorflow as tf

from flan_jax.data import provenance
from flan_jax.data.blocks import ragged
from flan_jax.data.check import explained
from flan_jax.data.dataset import REFERENCES, Dataset, Fields, Row, text_fields
from flan_jax.data.official import drop_incomplete
from flan_jax.data.options import RANDOM, STYLES, labels_of
from flan_jax.data.source import ROW_ID
from flan_jax.data.template import ANSWER, OPTIONS, STYLE, Template, label_of_answer
from flan_jax.data.template_table import render_each
from flan_jax.data.variants import Variant
from flan_jax.data.vocabulary import encode_block

BLOCK = 128  # rows that are rendered and tokenized together
FILTERED = 'filtered'  # of an example: how many rows `keep` refused between the example before it and this one
TEMPLATE = 'template'
INPUTS, TARGETS = 'inputs', 'targets'

Preprocessor = Callable[[tf.data.Dataset], tf.data.Dataset]
Lengths = Mapping[str, int]
Vocabularies = Mapping[str, seqio.Vocabulary]

# Our own steps have no Python control flow over tensors: converting them would only cost seconds at every start.
as_written = tf.autograph.experimental.do_not_convert


def extract_fields(dataset: Dataset) -> Preprocessor:
  """Returns the step from a source's rows to the declared fields, rows that `keep` refuses left out and counted."""

  def step(rows: tf.data.Dataset) -> tf.data.Dataset:
    with explained(dataset, rows.element_spec):
      if dataset.keep is not None:
        rows = _kept(rows, dataset.keep)
      examples = rows.map(functools.partial(_example, dataset), num_parallel_calls=tf.data.AUTOTUNE)
    for template in dataset.templates:
      template.check(frozenset(examples.element_spec), f'Dataset {dataset.name!r}')
    return examples

  return step


def _kept(rows: tf.data.Dataset, keep: Callable[[Row], tf.Tensor]) -> tf.data.Dataset:
  """Leaves out rows; each that stays says how many went just before it."""

  @as_written
  def judge(gone: tf.Tensor, row: Row) -> tuple[tf.Tensor, tuple[Row, tf.Tensor]]:
    kept = keep(row)
    return tf.where(kept, 0, gone + 1), ({**row, FILTERED: gone}, kept)

  return rows.scan(tf.constant(0), judge).filter(as_written(lambda _, kept: kept)).map(as_written(lambda row, _: row))


def _example(dataset: Dataset, row: Row) -> Fields:
  filtered = tf.cast(row[FILTERED], tf.int32) if FILTERED in row else tf.constant(0)
  return dataset.example(row) | {ROW_ID: row[ROW_ID], FILTERED: filtered}


def assign_templates(dataset: Dataset, variant: Variant) -> Preprocessor:
  """Returns the step that gives each example its template: drawn by seed anew in every epoch, or in turn."""
  templates = variant.indices(dataset)
  styled = any(dataset.templates[index].option_style == RANDOM for index in templates)

  @seqio.map_over_dataset(num_seeds=1, num_parallel_calls=None)
  @as_written
  def draw(fields: Fields, seed: tf.Tensor) -> Fields:
    drawn = tf.random.stateless_uniform([], seed, 0, len(templates), tf.int32)
    if styled:
      other = tf.random.experimental.stateless_fold_in(seed, 1)
      fields = fields | {STYLE: tf.random.stateless_uniform([], other, 0, len(STYLES), tf.int32)}
    return fields | {TEMPLATE: tf.gather(tf.constant(templates, tf.int32), drawn)}

  def in_turn(examples: tf.data.Dataset) -> tf.data.Dataset:
    @as_written
    def turn(place: tf.Tensor, fields: Fields) -> Fields:
      return fields | {TEMPLATE: tf.gather(tf.constant(templates, tf.int32), place % len(templates))}

    rounds = drop_incomplete(examples, len(templates)) if dataset.whole_rounds else examples
    return rounds.enumerate().map(turn)

  def fixed(examples: tf.data.Dataset) -> tf.data.Dataset:
    index = templates[0] if variant.prompting == 'instructions' else provenance.NO_TEMPLATE
    return examples.map(as_written(lambda fields: fields | {TEMPLATE: tf.constant(index, tf.int32)}))

  if variant.prompting != 'instructions' or (len(templates) == 1 and not styled):
    return fixed
  return in_turn if variant.choice == 'round_robin' else draw


def render(dataset: Dataset, task: str, variant: Variant) -> Callable[[Fields], Fields]:
  """Returns the function from a block of fields to a block of `inputs` and `targets`, all texts.

  `fields_only` leaves the instruction out, `dataset_name` puts the name of the dataset in its place (ablations of Wei
  et al. 2021, 4.3); both ask for the answer and show no options.
  """
  indices = variant.indices(dataset)
  templates = [dataset.templates[index] for index in indices]
  places = [indices.index(index) if index in indices else 0 for index in range(len(dataset.templates))]
  if not variant.options:
    templates = [template.without_options for template in templates]

  @as_written
  def block(fields: Fields) -> Fields:
    index = fields[TEMPLATE]
    fields = fields | {name: ragged(fields[name]) for name in (OPTIONS, REFERENCES)}
    if variant.prompting == 'instructions':
      place = tf.gather(places, index)
      inputs, targets = render_each(templates, place, fields)
      fields = _answered_by_label(templates, place, fields)
    else:
      values = [fields[name] for name in text_fields(fields) if name not in (ROW_ID, FILTERED, TEMPLATE, STYLE)]
      inputs = tf.strings.join([dataset.name, *values] if variant.prompting == 'dataset_name' else values, '\n')
      targets = fields[ANSWER]
    record = provenance.encode(task, index, fields[ROW_ID], fields[FILTERED])
    return {**fields, INPUTS: inputs, TARGETS: targets, provenance.FEATURE: record}

  return block


def _answered_by_label(templates: list[Template], place: tf.Tensor, fields: Fields) -> Fields:
  """Makes labels the options, the answer and the references of the rows whose template asks for the label."""
  styles = {template.option_style for template in templates if template.answers_by_label}
  for style in sorted(styles):
    here = tf.gather([t.answers_by_label and t.option_style == style for t in templates], place)
    options, references = fields[OPTIONS], fields[REFERENCES]
    labels = labels_of(options, style).flat_values
    answer = label_of_answer(fields, style)
    first = tf.ragged.boolean_mask(references, references.with_flat_values(_first_of(references, here)))
    told = tf.where(tf.gather(here, first.value_rowids()), tf.gather(answer, first.value_rowids()), first.flat_values)
    listed = tf.where(tf.gather(here, options.value_rowids()), labels, options.flat_values)
    fields = fields | {
      ANSWER: tf.where(here, answer, fields[ANSWER]),
      OPTIONS: options.with_flat_values(listed),
      REFERENCES: first.with_flat_values(told),
    }
  return fields


def _first_of(lists: tf.RaggedTensor, here: tf.Tensor) -> tf.Tensor:
  """Says of each value whether it stays where rows that are `here` keep their first one only."""
  return tf.logical_or(~tf.gather(here, lists.value_rowids()), tf.ragged.range(lists.row_lengths()).flat_values == 0)


def tokenize(block: Fields, vocabularies: Vocabularies, lengths: Lengths, *, rank: bool = False) -> Fields:
  """Encodes the inputs and targets of a block, cuts what does not fit, and appends EOS.

  Args:
    block: from `render`.
    vocabularies: of `inputs` and `targets`.
    lengths: token limits by feature, EOS included; what has none is not cut.
    rank: make all options the targets.

  Returns:
    The block with `inputs` and `targets` int32 ragged [rows, tokens] (with `rank`, targets [rows, options, tokens]),
    their texts as `<name>_pretokenized`, and cuts flagged in the provenance.
  """
  return close(encode(block, vocabularies, rank=rank), vocabularies, lengths)


def encode(block: Fields, vocabularies: Vocabularies, *, rank: bool) -> Fields:
  """Encodes the inputs and targets of a block, neither cut nor ended; see `tokenize`."""
  targets = block[OPTIONS] if rank else block[TARGETS]
  tokens = {INPUTS: encode_block(vocabularies[INPUTS], block[INPUTS]),
            TARGETS: encode_block(vocabularies[TARGETS], targets)}
  return {**block, **{f'{name}_pretokenized': block[name] for name in tokens}, **tokens}


def close(block: Fields, vocabularies: Vocabularies, lengths: Lengths) -> Fields:
  """Cuts the tokens of a block to what fits, flags the cuts, and appends EOS."""
  result = dict(block)
  for name, bit in ((INPUTS, provenance.INPUTS_TRUNCATED), (TARGETS, provenance.TARGETS_TRUNCATED)):
    tokens = result[name]
    outer = tokens if tokens.ragged_rank > 1 else None  # the options of a row
    inner = tokens if outer is None else outer.values
    limit = lengths.get(name)
    if limit is not None:
      cut = inner.row_lengths() > limit - 1
      inner = inner[:, : limit - 1]
      cut = cut if outer is None else tf.reduce_any(outer.with_values(cut), axis=1)
      result[provenance.FEATURE] = provenance.flag(result[provenance.FEATURE], bit, cut)
    eos = tf.fill([inner.nrows(), 1], vocabularies[name].eos_id)
    inner = tf.concat([inner, eos], axis=1)
    result[name] = inner if outer is None else outer.with_values(inner)
  return result
