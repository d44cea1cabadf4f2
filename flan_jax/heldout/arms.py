"""The arms of the held-out protocol: how a model is trained, and how it is asked about the cluster it did not see."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from flan_jax.data import variants
from flan_jax.data.variants import Variant
from flan_jax.errors import UserError, did_you_mean
from flan_jax.evaluation.results import Point
from flan_jax.models import T5Config
from flan_jax.peft import Method
from flan_jax.training.optimizers import Optimizer
from flan_jax.work import configuration

TrainsOn = Literal['rest', 'all', 'cluster', 'nothing']
BY_SIZE = 'size'


@dataclasses.dataclass(frozen=True)
class Stage:
  """One stretch of training.

  Attributes:
    train_steps: its updates.
    optimizer: a new one for each stage.
    leave_out: a regex; datasets whose whole name matches sit this stage out (few datasets first, say).
  """

  train_steps: int
  optimizer: Optimizer
  leave_out: str | None = None


@dataclasses.dataclass(frozen=True)
class Arm:
  """One condition of the protocol, the same for every held-out cluster.

  Attributes:
    name: of its folders, such as 'tuned'.
    label: what a reader sees.
    trains_on: 'rest': all clusters but the held-out one and those too close to it; 'all': every cluster, the held-out
      one too (an upper bound); 'cluster': the held-out cluster's own training rows; 'nothing': the weights stay as
      they are.
    start: the arm whose weights it starts from; None: the protocol's initial checkpoint.
    stages: of training; None takes the protocol's.
    method: what trains; None takes the protocol's.
    model: the network; None takes that of `start`, or the protocol's.
    train_prompts: the way of prompting while training, a variant of mixtures such as 'fields_only', 'first_4' or
      '5shot'; '' is the ordinary one.
    ask_prompts: likewise of the questions.
    cluster_count: trains on so many clusters of those that may train; None takes all.
    cluster_order: in which order clusters are counted: 'size' (most datasets first), a seed, or their names.
    train_rows: each dataset trains on its first so many rows; None takes all.
    curve: the curve that the arm is a point of, such as 'training clusters'; '' for none.
    x: the place on it; None takes the number of parameters.
    series: the line of the curve.
  """

  name: str
  label: str
  trains_on: TrainsOn = 'rest'
  start: str | None = None
  stages: Sequence[Stage] | None = None
  method: Method | None = None
  model: T5Config | None = None
  train_prompts: str = ''
  ask_prompts: str = ''
  cluster_count: int | None = None
  cluster_order: str | int | Sequence[str] = BY_SIZE
  train_rows: int | None = None
  curve: str = ''
  x: float | None = None
  series: str = ''

  @property
  def trains(self) -> bool:
    """Whether it has training of its own."""
    return self.trains_on != 'nothing'

  @property
  def trained(self) -> Variant:
    """The way of prompting while training."""
    return variants.parse(self.train_prompts)

  @property
  def asked(self) -> Variant:
    """The way of asking."""
    return variants.parse(self.ask_prompts)

  def point(self, parameters: int) -> Point | None:
    """Its place on a curve, for a model of so many parameters; None where it is on none."""
    return Point(self.curve, float(parameters if self.x is None else self.x), self.series) if self.curve else None


Given = Arm | Sequence['Given']


def flat(given: Iterable[Given]) -> Iterator[Arm]:
  """Yields the arms of a list whose items may be lists of arms (a curve is one); raises UserError for other items."""
  for item in given:
    if isinstance(item, Arm):
      yield item
    elif isinstance(item, list | tuple):
      yield from flat(item)
    else:
      raise UserError(f'ARMS or CONTROLS holds {item!r}: each item is a runs.Arm, or a list of them such as a curve.')


def in_order(given: Iterable[Given]) -> dict[str, Arm]:
  """The arms by name, each behind the one that it starts from.

  Raises:
    UserError: for names that are no folder's or are given twice, a start that is no arm or leads back to the arm, or
      a way of prompting that does not exist.
  """
  arms = list(flat(given))
  configuration.check_names('runs.Arm', [arm.name for arm in arms], 'ARMS')
  by_name = {arm.name: arm for arm in arms}
  found: dict[str, Arm] = {}
  for arm in arms:
    _check(arm)
    for earlier in reversed(chain(arm, by_name)):
      found.setdefault(earlier.name, earlier)
  return found


def chain(arm: Arm, arms: Mapping[str, Arm]) -> list[Arm]:
  """An arm, the one that it starts from, and so on to the first.

  Raises:
    UserError: where a start is no arm, or leads back.
  """
  found = [arm]
  while found[-1].start is not None:
    start = found[-1].start
    if start not in arms:
      raise UserError(f'runs.Arm.start = {start!r} of {found[-1].name!r} is none of ARMS. {did_you_mean(start, arms)}')
    if arms[start] in found:
      names = ' from '.join(repr(one.name) for one in [*found, arms[start]])
      raise UserError(f'ARMS start from each other in a circle: {names}.')
    found.append(arms[start])
  return found


def _check(arm: Arm) -> None:
  for field in ('train_prompts', 'ask_prompts'):
    try:
      variants.parse(getattr(arm, field))
    except UserError as error:
      raise UserError(f'runs.Arm.{field} of {arm.name!r}: {error}') from error
  if arm.cluster_count is not None and (arm.cluster_count < 1 or arm.trains_on != 'rest'):
    raise UserError(f'runs.Arm.cluster_count = {arm.cluster_count} of {arm.name!r} must be at least 1, and counts '
                    "clusters of an arm with trains_on = 'rest'.")
  if isinstance(arm.cluster_order, str) and arm.cluster_order != BY_SIZE:
    raise UserError(f'runs.Arm.cluster_order = {arm.cluster_order!r} of {arm.name!r} must be {BY_SIZE!r}, a seed, or a '
                    'list of clusters.')
  if not arm.trains and (arm.method, arm.stages, arm.train_rows) != (None, None, None):
    raise UserError(f'{arm.name!r} trains on nothing: its method, stages and train_rows would have no effect.')
  if arm.model is not None and arm.start is not None:
    raise UserError(f'{arm.name!r} starts from {arm.start!r} and so has its model: leave runs.Arm.model away.')
