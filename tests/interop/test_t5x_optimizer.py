"""The state of T5X's Adafactor in our optimizer: one update against Adafactor's formulas, as T5X applies them."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flan_jax.errors import UserError
from flan_jax.interop import t5x, t5x_names, t5x_optimizer, t5x_slots, t5x_write
from flan_jax.training import optimizers
from tests.interop.t5x_parts import by_tensorstore, copy, fixture_folder, tiny_weights

RATE = 1e-2


def t5x_update(param, grad, slots, step, rows, cols, layers):
  """One step of Adafactor in float64 on an array as T5X stores it.

  Args:
    param: the array.
    grad: its gradient.
    slots: m, v, v_row and v_col as stored.
    step: of the state.
    rows: the axes that `v_row` keeps and `v_col` averages over; None where it is not factored.
    cols: the other way round.
    layers: the axes of stacked layers, over which nothing is averaged.
  """
  param, grad = param.astype(np.float64), grad.astype(np.float64)
  decay = 1 - (step + 1.0) ** -0.8
  within = tuple(axis for axis in range(param.ndim) if axis not in layers)
  square = grad**2 + 1e-30
  if rows is None:
    scaled = grad / np.sqrt(decay * slots['v'] + (1 - decay) * square)
  else:
    row = decay * np.expand_dims(slots['v_row'], cols) + (1 - decay) * square.mean(axis=cols, keepdims=True)
    col = decay * np.expand_dims(slots['v_col'], rows) + (1 - decay) * square.mean(axis=rows, keepdims=True)
    scaled = grad / np.sqrt(row * col / row.mean(axis=rows, keepdims=True))
  clipped = scaled / np.maximum(1, np.sqrt((scaled**2).mean(axis=within, keepdims=True)))
  scale = np.maximum(1e-3, np.sqrt((param**2).mean(axis=within, keepdims=True)))
  return param - RATE * scale * clipped


def axes(name, shape, stacked):
  """Which axes T5X calls rows and columns: the shorter one of a matrix, the residual stream's of a stacked array."""
  if not stacked:
    if len(shape) < 2 or min(shape) < 128:
      return None, None
    return ((1,), (0,)) if shape[0] > shape[1] else ((0,), (1,))
  if name.endswith(('scale', 'rel_embedding')):
    return None, None
  stream = len(shape) - 1 if name.endswith(('out/kernel', 'wo/kernel')) else 0
  return (stream,), tuple(axis for axis in range(len(shape)) if axis not in (1, stream))


def read_slots(folder, weights, name):
  """From the files where they are zarr; T5X's msgpack file has the others."""
  def slot(which):
    path = f'state/param_states/{name}/{which}'
    return by_tensorstore(folder, path) if (folder / 'state').exists() else weights.store.read(path)

  return {which: slot(which).astype(np.float64) for which in ('m', 'v', 'v_row', 'v_col')}


def ours(stored, array, layer):
  return np.take(array, layer, axis=1).reshape(stored.ours) if stored.stacked else array


@pytest.mark.parametrize('name', ['native', 'orbax', 'orbax_scanned'])
def test_the_next_update_is_that_of_t5x(t5x_data, name):
  folder = fixture_folder(t5x_data, name)
  weights = t5x.open_t5x(folder)
  params = {path: jnp.asarray(weights.read(path)) for path in weights.shapes}
  optimizer = optimizers.adafactor(RATE)
  state, notes = t5x_optimizer.resume(weights, optimizer.init(params))
  assert notes == ()
  random = np.random.default_rng(0)
  expected, grads = {}, {}
  for stored in t5x_names.layout(weights.config, scanned=weights.scanned).values():
    # About as large as T5X's own were, so that the old and the new both weigh.
    slots = read_slots(folder, weights, stored.name)
    size = np.sqrt(max(slots['v'].mean(), slots['v_row'].mean()))
    grad = (random.normal(size=stored.shape) * size).astype(np.float32)
    array = by_tensorstore(folder, f'target/{stored.name}')
    rows, cols = axes(stored.name, stored.shape, stored.stacked)
    after = t5x_update(array, grad, slots, weights.step, rows, cols, (1,) if stored.stacked else ())
    for layer, path in enumerate(stored.paths):
      expected[path], grads[path] = ours(stored, after, layer), jnp.asarray(ours(stored, grad, layer))
  updates, _ = optimizer.update(grads, jax.tree.map(jnp.asarray, state), params)
  found = optax.apply_updates(params, updates)
  worst = max(float(np.abs(np.asarray(found[p], np.float64) - v).max() / np.abs(v).max()) for p, v in expected.items())
  wrong = optimizer.update(grads, optimizer.init(params), params)[0]
  apart = max(float(np.abs(np.asarray(wrong[p] - updates[p])).max()) for p in expected)
  print(f'{name}: largest difference of a parameter after the update {worst:.1e}; without the state {apart:.1e}')
  assert worst < 3e-7
  assert apart > 1e-3


def test_count_and_schedule(t5x_data, tmp_path):
  folder = copy(fixture_folder(t5x_data, 'native'), tmp_path / 'checkpoint_100')
  (tmp_path / 'config.gin').write_text('adafactor.Adafactor.step_offset = 30')
  weights = t5x.open_t5x(folder)
  optimizer = optimizers.adafactor(lambda step: 1e-3)
  abstract = jax.eval_shape(optimizer.init, dict(weights.shapes))
  state, _ = t5x_optimizer.resume(weights, abstract)
  flat = jax.tree.leaves(state, is_leaf=lambda s: isinstance(s, optax.FactoredState))
  (factored,) = [s for s in flat if isinstance(s, optax.FactoredState)]
  assert factored.count == 70 and factored.count.dtype == np.int32
  assert jax.tree.structure(state) == jax.tree.structure(abstract)
  same = jax.tree.map(lambda new, old: (new.shape, new.dtype) == (old.shape, old.dtype), state, abstract)
  assert all(jax.tree.leaves(same))
  assert [s for s in flat if s is not factored] == [
    s for s in jax.tree.leaves(abstract, is_leaf=lambda s: isinstance(s, optax.FactoredState))
    if not isinstance(s, optax.FactoredState)]  # the schedule's own count
  (tmp_path / 'config.gin').write_text('adafactor.Adafactor.step_offset = 101')
  with pytest.raises(UserError, match=r'Adafactor\.step_offset=101, which is no step up to 100'):
    t5x_optimizer.resume(t5x.open_t5x(folder), abstract)


def test_whole_second_moments_are_averaged_where_we_factor(t5x_data):
  """A mean of decayed averages is the decayed average of means: what T5X did not factor can be."""
  weights = t5x.open_t5x(t5x_data / 'native')
  whole = np.random.default_rng(0).random((384, 128)).astype(np.float32)
  prefix, store = 'state/param_states/token_embedder/embedding/', weights.store

  arrays = {**store.arrays, f'{prefix}v': jax.ShapeDtypeStruct(whole.shape, whole.dtype)}
  weights.store = types.SimpleNamespace(
    arrays=arrays, read=lambda name, layer=None: whole if name == f'{prefix}v' else store.read(name, layer)
  )
  state, _ = t5x_optimizer.resume(weights, optimizers.adafactor().init(zeros(weights)))
  np.testing.assert_allclose(state[0].v_row['token_embedder/embedding'], whole.mean(axis=0), rtol=1e-6)
  np.testing.assert_allclose(state[0].v_col['token_embedder/embedding'], whole.mean(axis=1), rtol=1e-6)


def zeros(weights):
  return {path: jnp.zeros(shape.shape, jnp.float32) for path, shape in weights.shapes.items()}


def test_what_cannot_go_on_is_listed_at_once(tmp_path):
  """T5X factors stacked arrays of any size, and optax none as small as these."""
  t5x_write.write(tmp_path / 'c', tiny_weights(relative_bias_per_layer=True), step=5)
  weights = t5x.open_t5x(tmp_path / 'c')
  params = {**zeros(weights), 'encoder/adapter': jnp.zeros(3)}
  with pytest.raises(UserError) as error:
    t5x_optimizer.resume(weights, optimizers.adafactor().init(params))
  assert 'does not fit this run, 37 things do not fit: ' in str(error.value)
  assert 'encoder/adapter is no parameter there' in str(error.value)
  assert 'decoder/layers/1/mlp/wo/kernel has factored second moments there and whole ones here' in str(error.value)
  with pytest.raises(UserError, match='has 0 states of its kind'):
    t5x_optimizer.resume(weights, optimizers.adamw().init(params))


def test_a_run_of_t5x_that_was_never_trained_goes_on_as_a_new_one(tmp_path):
  weights = tiny_weights()
  t5x_write.write(tmp_path / 'c', weights)
  params = zeros(weights)
  new = optimizers.adafactor().init(params)
  state, _ = t5x_optimizer.resume(t5x.open_t5x(tmp_path / 'c'), new)
  assert jax.tree.all(jax.tree.map(lambda a, b: np.array_equal(a, b) and a.dtype == b.dtype, state, new))


@pytest.mark.parametrize('name', ['native', 'orbax', 'orbax_scanned'])
def test_slots_have_the_shapes_that_t5x_gives_them(t5x_data, name):
  weights = t5x.open_t5x(t5x_data / name)
  expected = {f'state/param_states/{stored.name}/{slot}': shape
              for stored in t5x_names.layout(weights.config, scanned=weights.scanned).values()
              for slot, shape in t5x_slots.shapes(stored).items()}  # fmt: skip
  found = {n: tuple(array.shape) for n, array in weights.store.arrays.items() if n.startswith('state/param_states/')}
  assert found == expected


@pytest.mark.parametrize('name', ['native', 'orbax'])
def test_which_axis_is_which_in_square_matrices(t5x_data, name):
  """Shapes cannot tell there, but the data can: what flows back into `out` and `wo` of a layer is the same gradient."""
  weights = t5x.open_t5x(t5x_data / name)

  def slot(kernel, which):
    return np.log(weights.store.read(f'state/param_states/{kernel}/kernel/{which}'))

  for layer in ('encoder/layers_0', 'encoder/layers_1', 'decoder/layers_0', 'decoder/layers_1'):
    stream = slot(f'{layer}/mlp/wo', 'v_row')  # of 256 x 128, so it can only be the residual stream's width
    out = f'{layer}/{"attention" if layer.startswith("encoder") else "self_attention"}/out'
    assert np.corrcoef(stream, slot(out, 'v_col'))[0, 1] > 0.5
    assert np.corrcoef(stream, slot(out, 'v_row'))[0, 1] < 0.3
