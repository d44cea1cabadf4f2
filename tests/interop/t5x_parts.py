"""What the tests of T5X's checkpoints share: weights made up, fixtures read by other code, files damaged on purpose."""

import pathlib
import re
import shutil

import jax
import numpy as np
import tensorstore as ts

from flan_jax.interop import huggingface
from flan_jax.models import T5Config
from tests.models.conftest import tiny_config, tiny_model


class Given:
  """Weights in memory that count how often they are read."""

  where, kind = 'memory', 'test'

  def __init__(self, config: T5Config, params: dict[str, np.ndarray]):
    self.config = config
    self.params = params
    self.shapes = {path: jax.ShapeDtypeStruct(value.shape, value.dtype) for path, value in params.items()}
    self.reads: list[str] = []

  def read(self, path: str) -> np.ndarray:
    self.reads.append(path)
    return self.params[path]


def tiny_weights(**changes) -> Given:
  return Given(tiny_config(**changes), huggingface.base_parameters(tiny_model(**changes)))


def fixture_folder(t5x_data: pathlib.Path, name: str) -> pathlib.Path:
  return next((t5x_data / name).glob('checkpoint_*'))


def by_tensorstore(folder: pathlib.Path, name: str) -> np.ndarray:
  """An array under T5X's name, without anything of ours."""
  native = {'driver': 'file', 'path': f'{folder}/{name.replace("/", ".")}/'}
  base = {'driver': 'file', 'path': f'{folder}/state/'}
  orbax = {'driver': 'ocdbt', 'base': base, 'path': f'{name.replace("/", ".")}/'}
  store = orbax if (folder / 'state').exists() else native
  return ts.open({'driver': 'zarr', 'kvstore': store}).result().read().result()


def expected_parameter(folder: pathlib.Path, path: str) -> np.ndarray:
  """One of our parameters out of T5X's array, the layout spelled out once more."""
  number = re.search(r'/layers/(\d+)/', path)
  if 'scanned' not in str(folder) or not number:
    return by_tensorstore(folder, 'target/' + path.replace('/layers/', '/layers_'))
  stack, rest = path.split(number[0])
  array = by_tensorstore(folder, f'target/{stack}/{stack}/{rest}')
  layer = array[:, int(number[1])]
  if path.endswith('/out/kernel'):
    return layer.reshape(-1, layer.shape[-1])
  return layer.reshape(layer.shape[0], -1) if layer.ndim == 3 else layer


def copy(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
  """A copy that can be written to; the fixtures cannot."""
  shutil.copytree(source, target)
  for path in (target, *target.rglob('*')):
    path.chmod(0o755 if path.is_dir() else 0o644)
  return target


def flipped(content: bytes, random: np.random.Generator) -> bytes:
  """The bytes with one bit changed."""
  changed = bytearray(content)
  changed[random.integers(len(content))] ^= 1 << int(random.integers(8))
  return bytes(changed)
