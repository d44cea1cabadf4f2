"""Before a run: which rows of evaluations are among those that train, and a mixture without them."""

import dataclasses
from collections.abc import Mapping, Sequence

from flan_jax.data import contamination, registry
from flan_jax.errors import UserError
from flan_jax.runs import parts


@dataclasses.dataclass(frozen=True)
class Clean:
  """What a run trains on once evaluation rows were looked for.

  Attributes:
    mixture: the task or mixture, without the rows that were found where they leave.
    lines: what was found, for people.
    files: the same for the run folder, by name.
  """

  mixture: str
  lines: Sequence[str] = ()
  files: Mapping[str, str] = dataclasses.field(default_factory=dict)


def clean(mixture: str, tasks: Sequence[str], split: str, n: int, *, remove: bool = False, cached: bool = False,
          skip_unavailable: bool = False) -> Clean:
  """Looks for the rows of evaluations in a mixture.

  Args:
    mixture: what is about to train.
    tasks: tasks or mixtures whose rows are looked for; without any nothing is done.
    split: which of their rows.
    n: words in a row that make an overlap.
    remove: leave the training rows that were found out.
    cached: whether the run reads SeqIO's offline caches, which hold all rows.
    skip_unavailable: pass over tasks without rows on disk, a line for each dataset.

  Returns:
    The mixture and what was found.

  Raises:
    UserError: where rows shall leave and there is nothing to look for, or caches are read; see `contamination.find`.
  """
  if remove and not tasks:
    raise UserError('REMOVE_CONTAMINATION = True removes nothing without CONTAMINATION_TASKS: name the tasks whose '
                    'rows must not train.')
  if remove and cached:
    raise UserError('REMOVE_CONTAMINATION = True leaves out rows, and the caches of USE_CACHED_TASKS = True hold all '
                    'of them: set one of the two to False.')
  if not tasks:
    return Clean(mixture)
  left_out: Sequence[str] = ()
  if skip_unavailable:
    tasks, reasons = parts.on_disk(tasks, split)
    left_out = [f'contamination: not looked for, {reason.removeprefix("left out: ")}' for reason in reasons]
  parts.check_split(tasks, split)
  found = contamination.find([mixture], tasks, split, n)
  if remove:
    mixture = registry.without_rows(mixture, found.training_rows)
    found = dataclasses.replace(found, removed=True)
  return Clean(mixture, [*left_out, *found.lines()], found.files())
