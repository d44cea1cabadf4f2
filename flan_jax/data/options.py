"""How the possible answers are listed inside a prompt."""

import dataclasses
import string

import tensorflow as tf

from flan_jax.errors import UserError, did_you_mean

_LETTERS = tuple(f'({letter}) ' for letter in string.ascii_uppercase)
_NUMBERS = tuple(f'{number}. ' for number in range(1, 27))
MAX_LABELLED = len(_LETTERS)


@dataclasses.dataclass(frozen=True)
class OptionStyle:
  """A way of listing options: a header, a bullet or a row of labels, and what stands between two options."""

  header: str
  bullet: str = ''
  labels: tuple[str, ...] = ()
  separator: str = '\n'


STYLES = {
  'dashes': OptionStyle('OPTIONS:\n', bullet='- '),  # as FLAN renders them
  'letters': OptionStyle('OPTIONS:\n', labels=_LETTERS),
  'numbers': OptionStyle('OPTIONS:\n', labels=_NUMBERS),
  'inline': OptionStyle('Options: ', separator=', '),
}
DEFAULT_STYLE = 'dashes'


def check_style(name: str) -> None:
  """Raises a `UserError` for a style that does not exist."""
  if name not in STYLES:
    raise UserError(f'There is no option style {name!r}. {did_you_mean(name, STYLES)}')


def render(options: tf.Tensor, style: str) -> tf.Tensor:
  """Writes a list of options as one block of text.

  Args:
    options: string [num_options]; at most 26 where the style labels them.
    style: a name of `STYLES`.

  Returns:
    The block, a string scalar; empty where there are no options.
  """
  chosen = STYLES[style]
  if chosen.labels:
    # Gathering raises beyond the last label. An assertion would too, but it is a stateful op, and tf.data cannot save
    # the position of a pipeline that has one.
    items = tf.strings.join([tf.gather(chosen.labels, tf.range(tf.size(options))), options])
  else:
    items = tf.strings.join([chosen.bullet, options])
  block = tf.strings.join([chosen.header, tf.strings.reduce_join(items, separator=chosen.separator)])
  return tf.where(tf.size(options) > 0, block, '')
