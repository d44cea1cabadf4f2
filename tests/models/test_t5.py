"""Properties of the network: masks, packing, folding, dropout, dtypes, parameter names."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.models import T5, shift_right
from tests.models.conftest import rows, tiny_config, tiny_model

CLOSE = {'atol': 2e-6, 'rtol': 1e-5}


def test_shift_right_starts_with_padding():
  np.testing.assert_array_equal(shift_right(jnp.array([[7, 8, 1, 0]])), [[0, 7, 8, 1]])


def test_padding_changes_nothing(model):
  source, target = rows(0, 5, 3), rows(1, 4, 4)
  short = model.decode(model.encode(source), target)
  long = model.decode(model.encode(jnp.pad(source, ((0, 0), (0, 3)))), jnp.pad(target, ((0, 0), (0, 2))))
  np.testing.assert_allclose(long[:, :4], short, **CLOSE)


def test_decoder_does_not_see_the_future(model):
  encoded, target = model.encode(rows(0, 5)), rows(1, 6)
  changed = target.at[0, 3].set(target[0, 3] % 20 + 3)
  before, after = model.decode(encoded, target), model.decode(encoded, changed)
  np.testing.assert_array_equal(before[:, :3], after[:, :3])
  assert jnp.max(jnp.abs(before[:, 3:] - after[:, 3:])) > 1e-3


@pytest.mark.parametrize('per_layer', [False, True])
def test_packed_equals_unpacked(per_layer):
  model = tiny_model(relative_bias_per_layer=per_layer)
  sources, targets = rows(0, 5, 4), rows(1, 3, 4)
  packed = {
    'encoder_input_tokens': jnp.concatenate([sources[0, :5], sources[1, :4], jnp.zeros(2, jnp.int32)])[None],
    'encoder_segment_ids': jnp.array([[1] * 5 + [2] * 4 + [0] * 2]),
    'decoder_input_tokens': jnp.concatenate(
      [shift_right(targets[0, :3]), shift_right(targets[1, :4]), jnp.zeros(1, jnp.int32)]
    )[None],
    'decoder_segment_ids': jnp.array([[1] * 3 + [2] * 4 + [0]]),
  }
  logits = model(packed)
  for row, (start, length) in enumerate([(0, 3), (3, 4)]):
    one = {
      'encoder_input_tokens': sources[row : row + 1],
      'decoder_input_tokens': shift_right(targets[row : row + 1, :length]),
    }
    np.testing.assert_allclose(logits[:, start : start + length], model(one), **CLOSE)


def test_folded_rows_read_their_own_input(model):
  sources, targets = rows(0, 5, 3), rows(1, 4, 4, 2, 3, 4, 1)
  folded = model.decode(model.encode(sources), targets)
  tiled = model.decode(model.encode(jnp.repeat(sources, 3, axis=0)), targets)
  np.testing.assert_allclose(folded, tiled, **CLOSE)


def test_rows_that_do_not_divide_are_refused(model):
  with pytest.raises(ValueError, match='multiple'):
    model.decode(model.encode(rows(0, 5, 3)), rows(1, 4, 4, 4))


def test_dropout_comes_from_the_key_alone():
  model, source = tiny_model(), rows(0, 6)
  clean = model.encode(source).states
  first, again, other = (model.encode(source, rngs=nnx.Rngs(dropout=seed)).states for seed in (1, 1, 2))
  np.testing.assert_array_equal(first, again)
  assert jnp.max(jnp.abs(first - other)) > 0.1
  assert jnp.max(jnp.abs(first - clean)) > 0.1
  still = tiny_model(dropout_rate=0.0)
  np.testing.assert_array_equal(still.encode(source, rngs=nnx.Rngs(dropout=1)).states, still.encode(source).states)


def test_dropout_mask_is_shared_along_the_length():
  from flan_jax.models.layers import dropout

  dropped = dropout(jnp.ones((2, 7, 400)), 0.25, nnx.Rngs(dropout=0))
  np.testing.assert_array_equal(dropped, jnp.broadcast_to(dropped[:, :1], dropped.shape))
  np.testing.assert_allclose(jnp.unique(dropped), [0, 4 / 3], rtol=1e-6)
  assert abs(float(jnp.mean(dropped)) - 1) < 0.1


@pytest.mark.parametrize('tied', [True, False])
def test_bfloat16_is_finite_and_near_float32(tied):
  narrow, wide = tiny_model(dtype='bfloat16', logits_via_embedding=tied), tiny_model(logits_via_embedding=tied)
  source, target = rows(0, 5), rows(1, 4)
  logits = narrow.decode(narrow.encode(source), target)
  assert logits.dtype == jnp.float32
  reference = wide.decode(wide.encode(source), target)
  assert float(jnp.max(jnp.abs(logits - reference)) / jnp.max(jnp.abs(reference))) < 0.05


def test_every_parameter_is_float32_and_names_its_axes():
  known = {'vocab', 'embed', 'mlp', 'joined_kv', 'heads', 'relpos_buckets'}
  flat = nnx.to_flat_state(nnx.state(tiny_model(dtype='bfloat16', relative_bias_per_layer=True)))
  for path, variable in flat:
    assert type(variable) is nnx.Param
    assert len(variable.axes) == variable[...].ndim, path
    assert set(variable.axes) <= known
    assert variable[...].dtype == jnp.float32


@pytest.mark.parametrize(
  ('changes', 'present', 'absent'),
  [
    ({}, 'decoder/logits_dense/kernel', 'encoder/layers/0/mlp/wi/kernel'),
    ({'logits_via_embedding': True}, 'encoder/relpos_bias/rel_embedding', 'decoder/logits_dense/kernel'),
    ({'mlp_activations': ('relu',)}, 'encoder/layers/1/mlp/wi/kernel', 'encoder/layers/1/mlp/wi_0/kernel'),
    (
      {'relative_bias_per_layer': True},
      'decoder/layers/1/relpos_bias/rel_embedding',
      'decoder/relpos_bias/rel_embedding',
    ),
  ],
)
def test_parameter_paths(changes, present, absent):
  paths = {'/'.join(map(str, path)) for path, _ in nnx.to_flat_state(nnx.state(tiny_model(**changes)))}
  assert present in paths
  assert absent not in paths


def test_structure_is_known_without_computing():
  shapes = jax.eval_shape(lambda: nnx.state(T5(tiny_config(), rngs=nnx.Rngs(0))))
  real = nnx.state(tiny_model())
  assert jax.tree.map(lambda x: x.shape, shapes) == jax.tree.map(lambda x: x.shape, real)


def test_mimetic_attention_starts_near_the_identity():
  model = tiny_model(attention_init='mimetic')
  attention = model.encoder.layers[0].attention
  matching = attention.query.kernel[...] @ attention.key.kernel[...].T
  copying = attention.value.kernel[...] @ attention.out.kernel[...]
  np.testing.assert_allclose(jnp.diag(matching), 0.4, atol=0.08)
  np.testing.assert_allclose(jnp.diag(copying), 0.7, atol=0.3)
  assert jnp.max(jnp.abs(matching - jnp.diag(jnp.diag(matching)))) < 0.08
  bias = model.encoder.relpos_bias.rel_embedding[...]
  assert float(bias[0, 7]) < float(bias[0, 0]) - 2
  assert float(bias[1, 0]) < -7


@pytest.mark.parametrize('stddev', [1.0, 0.3])
def test_embeddings_start_with_the_deviation_that_the_config_gives(stddev):
  embeddings = tiny_model(embedding_stddev=stddev, vocab_size=2000).token_embedder.embedding[...]
  np.testing.assert_allclose(jnp.std(embeddings), stddev, rtol=0.02)


def test_importing_the_models_brings_no_tensorflow():
  code = (
    'import sys, flan_jax.models, flan_jax.interop.huggingface; '
    'print([name for name in sys.modules if name.split(".")[0] in ("tensorflow", "seqio")])'
  )
  run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=120)
  assert run.stdout.strip() == '[]'
