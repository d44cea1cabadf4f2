"""Batches of numpy arrays from a SeqIO mixture: packed, prefetched, and resumable at the exact example."""

import io
import os
import pathlib
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import seqio
import tensorflow as tf

from flan_jax.data import packing, prompt_room, provenance, registry
from flan_jax.errors import UserError

_LENGTHS = ('inputs', 'targets')


class ProvenanceConverter(seqio.EncDecFeatureConverter):
  """SeqIO's encoder-decoder converter, with each example's provenance packed beside its tokens."""

  TASK_FEATURES: ClassVar = {
    **seqio.EncDecFeatureConverter.TASK_FEATURES,
    provenance.FEATURE: seqio.FeatureConverter.FeatureSpec(dtype=tf.int32),
  }
  MODEL_FEATURES: ClassVar = {
    **seqio.EncDecFeatureConverter.MODEL_FEATURES,
    provenance.FEATURE: seqio.FeatureConverter.FeatureSpec(dtype=tf.int32),
  }

  def _pack_or_pad(self, ds: tf.data.Dataset, packed_lengths: Mapping[str, int]) -> tf.data.Dataset:
    return packing.pack(ds, packed_lengths) if self.pack else super()._pack_or_pad(ds, packed_lengths)

  def _convert_example(self, features: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
    converted = super()._convert_example(features)
    return {**converted, provenance.FEATURE: features[provenance.FEATURE]}

  def get_model_feature_lengths(self, task_feature_lengths: Mapping[str, int]) -> Mapping[str, int]:
    """Adds the provenance to SeqIO's lengths."""
    lengths = dict(super().get_model_feature_lengths(task_feature_lengths))
    return lengths | {provenance.FEATURE: task_feature_lengths[provenance.FEATURE]}


def with_provenance(lengths: Mapping[str, int]) -> dict[str, int]:
  """Adds room for the provenance: a packed row holds at most one example per two target tokens (a word and EOS)."""
  for name in _LENGTHS:
    if not isinstance(lengths.get(name), int) or lengths[name] < 2:
      raise UserError(f'TASK_FEATURE_LENGTHS needs a length of at least 2 for {name!r}, e.g. '
                      f'{{"inputs": 512, "targets": 128}}; got {dict(lengths)}.')
  return {name: lengths[name] for name in _LENGTHS} | {provenance.FEATURE: provenance.WIDTH * (lengths['targets'] // 2)}


def options() -> tf.data.Options:
  """Options for many short steps: no autotuning, whose bookkeeping costs more than it gains, and steps fused."""
  found = tf.data.Options()
  found.autotune.enabled = False
  found.experimental_optimization.map_fusion = True
  found.threading.private_threadpool_size = max(1, len(os.sched_getaffinity(0)) // 2)  # a model trains beside it
  found.threading.max_intra_op_parallelism = 1
  return found


class BatchIterator(Iterator[dict[str, np.ndarray]]):
  """An endless stream of batches whose position can be saved and restored exactly.

  The position is tf.data's own: file offsets, shuffle buffers, random streams and the examples half packed, so that a
  run continues as if it had never stopped (SeqIO's order is a function of the seed).

  On several hosts every one of them iterates the whole stream, and takes its rows of each batch when the batch goes to
  its devices (`training.hosts.global_batch`). A share of the rows for each host, as SeqIO's `ShardInfo` gives, would
  make the batches depend on the number of hosts, and with them the weights, and a position would fit no other number.
  """

  def __init__(self, dataset: tf.data.Dataset, tasks: list[str]):
    """Starts at the beginning of a batched dataset.

    Args:
      dataset: batches with SeqIO's feature names.
      tasks: the names of the tasks that may occur, for `origins`.
    """
    self._iterator = iter(dataset.prefetch(4).with_options(options()))
    self._tasks = tasks
    self._begun = False

  def __next__(self) -> dict[str, np.ndarray]:
    self._begun = True
    try:
      return {name: tensor.numpy() for name, tensor in next(self._iterator).items()}
    except StopIteration:
      raise UserError(_why_it_ended(self._tasks)) from None

  def origins(self, batch: Mapping[str, np.ndarray]) -> list[provenance.Provenance]:
    """Says where each example of a batch came from."""
    return provenance.decode(batch[provenance.FEATURE], self._tasks)

  def get_state(self) -> bytes:
    """Returns the position: the next batch after `set_state` of it is the one that would come next now."""
    with tempfile.TemporaryDirectory() as folder:
      tf.train.Checkpoint(iterator=self._iterator).write(f'{folder}/position')
      buffer = io.BytesIO()
      with tarfile.open(fileobj=buffer, mode='w:gz', compresslevel=1) as archive:
        for path in sorted(pathlib.Path(folder).iterdir()):
          archive.add(path, arcname=path.name)
      return buffer.getvalue()

  def set_state(self, state: bytes) -> None:
    """Moves to a position that `get_state` gave, of the same mixture, lengths, batch size and seed.

    Raises:
      RuntimeError: where batches were read already. tf.data would not go back to the very beginning: shuffles that have
        begun go on to the seeds of another epoch.
    """
    if self._begun:
      raise RuntimeError('a position can only be set before the first batch: make a new iterator')
    with tempfile.TemporaryDirectory() as folder:
      with tarfile.open(fileobj=io.BytesIO(state)) as archive:
        archive.extractall(folder, filter='data')
      tf.train.Checkpoint(iterator=self._iterator).read(f'{folder}/position').assert_consumed()


def _why_it_ended(tasks: list[str]) -> str:
  """Names the datasets whose filter keeps no row: rows that are repeated for ever end only where there are none."""
  empty = [task for task in tasks if registry.task_info(task).dataset.keep is not None
           and not list(registry.get_mixture_or_task(task).get_dataset(shuffle=False, try_in_mem_cache=False).take(1))]
  if empty:
    return f'The filter (keep) of {", ".join(empty)} refuses every row: leave the dataset out, or mend the filter.'
  return f'There are no rows to read from {", ".join(tasks)}.'


def batches(
  mixture_or_task: str,
  task_feature_lengths: Mapping[str, int],
  batch_size: int,
  seed: int = 0,
  split: str = 'train',
  pack: bool = True,
  use_cached: bool = False,
  prompts: Mapping[str, int] = MappingProxyType({}),
) -> BatchIterator:
  """Returns the training batches of a task or mixture.

  Args:
    mixture_or_task: a registered name.
    task_feature_lengths: the lengths of `inputs` and `targets` in tokens.
    batch_size: rows of a batch (packed rows, where packed).
    seed: decides the order of everything.
    split: which rows.
    pack: several examples to a row, kept apart by segment ids.
    use_cached: read SeqIO's offline cache.
    prompts: positions of soft prompts before each example, by feature; packed rows get so many more, and leave room for
      them (see `prompt_room`).

  Returns:
    The iterator.
  """
  provider = registry.get_mixture_or_task(mixture_or_task)
  lengths = with_provenance(task_feature_lengths)
  dataset = provider.get_dataset(
    sequence_length=lengths,
    split=split,
    shuffle=True,
    num_epochs=None,
    seed=seed,
    use_cached=use_cached,
    try_in_mem_cache=False,  # a cache in memory would be saved with every position
  )
  if prompts and pack:
    dataset = dataset.map(prompt_room.leave(prompts))
    lengths = {name: length + prompts.get(name, 0) for name, length in lengths.items()}
  packed = ProvenanceConverter(pack=pack, apply_length_check=False)(dataset, task_feature_lengths=lengths)
  if prompts and pack:
    packed = packed.map(prompt_room.mark(prompts))
  return BatchIterator(packed.batch(batch_size, drop_remainder=True), registry.tasks_of(mixture_or_task))
