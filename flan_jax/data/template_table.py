"""Many templates as one table: which is used is a lookup, not a branch.

A branch for each of ten templates of seventy datasets would be thousands of small graphs to trace before the first
batch. Here a template is a row of literals and of numbers of values, rendering any takes the same few steps.
"""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from flan_jax.data import options
from flan_jax.data.template import OPTIONS, Template, parse


def render_one_of(
  templates: Sequence[Template], chosen: tf.Tensor, fields: Mapping[str, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
  """Fills the placeholders of one example by one of several templates.

  Args:
    templates: the choices.
    chosen: int32 scalar, which of them.
    fields: as for `Template.render`, which gives the same texts.

  Returns:
    The inputs and the targets, string scalars.
  """
  values: dict[str, tf.Tensor | str] = {'': ''}  # what stands behind a template's last literal
  for template in templates:
    values |= {name: fields[name] for name in template.fields}
    if template.shows_options:
      key = _options_key(template)
      values[key] = values[key] if key in values else options.render(fields[OPTIONS], template.option_style)
  numbers = {name: number for number, name in enumerate(values)}
  texts = tf.stack(list(values.values()))
  sides = ([(t, t.inputs) for t in templates], [(t, t.targets) for t in templates])
  inputs, targets = (_fill([_pieces(t, text, numbers) for t, text in side], chosen, texts) for side in sides)
  return inputs, targets


def _options_key(template: Template) -> str:
  return f'{OPTIONS} as {template.option_style}'  # no field is called so: it has spaces


def _pieces(template: Template, text: str, numbers: Mapping[str, int]) -> list[tuple[str, int]]:
  """A text as literals, each with the number of the value that follows it."""
  named = [(literal, _options_key(template) if name == OPTIONS else name or '') for literal, name in parse(text)]
  return [(literal, numbers[name]) for literal, name in named]


def _fill(table: Sequence[Sequence[tuple[str, int]]], chosen: tf.Tensor, texts: tf.Tensor) -> tf.Tensor:
  longest = max(len(row) for row in table)
  padded = [[*row, *[('', 0)] * (longest - len(row))] for row in table]
  literals = tf.gather(tf.constant([[literal for literal, _ in row] for row in padded]), chosen)
  following = tf.gather(tf.constant([[number for _, number in row] for row in padded], tf.int32), chosen)
  return tf.strings.reduce_join(tf.stack([literals, tf.gather(texts, following)], axis=1))
