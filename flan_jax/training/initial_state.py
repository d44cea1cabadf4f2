"""The first state of a run that starts from a checkpoint: which parameters it takes, and what is told of it."""

import dataclasses

from flan_jax.interop.weights import Weights
from flan_jax.training import initial
from flan_jax.training.initial_rules import Rules, sort_by_rule
from flan_jax.training.state import StatePlan, TrainState


@dataclasses.dataclass(frozen=True)
class Source:
  """The checkpoint that a run starts from, found to fit.

  Attributes:
    weights: open.
    wanted: the parameters that it has to hold: the base's; or all of the model's, where it has adapters of this
      method, which then train further.
    rules: what may differ, see `initial_rules`.
  """

  weights: Weights
  wanted: initial.Wanted
  rules: Rules

  def lines(self) -> list[str]:
    """What is told of it."""
    sorted_ = sort_by_rule(self.weights.where, self.wanted, self.weights.shapes, self.rules)
    return [f'starting from {self.weights.where} ({self.weights.kind})', *self.weights.notes, *sorted_.lines()]

  def start(self, plan: StatePlan) -> TrainState:
    """Reads the weights into the state of a run that has made no step.

    Raises:
      UserError: if they are damaged.
    """
    loaded = initial.load_params(self.weights, self.wanted, self.rules, lambda: plan.init().params)
    if self.wanted is plan.base:
      return plan.start(loaded)
    state = plan.init()
    return dataclasses.replace(
      state,
      trainable={name: loaded[name] for name in state.trainable},
      frozen={name: loaded[name] for name in state.frozen},
    )


def open_source(plan: StatePlan, path: str | None, rules: Rules | None) -> Source | None:
  """Opens the checkpoint to start from and reads none of its arrays; None for a start from random weights.

  Raises:
    UserError: if it is not there, or is another model's.
  """
  if path is None:
    return None
  weights = initial.open_weights(path)
  goes_on = any(name in weights.shapes for name in plan.blueprint.variables if plan.blueprint.is_adapter(name))
  wanted: initial.Wanted = plan.abstract.params if goes_on else plan.base  # type: ignore[assignment]
  found = Source(weights, wanted, rules or {})
  initial.check_params(weights, found.wanted, found.rules)
  return found
