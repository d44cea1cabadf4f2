"""Scanned or unrolled, kept or recomputed, fused or not: one model, one checkpoint, the same numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import UserError
from flan_jax.models import T5
from flan_jax.models.depth import DropoutKeys
from flan_jax.peft import LoRA, PrefixTuning
from flan_jax.peft.partition import make_blueprint
from tests.models.conftest import rows, tiny_config, tiny_model

KINDS = [{'scan_layers': True}, {'remat_policy': 'full'}, {'remat_policy': 'minimal'}, {'attention': 'fused'},
         {'scan_layers': True, 'remat_policy': 'full', 'attention': 'fused'}]  # fmt: skip


METHODS = {
  'lora': LoRA(rank=2, init='pissa'),
  'prefix': PrefixTuning(length=3),
  'one layer': LoRA(rank=2, targets='encoder/layers/0/attention/query'),
}


def batch():
  tokens, targets = rows(0, 7, 5, 2), rows(1, 4, 6, 1)
  return {'encoder_input_tokens': tokens, 'decoder_target_tokens': targets,
          'decoder_input_tokens': jnp.pad(targets[:, :-1], ((0, 0), (1, 0)))}  # fmt: skip


@functools.cache
def program(name, changes):
  """The jitted gradient of a weighted sum of logits with respect to what trains, and those parameters."""
  model, method = tiny_model(**dict(changes)), METHODS.get(name)
  if method is not None:
    method.attach(model, nnx.Rngs(params=1))
  blueprint = make_blueprint(model, nnx.Param if method is None else method.trainable_filter())
  trainable, frozen = blueprint.split(model)
  weights = jax.random.normal(jax.random.key(5), (3, 6, 30))

  def loss(trainable, key):
    keys = None if key is None else DropoutKeys(key)
    return jnp.sum(blueprint.merge(trainable, frozen)(batch(), rngs=keys) * weights)

  return jax.jit(loss), jax.jit(jax.value_and_grad(loss)), trainable


@functools.cache
def gradients(method='', seed=None, changes=()):
  _, gradient, trainable = program(method, changes)
  return gradient(trainable, None if seed is None else jax.random.key(seed))


def as_key(**changes):
  return tuple(sorted(changes.items()))


def check_close(found, wanted):
  np.testing.assert_allclose(found[0], wanted[0], rtol=2e-5)
  assert found[1].keys() == wanted[1].keys()
  for path, value in wanted[1].items():
    scale = float(jnp.abs(value).max())
    np.testing.assert_allclose(found[1][path], value, rtol=0, atol=2e-5 * scale + 1e-9, err_msg=path)


@pytest.mark.parametrize('per_layer', [False, True])
@pytest.mark.parametrize('changes', KINDS, ids=str)
def test_all_ways_give_the_same_gradients_under_the_same_paths(changes, per_layer):
  shape = {'relative_bias_per_layer': per_layer, 'num_encoder_layers': 3}
  check_close(gradients(changes=as_key(**shape, **changes)), gradients(changes=as_key(**shape)))


@pytest.mark.parametrize('method', ['lora', 'prefix'])
@pytest.mark.parametrize('changes', [KINDS[0], KINDS[-1]], ids=str)
def test_adapters_too(method, changes):
  check_close(gradients(method, changes=as_key(**changes)), gradients(method))


@pytest.mark.parametrize('changes', KINDS[1:4], ids=str)
def test_the_same_masks_are_dropped(changes):
  found, wanted = (gradients(seed=3, changes=as_key(dropout_rate=0.3, **some)) for some in (changes, {}))
  check_close(found, wanted)


def test_a_scan_draws_other_masks_for_every_layer():
  """Its losses spread about as those of an unrolled model do."""
  spread = {}
  for scan in (False, True):
    loss, _, trainable = program('', as_key(dropout_rate=0.3, scan_layers=scan))
    spread[scan] = np.std([float(loss(trainable, jax.random.key(seed))) for seed in range(12)])
  assert 0.4 < spread[True] / spread[False] < 2.5


def test_a_scan_compiles_one_layer_whatever_the_depth():
  def dots(layers, scan):
    config = tiny_config(num_encoder_layers=layers, num_decoder_layers=layers, scan_layers=scan)
    blueprint = make_blueprint(nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0))), nnx.Param)
    model = jax.jit(lambda params: blueprint.merge(params)(batch()))
    return str(model.lower(blueprint.shapes()).as_text()).count('dot_general')

  assert dots(4, False) - dots(2, False) > 20
  assert dots(4, True) == dots(2, True)


def test_recomputing_needs_less_memory():
  def temporary(policy):
    config = tiny_config(emb_dim=64, mlp_dim=256, num_encoder_layers=8, num_decoder_layers=1, scan_layers=True,
                         remat_policy=policy)  # fmt: skip
    blueprint = make_blueprint(nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0))), nnx.Param)
    tokens = jax.ShapeDtypeStruct((8, 64), jnp.int32)

    def loss(params, tokens):
      return jnp.sum(blueprint.merge(params)({'encoder_input_tokens': tokens, 'decoder_input_tokens': tokens[:, :8]}))

    compiled = jax.jit(jax.grad(loss)).lower(blueprint.shapes(), tokens).compile()
    return compiled.memory_analysis().temp_size_in_bytes

  kept, minimal, full = (temporary(policy) for policy in ('none', 'minimal', 'full'))
  assert full < 0.75 * minimal < 0.75 * kept, (kept, minimal, full)


def test_layers_that_differ_are_refused():
  with pytest.raises(UserError, match='layer 1 differs from layer 0 .*scan_layers = False'):
    gradients('one layer', changes=as_key(scan_layers=True))


def test_the_config_names_its_mistakes():
  with pytest.raises(UserError, match="remat_policy has no 'ful'. Did you mean 'full'"):
    tiny_config(remat_policy='ful')
  with pytest.raises(UserError, match="attention has no 'flash'"):
    tiny_config(attention='flash')
