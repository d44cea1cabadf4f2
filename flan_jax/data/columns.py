"""Rows of Python values as columns of tensors: all rows with the same fields and types, or an error that names one."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from flan_jax.data.roles import ROW_ID
from flan_jax.errors import UserError, did_you_mean

Value = str | int | float | bool | Sequence[str] | Sequence[int] | Sequence[float] | Sequence[bool]

_DTYPES = {'str': tf.string, 'int': tf.int64, 'float': tf.float64, 'bool': tf.bool}
_TYPES: Mapping[str, Any] = {'str': str | bytes, 'bool': bool, 'int': int, 'float': float}  # bool is an int
_LIST = 'list of '
_EMPTY = 'empty list'  # fits a list of anything
_NULL = 'null'


@dataclasses.dataclass(frozen=True)
class Records:
  """The rows of one split as they were read.

  Attributes:
    origin: the file, or what stands for it.
    rows: field names and values.
    lines: the line of the file that each row ends on; None where a row has no line.
  """

  origin: str
  rows: Sequence[Mapping[str, Any]]
  lines: Sequence[int] | None = None

  def place(self, index: int) -> str:
    """Where a row stands: `tickets.jsonl:17`, or `tickets.parquet, row 16` (from 0) where there are no lines."""
    return f'{self.origin}, row {index}' if self.lines is None else f'{self.origin}:{self.lines[index]}'


@dataclasses.dataclass(frozen=True)
class Column:
  """The values of one field.

  Attributes:
    values: one a row; where each row has a list, the items of all lists.
    spans: int64 [rows, 2], where each row's list starts and how many items it has; None where values are single.
  """

  values: tf.Tensor
  spans: tf.Tensor | None = None

  @property
  def spec(self) -> tf.TensorSpec:
    """The type of one row's value."""
    return tf.TensorSpec([] if self.spans is None else [None], self.values.dtype)

  def at(self, index: tf.Tensor) -> tf.Tensor:
    """Returns one row's value; a gather and a slice, since indexing costs several times as much in every row."""
    if self.spans is None:
      return tf.gather(self.values, index)
    span = tf.gather(self.spans, index)
    return tf.slice(self.values, span[:1], span[1:])


@dataclasses.dataclass(frozen=True)
class Table:
  """The rows of one split as tensors, one column a field."""

  records: Records
  columns: Mapping[str, Column]

  def __len__(self) -> int:
    return len(self.records.rows)

  def row(self, index: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns one row."""
    return {name: column.at(index) for name, column in self.columns.items()}


def tables(splits: Mapping[str, Records], nulls: Mapping[str, Value]) -> dict[str, Table]:
  """Turns the rows of all splits into tensors.

  Args:
    splits: the rows by split.
    nulls: by field, the value that a null of it stands for.

  Returns:
    The tables by split, all with the same fields and types.

  Raises:
    UserError: where a split is empty, where a row has other fields or types than the first one, or a null that
      `nulls` does not explain.
  """
  first: Records | None = None
  kinds: dict[str, tuple[str, str]] = {}
  read = {}
  for split, records in splits.items():
    if not records.rows:
      raise UserError(f'{records.origin} holds no row.')
    first = first or records
    _check_names(records, first)
    for name in nulls:
      if name not in first.rows[0]:
        raise UserError(f'{first.origin}: nulls explains the field {name!r}, which the rows do not have; they have '
                        f'{", ".join(first.rows[0])}.')
    read[split] = {name: _values(records, name, nulls, kinds) for name in first.rows[0]}
  return {
    split: Table(splits[split], {name: _column(column, kinds[name][0]) for name, column in columns.items()})
    for split, columns in read.items()
  }


def _check_names(records: Records, first: Records) -> None:
  names = dict.fromkeys(first.rows[0])
  for index, row in enumerate(records.rows):
    if row.keys() != names.keys():
      _refuse_names(records.place(index), row, first.place(0), names)
  for name in names:
    if not isinstance(name, str) or not name or name == ROW_ID:
      raise UserError(f'{first.place(0)}: a field cannot be called {name!r}.')


def _refuse_names(place: str, row: Mapping[str, Any], first: str, names: Mapping[str, Any]) -> None:
  lacks = [name for name in names if name not in row]
  more = [name for name in row if name not in names]
  if lacks:
    raise UserError(f'{place} lacks the field {lacks[0]!r} that {first} has; it has {", ".join(map(str, row))}.')
  raise UserError(f'{place} has a field {more[0]!r} that {first} lacks. {did_you_mean(str(more[0]), names)}')


def _values(records: Records, name: str, nulls: Mapping[str, Value], kinds: dict[str, tuple[str, str]]) -> list[Any]:
  """The values of one field, strings encoded; notes the field's kind and where it was first seen."""
  found = []
  for index, row in enumerate(records.rows):
    value = _plain(row[name])
    if value is None and name in nulls:
      value = _plain(nulls[name])
    place = records.place(index)
    kind = _kind(value, name, place)
    known, where = kinds.get(name, (_EMPTY, ''))
    if known == _EMPTY and (kind == _EMPTY or kind.startswith(_LIST) or not where):
      kinds[name] = (kind, place)
    elif kind != known and not (kind == _EMPTY and known.startswith(_LIST)):
      raise UserError(f'{place}: the field {name!r} is {_article(kind)}, and {_article(known)} in {where}; every row '
                      'needs the same type.')
    found.append(_encoded(value, name, place))
  return found


def _plain(value: Any) -> Any:
  """Numpy's values and tuples as Python's own."""
  if isinstance(value, np.generic | np.ndarray):
    return value.tolist()
  return list(value) if isinstance(value, tuple) else value


def _kind(value: Any, name: str, place: str) -> str:
  """The name of a value's type, one that a tensor can hold."""
  if not isinstance(value, list):
    kind = _scalar_kind(value, name, place)
    if kind == _NULL:
      raise UserError(f'{place}: the field {name!r} is null; say what it stands for, e.g. nulls={{{name!r}: ""}}, or '
                      'leave the row out.')
    return kind
  inside = {_scalar_kind(_plain(item), name, place) for item in value}
  if len(inside) > 1 or _NULL in inside:
    raise UserError(f'{place}: the field {name!r} is a list of {" and ".join(sorted(inside))}; a list holds values of '
                    'one type.')
  return f'{_LIST}{inside.pop()}' if inside else _EMPTY


def _scalar_kind(value: Any, name: str, place: str) -> str:
  if value is None:
    return _NULL
  for kind, types in _TYPES.items():
    if isinstance(value, types):
      if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UserError(f'{place}: the field {name!r} is {value}, which does not fit 64 bits; write it as a string.')
      return kind
  raise UserError(f'{place}: the field {name!r} is {_article(type(value).__name__)}; a value is a str, int, float or '
                  'bool, or a list of one of these.')


def _article(kind: str) -> str:
  return f'an {kind}' if kind[0] in 'aeio' else f'a {kind}'


def _encoded(value: Any, name: str, place: str) -> Any:
  if isinstance(value, list):
    return [_encoded(_plain(item), name, place) for item in value]
  if not isinstance(value, str):
    return value
  try:
    return value.encode()
  except UnicodeEncodeError as error:
    raise UserError(f'{place}: the field {name!r} is no text ({error.reason}).') from error


def _column(values: list[Any], kind: str) -> Column:
  with tf.init_scope():
    if kind == _EMPTY:  # no list has an item that would say of what
      kind = f'{_LIST}str'
    if kind.startswith(_LIST):
      flat = [item for value in values for item in value]
      lengths = np.array([len(value) for value in values], np.int64)
      spans = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)
      return Column(tf.constant(flat, _DTYPES[kind.removeprefix(_LIST)]), tf.constant(spans))
    return Column(tf.constant(values, _DTYPES[kind]))
