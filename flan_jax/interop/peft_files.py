"""Folders with an adapter of peft's or ours: told apart, converted, read back and compared."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from flan_jax.errors import UserError
from flan_jax.interop.peft_adapters import Adapter, from_peft, to_peft
from flan_jax.peft.io import CONFIG, WEIGHTS, read_adapter, write_adapter

THEIR_WEIGHTS = 'adapter_model.safetensors'
OF_MODELS = ('config.json', 'model*.safetensors', 'pytorch_model*.bin', 'checkpoint_*', 'meta.json')
PICKLE = 'adapter_model.bin'


@dataclasses.dataclass(frozen=True)
class Report:
  """What `convert` did.

  Attributes:
    source: 'peft' or 'flan_jax', whose adapter was read.
    method: peft's name of it, or ours.
    adapter: what was written.
  """

  source: str
  method: str
  adapter: Adapter

  def __str__(self) -> str:
    """One line."""
    name = self.adapter.config.get('peft_type') or self.adapter.config.get('method')
    target = 'flan_jax' if self.source == 'peft' else 'peft'
    size = sum(array.size for array in self.adapter.arrays.values())
    return (f"{self.source}'s {self.method} as {target}'s {name}: {size:,} parameters in {len(self.adapter.arrays)} "
            'arrays, read back and equal')  # fmt: skip


def convert(source: str | pathlib.Path, target: str | pathlib.Path, base_model: str | None = None) -> Report:
  """Converts the adapter in a folder, peft's to ours or ours to peft's.

  Args:
    source: the folder to read.
    target: the folder to write, whole or not at all; an older adapter there is replaced.
    base_model: the base model's name or path, to be written into the config.

  Returns:
    What was written.

  Raises:
    UserError: where there is no adapter, it has no counterpart, the target is something else, or what was written does
      not read back as what was meant.
  """
  source, target = pathlib.Path(source), pathlib.Path(target)
  theirs = is_peft(source)
  _check_target(source, target)
  config, arrays = _read(source, theirs)
  meant = (from_peft if theirs else to_peft)(config, arrays, base_model)
  _write(target, meant, theirs=not theirs)
  _verify(target, meant, theirs=not theirs)
  return Report('peft' if theirs else 'flan_jax', str(config['peft_type' if theirs else 'method']), meant)


def is_peft(folder: pathlib.Path) -> bool:
  """Whether a folder holds an adapter of peft's; False for one of ours.

  Raises:
    UserError: if it holds neither.
  """
  if not folder.is_dir():
    raise UserError(f'there is no folder {folder}')
  if not (folder / CONFIG).is_file():
    raise UserError(_no_adapter(folder))
  try:
    config = json.loads((folder / CONFIG).read_text(encoding='utf-8'))
  except (OSError, ValueError) as error:
    raise UserError(f'{folder / CONFIG} cannot be read: {error}') from error
  for key, answer in (('peft_type', True), ('method', False)):
    if isinstance(config, dict) and key in config:
      return answer
  raise UserError(f"{folder / CONFIG} is neither peft's (it has no peft_type) nor ours (it has no method)")


def _no_adapter(folder: pathlib.Path) -> str:
  if (folder / 'adapter' / CONFIG).is_file():
    return f'{folder} is a run and not an adapter; its adapter is {folder / "adapter"}'
  whole = [path.name for pattern in OF_MODELS for path in sorted(folder.glob(pattern))]
  if whole:
    return f'{folder} holds a model ({whole[0]}) and no adapter'
  return f'there is no adapter in {folder}: {CONFIG} is missing'


def _check_target(source: pathlib.Path, target: pathlib.Path) -> None:
  if target.exists() and not target.is_dir():
    raise UserError(f'{target} is a file; the adapter needs a folder')
  if target.exists() and target.resolve() == source.resolve():
    raise UserError(f'{target} is where the adapter is read from; write it somewhere else')
  others = sorted(p.name for p in target.iterdir() if p.name not in (CONFIG, WEIGHTS, THEIR_WEIGHTS)) if (
    target.exists()) else []  # fmt: skip
  if others:
    raise UserError(f'{target} holds other things than an adapter ({others[0]}), and would be replaced; write it '
                    'somewhere else')  # fmt: skip


def _read(folder: pathlib.Path, theirs: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  if theirs and not (folder / THEIR_WEIGHTS).exists() and (folder / PICKLE).exists():
    raise UserError(f'{folder / PICKLE} is a pickle, which may run code when it is read: if you trust it, load it with '
                    "peft's PeftModel.from_pretrained and save it again by save_pretrained, which writes "
                    f'{THEIR_WEIGHTS}')  # fmt: skip
  return read_adapter(folder, weights=THEIR_WEIGHTS if theirs else WEIGHTS)


def _write(folder: pathlib.Path, adapter: Adapter, theirs: bool) -> None:
  options: dict[str, Any] = {'weights': THEIR_WEIGHTS, 'metadata': {'format': 'pt'}} if theirs else {}
  write_adapter(folder, adapter.config, adapter.arrays, **options)


def _verify(folder: pathlib.Path, meant: Adapter, theirs: bool) -> None:
  """Raises UserError unless the files hold what was meant, and still do after the way there and back."""
  config, arrays = _read(folder, theirs)
  there, back = (from_peft, to_peft) if theirs else (to_peft, from_peft)
  there_and_back = back(*there(config, arrays)[:2])
  for found in (Adapter(config, arrays), there_and_back):
    if json.dumps(found.config) != json.dumps(meant.config) or not _same(found.arrays, meant.arrays):
      raise UserError(f'what was written to {folder} does not read back as it should: do not use it, and report this')


def _same(some: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> bool:
  return some.keys() == others.keys() and all(
    some[n].dtype == others[n].dtype and np.array_equal(some[n], others[n]) for n in some)
