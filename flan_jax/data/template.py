"""One instruction around the fields of a row: text with placeholders, rendered inside the TensorFlow graph."""

import dataclasses
import functools
import re
import string
from collections.abc import Mapping

import tensorflow as tf

from flan_jax.data import options
from flan_jax.errors import UserError, did_you_mean

ANSWER = 'answer'
OPTIONS = 'options'
LETTER = 'letter'
STYLE = 'option_style'  # of an example: which of `options.STYLES` was drawn for it, int32

LABELLED = tuple(name for name, style in options.STYLES.items() if style.labels)


@dataclasses.dataclass(frozen=True)
class Template:
  """An instruction (FLAN's unit of variation, Wei et al. 2021, section 2.1).

  Attributes:
    inputs: the prompt, with `{field}` placeholders; `{options}` stands for the whole rendered block of options.
    targets: what the model should write; anything but the answer makes the template inverted.
    option_style: how `{options}` is rendered, a name of `options.NAMES`: 'random' draws one for each example, 'none'
      leaves the list out.

  `{letter}` in the targets stands for what the right option is called by in the list ("B"), which needs a style that
  labels them; such a template is ranked by its labels.
  """

  inputs: str
  targets: str = '{answer}'
  option_style: str = options.DEFAULT_STYLE

  def __post_init__(self) -> None:
    options.check_style(self.option_style)
    for text in (self.inputs, self.targets):
      parse(text)
    if OPTIONS in placeholders(self.targets):
      raise UserError(f'Template {self.inputs!r}: {{options}} belongs in the inputs, not in the targets.')
    if LETTER in placeholders(self.inputs):
      raise UserError(f'Template {self.inputs!r}: {{letter}} belongs in the targets, not in the inputs.')
    if self.answers_by_label and not (self.shows_options and self.option_style in LABELLED):
      raise UserError(f'Template {self.inputs!r}: {{letter}} needs {{options}} in the inputs, in a style that labels '
                      f'them ({", ".join(LABELLED)}).')

  @property
  def answers_by_label(self) -> bool:
    """True where the target is what the right option is called by, not what it says."""
    return LETTER in placeholders(self.targets)

  @property
  def inverted(self) -> bool:
    """True where the target is not the answer: such a template trains, but says nothing about accuracy."""
    return not placeholders(self.targets) & {ANSWER, LETTER}

  @property
  def shows_options(self) -> bool:
    """True where the prompt lists the options."""
    return OPTIONS in placeholders(self.inputs)

  @property
  def fields(self) -> frozenset[str]:
    """The placeholders of both texts, `options` and `letter` left out."""
    return (placeholders(self.inputs) | placeholders(self.targets)) - {OPTIONS, LETTER}

  @property
  def without_options(self) -> 'Template':
    """The same instruction with the list of options taken out of the prompt, and the gap that it leaves closed."""
    text = re.sub(r'\n{3,}', '\n\n', _replaced(self.inputs, OPTIONS, '')).strip()
    return dataclasses.replace(self, inputs=text, targets=_replaced(self.targets, LETTER, '{answer}'))

  def check(self, known: Mapping[str, object] | frozenset[str], owner: str) -> None:
    """Raises a `UserError` where a placeholder names a field that the dataset does not give."""
    for name in sorted(self.fields - set(known)):
      raise UserError(
        f'{owner}: template {self.inputs!r} uses the field {name!r}, which its rows do not have. '
        + did_you_mean(name, known)
      )

  def render(self, fields: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Fills the placeholders of one example, or of many.

    Args:
      fields: string [] or [rows] by name; `options`, where needed, is string [num_options] or ragged [rows, options];
        where the style is random, `option_style` says which was drawn (int32), the first where it is missing.

    Returns:
      The inputs and the targets, strings [] or [rows].
    """
    values = dict(fields)
    if self.shows_options:
      values[OPTIONS] = listed(fields, self.option_style)
    if self.answers_by_label:
      values[LETTER] = label_of_answer(fields, self.option_style)
    return _fill(self.inputs, values), _fill(self.targets, values)


def listed(fields: Mapping[str, tf.Tensor], style: str) -> tf.Tensor:
  """Writes the options of an example or of many in a style; a random one was drawn before."""
  if style != options.RANDOM:
    return options.render(fields[OPTIONS], style)
  blocks = tf.stack([options.render(fields[OPTIONS], name) for name in options.STYLES])
  drawn = fields.get(STYLE, tf.constant(0))
  return blocks[drawn] if blocks.shape.rank == 1 else tf.gather(tf.transpose(blocks), drawn, batch_dims=1)


def label_of_answer(fields: Mapping[str, tf.Tensor], style: str) -> tf.Tensor:
  """Returns what the first option that reads like the answer is called by; empty where none does."""
  choices, answers = fields[OPTIONS], fields[ANSWER]
  if not isinstance(choices, tf.RaggedTensor):
    many = {OPTIONS: tf.RaggedTensor.from_tensor(choices[tf.newaxis]), ANSWER: answers[tf.newaxis]}
    return label_of_answer(many, style)[0]
  right = tf.equal(choices.flat_values, tf.gather(answers, choices.value_rowids()))
  position = tf.where(right, tf.ragged.range(choices.row_lengths()).flat_values, options.MAX_LABELLED)
  first = tf.reduce_min(choices.with_flat_values(tf.cast(position, tf.int32)), axis=1)
  return tf.gather([*options.STYLES[style].labels, ''], tf.minimum(first, options.MAX_LABELLED))


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> tuple[tuple[str, str | None], ...]:
  """Splits a template's text into (literal, placeholder) pairs; doubled braces are literal ones.

  Raises:
    UserError: where a brace is left open or a placeholder is not a plain name.
  """
  try:
    parts = list(string.Formatter().parse(text))
  except ValueError as error:
    raise UserError(f'Template {text!r}: {error}; write {{{{ or }}}} for a brace of the text itself.') from error
  for _, name, spec, conversion in parts:
    if name is not None and not name.isidentifier():
      raise UserError(f'Template {text!r}: {name!r} is not a field name.')
    if spec or conversion:
      raise UserError(f'Template {text!r}: the field {name!r} is followed by a format, which templates do not have.')
  return tuple((literal, name) for literal, name, _, _ in parts)


def placeholders(text: str) -> frozenset[str]:
  """Returns the field names that a template's text mentions."""
  return frozenset(name for _, name in parse(text) if name is not None)


def doubled(text: str) -> str:
  """Returns a text as a template has to write it: its braces are doubled, so that they stand for themselves."""
  return text.replace('{', '{{').replace('}', '}}')


def _replaced(text: str, placeholder: str, by: str) -> str:
  """A template's text with one placeholder replaced; doubled braces stay as they are."""
  pieces = []
  for literal, name in parse(text):
    pieces.append(doubled(literal))
    pieces.append(by if name == placeholder else '' if name is None else f'{{{name}}}')
  return ''.join(pieces)


def _fill(text: str, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
  pieces: list[tf.Tensor | str] = []
  for literal, name in parse(text):
    pieces.append(literal)
    if name is not None:
      pieces.append(values[name])
  return tf.strings.join(pieces)
