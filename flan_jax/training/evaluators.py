"""What runs beside training every so many steps: the contract, and the loss on a held-back split."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.peft.partition import Blueprint, make_blueprint
from flan_jax.training import losses
from flan_jax.training.step import make_eval_step


class Evaluator(Protocol):
  """Anything that measures a model now and then.

  Attributes:
    name: where its numbers go, such as 'training_eval/nli'.
    period: it runs when the step is a multiple of this, and at the end.
  """

  name: str
  period: int

  def __call__(self, step: int, model: Any) -> Mapping[str, float]:
    """Measures.

    The model's arrays are only valid during the call, since the next step reuses their memory. Of several hosts one
    runs this (see `owned`), with arrays of its own devices: it cannot meet the others in here.
    """
    ...


@runtime_checkable
class FromStart(Evaluator, Protocol):
  """An evaluator that also measures the model before the first update, as step 0."""

  def begin(self, step: int) -> None:
    """Told once, before anything is measured, after how many updates this stretch of the run begins.

    Measurements of later steps come again, also those that a stretch before this one made and no checkpoint followed.
    At 0 step 0 comes too; after that it never does, and what it gave must have been kept.
    """
    ...


def is_due(evaluator: Evaluator, step: int, last_step: int) -> bool:
  """Whether an evaluator runs after this many updates."""
  if step == 0:
    return isinstance(evaluator, FromStart)
  return step == last_step or (evaluator.period > 0 and step % evaluator.period == 0)


def owned(evaluators: Sequence[Evaluator]) -> list[tuple[int, Evaluator]]:
  """Returns evaluators with the host that runs each, to be taken modulo the number of hosts.

  An evaluator stays where it is, so that what it has compiled serves again. Those that measure from the start are the
  first host's, which writes what they keep; the others go round.
  """
  return [(0 if isinstance(evaluator, FromStart) else index, evaluator) for index, evaluator in enumerate(evaluators)]


class LossEvaluator:
  """Loss and token accuracy under teacher forcing (T5X's training_eval)."""

  def __init__(self, name: str, make_batches: Callable[[], Iterable[Mapping[str, np.ndarray]]], *, period: int = 1000,
               eval_steps: int = 20, loss: losses.LossConfig | None = None):
    """Configures it.

    Args:
      name: usually 'training_eval/<task>'.
      make_batches: starts the batches afresh for each evaluation, so that every one sees the same rows.
      period: in steps.
      eval_steps: batches per evaluation, fewer if there are fewer.
      loss: what is summed; z-loss and smoothing are left out by default, to compare runs in nats per token.
    """
    self.name, self.period, self._eval_steps, self._make_batches = name, period, eval_steps, make_batches
    self._loss = loss or losses.LossConfig(z_loss=0.0)
    self._step: tuple[Blueprint, Any] | None = None

  def __call__(self, step: int, model: Any) -> dict[str, float]:
    """Evaluates.

    Returns:
      loss, accuracy and target_tokens.

    Raises:
      UserError: if there is not a single batch.
    """
    del step
    blueprint, run = self._compiled(model)
    _, values = blueprint.split(model)
    total: losses.LossSums | None = None
    for _, batch in zip(range(self._eval_steps), self._make_batches(), strict=False):
      sums = run(values, {name: value for name, value in batch.items() if name != 'provenance'})
      total = sums if total is None else jax.tree.map(lambda a, b: a + b, total, sums)
    if total is None:
      raise UserError(f'the evaluation {self.name!r} has no batch: its split is smaller than one batch')
    host = jax.device_get(total)
    return {'loss': float(host.loss / host.weight), 'accuracy': float(host.correct / host.target_tokens),
            'target_tokens': float(host.target_tokens)}

  def _compiled(self, model: Any) -> tuple[Blueprint, Any]:
    if self._step is None:
      blueprint = make_blueprint(model, nnx.Nothing())
      self._step = (blueprint, make_eval_step(blueprint, self._loss))
    return self._step
