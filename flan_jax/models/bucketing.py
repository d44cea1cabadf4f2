"""Ragged rows to few array shapes, so that jit compiles once for each size and not once for each batch."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

Rows = Sequence[Any] | np.ndarray
SMALLEST = 8


def bucket_size(size: int, smallest: int = SMALLEST) -> int:
  """Returns the smallest power of two that holds a size, and at least `smallest`."""
  return max(smallest, 1 << max(size - 1, 0).bit_length())


def strip(row: Sequence[int] | np.ndarray) -> Int[np.ndarray, 'length']:
  """Returns a row as int32 without its trailing padding (id 0)."""
  return np.trim_zeros(np.asarray(row, np.int32), 'b')


def pad_rows(rows: Sequence[np.ndarray], count: int, length: int) -> Int[np.ndarray, 'count length']:
  """Returns rows padded with id 0 to a common length, and with empty rows to a count."""
  padded = np.zeros((count, length), np.int32)
  for index, row in enumerate(rows):
    padded[index, : len(row)] = row
  return padded


def batches_by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
  """Yields the indices of rows in batches of rows of one bucket, so that short rows do not wait for long ones."""
  by_bucket: dict[int, list[int]] = {}
  for index, length in enumerate(lengths):
    by_bucket.setdefault(bucket_size(length), []).append(index)
  for bucket in sorted(by_bucket):
    indices = by_bucket[bucket]
    for start in range(0, len(indices), batch_size):
      yield indices[start : start + batch_size]


def groups_of_options(options: Sequence[Rows]) -> list[list[int]]:
  """Groups the places of rows whose options fill arrays of one shape; a scorer sees to the length of the inputs.

  Args:
    options: for each row any number of token rows.
  """
  groups: dict[tuple[int, int], list[int]] = {}
  for place, row in enumerate(options):
    longest = max((len(tokens) for tokens in row), default=1)
    groups.setdefault((bucket_size(len(row), smallest=1), bucket_size(longest)), []).append(place)
  return [places for _, places in sorted(groups.items())]
