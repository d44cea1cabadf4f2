"""The steps between declared fields and tokenized examples, over blocks of rows.

They are the same few operations for every row, and a step of tf.data costs more to start than to render and tokenize a
sentence.
"""

import functools
from collections.abc import Callable, Mapping

import seqio
import tensorflow as tf

from flan_jax.data import provenance, provenance_records
from flan_jax.data.blocks import as_written, in_blocks, ragged
from flan_jax.data.dataset import REFERENCES, Dataset, Fields, text_fields
from flan_jax.data.extract import FILTERED
from flan_jax.data.official import drop_incomplete
from flan_jax.data.options import RANDOM, STYLES, labels_of
from flan_jax.data.seeds import seeds_of_rows
from flan_jax.data.source import ROW_ID
from flan_jax.data.template import ANSWER, OPTIONS, STYLE, Template, label_of_answer
from flan_jax.data.template_table import render_each
from flan_jax.data.variants import Variant
from flan_jax.data.vocabulary import encode_block

TEMPLATE = 'template'
INPUTS, TARGETS = 'inputs', 'targets'

Lengths = Mapping[str, int]
Vocabularies = Mapping[str, seqio.Vocabulary]


def assign_templates(dataset: Dataset, variant: Variant, examples: tf.data.Dataset, rows: int) -> tf.data.Dataset:
  """Puts examples in blocks, and gives each its template: drawn by seed anew in every epoch, or in turn.

  Args:
    dataset: the declaration.
    variant: says which templates, and how.
    examples: the declared fields of rows.
    rows: of a block.

  Returns:
    Blocks with `template`, and `option_style` where some template has a random one.
  """
  templates = variant.indices(dataset)
  if variant.choice == 'round_robin':
    return _in_turn(drop_incomplete(examples, len(templates)) if dataset.whole_rounds else examples, templates, rows)
  if draws(dataset, variant):
    styled = any(dataset.templates[index].option_style == RANDOM for index in templates)
    return _drawn(examples, templates, rows, styled)
  return in_blocks(examples, rows).map(as_written(functools.partial(fix_template, dataset=dataset, variant=variant)))


def draws(dataset: Dataset, variant: Variant) -> bool:
  """Whether rows get their template or its style by chance or in turn, rather than all the same."""
  templates = variant.indices(dataset)
  styled = any(dataset.templates[index].option_style == RANDOM for index in templates)
  return variant.prompting == 'instructions' and (len(templates) > 1 or styled)


def fix_template(block: Fields, dataset: Dataset, variant: Variant) -> Fields:
  """Gives all rows of a block the one template of a variant that does not draw."""
  index = variant.indices(dataset)[0] if variant.prompting == 'instructions' else provenance.NO_TEMPLATE
  return block | {TEMPLATE: tf.fill(tf.shape(block[ANSWER]), index)}


def _in_turn(examples: tf.data.Dataset, templates: tuple[int, ...], rows: int) -> tf.data.Dataset:
  @as_written
  def turn(number: tf.Tensor, block: Fields) -> Fields:
    place = number * rows + tf.range(tf.size(block[ANSWER], tf.int64))
    return block | {TEMPLATE: tf.gather(tf.constant(templates, tf.int32), place % len(templates))}

  return in_blocks(examples, rows).enumerate().map(turn)


def _drawn(examples: tf.data.Dataset, templates: tuple[int, ...], rows: int, styled: bool) -> tf.data.Dataset:
  """Each example has a seed of its own, so that what it draws does not depend on the size of a block."""

  def draw(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    place = tf.random.stateless_uniform([], seed, 0, len(templates), tf.int32)
    if not styled:
      return place, tf.constant(0)
    other = tf.random.experimental.stateless_fold_in(seed, 1)
    return place, tf.random.stateless_uniform([], other, 0, len(STYLES), tf.int32)

  @as_written
  def drawn(block: Fields, pairs: tuple[tf.Tensor, tf.Tensor]) -> Fields:
    seeds = tf.stack(pairs, axis=1)[: tf.size(block[ANSWER])]  # the last block may be short
    places, styles = tf.map_fn(draw, seeds, fn_output_signature=(tf.int32, tf.int32), parallel_iterations=1)
    block = block | {TEMPLATE: tf.gather(tf.constant(templates, tf.int32), places)}
    return block | {STYLE: styles} if styled else block

  return tf.data.Dataset.zip((in_blocks(examples, rows), seeds_of_rows().batch(rows))).map(drawn)


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
    filtered = tf.cast(fields[FILTERED], tf.int32)  # int64 from a cache
    record = provenance_records.encode(task, index, fields[ROW_ID], filtered)
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
      result[provenance.FEATURE] = provenance_records.flag(result[provenance.FEATURE], bit, cut)
    eos = tf.fill([inner.nrows(), 1], vocabularies[name].eos_id)
    inner = tf.concat([inner, eos], axis=1)
    result[name] = inner if outer is None else outer.with_values(inner)
  return result
