"""A T5 small enough to compile in seconds, and batches whose position is one number."""

import numpy as np

from flan_jax.models.config import T5Config
from flan_jax.models.t5 import T5
from flan_jax.training import loop, optimizers, sharding

CONFIG = T5Config(vocab_size=32, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=1,
                  num_decoder_layers=1, dropout_rate=0.1, logits_via_embedding=True, dtype='float32')


def make_model(rngs):
  return T5(CONFIG, rngs=rngs)


def make_plain_model(rngs):
  import dataclasses
  return T5(dataclasses.replace(CONFIG, dropout_rate=0.0), rngs=rngs)


class CountingBatches:
  """Batch n is a function of n: copying task, rows of unequal target length."""

  def __init__(self, rows=8, poison_at=None):
    self.position = 0
    self.rows = rows
    self.poison_at = poison_at

  def __next__(self):
    random = np.random.default_rng(self.position)
    self.position += 1
    tokens = random.integers(2, 32, (self.rows, 4)).astype(np.int32)
    lengths = random.integers(1, 5, self.rows)
    tokens[np.arange(4)[None, :] >= lengths[:, None]] = 0
    batch = {
        'encoder_input_tokens': tokens,
        'decoder_target_tokens': tokens,
        'decoder_input_tokens': np.pad(tokens[:, :-1], ((0, 0), (1, 0))),
        'provenance': np.full((self.rows, 1), self.position, np.int32),
    }
    if self.poison_at is not None:
      weight = np.inf if self.position == self.poison_at else 1.0
      batch['decoder_loss_weights'] = np.full(tokens.shape, weight, np.float32)
    return batch

  def __iter__(self):
    return self

  def get_state(self):
    return str(self.position).encode()

  def set_state(self, state):
    self.position = int(state)


def run(folder, train_steps, **changes):
  options = {'model_dir': folder, 'make_model': make_model, 'batches': CountingBatches(),
             'optimizer': optimizers.adamw(1e-2), 'train_steps': train_steps, 'log_period': 5, 'checkpoint_period': 5,
             'show_progress': False, 'partitioner': sharding.Partitioner(num_devices=1)}
  return loop.train(**{**options, **changes})


def same_params(one, other):
  return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
