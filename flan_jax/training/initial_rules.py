"""What may differ between a model and the checkpoint it starts from: nothing, but for what a rule says.

INITIAL_CHECKPOINT_RULES maps regexes, matched against whole parameter paths, to one of

  'fresh'   the model's own initial values, whatever the checkpoint has;
  'grow'    the checkpoint's values where it has any, and the model's own in the rows or columns beyond them: more
            vocabulary ({'token_embedder/embedding|decoder/logits_dense/kernel': 'grow'});
  'ignore'  a parameter that only the checkpoint has.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from flan_jax.errors import UserError, did_you_mean

RULES = ('fresh', 'grow', 'ignore')
Rules = Mapping[str, str]
T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Sorted:
  """Parameters by what a rule says of them; those that none speaks of are taken as they are.

  Attributes:
    fresh: they keep the model's initial values.
    grown: they are filled as far as the checkpoint reaches.
    ignored: of the checkpoint, not read.
  """

  fresh: tuple[str, ...]
  grown: tuple[str, ...]
  ignored: tuple[str, ...]

  def as_is(self, named: Mapping[str, T]) -> dict[str, T]:
    """Those of some parameters that no rule speaks of."""
    spoken_of = {*self.fresh, *self.grown, *self.ignored}
    return {name: value for name, value in named.items() if name not in spoken_of}

  def lines(self) -> list[str]:
    """Says what was not taken as it is."""
    told = (("parameters at the model's own initial values", self.fresh),
            ('parameters grown from the checkpoint', self.grown),
            ('parameters of the checkpoint that are not read', self.ignored))  # fmt: skip
    return [f'{what}: {len(names)} ({", ".join(names)})' for what, names in told if names]


def sort_by_rule(where: str, wanted: Mapping[str, Any], given: Mapping[str, Any], rules: Rules) -> Sorted:
  """Sorts the parameters of a model and a checkpoint by the rules.

  Args:
    where: the checkpoint, for messages.
    wanted: the model's, by path.
    given: the checkpoint's.
    rules: what may differ.

  Raises:
    UserError: with a line for each rule that is unknown, matches nothing, or cannot be followed.
  """
  found: dict[str, list[str]] = {rule: [] for rule in RULES}
  problems = []
  for pattern, rule in rules.items():
    if rule not in RULES:
      problems.append(f'{pattern!r} has the rule {rule!r}. {did_you_mean(str(rule), RULES)}')
      continue
    try:
      names = [name for name in (given if rule == 'ignore' else wanted) if re.fullmatch(pattern, name)]
    except re.error as error:
      problems.append(f'{pattern!r} is no regular expression: {error}')
      continue
    if not names:
      side = where if rule == 'ignore' else 'this model'
      problems.append(f'{pattern!r} matches no parameter of {side}. {did_you_mean(pattern, {*wanted, *given})}')
    found[rule] += names
    problems += _unfollowable(rule, names, wanted, given)
  if problems:
    raise UserError('\n'.join(f'INITIAL_CHECKPOINT_RULES: {problem}' for problem in problems))
  ignored = {*found['ignore'], *(name for name in found['fresh'] if name in given)}
  return Sorted(tuple(found['fresh']), tuple(found['grow']), tuple(sorted(ignored)))


def _unfollowable(rule: str, names: Iterable[str], wanted: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
  problems = []
  for name in names:
    if rule == 'grow' and name not in given:
      problems.append(f"{name} cannot grow, since the checkpoint lacks it; 'fresh' starts it anew")
    elif rule == 'grow':
      here, there = tuple(wanted[name].shape), tuple(given[name].shape)
      if len(here) != len(there) or any(a < b for a, b in zip(here, there, strict=True)):
        problems.append(f'{name} cannot grow from {list(there)} to {list(here)}')
    elif rule == 'ignore' and name in wanted:
      problems.append(f"{name} cannot be ignored, since this model has it; 'fresh' starts it anew")
  return problems
