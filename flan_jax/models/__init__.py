"""T5 in Flax NNX: the network, its attachment points, decoding and scoring. Knows no data and no adapters."""

from flan_jax.models.config import T5Config
from flan_jax.models.t5 import T5, shift_right

__all__ = ['T5', 'T5Config', 'shift_right']
