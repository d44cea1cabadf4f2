"""Optimizers: thin factories over optax that keep the learning rate readable and T5X's defaults."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from flan_jax.errors import UserError, did_you_mean
from flan_jax.training import schedules

Rate = float | schedules.Schedule


class Optimizer(NamedTuple):
  """An optax transformation that can say its learning rate.

  Attributes:
    init: trainable parameters -> optimizer state.
    update: (gradients, state, parameters) -> (updates, state), as in optax.
    learning_rate: step -> rate, for the logs; the update uses its own count, which starts at 0 with the run.
  """

  init: Callable[[Any], Any]
  update: Callable[..., tuple[Any, Any]]
  learning_rate: schedules.Schedule


def _build(transform: optax.GradientTransformation, rate: schedules.Schedule, clip_norm: float | None) -> Optimizer:
  if clip_norm is not None:
    if clip_norm <= 0:
      raise UserError(f'the gradient clipping norm must be positive or None, not {clip_norm}')
    transform = optax.chain(optax.clip_by_global_norm(clip_norm), transform)
  return Optimizer(_relaxed(transform.init), _relaxed(transform.update), rate)


def _relaxed(function: Callable[..., Any]) -> Callable[..., Any]:
  """Runs optax's own code under JAX's standard promotion: it mixes integer counts and floats on purpose."""

  def call(*args: Any) -> Any:
    with jax.numpy_dtype_promotion('standard'), jax.numpy_rank_promotion('allow'):
      return function(*args)

  return call


def _schedule(rate: Rate) -> schedules.Schedule:
  return rate if callable(rate) else schedules.constant(rate)


def adafactor(
    learning_rate: Rate = 1e-3,
    *,
    decay_rate: float = 0.8,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: float | None = 1.0,
    min_dim_size_to_factor: int = 128,
    epsilon1: float = 1e-30,
    momentum: float | None = None,
    weight_decay_rate: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
  """Adafactor with T5X's defaults (Shazeer & Stern 2018): the optimizer T5 and FLAN were trained with.

  Args:
    learning_rate: a number or a schedule; relative to each parameter's own scale unless that is switched off.
    decay_rate: exponent of the second moment's decay, 1 - step^-decay_rate.
    multiply_by_parameter_scale: multiply each update by the parameter's root mean square (at least 1e-3).
    clipping_threshold: bound on the root mean square of each parameter's update.
    min_dim_size_to_factor: second moments are factored where the two largest dimensions are at least this.
    epsilon1: added to squared gradients.
    momentum: first moment decay; None keeps none, which is where the memory is saved.
    weight_decay_rate: decoupled decay per step; None is none.
    clip_norm: global norm the gradient is clipped to first; None leaves it.

  Returns:
    The optimizer.
  """
  rate = _schedule(learning_rate)
  transform = optax.adafactor(
      learning_rate=rate, decay_rate=decay_rate, multiply_by_parameter_scale=multiply_by_parameter_scale,
      clipping_threshold=clipping_threshold, min_dim_size_to_factor=min_dim_size_to_factor, eps=epsilon1,
      momentum=momentum, weight_decay_rate=weight_decay_rate)
  return _build(transform, rate, clip_norm)


def adamw(
    learning_rate: Rate = 1e-3,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    clip_norm: float | None = 1.0,
) -> Optimizer:
  """Adam with decoupled weight decay (Loshchilov & Hutter 2019), clipped by global norm unless told otherwise.

  Args:
    learning_rate: a number or a schedule.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: added to the root of the second moment.
    weight_decay: per unit of learning rate; also on norms and biases, of which T5 has few.
    clip_norm: global norm of the gradient; None does not clip.

  Returns:
    The optimizer.
  """
  rate = _schedule(learning_rate)
  return _build(optax.adamw(rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay), rate, clip_norm)


def optax_names() -> list[str]:
  """Names of optax's optimizers that `from_optax` takes: those whose first argument is the learning rate."""
  names = []
  for name, factory in inspect.getmembers(optax, inspect.isfunction):
    parameters = list(inspect.signature(factory).parameters)
    if parameters[:1] == ['learning_rate'] and not name.startswith('_'):
      names.append(name)
  return names


def from_optax(name: str, learning_rate: Rate = 1e-3, *, clip_norm: float | None = None, **options: Any) -> Optimizer:
  """Any other optimizer of optax by its name there, such as 'lion', 'sgd' or 'adam'.

  Args:
    name: the function's name in optax.
    learning_rate: a number or a schedule.
    clip_norm: global norm the gradient is clipped to first; None leaves it.
    **options: passed on to optax.

  Returns:
    The optimizer.

  Raises:
    UserError: if optax has no such optimizer or it does not take an option.
  """
  known = optax_names()
  if name not in known:
    raise UserError(f'optax has no optimizer {name!r}. {did_you_mean(name, known)}')
  factory = getattr(optax, name)
  accepted = inspect.signature(factory).parameters
  for option in options:
    if option not in accepted:
      raise UserError(f'optax.{name} takes no option {option!r}. {did_you_mean(option, accepted)}')
  rate = _schedule(learning_rate)
  return _build(factory(rate, **options), rate, clip_norm)


def global_norm(tree: Any) -> jnp.ndarray:
  """The Euclidean norm of all leaves together, in float32."""
  squares = [jnp.sum(jnp.square(leaf.astype(jnp.float32))) for leaf in jax.tree.leaves(tree)]
  return jnp.sqrt(jnp.sum(jnp.stack(squares)))
