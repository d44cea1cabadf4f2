"""Many templates over many rows as one table: which is used is a lookup, not a branch.

A branch for each of ten templates of seventy datasets would be thousands of small graphs to trace before the first
batch. Here a template is a row of literals and of numbers of values, rendering any takes the same few steps, and a
whole block of rows takes them once.
"""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from flan_jax.data.template import LETTER, OPTIONS, Template, label_of_answer, listed, parse


def render_each(
  templates: Sequence[Template], chosen: tf.Tensor, fields: Mapping[str, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
  """Fills the placeholders of many examples, each by one of several templates.

  Args:
    templates: the choices.
    chosen: int32 [rows], which of them.
    fields: as for `Template.render`, which gives the same texts.

  Returns:
    The inputs and the targets, string [rows].
  """
  if len(templates) == 1:
    return tuple(tf.broadcast_to(text, tf.shape(chosen)) for text in templates[0].render(fields))
  values: dict[str, tf.Tensor] = {'': tf.fill(tf.shape(chosen), '')}  # what stands behind a template's last literal
  for template in templates:
    values |= {name: fields[name] for name in template.fields}
    if template.shows_options and _key(template, OPTIONS) not in values:
      values[_key(template, OPTIONS)] = listed(fields, template.option_style)
    if template.answers_by_label and _key(template, LETTER) not in values:
      values[_key(template, LETTER)] = label_of_answer(fields, template.option_style)
  numbers = {name: number for number, name in enumerate(values)}
  texts = tf.stack(list(values.values()), axis=1)
  sides = ([(t, t.inputs) for t in templates], [(t, t.targets) for t in templates])
  inputs, targets = (_fill([_pieces(t, text, numbers) for t, text in side], chosen, texts) for side in sides)
  return inputs, targets


def _key(template: Template, name: str | None) -> str:
  """What a placeholder's value is called in the table: options and letters look different in every style."""
  return f'{name} as {template.option_style}' if name in (OPTIONS, LETTER) else name or ''


def _pieces(template: Template, text: str, numbers: Mapping[str, int]) -> list[tuple[str, int]]:
  """A text as literals, each with the number of the value that follows it."""
  return [(literal, numbers[_key(template, name)]) for literal, name in parse(text)]


def _fill(table: Sequence[Sequence[tuple[str, int]]], chosen: tf.Tensor, texts: tf.Tensor) -> tf.Tensor:
  longest = max(len(row) for row in table)
  padded = [[*row, *[('', 0)] * (longest - len(row))] for row in table]
  literals = tf.gather(tf.constant([[literal for literal, _ in row] for row in padded]), chosen)
  following = tf.gather(tf.constant([[number for _, number in row] for row in padded], tf.int32), chosen)
  values = tf.gather(texts, following, batch_dims=1)
  return tf.strings.reduce_join(tf.stack([literals, values], axis=2), axis=[2, 1])
