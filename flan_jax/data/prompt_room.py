"""Room for soft prompts in packed rows: each example of a row sees the prompt as if it were alone.

A model puts its prompt before an unpacked row by itself. In a packed row the prompt of the second example belongs in
the middle. So each example gets as many placeholders before its tokens as the prompt has positions, and is packed with
them; the model then puts embeddings where the placeholders are (`Stack.in_place`).
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from flan_jax.data.blocks import as_written

_ROOM = -1
_SIDES = {'inputs': 'encoder', 'targets': 'decoder'}


def leave(prompts: Mapping[str, int]) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
  """Returns the function that puts placeholders before an example's tokens.

  Args:
    prompts: how many, by feature.
  """

  @as_written
  def step(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    before = {name: tf.fill([count], tf.constant(_ROOM, example[name].dtype)) for name, count in prompts.items()}
    return example | {name: tf.concat([room, example[name]], axis=0) for name, room in before.items()}

  return step


def mark(prompts: Mapping[str, int]) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
  """Returns the function from a packed row with placeholders to one whose placeholders are positions of prompts.

  Args:
    prompts: as for `leave`.

  Returns:
    From SeqIO's features of a row to the same with `<side>_prompt_positions` (1, 2, ... in the room, 0 elsewhere), and
    padding instead of placeholders. The targets there are padding too, and weigh nothing.
  """

  @as_written
  def step(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    result = dict(row)
    for feature in prompts:
      side = _SIDES[feature]
      tokens = row['encoder_input_tokens' if side == 'encoder' else 'decoder_target_tokens']
      room = tf.equal(tokens, _ROOM)
      result[f'{side}_prompt_positions'] = tf.where(room, row[f'{side}_positions'] + 1, 0)
      if side == 'decoder':
        weights = row['decoder_loss_weights']
        result['decoder_loss_weights'] = tf.where(room, tf.zeros_like(weights), weights)
    for name in ('encoder_input_tokens', 'decoder_target_tokens', 'decoder_input_tokens'):
      result[name] = tf.maximum(result[name], 0)
    return result

  return step
