"""Curves of the papers as lists of arms: how many clusters, templates, exemplars, parameters does it take?

Each returns arms whose points a report draws as one line a series. A gin file puts the list among ARMS.
"""

from collections.abc import Mapping, Sequence

from flan_jax.data.variants import FIRST, SHOTS
from flan_jax.errors import UserError
from flan_jax.heldout.arms import BY_SIZE, Arm, Stage
from flan_jax.models import T5Config

CLUSTERS, TEMPLATES, EXEMPLARS, PARAMETERS = 'training clusters', 'templates', 'exemplars', 'parameters'


def clusters_curve(counts: Sequence[int], orders: Sequence[str | int] = (BY_SIZE,), all_of: str | None = None,
                   count_of_all: int | None = None) -> list[Arm]:
  """Arms that train on 1, 2, ... of the clusters that may train (Wei et al. 2021, section 4.1).

  Args:
    counts: numbers of clusters.
    orders: in which they are added: 'size', or seeds that shuffle them; a line of the curve each.
    all_of: an arm that trains on all of them, which ends every line without training again.
    count_of_all: how many clusters those are.
  """
  found = []
  for order in orders:
    series = 'most datasets first' if order == BY_SIZE else f'order {order}'
    found += [
      Arm(f'clusters_{count}_{order}', f'{count} training clusters, {series}', cluster_count=count,
          cluster_order=order, curve=CLUSTERS, x=count, series=series)
      for count in counts
    ]  # fmt: skip
    if all_of is not None:
      if count_of_all is None:
        raise UserError('runs.clusters_curve.count_of_all must say how many clusters train the arm that all_of names.')
      found.append(Arm(f'clusters_all_{order}', f'all training clusters, {series}', trains_on='nothing', start=all_of,
                       curve=CLUSTERS, x=count_of_all, series=series))
  return found


def templates_curve(counts: Sequence[int] = FIRST, all_of: str | None = None, count_of_all: int = 10) -> list[Arm]:
  """Arms that train on the first 1, 2, ... templates of every dataset (Wei et al. 2021, appendix B.1).

  Args:
    counts: numbers of templates, of those that mixtures come in.
    all_of: an arm that trains on all templates, which ends the line without training again.
    count_of_all: how many those are.
  """
  found = [Arm(f'templates_{count}', f'{count} templates', train_prompts=f'first_{count}', curve=TEMPLATES, x=count)
           for count in counts]
  if all_of is not None:
    found.append(Arm('templates_all', 'all templates', trains_on='nothing', start=all_of, curve=TEMPLATES,
                     x=count_of_all))
  return found


def exemplars_curve(start: str, counts: Sequence[int] = (0, *SHOTS), series: str = '') -> list[Arm]:
  """The weights of an arm asked with 0, 1, 2, ... solved examples before the question (Wei et al. 2021, section 4.4).

  Args:
    start: the arm.
    counts: numbers of exemplars; as many are shown as fit the lengths.
    series: the line of the curve.
  """
  return [
    Arm(f'{start}_{count}shot', f'{series or start}, {count} exemplars', trains_on='nothing', start=start,
        ask_prompts=f'{count}shot' if count else '', curve=EXEMPLARS, x=count, series=series)
    for count in counts
  ]  # fmt: skip


def sizes_curve(models: Mapping[str, T5Config], stages: Sequence[Stage] | None = None,
                own: Mapping[str, str] | None = None) -> list[Arm]:
  """Arms of several sizes, instruction-tuned and untuned (Wei et al. 2021, section 4.2).

  Args:
    models: networks by name; each starts from random weights, since a checkpoint has one size.
    stages: of training; None takes the protocol's.
    own: arms of the protocol's own size that are points too, by line: 'untuned' and 'instruction-tuned'.
  """
  found = []
  for name, model in models.items():
    found.append(Arm(f'size_{name}_untuned', f'{name}, untuned', trains_on='nothing', model=model, curve=PARAMETERS,
                     series='untuned'))
    found.append(Arm(f'size_{name}', f'{name}, instruction-tuned', start=f'size_{name}_untuned', stages=stages,
                     curve=PARAMETERS, series='instruction-tuned'))
  for series, arm in (own or {}).items():
    found.append(Arm(f'size_of_{arm}', f'own size, {series}', trains_on='nothing', start=arm, curve=PARAMETERS,
                     series=series))
  return found
