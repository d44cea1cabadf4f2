"""One instruction around the fields of a row: text with placeholders, rendered inside the TensorFlow graph."""

import dataclasses
import functools
import string
from collections.abc import Mapping

import tensorflow as tf

from flan_jax.data import options
from flan_jax.errors import UserError, did_you_mean

ANSWER = 'answer'
OPTIONS = 'options'


@dataclasses.dataclass(frozen=True)
class Template:
  """An instruction (FLAN's unit of variation, Wei et al. 2021, section 2.1).

  Attributes:
    inputs: the prompt, with `{field}` placeholders; `{options}` stands for the whole rendered block of options.
    targets: what the model should write; anything but the answer makes the template inverted.
    option_style: how `{options}` is rendered, a name of `options.STYLES`.
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

  @property
  def inverted(self) -> bool:
    """True where the target is not the answer: such a template trains, but says nothing about accuracy."""
    return ANSWER not in placeholders(self.targets)

  @property
  def shows_options(self) -> bool:
    """True where the prompt lists the options."""
    return OPTIONS in placeholders(self.inputs)

  @property
  def fields(self) -> frozenset[str]:
    """The placeholders of both texts, `options` left out."""
    return (placeholders(self.inputs) | placeholders(self.targets)) - {OPTIONS}

  def check(self, known: Mapping[str, object] | frozenset[str], owner: str) -> None:
    """Raises a `UserError` where a placeholder names a field that the dataset does not give."""
    for name in sorted(self.fields - set(known)):
      raise UserError(
        f'{owner}: template {self.inputs!r} uses the field {name!r}, which its rows do not have. '
        + did_you_mean(name, known)
      )

  def render(self, fields: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Fills the placeholders of one example.

    Args:
      fields: string scalars by name; `options`, where present, is a string vector [num_options].

    Returns:
      The inputs and the targets, string scalars.
    """
    values = dict(fields)
    if self.shows_options:
      values[OPTIONS] = options.render(fields[OPTIONS], self.option_style)
    return _fill(self.inputs, values), _fill(self.targets, values)


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


def _fill(text: str, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
  pieces: list[tf.Tensor | str] = []
  for literal, name in parse(text):
    pieces.append(literal)
    if name is not None:
      pieces.append(values[name])
  return tf.strings.join(pieces)
