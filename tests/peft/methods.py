"""One of each fine-tuning method, small, and two models to attach them to."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from flan_jax import peft
from flan_jax.models import T5
from flan_jax.peft.io import saved_variables
from tests.training import toy

PLAIN = dataclasses.replace(toy.CONFIG, dropout_rate=0.0)
CONFIGS = {
  't5_1_0': dataclasses.replace(PLAIN, mlp_activations=('relu',), logits_via_embedding=True),
  't5_1_1': dataclasses.replace(PLAIN, mlp_activations=('gelu', 'linear'), logits_via_embedding=False),
}
METHODS = {
  'full': peft.Full(),
  'lora': peft.LoRA(rank=2, alpha=4.0),
  'lora_everywhere': peft.LoRA(rank=2, targets='.*(attention|mlp)/.*', rank_pattern={'.*mlp/wo': 3},
                               alpha_pattern={'encoder/.*': 8.0}, rank_stabilized=True, b_learning_rate_ratio=4.0),
  'pissa': peft.LoRA(rank=2, init='pissa'),
  'dora': peft.DoRA(rank=2, alpha=4.0),
  'ia3': peft.IA3(),
  'bitfit': peft.BitFit(),
  'norms': peft.Norms(),
  'layers': peft.Layers(targets='decoder/layers/0/mlp/.*'),
  'houlsby': peft.Bottleneck(width=3),
  'pfeiffer': peft.Bottleneck('pfeiffer', width=3, activation='relu'),
  'parallel': peft.Bottleneck('parallel', width=3, scale=4.0),
  'prompt': peft.PromptTuning(length=3, where='both', init='uniform'),
  'p_tuning': peft.PTuning(length=2, hidden=5),
  'p_tuning_lstm': peft.PTuning(length=2, hidden=5, encoder='lstm', where='decoder', init='vocabulary'),
  'prefix': peft.PrefixTuning(length=3),
  'prefix_mlp': peft.PrefixTuning(length=3, reparameterized=True, hidden=6, init='vocabulary'),
  'int8_lora': peft.Quantized(peft.LoRA(rank=2)),
  'nf4_lora': peft.Quantized(peft.LoRA(rank=2), 'nf4'),
  'ia3_and_biases': peft.Compose((peft.IA3(), peft.BitFit(targets='.*/(query|out|wi.*)'))),
  'lora_and_prompt': peft.Compose((peft.LoRA(rank=2), peft.PromptTuning(length=2, init='vocabulary'))),
}
IDENTITY = ('full', 'lora', 'lora_everywhere', 'pissa', 'ia3', 'bitfit', 'norms', 'layers', 'houlsby', 'pfeiffer',
            'parallel', 'ia3_and_biases')
QUICK = ('lora', 'norms', 'houlsby', 'prompt')  # one of each family; what compiles a step runs the others marked slow
MERGEABLE = ('full', 'lora', 'lora_everywhere', 'pissa', 'dora', 'ia3', 'bitfit', 'norms', 'layers', 'int8_lora',
             'nf4_lora', 'ia3_and_biases')


def make(kind):
  return lambda rngs: T5(CONFIGS[kind], rngs=rngs)


def base(kind='t5_1_1', seed=0):
  return make(kind)(nnx.Rngs(params=seed))


def attached(name, kind='t5_1_1'):
  model = base(kind)
  METHODS[name].attach(model, nnx.Rngs(params=1))
  return model


def stirred(name, kind='t5_1_1'):
  """A model with a method attached whose parameters have moved from where they start."""
  model = attached(name, kind)
  for number, variable in enumerate(saved_variables(model, METHODS[name]).values()):
    if isinstance(variable, nnx.Param):
      noise = 0.1 * jax.random.normal(jax.random.key(number), variable.shape)
      variable.set_value(variable.get_value() + noise)
  return model


def batch():
  arrays = next(toy.CountingBatches())
  return {name: jnp.asarray(value) for name, value in arrays.items() if name != 'provenance'}


def packed(rows, prompts, width):
  """Packs rows of a batch, two to a row, with room for prompts, as `data.prompt_room` does it.

  Returns:
    The packed batch, and for each row of the batch its place: (row, first target position, target tokens).
  """
  sides = {'inputs': ('encoder', 'encoder_input_tokens'), 'targets': ('decoder', 'decoder_target_tokens')}
  count = len(rows['encoder_input_tokens'])
  result, places = {}, []
  for feature, (side, name) in sides.items():
    room = prompts.get(feature, 0)
    tokens, segments, positions = (np.zeros((count // 2, width), np.int32) for _ in range(3))
    for number, row in enumerate(np.asarray(rows[name])):
      words = row[row > 0]
      start = int(np.sum(segments[number // 2] > 0))
      span = slice(start, start + room + len(words))
      tokens[number // 2, span] = [0] * room + list(words)
      segments[number // 2, span] = number % 2 + 1
      positions[number // 2, span] = [*range(1, room + 1), *[0] * len(words)]
      if side == 'decoder':
        places.append((number // 2, start + room, len(words)))
    result |= {name: tokens, f'{side}_segment_ids': segments}
    if room:
      result[f'{side}_prompt_positions'] = positions
  first = np.diff(result['decoder_segment_ids'], axis=1, prepend=0) > 0
  shifted = np.pad(result['decoder_target_tokens'][:, :-1], ((0, 0), (1, 0)))
  result['decoder_input_tokens'] = np.where(first, 0, shifted)
  return {name: jnp.asarray(value) for name, value in result.items()}, places
