"""What a run of the held-out protocol found, in sentences that say no more than its intervals do."""

import collections
from collections.abc import Sequence

from flan_jax.evaluation import compare
from flan_jax.evaluation.protocol_run import Arm, Run, reference
from flan_jax.evaluation.results import ClusterResult
from flan_jax.evaluation.statistics import Estimate

_NOISE = 1e-9  # points by which means of the same answers may differ, for they are summed in another order


def against_chance(estimate: Estimate, chance: float | None) -> str:
  """Returns 'above chance', 'at chance' or 'below chance', as the interval has it; '' where that is not known."""
  if chance is None or estimate.low is None or estimate.high is None:
    return ''
  return 'above chance' if estimate.low > chance else 'below chance' if estimate.high < chance else 'at chance'


def direction(difference: Estimate) -> str:
  """Returns 'above', 'below' or 'not told apart from', as the interval of a difference has it; '' without one."""
  if difference.low is None or difference.high is None:
    return ''
  if difference.low > _NOISE:
    return 'above'
  return 'below' if difference.high < -_NOISE else 'not told apart from'


def sentences(run: Run) -> tuple[list[str], list[str]]:
  """Returns the whole in a sentence for chance and one for each arm, and a line for each cluster.

  Args:
    run: with at least one ordinary arm.
  """
  lines = [_line(run.of(held_out), cluster) for held_out, cluster in _places(run)]
  compared = [text for name in run.names if (text := _difference_sentence(run, name))]
  extra = [f'{_listed(run.extra)} {"was" if len(run.extra) == 1 else "were"} asked of every arm too; see the tables.'
           ] if run.extra else []  # fmt: skip
  return [_chance_sentence(run), *compared, *extra], lines


def _places(run: Run) -> list[tuple[str, str]]:
  """The clusters that this is about, each with what training held out, in order: see `Run.is_own`."""
  return list(dict.fromkeys(
    (arm.held_out, result.cluster) for arm in run.arms for result in arm.evaluation.clusters
    if run.is_own(arm.held_out, result.cluster)
  ))  # fmt: skip


def _cluster(arm: Arm, cluster: str) -> ClusterResult | None:
  return next((result for result in arm.evaluation.clusters if result.cluster == cluster), None)


def _chance_sentence(run: Run) -> str:
  """Says where the reference arm stands against chance."""
  found: dict[str, list[str]] = collections.defaultdict(list)
  name = reference(run.arms).name
  for held_out, cluster in _places(run):
    for result in (_cluster(arm, cluster) for arm in run.of(held_out) if arm.name == name):
      if result is not None:
        found[against_chance(result.mean, result.chance) or 'without a chance level or interval'].append(cluster)
  total = sum(map(len, found.values()))
  parts = [f'{kind} in {len(clusters)} ({_listed(clusters)})' for kind, clusters in found.items()]
  asked = 'held-out clusters' if any(run.held_out) else 'clusters'
  return f'Of {total} {asked}, {name} is {_listed(parts)}.' if total else f'No cluster was asked of {name}.'


def _difference_sentence(run: Run, name: str) -> str:
  """Says in how many clusters, and by how much over all datasets, the reference arm is above another."""
  first = reference(run.arms).name
  counts: collections.Counter[str] = collections.Counter()
  sides = []
  groups: dict[str, str] = {}
  for held_out in run.held_out:
    arms = {arm.name: arm for arm in run.of(held_out)}
    if name == first or not {first, name} <= arms.keys():
      continue
    groups |= arms[first].groups
    for result in (one for one in arms[first].evaluation.clusters if run.is_own(held_out, one.cluster)):
      difference = arms[first].above(arms[name], list(result.datasets))
      counts[direction(difference) if difference else 'not to be paired with'] += 1
      sides += [(arms[first].columns(dataset), arms[name].columns(dataset)) for dataset in result.datasets]
  if not sides:
    return ''
  pairs = [(one, two) for one, two in sides if one is not None and two is not None]
  whole = compare.difference(pairs, groups=groups) if len(pairs) == len(sides) else None
  mean = (f'over all {len(sides)} datasets the difference is {signed(whole)} points' if whole else
          'a difference over all datasets cannot be paired, for some have no credit by row or no predictions at hand')
  places = _listed([f'{kind} it in {count}' for kind, count in counts.most_common()])
  return f'Compared with {name} in {counts.total()} clusters, {first} is {places}; {mean}.'


def _line(arms: Sequence[Arm], cluster: str) -> str:
  """Returns what there is to say of one cluster."""
  first = reference(arms)
  result = _cluster(first, cluster)
  if result is None:
    return f'{cluster}: {first.name} was not asked.'
  stands = against_chance(result.mean, result.chance)
  chance = f', {stands} ({result.chance:.1f})' if stands else ''
  said = [f'{cluster}: {first.name} reaches {result.mean}{chance}.']
  compared = []
  for arm in arms:
    difference = first.above(arm, list(result.datasets)) if arm is not first else None
    if difference is not None:
      compared.append(f'{direction(difference)} {arm.name} ({signed(difference)})')
  return ' '.join([*said, f'It is {_listed(compared)}.']) if compared else said[0]


def signed(difference: Estimate) -> str:
  """Returns a difference with its sign and interval."""
  if difference.low is None or difference.high is None:
    return f'{difference.value:+.1f}'
  return f'{difference.value:+.1f} [{difference.low:+.1f}, {difference.high:+.1f}]'


def _listed(words: Sequence[str]) -> str:
  return words[0] if len(words) == 1 else f'{", ".join(words[:-1])} and {words[-1]}'
