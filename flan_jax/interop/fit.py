"""What does not fit between two sets of named arrays, told by path and all at once."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp

from flan_jax.errors import UserError


def check_names(where: str, wanted: Iterable[str], given: Iterable[str]) -> None:
  """Raises UserError, naming each, where arrays are missing or not known."""
  _raise(where, _name_problems(set(wanted), set(given)))


def check_arrays(where: str, wanted: Mapping[str, Any], given: Mapping[str, Any], hint: str = '') -> None:
  """Checks that a checkpoint holds the parameters of a model and no others.

  Args:
    where: the checkpoint, for the message.
    wanted: by path, what the model needs: anything with a shape and a dtype.
    given: by path, what is there. Floats of any width will do, since they are cast.
    hint: what to do about it, appended to the message.

  Raises:
    UserError: with a line for every path that is missing, not known, of another shape or no number.
  """
  problems = _name_problems(set(wanted), set(given))
  for path in sorted(set(wanted) & set(given)):
    there, here = given[path], wanted[path]
    if tuple(there.shape) != tuple(here.shape):
      problems.append(f'{path} has shape {list(there.shape)} there and {list(here.shape)} in this model')
    elif jnp.issubdtype(here.dtype, jnp.floating) != jnp.issubdtype(there.dtype, jnp.floating):
      problems.append(f'{path} is of {there.dtype} there and of {here.dtype} in this model')
  _raise(where, problems, hint)


def _name_problems(wanted: set[str], given: set[str]) -> list[str]:
  return [*(f'{path} is missing' for path in sorted(wanted - given)),
          *(f'{path} is not of this model' for path in sorted(given - wanted))]


def _raise(where: str, problems: list[str], hint: str = '') -> None:
  if problems:
    count = f'{len(problems)} arrays do' if len(problems) > 1 else 'one array does'
    raise UserError('\n'.join([f'{where} does not fit: {count} not match{f" ({hint})" if hint else ""}',
                               *(f'  {problem}' for problem in problems)]))
