"""Learning-rate schedules: functions from a step (int32 scalar, 0 for the first update) to a float32 rate."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flan_jax.errors import UserError, did_you_mean

Schedule = Callable[[Int[Array, '']], Float[Array, '']]


def _float(step: Int[Array, '']) -> Float[Array, '']:
  return jnp.asarray(step).astype(jnp.float32)


def _warmup(step: Float[Array, ''], warmup_steps: int) -> Float[Array, '']:
  """Ramp of the named schedules: update 0 already moves, at 1 / warmup_steps; 1 from update warmup_steps - 1 on."""
  return jnp.minimum(1.0, (step + 1.0) / max(1, warmup_steps))


def _check(**steps: int) -> None:
  for name, value in steps.items():
    if value < 0:
      raise UserError(f'{name} of a learning-rate schedule must not be negative, it is {value}')


def constant(learning_rate: float = 1e-3) -> Schedule:
  """The same rate at every step; T5's choice for fine-tuning is 1e-3 with Adafactor."""
  return lambda step: jnp.full_like(_float(step), learning_rate)


def linear_warmup(learning_rate: float = 1e-3, warmup_steps: int = 1000) -> Schedule:
  """Rises in a straight line over the warm-up, then stays."""
  _check(warmup_steps=warmup_steps)
  return lambda step: learning_rate * _warmup(_float(step), warmup_steps)


def rsqrt(learning_rate: float = 1e-2, warmup_steps: int = 1000) -> Schedule:
  """Warm-up, then decay by the inverse square root of the step, scaled so that the peak is `learning_rate`.

  Args:
    learning_rate: the peak, reached at the end of the warm-up.
    warmup_steps: length of the linear ramp.

  Returns:
    A schedule.
  """
  _check(warmup_steps=warmup_steps)
  ramp = max(1, warmup_steps)

  def schedule(step: Int[Array, '']) -> Float[Array, '']:
    now = _float(step) + 1.0
    return learning_rate * jnp.minimum(1.0, now / ramp) * jnp.sqrt(ramp / jnp.maximum(now, ramp))

  return schedule


def linear(learning_rate: float = 1e-3, total_steps: int = 10_000, warmup_steps: int = 0,
           final_scale: float = 0.0) -> Schedule:
  """Warm-up, then a straight line down to `final_scale * learning_rate` at `total_steps`."""
  return _decay(learning_rate, total_steps, warmup_steps, final_scale, lambda done: 1.0 - done)


def cosine(learning_rate: float = 1e-3, total_steps: int = 10_000, warmup_steps: int = 0,
           final_scale: float = 0.0) -> Schedule:
  """Warm-up, then half a cosine down to `final_scale * learning_rate` at `total_steps` (Loshchilov & Hutter 2017)."""
  return _decay(learning_rate, total_steps, warmup_steps, final_scale,
                lambda done: 0.5 * (1.0 + jnp.cos(jnp.pi * done)))


def _decay(learning_rate: float, total_steps: int, warmup_steps: int, final_scale: float,
           shape: Callable[[Float[Array, '']], Float[Array, '']]) -> Schedule:
  _check(total_steps=total_steps, warmup_steps=warmup_steps)
  if warmup_steps >= total_steps:
    raise UserError(f'a decaying schedule needs more steps ({total_steps}) than its warm-up has ({warmup_steps})')

  def schedule(step: Int[Array, '']) -> Float[Array, '']:
    now = _float(step)
    done = jnp.clip((now - warmup_steps) / (total_steps - warmup_steps), 0.0, 1.0)
    level = final_scale + (1.0 - final_scale) * shape(done)
    return learning_rate * _warmup(now, warmup_steps) * level

  return schedule


FACTORS = ('constant', 'linear_warmup', 'linear_decay', 'rsqrt_decay', 'rsqrt_normalized_decay', 'decay_every',
           'cosine_decay')


def factors(
    factors: str = 'constant * linear_warmup * rsqrt_decay',
    base_learning_rate: float = 0.5,
    warmup_steps: int = 1000,
    decay_factor: float = 0.5,
    steps_per_decay: int = 20_000,
    steps_per_cycle: int = 100_000,
    step_offset: int = 0,
    min_learning_rate: float = 1e-8,
) -> Schedule:
  """A product of named factors with T5X's words and meanings, for recipes that come from there.

  Args:
    factors: names joined by `*`, each one of FACTORS.
    base_learning_rate: the value of 'constant'.
    warmup_steps: for the warm-up, and where the decays begin.
    decay_factor: of 'decay_every', and the slope per step of 'linear_decay'.
    steps_per_decay: period of 'decay_every'.
    steps_per_cycle: period of 'cosine_decay'.
    step_offset: subtracted from the step first (a fine-tuning run that counts on from pre-training).
    min_learning_rate: floor of the result.

  Returns:
    A schedule. With 'linear_warmup' the very first update has the floor as its rate, as in T5X.

  Raises:
    UserError: for a factor that does not exist.
  """
  names = [name.strip() for name in factors.split('*')]
  for name in names:
    if name not in FACTORS:
      raise UserError(f'unknown learning-rate factor {name!r}. {did_you_mean(name, FACTORS)}')
  warm = float(max(1, warmup_steps))

  def value(name: str, now: Float[Array, '']) -> Float[Array, '']:
    match name:
      case 'constant':
        return jnp.full_like(now, base_learning_rate)
      case 'linear_warmup':
        return jnp.minimum(1.0, now / warm)
      case 'linear_decay':
        return base_learning_rate * jnp.minimum(now / warm, 1.0 + decay_factor * (warm - now))
      case 'rsqrt_decay':
        return 1.0 / jnp.sqrt(jnp.maximum(now, warm))
      case 'rsqrt_normalized_decay':
        return jnp.sqrt(warm / jnp.maximum(now, warm))
      case 'decay_every':
        return jnp.power(decay_factor, jnp.floor(now / steps_per_decay))
      case _:
        cycle = jnp.maximum(0.0, (now - warm) / steps_per_cycle) % 1.0
        return jnp.maximum(0.0, 0.5 * (1.0 + jnp.cos(jnp.pi * cycle)))

  def schedule(step: Int[Array, '']) -> Float[Array, '']:
    now = jnp.maximum(0.0, _float(step) - step_offset)
    rate = jnp.ones_like(now)
    for name in names:
      rate = rate * value(name, now)
    return jnp.maximum(rate, min_learning_rate)

  return schedule
