"""The first state of a run that starts from a checkpoint: which parameters it takes, and what is told of it."""

import dataclasses
from typing import Any

import jax
import numpy as np

from flan_jax.errors import UserError
from flan_jax.interop import t5x_optimizer
from flan_jax.interop.t5x_weights import OPTIMIZER_NOTE, T5XWeights
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
    notes: what the checkpoint holds beside, and what becomes of it.
    of_t5x: the weights again, where the optimizer goes on with their Adafactor's state; None for a fresh start.
  """

  weights: Weights
  wanted: initial.Wanted
  rules: Rules
  notes: tuple[str, ...]
  of_t5x: T5XWeights | None = None

  def lines(self) -> list[str]:
    """What is told of it."""
    sorted_ = sort_by_rule(self.weights.where, self.wanted, self.weights.shapes, self.rules)
    return [f'starting from {self.weights.where} ({self.weights.kind})', *self.notes, *sorted_.lines()]

  def start(self, plan: StatePlan) -> TrainState:
    """Reads the weights into the state of a run that has made no step.

    Raises:
      UserError: if they are damaged.
    """
    loaded = initial.load_params(self.weights, self.wanted, self.rules, lambda: plan.init().params)
    if self.wanted is plan.base:
      state = plan.start(loaded)
      return state if self.of_t5x is None else self._resumed(self.of_t5x, state, plan)
    state = plan.init()
    return dataclasses.replace(
      state,
      trainable={name: loaded[name] for name in state.trainable},
      frozen={name: loaded[name] for name in state.frozen},
    )


  def _resumed(self, weights: T5XWeights, state: TrainState, plan: StatePlan) -> TrainState:
    opt_state, _ = t5x_optimizer.resume(weights, state.opt_state)

    def place(value: Any, wanted: jax.ShapeDtypeStruct) -> jax.Array:
      return initial.place(value, wanted) if isinstance(value, np.ndarray) else value

    return dataclasses.replace(state, opt_state=jax.tree.map(place, opt_state, plan.abstract.opt_state))


def open_source(plan: StatePlan, path: str | None, rules: Rules | None, with_optimizer: bool = False) -> Source | None:
  """Opens the checkpoint to start from and reads none of its arrays; None for a start from random weights.

  Raises:
    UserError: if it is not there, or is another model's.
  """
  if path is None:
    return None
  weights = initial.open_weights(path)
  goes_on = any(name in weights.shapes for name in plan.blueprint.variables if plan.blueprint.is_adapter(name))
  wanted: initial.Wanted = plan.abstract.params if goes_on else plan.base  # type: ignore[assignment]
  found = Source(weights, wanted, rules or {}, tuple(weights.notes))
  initial.check_params(weights, found.wanted, found.rules)
  return _with_optimizer(found, plan) if with_optimizer else found


def _with_optimizer(source: Source, plan: StatePlan) -> Source:
  weights = source.weights
  if not isinstance(weights, T5XWeights):
    raise UserError(f'INITIAL_OPTIMIZER_STATE is for checkpoints of T5X, and {weights.where} is of {weights.kind}')
  _, told = t5x_optimizer.resume(weights, plan.abstract.opt_state)  # raises where it does not fit
  others = (note for note in weights.notes if not note.startswith(OPTIMIZER_NOTE))
  notes = (f"the optimizer goes on with T5X's Adafactor of step {weights.step:,}", *told, *others)
  return dataclasses.replace(source, notes=notes, of_t5x=weights)
