"""The training loss: token cross-entropy with T5's z-loss, label smoothing and two ways to weigh examples."""

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flan_jax.errors import UserError, did_you_mean

WEIGHTINGS = ('token', 'sqrt_length')


@dataclasses.dataclass(frozen=True)
class LossConfig:
  """What is minimised. Names and defaults are T5X's.

  Attributes:
    z_loss: coefficient of the square of the log partition function, which keeps the logits from drifting.
    label_smoothing: probability mass taken from the target and spread over the rest of the vocabulary.
    loss_normalizing_factor: what the summed loss is divided by; None divides by the sum of the target weights,
      which makes the loss a mean over the target tokens whatever the packing.
    weighting: 'token' weighs every target token alike (long answers dominate); 'sqrt_length' divides each example's
      token losses by the square root of its target length.
    logits_bytes: room for the float32 logits of a batch on each device. Where they would take more, loss and gradient
      of the head come chunk by chunk along the targets (see `chunked_loss`), and the logits never exist as a whole.
  """

  z_loss: float = 1e-4
  label_smoothing: float = 0.0
  loss_normalizing_factor: float | None = None
  weighting: str = 'token'
  logits_bytes: int = 2**28

  def __post_init__(self) -> None:
    """Raises UserError for values that cannot be meant."""
    if self.weighting not in WEIGHTINGS:
      raise UserError(f'unknown loss weighting {self.weighting!r}. {did_you_mean(self.weighting, WEIGHTINGS)}')
    if not 0.0 <= self.label_smoothing < 1.0:
      raise UserError(f'label_smoothing must lie in [0, 1), not {self.label_smoothing}')
    if self.loss_normalizing_factor is not None and self.loss_normalizing_factor <= 0:
      raise UserError(f'loss_normalizing_factor must be positive or None, not {self.loss_normalizing_factor}')
    if self.logits_bytes < 1:
      raise UserError(f'logits_bytes must be at least 1, not {self.logits_bytes}')


class LossSums(NamedTuple):
  """Sums over a batch, so that micro-batches and evaluation batches add up exactly.

  Attributes:
    loss: weighted cross-entropy plus z-loss.
    z_loss: the weighted z-loss part of it.
    weight: sum of the token weights; the divisor of a mean loss.
    correct: number of target tokens that are the arg max of their logits.
    target_tokens: number of non-padding target tokens.
  """

  loss: Float[Array, '']
  z_loss: Float[Array, '']
  weight: Float[Array, '']
  correct: Float[Array, '']
  target_tokens: Float[Array, '']


def no_sums() -> LossSums:
  """Returns the sums over nothing, where adding up begins."""
  return LossSums(*[jnp.zeros((), jnp.float32)] * len(LossSums._fields))


def smoothing_constant(label_smoothing: float, vocab_size: int) -> float:
  """The entropy of the smoothed target: subtracted so that a perfect prediction has a loss of zero."""
  if label_smoothing == 0.0:
    return 0.0
  confidence = 1.0 - label_smoothing
  low = label_smoothing / (vocab_size - 1)
  return -(confidence * math.log(confidence) + (vocab_size - 1) * low * math.log(low))


def cross_entropy(
    logits: Float[Array, '*batch vocab'],
    targets: Int[Array, '*batch'],
    *,
    z_loss: float = 0.0,
    label_smoothing: float = 0.0,
) -> tuple[Float[Array, '*batch'], Float[Array, '*batch']]:
  """Cross-entropy of every token, in nats, without ever building a one-hot target.

  With confidence c = 1 - s on the target and low = s / (V - 1) elsewhere, the smoothed cross-entropy is
  log Z - (c - low) * logit[target] - low * sum(logits), less its own minimum.

  Args:
    logits: float32 scores.
    targets: token ids; padding is allowed and has to be weighted out by the caller.
    z_loss: coefficient of log(Z)^2 (Mesh TensorFlow's auxiliary loss).
    label_smoothing: mass spread over the other tokens.

  Returns:
    The loss of each token, z-loss included, and the z-loss of each token.
  """
  vocab_size = logits.shape[-1]
  log_z = jax.nn.logsumexp(logits, axis=-1)
  target_logit = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
  if label_smoothing:
    low = label_smoothing / (vocab_size - 1)
    fit = (1.0 - label_smoothing - low) * target_logit + low * jnp.sum(logits, axis=-1)
    nats = log_z - fit - smoothing_constant(label_smoothing, vocab_size)
  else:
    nats = log_z - target_logit
  auxiliary = z_loss * jnp.square(log_z)
  return nats + auxiliary, auxiliary


def example_lengths(segments: Int[Array, 'batch length'], mask: Float[Array, 'batch length']) -> Float[Array, '...']:
  """Number of target tokens in the example that each position belongs to; rows may pack several examples.

  Args:
    segments: which example of its row a position belongs to (0 for padding).
    mask: 1.0 at non-padding targets.

  Returns:
    Float [batch, length]; what stands at padding has no meaning.
  """
  slots = segments.shape[1] + 1

  def one_row(segment: Int[Array, ' length'], inside: Float[Array, ' length']) -> Float[Array, ' length']:
    return jax.ops.segment_sum(inside, segment, num_segments=slots)[segment]

  return jax.vmap(one_row)(segments, mask)


def token_weights(batch: Mapping[str, Array], weighting: str) -> Float[Array, 'batch length']:
  """The weight of each target token: zero at padding, else by the chosen weighting.

  Args:
    batch: needs `decoder_target_tokens`; `decoder_segment_ids` where rows are packed. `decoder_loss_weights`
      multiplies the result if present (SeqIO's name).
    weighting: one of WEIGHTINGS.

  Returns:
    Float32 weights [batch, length].
  """
  targets = batch['decoder_target_tokens']
  mask = (targets > 0).astype(jnp.float32)
  weights = mask
  if weighting == 'sqrt_length':
    segments = batch.get('decoder_segment_ids', jnp.ones_like(targets))
    weights = mask * jax.lax.rsqrt(jnp.maximum(example_lengths(segments, mask), 1.0))
  if 'decoder_loss_weights' in batch:
    weights = weights * batch['decoder_loss_weights'].astype(jnp.float32)
  return weights


@jax.named_scope('loss')
def loss_sums(logits: Float[Array, 'batch length vocab'], batch: Mapping[str, Array], config: LossConfig) -> LossSums:
  """Sums the loss and the counts of one batch.

  Args:
    logits: the decoder's output under teacher forcing.
    batch: seqio's feature names, see `token_weights`.
    config: the loss.

  Returns:
    LossSums of float32 scalars.
  """
  return token_sums(logits, batch['decoder_target_tokens'], token_weights(batch, config.weighting), config)


def token_sums(logits: Float[Array, '*batch vocab'], targets: Int[Array, '*batch'], weights: Float[Array, '*batch'],
               config: LossConfig) -> LossSums:
  """The same where the tokens' weights are known; tokens of any shape."""
  mask = (targets > 0).astype(jnp.float32)
  nats, auxiliary = cross_entropy(
      logits.astype(jnp.float32), targets, z_loss=config.z_loss, label_smoothing=config.label_smoothing)
  hits = (jnp.argmax(logits, axis=-1).astype(targets.dtype) == targets).astype(jnp.float32)
  return LossSums(
      loss=jnp.sum(nats * weights),
      z_loss=jnp.sum(auxiliary * weights),
      weight=jnp.sum(weights),
      correct=jnp.sum(hits * mask),
      target_tokens=jnp.sum(mask),
  )


def normalizer(sums: LossSums, config: LossConfig) -> Float[Array, '']:
  """What summed losses and gradients are divided by."""
  if config.loss_normalizing_factor is not None:
    return jnp.full((), config.loss_normalizing_factor, jnp.float32)
  return jnp.maximum(sums.weight, jnp.float32(1e-8))
