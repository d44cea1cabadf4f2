"""What sets two beam searches apart: the penalty on length, which texts count as finished, when a row is done."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from flan_jax import errors

WORST = -1e7
RULES = ('t5x', 'huggingface')
EARLY_STOPPING = (False, True, 'never')


def brevity_penalty(alpha: float, length: Int[Array, ''] | int) -> Float[Array, '']:
  """Returns ((5 + length) / 6) ** alpha, by which a sum of log-probabilities is divided (Wu et al. 2016)."""
  return ((5.0 + jnp.asarray(length, jnp.float32)) / 6.0) ** alpha


class T5XRules:
  """T5X's beam search: every text that ended is kept, and a row is done when no live one can still do better.

  Attributes:
    alpha: the exponent of the length penalty.
    max_decode_len: tokens at most, EOS included.
  """

  def __init__(self, alpha: float, max_decode_len: int):
    self.alpha = alpha
    self.max_decode_len = max_decode_len

  def penalty(self, length: Int[Array, ''] | int) -> Float[Array, '']:
    """Returns what the sum of log-probabilities of so many tokens is divided by."""
    return brevity_penalty(self.alpha, length)

  def finishing(
    self, ended: Bool[Array, 'batch candidates'], length: Int[Array, ''], num_beams: int
  ) -> Bool[Array, '#batch candidates']:
    """Returns which candidates, best first, are finished texts, from which ended in EOS at this length."""
    del length, num_beams
    return ended

  def done(
    self, live: Float[Array, 'batch beams'], finished: Float[Array, 'batch beams'], length: Int[Array, '']
  ) -> Bool[Array, 'batch']:
    """Returns the rows in which no live beam, even at full length, beats the worst finished one.

    Args:
      live: sums of log-probabilities, best first.
      finished: scores, best first; WORST where there is none.
      length: tokens of the live beams.
    """
    del length
    return finished[:, -1] >= live[:, 0] / self.penalty(self.max_decode_len)


class HuggingFaceRules(T5XRules):
  """The beam search of `transformers.generate`, whose `length_penalty` is alpha.

  The penalty is length ** alpha. Only an end among the best `num_beams` continuations counts, those behind them are a
  reserve of live ones. Texts that `max_decode_len` cuts off compete with those that ended.

  Attributes:
    early_stopping: when a row with `num_beams` finished texts is done. True: at once. False: when the best live beam,
      by the penalty of its present length, does not beat the worst of them, which is a guess where alpha is above 0.
      'never': when it could not at full length either.
  """

  def __init__(self, alpha: float, max_decode_len: int, early_stopping: bool | str):
    super().__init__(alpha, max_decode_len)
    self.early_stopping = early_stopping

  def penalty(self, length: Int[Array, ''] | int) -> Float[Array, '']:
    """Returns length ** alpha."""
    return jnp.asarray(length, jnp.float32) ** self.alpha

  def finishing(
    self, ended: Bool[Array, 'batch candidates'], length: Int[Array, ''], num_beams: int
  ) -> Bool[Array, '#batch candidates']:
    """Returns the best `num_beams` candidates where they ended or are full."""
    among_best = jnp.arange(ended.shape[1]) < num_beams
    return (ended | (length == self.max_decode_len)) & among_best[None, :]

  def done(
    self, live: Float[Array, 'batch beams'], finished: Float[Array, 'batch beams'], length: Int[Array, '']
  ) -> Bool[Array, 'batch']:
    """Returns the rows that are done, see `early_stopping`."""
    never = self.early_stopping == 'never'
    if self.early_stopping and not never:
      return finished[:, -1] > WORST
    longest = self.max_decode_len if never and self.alpha > 0 else length
    return finished[:, -1] >= live[:, 0] / self.penalty(longest)


def make_rules(name: str, *, alpha: float, max_decode_len: int, early_stopping: bool | str) -> T5XRules:
  """Returns the rules of this name.

  Raises:
    UserError: an unknown name, or a value of `early_stopping` that the rules do not have.
  """
  if name not in RULES:
    raise errors.UserError(f'There are no beam rules {name!r}. {errors.did_you_mean(name, RULES)}')
  if early_stopping not in EARLY_STOPPING:
    raise errors.UserError(f"early_stopping must be False, True or 'never', not {early_stopping!r}.")
  if name == 'huggingface':
    return HuggingFaceRules(alpha, max_decode_len, early_stopping)
  if early_stopping:
    raise errors.UserError("early_stopping is for the beam rules 'huggingface'; T5X's stop when no text can still win.")
  return T5XRules(alpha, max_decode_len)
