"""A Hugging Face model folder: config.json and safetensors, in one file or sharded, read and written array by array."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from etils import epath

from flan_jax.errors import UserError
from flan_jax.interop import huggingface
from flan_jax.interop.digests import Digests, write_digests
from flan_jax.interop.fit import check_names
from flan_jax.interop.hf_config import CONFIG, from_hf_config, read_config, to_hf_config
from flan_jax.interop.safetensors_file import Place, read_places, write_file
from flan_jax.interop.weights import Weights, nbytes

WEIGHTS = 'model.safetensors'
INDEX = 'model.safetensors.index.json'
GENERATION = 'generation_config.json'
SHARD_BYTES = 5 * 10**9
HEAD, EMBEDDING = 'lm_head.weight', 'shared.weight'
_ROWS = 4096  # of an embedding that are compared at once


def is_huggingface(folder: pathlib.Path) -> bool:
  """Whether a folder looks like a model of transformers."""
  return (folder / CONFIG).is_file()


class HuggingFaceWeights:
  """A model folder that is open for reading; see `Weights`.

  Attributes:
    where: the folder.
    kind: 'Hugging Face'.
    config: the shape, from config.json, and from the weights where that does not say whether the head is the embedding.
    shapes: by our path.
  """

  kind = 'Hugging Face'
  notes: tuple[str, ...] = ()

  def __init__(self, folder: str | pathlib.Path):
    """Opens a folder, reading its config and the headers of its files.

    Args:
      folder: with config.json and model.safetensors, or model.safetensors.index.json and what it names.

    Raises:
      UserError: where the model is none of ours, files are missing or damaged, or the weights do not fit the config;
        all that does not fit is named.
    """
    self._folder = pathlib.Path(folder)
    self.where = str(folder)
    config = read_config(self._folder)
    self._places = _places(self._folder)
    self._stored = {name: place.shape for name, place in self._places.items()}
    own_head = HEAD in self._stored and not self._same_as_embedding(HEAD)
    # A head that is the embedding and is not scaled is a head of its own here: nothing of ours shares those two.
    self._head = HEAD if own_head else EMBEDDING
    self.config = from_hf_config(config, own_head=own_head, where=str(self._folder / CONFIG))
    self.model_type = str(config['model_type'])
    self._names = {pair.ours: pair for pair in huggingface.names(self.config)}
    self._check()
    self.shapes: Mapping[str, jax.ShapeDtypeStruct] = {ours: self._shape(pair) for ours, pair in self._names.items()}

  def check(self) -> None:
    """Checks the files against their digests where we wrote them; see `Weights.check`."""
    digests = Digests(epath.Path(self._folder))
    for name in sorted(digests.loose):
      digests.check(name)

  def read(self, path: str) -> np.ndarray:
    """Returns one parameter; see `Weights.read`."""
    pair = self._names[path]
    value = self._places[self._source(pair)].read()
    return np.ascontiguousarray(value.T) if pair.transposed else value

  def _source(self, pair: huggingface.Name) -> str:
    return self._head if pair.theirs == HEAD else pair.theirs

  def _shape(self, pair: huggingface.Name) -> jax.ShapeDtypeStruct:
    stored = self._stored[self._source(pair)]
    return jax.ShapeDtypeStruct(stored.shape[::-1] if pair.transposed else stored.shape, stored.dtype)

  def _check(self) -> None:
    """Raises UserError for what is missing or not known, and for what should be a copy of the embedding and is not."""
    copies = [name for name in huggingface.EMBEDDING_COPIES if name in self._stored]
    if self._head == EMBEDDING and HEAD in self._stored:
      copies.append(HEAD)
    wanted = {self._source(pair) for pair in self._names.values()}
    check_names(self.where, wanted, set(self._stored) - (set(copies) - wanted))
    wrong = [name for name in copies if name != HEAD and not self._same_as_embedding(name)]
    if wrong:
      raise UserError(f'{self.where}: {", ".join(wrong)} should be a copy of {EMBEDDING} and is not: a model whose '
                      'encoder and decoder have embeddings of their own is none of ours')

  def _same_as_embedding(self, name: str) -> bool:
    if EMBEDDING not in self._stored or self._stored[name] != self._stored[EMBEDDING]:
      return False
    for start in range(0, self._stored[name].shape[0], _ROWS):
      some, other = (self._places[n].read(start, _ROWS) for n in (name, EMBEDDING))
      if some.tobytes() != other.tobytes():
        return False
    return True


def _places(folder: pathlib.Path) -> dict[str, Place]:
  """Where every array lies.

  Raises:
    UserError: where there are none, or only a pickle; or an index and the files do not agree.
  """
  index = folder / INDEX
  if (folder / WEIGHTS).is_file():
    return read_places(folder / WEIGHTS)
  if index.is_file():
    listed = _listed(index)
    lost = sorted({file for file in listed.values() if not (folder / file).is_file()})
    if lost:
      raise UserError(f'{folder} lacks {len(lost)} of the files that {INDEX} names: {", ".join(lost)}')
    found = {file: read_places(folder / file) for file in dict.fromkeys(listed.values())}
    for file, places in found.items():
      check_names(f'{folder / file}, by {INDEX},', {name for name in listed if listed[name] == file}, places)
    return {name: found[file][name] for name, file in listed.items()}
  pickles = sorted(path.name for pattern in ('*.bin', '*.pt', '*.h5', '*.msgpack') for path in folder.glob(pattern))
  if pickles:
    raise UserError(f'{folder} has its weights in {pickles[0]} and not in safetensors. A pickle may run code when it '
                    'is read, so that we read none; if you trust it, convert it: python -c "from transformers import '
                    f"AutoModelForSeq2SeqLM as M; M.from_pretrained('{folder}').save_pretrained('{folder}-safe')\"")
  raise UserError(f'{folder} has no weights: expected {WEIGHTS}, or {INDEX} and the files it names')


def _listed(index: pathlib.Path) -> dict[str, str]:
  """The file of every array, as an index has it."""
  try:
    return {str(name): str(file) for name, file in json.loads(index.read_text())['weight_map'].items()}
  except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
    raise UserError(f'{index} cannot be read: it should map every array to its file ({error!r})') from error


def write_huggingface(folder: pathlib.Path, weights: Weights, *, dtype: str | None = None,
                      model_type: str | None = None, shard_bytes: int = SHARD_BYTES) -> None:
  """Writes the model files of a folder that `AutoModelForSeq2SeqLM.from_pretrained` loads; one array at a time.

  Args:
    folder: exists and is empty, or has the tokenizer's files already; `convert` sees to atomicity.
    weights: the model.
    dtype: of the files; as stored where None.
    model_type: see `to_hf_config`.
    shard_bytes: a file has no more than this, but for a single array that is larger.

  Raises:
    UserError: where transformers has no such model, or the weights are not those of their config.
  """
  pairs = {pair.theirs: pair for pair in huggingface.names(weights.config)}
  check_names(weights.where, {pair.ours for pair in pairs.values()}, set(weights.shapes))
  # In the order of the weights: some are stored several to an array, which is then read once.
  order = {path: number for number, path in enumerate(weights.shapes)}
  pairs = dict(sorted(pairs.items(), key=lambda item: order[item[1].ours]))
  shapes = {name: _their_shape(weights.shapes[pair.ours], pair.transposed, dtype) for name, pair in pairs.items()}
  kinds = sorted({np.dtype(shape.dtype).name for shape in shapes.values()})
  config = to_hf_config(weights.config, model_type, kinds[0] if len(kinds) == 1 else 'float32')

  def read(name: str) -> np.ndarray:
    value = weights.read(pairs[name].ours)
    return np.ascontiguousarray(value.T if pairs[name].transposed else value, dtype=shapes[name].dtype)

  shards = _shards(shapes, shard_bytes)
  index: dict[str, str] = {}
  for number, names in enumerate(shards, 1):
    file = WEIGHTS if len(shards) == 1 else f'model-{number:05}-of-{len(shards):05}.safetensors'
    write_file(folder / file, {name: shapes[name] for name in names}, read, {'format': 'pt'})
    index.update(dict.fromkeys(names, file))
  if len(shards) > 1:
    total = sum(nbytes(shape) for shape in shapes.values())
    _write_json(folder / INDEX, {'metadata': {'total_size': total}, 'weight_map': dict(sorted(index.items()))})
  _write_json(folder / CONFIG, config)
  _write_json(folder / GENERATION, {'decoder_start_token_id': 0, 'eos_token_id': 1, 'pad_token_id': 0})
  write_digests(folder)


def _their_shape(shape: jax.ShapeDtypeStruct, transposed: bool, dtype: str | None) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape.shape[::-1] if transposed else shape.shape, np.dtype(dtype or shape.dtype))


def _shards(shapes: Mapping[str, jax.ShapeDtypeStruct], limit: int) -> list[list[str]]:
  shards: list[list[str]] = [[]]
  size = 0
  for name, shape in shapes.items():
    if shards[-1] and size + nbytes(shape) > limit:
      shards.append([])
      size = 0
    shards[-1].append(name)
    size += nbytes(shape)
  return shards


def _write_json(path: pathlib.Path, value: Any) -> None:
  path.write_text(json.dumps(value, indent=2) + '\n', encoding='utf-8')
