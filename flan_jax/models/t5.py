"""T5 as one module: encode, decode with teacher forcing, decode step by step, and the call that training makes."""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from flan_jax.errors import UserError
from flan_jax.models import initializers, logical, masks
from flan_jax.models.config import T5Config
from flan_jax.models.decoder import Cache, Decoder, Memory, Trees
from flan_jax.models.encoder import Encoded, Encoder
from flan_jax.models.layers import Dense, Embed
from flan_jax.models.slots import named_modules


def shift_right(targets: Int[Array, '*batch length']) -> Int[Array, '*batch length']:
  """Returns the decoder inputs of unpacked targets: padding (id 0) starts the sequence, the last token falls off."""
  return jnp.concatenate([jnp.zeros_like(targets[..., :1]), targets[..., :-1]], axis=-1)


@jax.named_scope('logits')
def head_logits(
  head: Embed | Dense, outputs: Float[Array, 'rows length embed'], *, rngs: nnx.Rngs | None = None
) -> Float[Array, 'rows length vocab']:
  """Returns the float32 logits that a head gives to decoder outputs."""
  outputs = logical.constrain(outputs, 'batch', 'length', 'embed')
  logits = head.attend(outputs) if isinstance(head, Embed) else head(outputs, rngs=rngs).astype(jnp.float32)
  return logical.constrain(logits, 'batch', 'length', 'vocab')


class T5(nnx.Module):
  """The encoder-decoder of Raffel et al. (2020), in both its versions.

  Parameters carry T5X's logical axis names as metadata (`variable.axes`) and keep their paths whatever adapters are
  attached (see `slots.py`). Passing `rngs` with a `dropout` stream turns dropout on; None turns it off.

  Attributes:
    config: the sizes this model was made with.
    token_embedder: embeddings that encoder and decoder share.
    encoder: `Encoder`.
    decoder: `Decoder`; its `logits_dense` is the output head, where it is not tied to the embedding.
  """

  def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
    self.config = config
    self.token_embedder = Embed(initializers.token_embedding(config, rngs), dtype=config.wide_dtype)
    self.encoder = Encoder(config, rngs=rngs)
    self.decoder = Decoder(config, rngs=rngs)
    if config.projection_biases:
      self._add_biases(config.projection_biases)

  def encode(
    self,
    tokens: Int[Array, 'batch length'],
    *,
    segment_ids: Int[Array, 'batch length'] | None = None,
    prompt_positions: Int[Array, 'batch length'] | None = None,
    rngs: nnx.Rngs | None = None,
  ) -> Encoded:
    """Runs the encoder.

    Args:
      tokens: input ids; 0 is padding.
      segment_ids: in a packed batch, the example (1, 2, ...) of each token and 0 at padding. Positions within examples
        are not needed: T5 knows only distances, which packing keeps.
      prompt_positions: in a packed batch for a model with soft prompts, the room before each example: 1 at the first
        position of a prompt, 2 at the second, 0 at tokens.
      rngs: a source of dropout keys, or None.

    Returns:
      What `decode` and `start_decoding` need.
    """
    visible = masks.visible_tokens(tokens)
    return self.encoder(self.token_embedder(tokens), visible, segment_ids, prompt_positions, rngs=rngs)

  def decode(
    self,
    encoded: Encoded,
    tokens: Int[Array, 'rows length'],
    *,
    segment_ids: Int[Array, 'rows length'] | None = None,
    prompt_positions: Int[Array, 'rows length'] | None = None,
    trees: Trees | None = None,
    rngs: nnx.Rngs | None = None,
  ) -> Float[Array, 'rows length vocab']:
    """Runs the decoder over known tokens (teacher forcing).

    Args:
      encoded: the result of `encode`.
      tokens: decoder input ids, the targets shifted right. Their rows may be a multiple of the encoder's, row
        b * options + o reading encoder row b.
      segment_ids: the example of each token, for packed batches only.
      prompt_positions: as for `encode`; the logits there mean nothing.
      trees: where sequences of a packed batch share what they begin with; None where each stands alone.
      rngs: a source of dropout keys, or None.

    Returns:
      float32 logits; those at padding mean nothing and are for the loss to leave out.
    """
    outputs = self.decoder(self.token_embedder(tokens), encoded, segment_ids, prompt_positions, trees, rngs=rngs)
    return self.logits(outputs, rngs=rngs)

  def __call__(
    self, batch: Mapping[str, Int[Array, 'batch _']], *, rngs: nnx.Rngs | None = None
  ) -> Float[Array, 'batch length vocab']:
    """Returns the logits of a batch under SeqIO's names.

    Args:
      batch: `encoder_input_tokens` and `decoder_input_tokens`, and for packed batches `encoder_segment_ids` and
        `decoder_segment_ids` (and `encoder_prompt_positions`, `decoder_prompt_positions` where there are soft
        prompts). Other keys (targets, loss weights, positions) are not read.
      rngs: a source of dropout keys, or None.
    """
    return self.logits(self.outputs(batch, rngs=rngs), rngs=rngs)

  def outputs(
    self, batch: Mapping[str, Int[Array, 'batch _']], *, rngs: nnx.Rngs | None = None
  ) -> Float[Array, 'batch length embed']:
    """Returns what `logits` reads of a batch: the decoder's normalised outputs; see `__call__`."""
    encoded = self.encode(
      batch['encoder_input_tokens'],
      segment_ids=batch.get('encoder_segment_ids'),
      prompt_positions=batch.get('encoder_prompt_positions'),
      rngs=rngs,
    )
    return self.decoder(
      self.token_embedder(batch['decoder_input_tokens']),
      encoded,
      batch.get('decoder_segment_ids'),
      batch.get('decoder_prompt_positions'),
      rngs=rngs,
    )

  def logits(
    self, outputs: Float[Array, 'rows length embed'], *, rngs: nnx.Rngs | None = None
  ) -> Float[Array, 'rows length vocab']:
    """Returns float32 logits of decoder outputs."""
    return head_logits(self.head, outputs, rngs=rngs)

  @property
  def head(self) -> Embed | Dense:
    """The layer that gives the logits."""
    return self.token_embedder if self.config.logits_via_embedding else self.decoder.logits_dense

  def _add_biases(self, pattern: str) -> None:
    chosen = [dense for path, dense in named_modules(self, Dense) if re.fullmatch(pattern, path)]
    if not chosen:
      raise UserError(f'T5Config: projection_biases {pattern!r} matches no projection, such as encoder/layers/0/mlp/wo')
    for dense in chosen:
      dense.add_bias(jnp.zeros(dense.shape[1]))

  def start_decoding(self, encoded: Encoded, rows: int, length: int) -> tuple[Memory, Cache]:
    """Prepares a cached decode of up to `length` tokens in `rows` rows, a multiple of the encoder's."""
    return self.decoder.start(encoded, rows, length)

  def decode_step(
    self, tokens: Int[Array, 'rows'], memory: Memory, cache: Cache, position: Int[Array, '']
  ) -> tuple[Float[Array, 'rows vocab'], Cache]:
    """Returns the logits that follow one more token of every row, and the cache with it.

    Args:
      tokens: the token at `position`; at position 0 it is padding (id 0), which starts a sequence.
      memory: constants from `start_decoding`.
      cache: keys and values so far.
      position: the same for all rows, counted from 0.
    """
    outputs, cache = self.decoder.step(self.token_embedder(tokens[:, None]), memory, cache, position)
    return self.logits(outputs)[:, 0], cache
