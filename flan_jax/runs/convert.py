"""Converting a checkpoint from one program's files to another's, array by array, whole or not at all, and read back."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import rich.progress
from flax import nnx

from flan_jax.errors import UserError, did_you_mean
from flan_jax.interop import hf_config, t5x_write
from flan_jax.interop.fit import check_arrays
from flan_jax.interop.hf_folder import HuggingFaceWeights, write_huggingface
from flan_jax.interop.huggingface import base_parameters
from flan_jax.interop.weights import Held, Weights, nbytes
from flan_jax.models import T5
from flan_jax.peft.io import load_adapter, merge_adapter
from flan_jax.peft.partition import make_blueprint
from flan_jax.training import initial
from flan_jax.training.checkpoints import Checkpointer
from flan_jax.training.run_folder import tokenizer_folder

FORMATS = ('huggingface', 't5x', 'flan_jax')
DTYPES = ('float32', 'bfloat16', 'float16')


@dataclasses.dataclass(frozen=True)
class Converted:
  """What was written.

  Attributes:
    source: what was read, and whose it is.
    target: the folder.
    format: of `FORMATS`.
    arrays: how many.
    parameters: in them.
    notes: what was left out or merged, a line each.
  """

  source: str
  target: str
  format: str
  arrays: int
  parameters: int
  notes: tuple[str, ...]

  def __str__(self) -> str:
    """One line."""
    return (f'{self.target}: {self.format}, {self.parameters:,} parameters in {self.arrays} arrays from {self.source}, '
            'read back and equal')  # fmt: skip


def convert(
  source: str,
  target: str,
  *,
  format: str | None = None,
  dtype: str | None = None,
  adapter: str | None = None,
  force_adapter: bool = False,
  model_type: str | None = None,
  vocabulary: str | None = None,
  show_progress: bool = True,
) -> Converted:
  """Converts a whole model.

  Args:
    source: see `initial.open_weights`; a run that trained an adapter is merged.
    target: a folder that does not exist yet, or is empty.
    format: of `FORMATS`; Hugging Face's where None, unless that is what is read and nothing is merged into it.
    dtype: of the arrays; as stored where None.
    adapter: a folder with an adapter, to be merged into the model.
    force_adapter: merge it into a base that it was not trained on, too.
    model_type: what a Hugging Face folder calls itself, see `to_hf_config`; as in the source, where it is one, if None.
    vocabulary: the tokenizer for a folder of transformers: a model folder or a SentencePiece file; what the source has
      where None.
    show_progress: a bar.

  Returns:
    What was written.

  Raises:
    UserError: where the source cannot be read, the target is taken, the format lacks such a model, or what was
      written does not read back.
  """
  if dtype not in (None, *DTYPES):
    raise UserError(f'--dtype: there is no {dtype!r}. {did_you_mean(str(dtype), DTYPES)}')
  place = pathlib.Path(target)
  _check_target(place)
  weights = initial.open_weights(source)
  format = _format(format, weights, adapter)
  weights.check()
  if isinstance(weights, HuggingFaceWeights):
    model_type = model_type or weights.model_type  # an mT5 stays one, whose network is that of T5 1.1
  weights, notes = _whole(weights, adapter, force_adapter)
  _check_config(weights)
  with _folder(place) as partial, _bar(show_progress) as bar:
    watched = _Watched(weights, bar, f'writing {format}')
    if format == 'huggingface':
      partial.mkdir(parents=True)
      told = _add_tokenizer(partial, source, vocabulary)
      write_huggingface(partial, watched, dtype=dtype, model_type=model_type)
      notes = (*notes, told, *hf_config.caveats(weights.config))
    elif format == 't5x':
      notes = (*notes, *t5x_write.write(partial, watched, dtype=dtype))
    else:
      partial.mkdir(parents=True)
      _write_ours(partial, watched, dtype)
    verify(_Watched(weights, bar, 'reading back'), initial.open_weights(partial), dtype)
  count = sum(int(np.prod(shape.shape)) for shape in weights.shapes.values())
  return Converted(f'{weights.where} ({weights.kind})', target, format, len(weights.shapes), count,
                   (*weights.notes, *notes))


def _format(wanted: str | None, weights: Weights, adapter: str | None) -> str:
  if wanted is None and weights.kind == 'Hugging Face' and adapter is None:
    raise UserError(f'{weights.where} is a model of transformers already: say by --format what to write, '
                    f'{", ".join(FORMATS)}')
  if wanted not in (None, *FORMATS):
    raise UserError(f'--format: there is no {wanted!r}. {did_you_mean(str(wanted), FORMATS)}')
  return wanted or 'huggingface'


def _check_target(target: pathlib.Path) -> None:
  if target.exists() and not (target.is_dir() and not any(target.iterdir())):
    raise UserError(f'{target} exists and is not empty; write the checkpoint somewhere else, or remove it')


def _check_config(weights: Weights) -> None:
  """Raises UserError, naming all, where the arrays are not those of a model of their config."""
  abstract = nnx.eval_shape(lambda: T5(weights.config, rngs=nnx.Rngs(0)))
  check_arrays(weights.where, make_blueprint(abstract, nnx.Param).shapes(), weights.shapes)


def _whole(weights: Weights, adapter: str | None, force: bool) -> tuple[Weights, tuple[str, ...]]:
  """The weights with all adapters merged; this holds the model in memory where there are any."""
  trained = isinstance(weights, initial.RunWeights) and weights.method.name != 'full'
  if not trained and adapter is None:
    return weights, ()
  config, notes = weights.config, []
  model: Any = initial.restore_model(weights.where, lambda rngs: T5(config, rngs=rngs))
  if isinstance(weights, initial.RunWeights) and trained:
    merge_adapter(model, weights.method)
    notes.append(f'the adapter of the run ({weights.method.name}) is merged')
  if adapter is not None:
    merge_adapter(model, load_adapter(model, adapter, force=force))
    notes.append(f'the adapter in {adapter} is merged')
  return Held(weights.where, config, base_parameters(model), weights.kind, tuple(weights.notes)), tuple(notes)


def _write_ours(folder: pathlib.Path, weights: Weights, dtype: str | None) -> None:
  params = {path: jnp.asarray(weights.read(path), dtype and jnp.dtype(dtype)) for path in weights.shapes}
  saver = Checkpointer(folder, keep=1)
  try:
    saver.save_weights(params, {'method': {'method': 'full'}, 'model': dataclasses.asdict(weights.config)})
  finally:
    saver.close()


def verify(meant: Weights, written: Weights, dtype: str | None) -> None:
  """Compares what was written with what was meant, bit for bit and array by array.

  Raises:
    UserError: naming what differs.
  """
  check_arrays(written.where, meant.shapes, written.shapes)
  for path in meant.shapes:
    if not _reads_back(path, meant, written, dtype):
      raise UserError(f'{path} does not read back from {written.where} as it was written; please report this')


def _reads_back(path: str, meant: Weights, written: Weights, dtype: str | None) -> bool:
  """Compares one parameter; a function, so that nothing of it is held while the next one is read."""
  wanted = meant.read(path)
  if dtype is not None:
    wanted = wanted.astype(jnp.dtype(dtype))  # before the other is read: three of them may not fit
  return _same_bits(wanted, written.read(path))


def _add_tokenizer(folder: pathlib.Path, source: str, named: str | None) -> str:
  """Writes the tokenizer's files, and returns a line that says which."""
  place = named or tokenizer_folder(source)
  if place is None:
    return f'{source} has no tokenizer, and none was written: name one by --vocabulary'
  import seqio  # TensorFlow is behind these: only where a tokenizer is written

  from flan_jax.data.tokenizer_export import save_tokenizer
  from flan_jax.data.tokenizer_files import vocabulary_of

  file = pathlib.Path(place).is_file()
  vocabulary = seqio.SentencePieceVocabulary(str(place), extra_ids=100) if file else vocabulary_of(place)
  return f'the tokenizer of {place}: {", ".join(save_tokenizer(vocabulary, folder))}'


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
  """Whether two arrays are the same to the last bit; NaNs have equal bits and are not equal."""
  if (one.shape, one.dtype) != (other.shape, other.dtype):
    return False
  bits, others = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (one, other))
  return np.array_equal(bits, others)


@contextlib.contextmanager
def _folder(target: pathlib.Path) -> Iterator[pathlib.Path]:
  """A folder that gets its name when the block ends well, and is removed when it does not.

  A killed process leaves it, under a name that no program takes for a checkpoint, until the next conversion to there.
  """
  for leftover in target.parent.glob(f'{target.name}.partial-*'):
    process = leftover.name.removeprefix(f'{target.name}.partial-').partition('.')[0]
    if not pathlib.Path('/proc', process).exists():
      shutil.rmtree(leftover, ignore_errors=True)
  partial = target.with_name(f'{target.name}.partial-{os.getpid()}')
  try:
    yield partial
    if target.exists():
      target.rmdir()
    partial.rename(target)
  except OSError as error:
    raise UserError(f'cannot write {target}: {error.strerror or error}') from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _bar(visible: bool) -> Iterator[rich.progress.Progress]:
  columns = (rich.progress.TextColumn('{task.description}'), rich.progress.BarColumn(),
             rich.progress.DownloadColumn(), rich.progress.TimeRemainingColumn())  # fmt: skip
  with rich.progress.Progress(*columns, console=rich.console.Console(stderr=True), disable=not visible) as bar:
    yield bar


class _Watched:
  """Weights whose reading moves a progress bar."""

  def __init__(self, weights: Weights, bar: rich.progress.Progress, what: str):
    self._weights, self._bar = weights, bar
    self.where, self.kind, self.config = weights.where, weights.kind, weights.config
    self.shapes: Mapping[str, jax.ShapeDtypeStruct] = weights.shapes
    self.notes, self.check = tuple(weights.notes), weights.check
    self._task = bar.add_task(what, total=sum(nbytes(shape) for shape in weights.shapes.values()))

  def read(self, path: str) -> np.ndarray:
    """Reads one parameter and moves the bar."""
    value = self._weights.read(path)
    self._bar.advance(self._task, nbytes(self.shapes[path]))
    return value
