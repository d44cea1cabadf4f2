"""Benchmarks in files as their authors publish them, below a folder that an environment variable names."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import ClassVar

from flan_jax.data.columns import Records, Table, Value, tables
from flan_jax.data.files import OwnData
from flan_jax.errors import UserError

TEST = 'test'  # the name of the only split: such rows are asked about and never trained on


@dataclasses.dataclass(frozen=True, eq=False)
class Upstream(OwnData):
  """Rows of a published benchmark.

  The variable is looked up when rows are asked for: declaring opens no file, and a variable that is set later, or
  anew, is obeyed.

  Attributes:
    variable: the environment variable that names the folder.
    folder_holds: what the folder is, for messages.
    file: the one that the rows are in, below that folder, for people.
    read: from the folder to the rows.
    nulls: as for every source.
  """

  extension: ClassVar[str] = 'json'

  variable: str
  folder_holds: str
  file: str
  read: Callable[[str], Records]
  nulls: Mapping[str, Value] = dataclasses.field(default_factory=dict, kw_only=True)

  @property
  def splits(self) -> tuple[str, ...]:
    """One: 'test'."""
    return (TEST,)

  @property
  def origin(self) -> str:
    """The file below the variable, as a shell would write it."""
    return f'${self.variable}/{self.file}'

  @property
  def folder(self) -> str:
    """The folder that the variable names now.

    Raises:
      UserError: where it is not set.
    """
    found = os.environ.get(self.variable)
    if not found:
      raise UserError(f'the environment variable {self.variable} is not set; it should name {self.folder_holds}.')
    return found

  def records(self, split: str) -> Records:
    """Reads the rows.

    Raises:
      UserError: where a file is missing or is not what its authors publish; the variable is named.
    """
    del split  # there is one
    folder = self.folder
    try:
      return self.read(folder)
    except UserError as error:
      raise UserError(f'{self.variable} is {folder}, and should name {self.folder_holds}: {error}') from error

  @property
  def tables(self) -> dict[str, Table]:  # of the folder that is named now
    """The rows; each folder is read once."""
    return _tables(self, self.folder)


@functools.cache
def _tables(source: Upstream, folder: str) -> dict[str, Table]:
  del folder  # it is what the rows are kept by
  return tables({TEST: source.records(TEST)}, source.nulls)
