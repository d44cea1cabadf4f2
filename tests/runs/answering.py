"""A small model in a run folder whose answers are of unequal length, and prompts for it, for tests of inference."""

import functools
import json

import numpy as np

from flan_jax.data.vocabulary import use_vocabulary
from flan_jax.models import T5, T5Config
from flan_jax.training import initial, optimizers
from tasks.quickstart.vocabulary import quickstart_vocabulary
from tests.training import toy

EOS, GAIN = 1, 3.0
CONFIG = T5Config(vocab_size=384, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=1,
                  num_decoder_layers=1, mlp_activations=('gelu', 'linear'), logits_via_embedding=True,
                  dtype='float32', dropout_rate=0.0)  # fmt: skip
FLAGS = [
  '--gin_file=models/quickstart.gin', '--gin_bindings=models.T5Config.emb_dim = 16',
  '--gin_bindings=models.T5Config.num_heads = 2', '--gin_bindings=models.T5Config.head_dim = 8',
  '--gin_bindings=models.T5Config.mlp_dim = 32', '--gin_bindings=models.T5Config.num_encoder_layers = 1',
  "--gin_bindings=models.T5Config.attention_init = 't5'", '--gin_bindings=models.T5Config.embedding_stddev = 1.0',
]  # fmt: skip


def make_model(rngs):
  """A random model that ends texts now and then, and never writes padding."""
  model = T5(CONFIG, rngs=rngs)
  embedding = model.token_embedder.embedding
  embedding[...] = embedding[...].at[EOS].multiply(GAIN).at[0].set(0.0)
  return model


def train(folder):
  """Leaves a run folder with the model, moved by next to nothing."""
  toy.run(folder, 1, make_model=make_model, checkpoint_period=1, log_period=1, optimizer=optimizers.adamw(1e-9))


def restore(folder):
  use_vocabulary(vocabulary())
  return initial.restore_model(folder, make_model)


@functools.cache
def vocabulary():
  return quickstart_vocabulary()


def prompts(count, longest=6):
  """Texts of unequal length in words of the vocabulary."""
  random = np.random.default_rng(0)
  words = vocabulary().words[:29]
  return [' '.join(words[i] for i in random.integers(0, 29, random.integers(1, longest + 1))) for _ in range(count)]


def write(path, rows):
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  return path


def read(path):
  return [json.loads(line) for line in path.read_text().splitlines()]
