"""Mistakes that a person can mend: one sentence, the thing's name, and what would be right."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
  """Bad input from the user: scripts print it as one line on stderr and exit with code 2."""


def did_you_mean(name: str, candidates: Iterable[str], limit: int = 3) -> str:
  """Returns the sentence that suggests the names closest to a wrong one, or lists a few where none is close.

  Args:
    name: what the user wrote.
    candidates: the names that would have been right.
    limit: how many suggestions at most.

  Returns:
    A sentence such as "Did you mean 'sst2' or 'stsb'?"; empty when there are no candidates.
  """
  known = sorted(set(candidates))
  close = difflib.get_close_matches(name, known, n=limit, cutoff=0.6)
  if close:
    return f'Did you mean {" or ".join(repr(match) for match in close)}?'
  if not known:
    return ''
  shown = ', '.join(known[: 2 * limit])
  return f'Known: {shown}{", ..." if len(known) > 2 * limit else ""}.'
