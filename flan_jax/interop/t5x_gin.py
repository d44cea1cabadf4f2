"""`config.gin` beside a checkpoint of T5X, read as text: literals count, and nothing is looked up or run."""

import tokenize
from collections.abc import Mapping
from typing import Any, NamedTuple

from etils import epath
from gin import config_parser

from flan_jax import gin_text
from flan_jax.errors import UserError
from flan_jax.models.config import T5Config

FILE = 'config.gin'


class Bindings(NamedTuple):
  """Literals that a gin file binds, by the last two parts of the name; and the names of other bindings of T5Config."""

  values: Mapping[str, Any]
  other: tuple[str, ...]


def read_gin(text: str) -> Bindings:
  """Returns what a gin file binds to literals, or to macros that are literals.

  Raises:
    SyntaxError: if it is no gin.
    tokenize.TokenError: likewise.
  """
  macros: dict[str, Any] = {}
  bound: dict[str, Any] = {}
  for statement in gin_text.statements(text):
    if isinstance(statement, config_parser.BindingStatement):
      if statement.arg_name:
        bound[f'{statement.selector.rpartition(".")[2]}.{statement.arg_name}'] = statement.value
      else:
        macros[statement.selector] = statement.value
  resolved = {name: _resolve(value, macros) for name, value in bound.items()}
  literal = {name: value for name, value in resolved.items() if not _stands(value)}
  return Bindings(literal, tuple(n for n in resolved if n not in literal and n.startswith('T5Config.')))


def _resolve(value: Any, macros: Mapping[str, Any]) -> Any:
  seen: set[str] = set()
  while isinstance(value, gin_text.Macro) and value not in seen:
    seen.add(value)
    value = macros.get(value.removeprefix('%'), value)
  return value


def _stands(value: Any) -> bool:
  """Whether a value holds a macro or a reference."""
  if isinstance(value, dict):
    return any(_stands(part) for pair in value.items() for part in pair)
  if isinstance(value, (list, tuple)):
    return any(_stands(part) for part in value)
  return isinstance(value, (gin_text.Macro, gin_text.Reference))


def find_gin(folder: epath.Path) -> Bindings:
  """Returns what the `config.gin` in a checkpoint's folder, or else in its run's folder, binds; nothing without one.

  Raises:
    UserError: if it cannot be read.
  """
  for path in (folder / FILE, folder.parent / FILE):
    if path.is_file():
      try:
        return read_gin(path.read_text())
      except (SyntaxError, tokenize.TokenError) as error:
        line, sentence = gin_text.syntax_problem(error)
        raise UserError(f'{path} is damaged or no gin file, line {line}: {sentence}') from error
      except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read: {error}') from error
  return Bindings({}, ())


def to_gin(config: T5Config, *, scanned: bool) -> str:
  """Returns the file that T5X's users include for a network of this shape, and that `read_gin` reads."""
  network = 'scalable_t5' if scanned else 't5'
  names = ('vocab_size', 'dtype', 'emb_dim', 'num_heads', 'num_encoder_layers', 'num_decoder_layers', 'head_dim',
           'mlp_dim', 'mlp_activations', 'dropout_rate', 'logits_via_embedding')  # fmt: skip
  lines = [f'network.T5Config.{name} = {getattr(config, name)!r}' for name in names]
  lines += ['network.T5Config.scan_layers = True'] * scanned
  head = ['from __gin__ import dynamic_registration', f'from t5x.examples.{network} import network', '']
  return '\n'.join([*head, *lines, ''])
