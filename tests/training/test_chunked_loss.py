"""Loss and gradients in chunks equal those of the whole logits; frozen weights get none; the logits never exist."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.models import T5
from flan_jax.models.depth import DropoutKeys
from flan_jax.peft import Full, LoRA
from flan_jax.training import chunked_loss, losses, optimizers, sharding
from flan_jax.training.state import plan_state
from flan_jax.training.step import make_train_step, summed_gradient
from tests.training import toy

WHOLE = losses.LossConfig(z_loss=1e-2, label_smoothing=0.1, weighting='sqrt_length')
CHUNKED = dataclasses.replace(WHOLE, logits_bytes=40)  # of 8 rows x 4 targets x 32 ids x 4 bytes on 8 devices: 512


def batch(length=4):
  tokens = np.random.default_rng(0).integers(2, 32, (8, length)).astype(np.int32)
  tokens[3, 2:] = 0
  return {'encoder_input_tokens': tokens, 'decoder_target_tokens': tokens,
          'decoder_input_tokens': np.pad(tokens[:, :-1], ((0, 0), (1, 0))),
          'decoder_loss_weights': np.random.default_rng(1).uniform(0.5, 1.5, tokens.shape).astype(np.float32)}


def plan_of(method, tied, dropout=0.1, **changes):
  config = dataclasses.replace(toy.CONFIG, logits_via_embedding=tied, dropout_rate=dropout, **changes)
  return plan_state(lambda rngs: T5(config, rngs=rngs), method, optimizers.adamw(1e-2),
                    sharding.Partitioner(num_devices=1), 0)


@pytest.mark.parametrize('tied, method', [
    (True, Full()), (False, Full()), (True, LoRA(rank=2)),
    (False, LoRA(rank=2, targets='.*(query|logits_dense)')),
], ids=['tied', 'untied', 'frozen', 'adapted'])
def test_loss_and_gradients_are_those_of_the_whole(tied, method):
  length = 7
  plan = plan_of(method, tied)
  state, rows = plan.init(), batch(length)
  assert chunked_loss.count((8, length), 32, CHUNKED) == length
  for config in (CHUNKED, dataclasses.replace(CHUNKED, logits_bytes=200)):  # of one target each, and of uneven parts
    results = [jax.jit(functools.partial(summed_gradient, plan.blueprint, loss))(
        state.trainable, state.frozen, rows, jax.random.key(1)) for loss in (WHOLE, config)]
    (wanted, sums), (found, chunked) = results
    for one, other in zip(sums, chunked, strict=True):
      np.testing.assert_allclose(other, one, rtol=1e-6)
    for name, value in wanted.items():
      np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6 * float(jnp.abs(value).max()), err_msg=name)


def test_evaluation_without_gradients_gives_the_same_sums():
  plan = plan_of(Full(), False)
  model = plan.blueprint.merge(plan.init().params)
  whole, chunked = (chunked_loss.batch_sums(model, batch(), config) for config in (WHOLE, CHUNKED))
  np.testing.assert_allclose(chunked, whole, rtol=1e-6)


def test_neither_the_logits_nor_a_gradient_of_a_frozen_head_exist():
  plan = plan_of(LoRA(rank=2), False, dropout=0.0, vocab_size=1000)

  def step(trainable, frozen, rows):
    return summed_gradient(plan.blueprint, losses.LossConfig(logits_bytes=2000), trainable, frozen, rows,
                           jax.random.key(0))

  state = plan.abstract
  text = jax.jit(step).lower(state.trainable, state.frozen, batch()).compile().as_text()
  shapes = set(re.findall(r'f32\[([\d,]+)\]', text))
  assert not {'8,4,1000', '32,1000', '4,8,1000'} & shapes
  assert '16,1000' in shapes  # the head itself
  assert not re.search(r'f32\[16,1000\]\S* dot\(', text)  # which nobody differentiates


def test_micro_batches_in_chunks_are_one_large_batch():
  """Loss and updated weights to 1e-6, token-weighted: the rows have unequal lengths."""
  plan = plan_of(Full(), False, dropout=0.0)
  after = []
  for config, parts in ((WHOLE, 1), (CHUNKED, 4)):
    step = make_train_step(plan.blueprint, optimizers.from_optax('sgd', 0.1), config, parts)
    sgd = plan_state(lambda rngs: T5(dataclasses.replace(toy.CONFIG, logits_via_embedding=False, dropout_rate=0.0),
                                     rngs=rngs), Full(), optimizers.from_optax('sgd', 0.1),
                     sharding.Partitioner(num_devices=1), 0)  # fmt: skip
    after.append(step(sgd.init(), batch()))
  (one, metrics), (other, in_parts) = after
  np.testing.assert_allclose(in_parts['loss'], metrics['loss'], rtol=1e-6)
  for name, value in one.trainable.items():
    np.testing.assert_allclose(other.trainable[name], value, rtol=0, atol=1e-6, err_msg=name)


def test_every_chunk_drops_features_of_its_own():
  """An adapter of the head with dropout: the mean over many masks is the loss of the whole, and the chunks differ."""
  plan = plan_of(LoRA(rank=2, targets='.*logits_dense', dropout=0.5), False, dropout=0.0)
  state = plan.init()
  moved = {name: jax.random.normal(jax.random.key(0), value.shape) for name, value in state.trainable.items()}

  def losses_of(config):
    model = plan.blueprint.merge(moved, state.frozen)
    return jax.jit(jax.vmap(lambda key: chunked_loss.batch_sums(model, batch(), config, rngs=DropoutKeys(key)).loss))(
        jax.random.split(jax.random.key(2), 64))

  whole, chunked = losses_of(WHOLE), losses_of(CHUNKED)
  assert len(set(np.asarray(chunked).tolist())) == 64
  assert abs(np.mean(whole) - np.mean(chunked)) < 4 * np.std(whole) / 64**0.5
  assert 0.6 < np.std(chunked) / np.std(whole) < 1.6  # one mask for all chunks would spread them twice as wide
