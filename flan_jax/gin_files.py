"""Reading gin: files are found by name, and every mistake of a configuration is reported at once."""

import dataclasses
import tokenize
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gin

from flan_jax import gin_text
from flan_jax.errors import UserError
from flan_jax.gin_check import Checker

_OPENING = tuple('([{\'"@%')  # a value that begins so is meant as gin, and is a mistake where it cannot be read


@dataclasses.dataclass
class Sources:
  """Where a configuration comes from: files in order, then bindings, which win."""

  files: Sequence[str]
  bindings: Sequence[str] = ()
  search_paths: Sequence[str] = ()


def load(sources: Sources, configurables: Mapping[str, Callable[..., Any]]) -> None:
  """Binds a configuration, after checking all of it.

  Args:
    sources: files, then bindings.
    configurables: what can be configured, by full name.

  Raises:
    UserError: one line for every mistake.
  """
  checker = Checker(configurables, sources.search_paths)
  bindings = [normalize(binding) for binding in sources.bindings]
  for filename in sources.files:
    checker.check_file(filename)
  for binding in bindings:
    checker.check_binding(binding)
  problems = checker.finish()
  if problems:
    raise UserError('\n'.join(problems))
  gin.clear_config()
  texts = [gin_text.expand(filename, sources.search_paths) for filename in sources.files]
  try:
    gin.parse_config_files_and_bindings([], [*texts, *bindings], print_includes_and_imports=False)
  except (ValueError, TypeError, RuntimeError) as error:
    raise UserError(f'gin: {str(error).strip().splitlines()[0]}') from error


def normalize(binding: str) -> str:
  """Quotes the value of a flag where it can only be meant as text: `MODEL_DIR=/tmp/run`.

  Raises:
    UserError: where there is no value.
  """
  name, _, value = (part.strip() for part in binding.partition('='))
  if not value:
    raise UserError(f'--gin.{binding}: a binding is NAME=VALUE.')
  try:
    list(gin_text.statements(f'{name} = {value}'))
  except (SyntaxError, tokenize.TokenError):
    return f'{name} = {value}' if value.startswith(_OPENING) else f'{name} = {value!r}'
  return f'{name} = {value}'
