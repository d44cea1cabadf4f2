"""One update: a pure jitted function from (state, batch) to (state, metrics)."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from flan_jax.errors import UserError
from flan_jax.models.depth import DropoutKeys
from flan_jax.peft.partition import Blueprint, Params
from flan_jax.training import losses
from flan_jax.training.chunked_loss import batch_sums
from flan_jax.training.optimizers import Optimizer, global_norm
from flan_jax.training.placement import Placement, constrained
from flan_jax.training.state import TrainState

Batch = Mapping[str, Array]
Metrics = dict[str, Float[Array, '']]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


def split_rows(batch: Batch, parts: int) -> dict[str, Array]:
  """Splits [rows, ...] into [parts, rows / parts, ...], every part taking rows from every device.

  Raises:
    UserError: if the rows cannot be split evenly.
  """
  rows = batch['decoder_target_tokens'].shape[0]
  if rows % parts:
    raise UserError(f'num_microbatches ({parts}) must divide the number of rows in a batch ({rows})')
  return {name: jnp.swapaxes(value.reshape(rows // parts, parts, *value.shape[1:]), 0, 1)
          for name, value in batch.items()}


def summed_gradient(blueprint: Blueprint, loss: losses.LossConfig, trainable: Params, frozen: Params, batch: Batch,
                    key: Array) -> tuple[Params, losses.LossSums]:
  """Gradient of the summed (not yet normalised) loss of one batch with respect to the trainable parameters."""

  def objective(params: Params) -> tuple[Float[Array, ''], losses.LossSums]:
    model = blueprint.merge(constrained(blueprint, params), frozen)
    sums = batch_sums(model, batch, loss, rngs=DropoutKeys(key))
    return sums.loss, sums

  (_, sums), gradient = jax.value_and_grad(objective, has_aux=True)(trainable)
  return gradient, sums


def accumulated_gradient(blueprint: Blueprint, loss: losses.LossConfig, state: TrainState, batch: Batch, key: Array,
                         parts: int) -> tuple[Params, losses.LossSums]:
  """The same over micro-batches in a scan: sums add up exactly as those of the whole batch would."""
  if parts == 1:
    return summed_gradient(blueprint, loss, state.trainable, state.frozen, batch, key)

  def body(carry: tuple[Params, losses.LossSums], part: tuple[Batch, Array]) -> tuple[
      tuple[Params, losses.LossSums], None]:
    rows, index = part
    new = summed_gradient(blueprint, loss, state.trainable, state.frozen, rows, jax.random.fold_in(key, index))
    return jax.tree.map(lambda total, part: total + part.astype(total.dtype), carry, new), None

  # In float32 whatever the parameters are: many small parts added to a large sum would be lost in 16 bits.
  zero = ({name: jnp.zeros(value.shape, jnp.float32) for name, value in state.trainable.items()},
          losses.no_sums())
  (gradient, sums), _ = jax.lax.scan(body, zero, (split_rows(batch, parts), jnp.arange(parts)))
  return {name: value.astype(state.trainable[name].dtype) for name, value in gradient.items()}, sums


def make_train_step(blueprint: Blueprint, optimizer: Optimizer, loss: losses.LossConfig,
                    num_microbatches: int = 1, rate_scales: Mapping[str, float] | None = None,
                    placement: Placement | None = None) -> TrainStep:
  """Builds the jitted step; the old state's buffers are donated to the new one.

  Args:
    blueprint: the model without arrays.
    optimizer: over the trainable parameters.
    loss: what is minimised.
    num_microbatches: gradient accumulation; equals one large batch, token-weighted, at a fraction of the memory.
    rate_scales: factors of the learning rate by parameter name (LoRA+).
    placement: where the state lies and by which rules activations do; left to the compiler where None.

  Returns:
    The step. A step whose loss or gradient is not finite leaves the state as it was, except for `halted`, and so do
    all steps after it: the host can look at the losses when it likes and still finds the state before the fault.
  """

  scales = rate_scales or {}

  def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    key = jax.random.fold_in(jax.random.wrap_key_data(state.rng), state.step)
    gradient, sums = accumulated_gradient(blueprint, loss, state, batch, key, num_microbatches)
    divisor = losses.normalizer(sums, loss)
    gradient = jax.tree.map(lambda g: g / divisor.astype(g.dtype), gradient)
    norm = global_norm(gradient)
    with jax.named_scope('optimizer'):
      updates, opt_state = optimizer.update(gradient, state.opt_state, state.trainable)
      updates = {name: u * scales[name] if name in scales else u for name, u in updates.items()}
      trainable = optax.apply_updates(state.trainable, updates)
    halted = state.halted | ~(jnp.isfinite(sums.loss) & jnp.isfinite(norm))
    changing = (state.step, state.trainable, state.opt_state)
    new = jax.tree.map(lambda old, fresh: jnp.where(halted, old, fresh), changing,
                       (state.step + 1, trainable, opt_state))
    metrics = {**sums._asdict(), 'tokens': count_tokens(batch), 'padding': count_padding(batch),
               'grad_norm': norm, 'learning_rate': optimizer.learning_rate(state.step).astype(jnp.float32)}
    return TrainState(new[0], new[1], state.frozen, new[2], state.rng, halted), metrics

  return jax.jit(step, donate_argnums=0) if placement is None else placement.compiled(step)


def count_tokens(batch: Batch) -> Float[Array, '']:
  """Non-padding tokens on both sides, for the throughput."""
  inputs, targets = batch['encoder_input_tokens'], batch['decoder_target_tokens']
  return (jnp.sum(inputs > 0) + jnp.sum(targets > 0)).astype(jnp.float32)


def count_padding(batch: Batch) -> Float[Array, '']:
  """Positions on both sides that hold neither a token nor the room of a soft prompt."""
  tokens = {'encoder': batch['encoder_input_tokens'], 'decoder': batch['decoder_target_tokens']}
  empty = [(ids == 0) & (batch.get(f'{side}_prompt_positions', ids) == 0) for side, ids in tokens.items()]
  return sum((jnp.sum(places) for places in empty), start=jnp.zeros((), jnp.int32)).astype(jnp.float32)


def make_eval_step(blueprint: Blueprint, loss: losses.LossConfig) -> Callable[[Params, Batch], losses.LossSums]:
  """Builds the jitted evaluation of one batch: loss sums without dropout.

  Args:
    blueprint: the model without arrays.
    loss: what is summed.

  Returns:
    A function of (all parameters by name, batch).
  """

  def step(params: Params, batch: Batch) -> losses.LossSums:
    return batch_sums(blueprint.merge(params), batch, loss)

  return jax.jit(step)
