"""What an arm trains on when a cluster is held out: datasets, clusters in a stated order, the tasks of a stage."""

import re
from collections.abc import Sequence

import numpy as np

from flan_jax.data import registry
from flan_jax.data.dataset import Dataset
from flan_jax.errors import UserError, did_you_mean
from flan_jax.heldout.arms import BY_SIZE, Arm, Stage


def held_out_clusters(family: registry.Family, named: str | Sequence[str], macro: str = 'HELD_OUT') -> list[str]:
  """The clusters that are held out in turn: one, several, or 'all'.

  Raises:
    UserError: where the family has no such cluster, or none is named.
  """
  chosen = list(family.clusters) if named == 'all' else [named] if isinstance(named, str) else list(named)
  for cluster in chosen:
    if cluster not in family.clusters:
      raise UserError(f'{macro}: family {family.name!r} has no cluster {cluster!r}. '
                      f'{did_you_mean(cluster, family.clusters)}')
  if not chosen:
    raise UserError(f"{macro} is empty: name a cluster, several, or 'all'.")
  return list(dict.fromkeys(chosen))


def judged(family: registry.Family, held_out: str) -> list[Dataset]:
  """The datasets that no arm on 'rest' saw: the held-out cluster's, and those of clusters that leave with it."""
  allowed = {dataset.name for dataset in family.without(held_out)}
  return [dataset for dataset in family.datasets if dataset.name not in allowed]


def datasets(arm: Arm, family: registry.Family, held_out: str) -> list[Dataset]:
  """The datasets that train an arm.

  Raises:
    UserError: where none remain, or the order of clusters names one that may not train.
  """
  if arm.trains_on == 'nothing':
    return []
  if arm.trains_on == 'all':
    return list(family.datasets)
  if arm.trains_on == 'cluster':
    return list(family.clusters[held_out])
  allowed = list(family.without(held_out))
  if arm.cluster_count is not None:
    first = ordered(arm, family, held_out)[: arm.cluster_count]
    allowed = [dataset for dataset in allowed if dataset.cluster in first]
  if not allowed:
    raise UserError(f'With {held_out!r} held out, family {family.name!r} has nothing left to train on.')
  return allowed


def ordered(arm: Arm, family: registry.Family, held_out: str) -> list[str]:
  """The clusters that may train, in an arm's order.

  Raises:
    UserError: where there are fewer than the arm counts, or its order names a cluster that may not train.
  """
  allowed = list(dict.fromkeys(dataset.cluster for dataset in family.without(held_out)))
  order = arm.cluster_order
  if isinstance(order, int):
    found = [allowed[place] for place in np.random.default_rng(order).permutation(len(allowed))]
  elif order == BY_SIZE:
    found = sorted(allowed, key=lambda cluster: -len(family.clusters[cluster]))  # of equals the first declared
  else:
    found = list(order)
    for cluster in found:
      if cluster not in allowed:
        raise UserError(f'runs.Arm.cluster_order of {arm.name!r}: {cluster!r} is no cluster that may train with '
                        f'{held_out!r} held out. {did_you_mean(cluster, allowed)}')
  if arm.cluster_count is not None and arm.cluster_count > len(found):
    raise UserError(f'runs.Arm.cluster_count = {arm.cluster_count} of {arm.name!r}: with {held_out!r} held out there '
                    f'are {len(found)} clusters to train on.')
  return found


def stage_tasks(stage: Stage, arm: Arm, family: registry.Family, chosen: Sequence[Dataset]) -> list[str]:
  """The tasks that a stage of an arm trains on.

  Args:
    stage: whose regex leaves datasets out.
    arm: how they are prompted, and how many of their rows train.
    family: of the datasets.
    chosen: the datasets, from `datasets`.

  Raises:
    UserError: where the stage leaves nothing, or its regex matches no dataset of the family.
  """
  try:
    pattern = re.compile(stage.leave_out) if stage.leave_out is not None else None
  except re.error as error:
    raise UserError(f'runs.Stage.leave_out = {stage.leave_out!r} is not a regular expression: {error}.') from error
  if pattern is not None and not any(pattern.fullmatch(dataset.name) for dataset in family.datasets):
    raise UserError(f'runs.Stage.leave_out = {stage.leave_out!r} matches no dataset of family {family.name!r}: '
                    f'{", ".join(dataset.name for dataset in family.datasets)}.')
  kept = [dataset for dataset in chosen if pattern is None or not pattern.fullmatch(dataset.name)]
  if not kept:
    raise UserError(f'runs.Stage.leave_out = {stage.leave_out!r} leaves none of the {len(chosen)} datasets that train '
                    f'{arm.name!r}: {", ".join(dataset.name for dataset in chosen)}.')
  tasks = [family.task(dataset, arm.trained.nearest(dataset)) for dataset in kept]
  return tasks if arm.train_rows is None else [registry.limited(task, arm.train_rows) for task in tasks]
