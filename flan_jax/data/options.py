"""How the possible answers are listed inside a prompt."""

import dataclasses
import string

import tensorflow as tf

from flan_jax.errors import UserError, did_you_mean

LETTERS = tuple(string.ascii_uppercase)
NUMBERS = tuple(str(number) for number in range(1, 27))
MAX_LABELLED = len(LETTERS)


@dataclasses.dataclass(frozen=True)
class OptionStyle:
  """A way of listing options: a header, a bullet or a row of labels, and what stands between two options.

  Attributes:
    header: what goes before the list.
    bullet: what goes before each option, where there are no labels.
    labels: what an option may be called by, at most 26.
    around: what stands before and after a label.
    separator: what stands between two options.
  """

  header: str
  bullet: str = ''
  labels: tuple[str, ...] = ()
  around: tuple[str, str] = ('', '')
  separator: str = '\n'


STYLES = {
  'dashes': OptionStyle('OPTIONS:\n', bullet='- '),  # as FLAN renders them
  'letters': OptionStyle('OPTIONS:\n', labels=LETTERS, around=('(', ') ')),
  'numbers': OptionStyle('OPTIONS:\n', labels=NUMBERS, around=('', '. ')),
  'inline': OptionStyle('Options: ', separator=', '),
}
DEFAULT_STYLE = 'dashes'
NONE = 'none'  # the options are not listed, wherever the template has them
RANDOM = 'random'  # one of the styles above for each example
NAMES = (*STYLES, NONE, RANDOM)


def check_style(name: str) -> None:
  """Raises a `UserError` for a style that does not exist."""
  if name not in NAMES:
    raise UserError(f'There is no option style {name!r}. {did_you_mean(name, NAMES)}')


def render(options: tf.Tensor | tf.RaggedTensor, style: str) -> tf.Tensor:
  """Writes lists of options as blocks of text.

  Args:
    options: string [num_options] or ragged [rows, num_options]; at most 26 a row where the style labels them.
    style: a name of `STYLES`, or 'none'.

  Returns:
    The blocks, string [] or [rows]; empty where there are no options.
  """
  if not isinstance(options, tf.RaggedTensor):
    return render(tf.RaggedTensor.from_row_lengths(options, tf.size(options)[tf.newaxis], validate=False), style)[0]
  if style == NONE:
    return tf.fill([options.nrows()], '')
  chosen = STYLES[style]
  if chosen.labels:
    before, after = chosen.around
    items = tf.strings.join([before, labels_of(options, style).flat_values, after, options.flat_values])
  else:
    items = tf.strings.join([chosen.bullet, options.flat_values])
  listed = tf.strings.reduce_join(options.with_flat_values(items), axis=-1, separator=chosen.separator)
  return tf.where(options.row_lengths() > 0, tf.strings.join([chosen.header, listed]), '')


def labels_of(options: tf.RaggedTensor, style: str) -> tf.RaggedTensor:
  """Returns what each option is called by in a labelled style, string ragged [rows, num_options]."""
  positions = tf.ragged.range(options.row_lengths())
  # Gathering raises beyond the last label. An assertion would too, but it is a stateful op, and tf.data cannot save
  # the position of a pipeline that has one.
  return positions.with_flat_values(tf.gather(STYLES[style].labels, positions.flat_values))
