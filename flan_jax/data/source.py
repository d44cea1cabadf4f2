"""TFDS rows as a SeqIO data source: slices clamped, every row with its id, missing data said in one sentence."""

import functools
import pathlib
import textwrap

import seqio
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from flan_jax.data import prepare, records
from flan_jax.data.dataset import Dataset
from flan_jax.data.own_rows import OwnRows
from flan_jax.data.roles import ROW_ID, RowsByRole
from flan_jax.data.splits import RowRange, Splits, resolve
from flan_jax.errors import UserError

__all__ = ['ROW_ID', 'TfdsRows', 'rows_of']

RETRIES = 2  # of a download; TFDS's own ten, with pauses that double, keep a machine without a network for minutes


class TfdsRows(RowsByRole, seqio.TfdsDataSource):
  """The rows of one TFDS dataset, by role (train, validation, test).

  Opens nothing until it is used: importing the tasks touches neither disk nor network.
  """

  def __init__(self, owner: str, tfds_name: str, splits: Splits):
    """Names the rows; reading waits.

    Args:
      owner: the dataset's name, for messages.
      tfds_name: TFDS builder, config and version.
      splits: the declared slices.
    """
    super().__init__(tfds_name=tfds_name, splits=dict(splits.items()))
    self._owner = owner
    self._name = tfds_name
    self._declared = splits

  @property
  def builder(self) -> tfds.core.DatasetBuilder:
    """The prepared TFDS builder in the data dir now in force; prepares it where TFDS can.

    Raises:
      UserError: where the rows are not on disk and cannot be fetched.
    """
    # A loader of its own: the one that SeqIO keeps would stay with the first data dir that it saw.
    return _builder(self._owner, self._name, seqio.LazyTfdsLoader(self._name).data_dir)

  @property
  def origin(self) -> str:
    """The TFDS name."""
    return self._name

  @property
  def element_spec(self) -> dict[str, tf.TypeSpec]:
    """The names and types of a row's values as the builder declares them; nothing is prepared."""
    builder = _open(self._owner, self._name, seqio.LazyTfdsLoader(self._name).data_dir)
    return builder.info.features.get_tensor_spec() | {ROW_ID: tf.TensorSpec([], tf.string)}

  @property
  def ranges(self) -> dict[str, RowRange]:
    """The rows of each role that this copy of the dataset has."""
    sizes = {name: info.num_examples for name, info in self.builder.info.splits.items()}
    return resolve(self._declared, sizes, self._owner)

  def rows(self, split: str) -> RowRange:
    """The rows of one role.

    Raises:
      UserError: where the prepared dataset lacks the TFDS split, or has no row for the role.
    """
    found = self.ranges.get(split)
    if not found:
      declared = dict(self._declared.items()).get(split)
      raise UserError(
        f'Dataset {self._owner!r} has no {split!r} rows: {self._name} in {self.builder.data_path} holds the TFDS '
        f'splits {", ".join(sorted(self.builder.info.splits)) or "(none)"}, and {split!r} is declared as {declared!r}.'
      )
    return found

  def numbers(self, split: str) -> dict[str, range]:
    """The rows of a role by file."""
    pieces = self.builder.info.splits[self._instruction(split)].file_instructions
    return {pathlib.PurePath(piece.filename).name: range(piece.skip, piece.skip + piece.take) for piece in pieces}

  def why_missing(self, split: str) -> str | None:
    """Says why a role has no rows on disk, and fetches none; None where it has some."""
    try:
      builder = _open(self._owner, self._name, seqio.LazyTfdsLoader(self._name).data_dir)
    except UserError as error:
      return str(error)
    if not builder.info.splits:
      return f'Dataset {self._owner!r}: {builder.info.full_name} is not prepared in {builder.data_path}.'
    return super().why_missing(split)

  def get_dataset(
    self,
    split: str = 'train',
    shuffle: bool = True,
    seed: int | None = None,
    shard_info: seqio.ShardInfo | None = None,
    **_: object,
  ) -> tf.data.Dataset:
    """Returns the rows of a role as a `tf.data.Dataset`, each with its `tfds_id`; see `seqio.DataSource`."""
    return records.read(self.builder, self._instruction(split), shuffle, seed, shard_info)

  def list_shards(self, split: str) -> list[str]:
    """The files of a role's TFDS split."""
    rows = self.rows(split)
    return [file.filename for file in self.builder.info.splits[rows.split].file_instructions]

  def _instruction(self, split: str) -> tfds.core.ReadInstruction:
    rows = self.rows(split)
    return tfds.core.ReadInstruction(rows.split, from_=rows.start, to=rows.stop, unit='abs')


def rows_of(dataset: Dataset) -> TfdsRows | OwnRows:
  """Returns the SeqIO data source of a declaration; reading waits."""
  if isinstance(dataset.source, str):
    return TfdsRows(dataset.name, dataset.source, dataset.splits)
  return OwnRows(dataset.name, dataset.source, dataset.splits)


@functools.cache
def _builder(owner: str, tfds_name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
  builder = _open(owner, tfds_name, data_dir)
  if not builder.info.splits:
    _prepare(owner, builder)
  return builder


@functools.cache
def _open(owner: str, tfds_name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
  if data_dir and '://' not in data_dir and not pathlib.Path(data_dir).is_dir():
    raise UserError(
      f'Dataset {owner!r}: there is no folder {data_dir} to read {tfds_name!r} from; point --tfds_data_dir at the '
      'folder that holds it.'
    )
  try:
    return tfds.builder(tfds_name, data_dir=data_dir)
  except Exception as error:
    raise UserError(
      f'Dataset {owner!r}: TFDS has no {tfds_name!r} in {data_dir or tfds.core.constants.DATA_DIR} '
      f'({_first_line(error)}); point --tfds_data_dir at the folder that holds it.'
    ) from error


def _prepare(owner: str, builder: tfds.core.DatasetBuilder) -> None:
  downloader.MAX_RETRIES = RETRIES
  try:
    builder.download_and_prepare()
  except UserError:
    raise
  except Exception as error:
    raise UserError(
      f'Dataset {owner!r}: {builder.info.full_name} is not prepared in {builder.data_path}, and TFDS could not fetch '
      f'it ({_first_line(error)}); {prepare.advice(builder)}, or point --tfds_data_dir at a folder that holds it.'
    ) from error


def _first_line(error: BaseException) -> str:
  first = next(iter(str(error).strip().splitlines()), '')
  return f'{type(error).__name__}: {textwrap.shorten(first, 160, placeholder=" ...")}'.removesuffix(': ')
