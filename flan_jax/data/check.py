"""Mistakes of a declaration, found when it is made: the row's fields, the answer, the templates' placeholders."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from flan_jax.data.dataset import GROUP, LABEL, Dataset, Fields, Row, text_fields
from flan_jax.data.own_rows import OwnRows
from flan_jax.data.roles import ROW_ID
from flan_jax.data.source import rows_of
from flan_jax.data.template import ANSWER, OPTIONS
from flan_jax.errors import UserError, did_you_mean

Spec = Mapping[str, Any]  # of a row's values by name: a type, or for a TFDS feature with parts another `Spec`


def check_family(datasets: Sequence[Dataset]) -> None:
  """Checks every declaration; see `check_declaration`."""
  for dataset in datasets:
    check_declaration(dataset)


def check_declaration(dataset: Dataset) -> None:
  """Looks for what cannot be meant in a declaration.

  Its functions are traced on the types of a row: for TFDS those that the builder declares, with no row at hand. Rows of
  one's own are all read, and each has its answer among its options. A TFDS builder that cannot be had here (a folder or
  a description that is missing) leaves the check to the first use.

  Args:
    dataset: the declaration.

  Raises:
    UserError: for the first mistake found, with what would be right.
  """
  source = rows_of(dataset)
  if isinstance(source, OwnRows):
    if {LABEL, OPTIONS} & check_fields(dataset, source.element_spec) or dataset.options:
      _check_answers(dataset, source)
    return
  try:
    spec = source.element_spec
  except UserError:
    return
  check_fields(dataset, spec)


def check_fields(dataset: Dataset, spec: Spec) -> set[str]:
  """Traces a declaration on the types of a row; see `check_declaration`.

  Args:
    dataset: the declaration.
    spec: the types.

  Returns:
    The names of what `fields` gives.

  Raises:
    UserError: for the first mistake found.
  """
  given: Fields = {}
  names: set[str] = set()

  def trace(row: Row) -> Fields:
    if dataset.keep is not None:
      dataset.keep(row)
    given.update(dataset.fields(row))
    _check_given(dataset, given, spec)
    example = dataset.example(row)
    if not _is(example.get(GROUP, ''), tf.string, 0):
      raise UserError(f'Dataset {dataset.name!r}: its group must be one string, not {_told(example[GROUP])}; '
                      'tf.strings.as_string writes a number.')
    names.update(example.keys() - {GROUP})
    return example

  with explained(dataset, spec):
    tf.function(trace).get_concrete_function(dict(spec))
  for template in dataset.templates:
    template.check(frozenset(names), f'Dataset {dataset.name!r}')
    if template.shows_options and OPTIONS not in given and not dataset.options:
      raise UserError(f'Dataset {dataset.name!r}: template {template.inputs!r} shows {{options}}, and the dataset has '
                      'none; declare options=(...), or let fields give them row by row.')
  return set(given)


def _check_given(dataset: Dataset, given: Fields, spec: Spec) -> None:
  """Checks what `fields` gives, by names and types."""
  name = f'Dataset {dataset.name!r}'
  if ANSWER not in given and LABEL not in given:
    raise UserError(f'{name}: its fields give neither {ANSWER!r} nor {LABEL!r}; they give {", ".join(given)}, from '
                    f'rows that have {", ".join(_names(spec))}.')
  if ANSWER in given and LABEL in given:
    raise UserError(f'{name}: its fields give both {ANSWER!r} and {LABEL!r}; one of them says what is right.')
  if LABEL in given and not dataset.options and OPTIONS not in given:
    raise UserError(f'{name}: its fields give a {LABEL!r}, and there are no options for it to choose from; declare '
                    'options=(...), or let fields give them row by row.')
  for field in (*text_fields(given), ANSWER):
    if field in given and not _is(given[field], tf.string, 0):
      raise UserError(f'{name}: the field {field!r} must be one string, not {_told(given[field])}; '
                      'tf.strings.as_string writes a number, tf.strings.reduce_join joins a list.')
  if LABEL in given and not (_is(given[LABEL], None, 0) and tf.as_dtype(given[LABEL].dtype).is_integer):
    raise UserError(f'{name}: {LABEL!r} must be a whole number, the place of the answer among the options, not '
                    f'{_told(given[LABEL])}; give a text as {ANSWER!r}.')
  for field in (OPTIONS, 'references'):
    if field in given and not _is(given[field], tf.string, 1):
      raise UserError(f'{name}: {field!r} must be a list of strings, not {_told(given[field])}.')


def _is(value: Any, dtype: tf.DType | None, rank: int) -> bool:
  found = tf.convert_to_tensor(value) if not tf.is_tensor(value) else value
  return (dtype is None or found.dtype == dtype) and found.shape.rank in (None, rank)


def _told(value: Any) -> str:
  found = tf.convert_to_tensor(value) if not tf.is_tensor(value) else value
  return f'{"a list of " if found.shape.rank else ""}{found.dtype.name}'


@contextlib.contextmanager
def explained(dataset: Dataset, spec: Spec) -> Iterator[None]:
  """Turns what goes wrong while a declaration's functions are traced into one sentence about it.

  Args:
    dataset: the declaration.
    spec: the types of a row.

  Raises:
    UserError: in place of any other error.
  """
  try:
    yield
  except Exception as error:
    cause = _first(error)
    if isinstance(cause, UserError):
      raise UserError(str(cause)) from error
    names = _names(spec)
    if isinstance(cause, KeyError) and cause.args[0] not in spec:
      wrong = str(cause.args[0])
      raise UserError(f'Dataset {dataset.name!r}: a row has no field {wrong!r}; it has {", ".join(names)}. '
                      f'{did_you_mean(wrong, names) if len(names) > 6 else ""}'.strip()) from error
    first = next(iter(str(cause).strip().splitlines()), '')
    raise UserError(f'Dataset {dataset.name!r}: its fields (or keep) cannot be computed from a row with '
                    f'{", ".join(names)} ({type(cause).__name__}: {first}).') from error


def _first(error: BaseException) -> BaseException:
  """The error behind what AutoGraph made of it: its own repeats the message under the lines that led there."""
  while error.__context__ is not None and type(error.__context__) in type(error).__mro__:
    error = error.__context__
  return error


def _names(spec: Spec) -> list[str]:
  """The fields of a row, those with parts as `answers/text`."""
  found = []
  for name, inner in spec.items():
    if isinstance(inner, Mapping):
      found += [f'{name}/{part}' for part in _names(inner)]
    elif name != ROW_ID:
      found.append(name)
  return found


def _check_answers(dataset: Dataset, source: OwnRows) -> None:
  """Raises where a row's answer is none of its options."""

  def answered(number: tf.Tensor, row: Row) -> Fields:
    fields = dataset.fields(row)
    options = tf.convert_to_tensor(fields.get(OPTIONS, dataset.options or ()), tf.string)
    if LABEL not in fields:
      right = tf.convert_to_tensor(fields[ANSWER])
      wrong = tf.logical_and(tf.size(options) > 0, tf.reduce_all(options != right))
    else:
      right = tf.strings.as_string(fields[LABEL])
      wrong = tf.logical_or(fields[LABEL] < 0, fields[LABEL] >= tf.size(options, fields[LABEL].dtype))
    if dataset.keep is not None:
      wrong = tf.logical_and(wrong, dataset.keep(row))
    return {'number': number, 'wrong': wrong, 'right': right, 'options': options,
            'labelled': tf.constant(LABEL in fields)}

  for split, table in source.tables.items():
    found = source.split_rows(split).enumerate().map(answered).filter(lambda answer: answer['wrong']).take(1)
    for answer in found.as_numpy_iterator():
      listed = ', '.join(option.decode() for option in answer['options'])
      right = answer['right'].decode()
      counted = '; a label counts them from 0' if answer['labelled'] else ''
      raise UserError(f'Dataset {dataset.name!r}: {table.records.place(int(answer["number"]))}: {right!r} is none of '
                      f'the {len(answer["options"])} options ({listed}){counted}.')
