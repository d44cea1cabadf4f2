"""T5 in Flax NNX: the network, its attachment points, decoding and scoring. Knows no data and no adapters."""

from flan_jax.models.beam import Beams, beam_search
from flan_jax.models.config import T5Config
from flan_jax.models.decoding import Decoded, greedy, sample
from flan_jax.models.encoder import Encoded
from flan_jax.models.generation import Continuation, Generator
from flan_jax.models.layers import Dense
from flan_jax.models.scorer import Scorer
from flan_jax.models.scoring import option_log_likelihoods, target_log_likelihood, token_log_likelihoods
from flan_jax.models.t5 import T5, shift_right

__all__ = [
  'T5',
  'Beams',
  'Continuation',
  'Decoded',
  'Dense',
  'Encoded',
  'Generator',
  'Scorer',
  'T5Config',
  'beam_search',
  'greedy',
  'option_log_likelihoods',
  'sample',
  'shift_right',
  'target_log_likelihood',
  'token_log_likelihoods',
]
