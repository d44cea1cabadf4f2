"""Any mesh of eight devices trains as one device does; what lies where; checkpoints move between meshes."""

import dataclasses
import functools
import itertools

import jax
import numpy as np
import pytest

from flan_jax.comparison.memory import compile_step, step_memory
from flan_jax.errors import UserError
from flan_jax.models import T5, Generator, Scorer, logical
from flan_jax.peft import Full, LoRA, PromptTuning
from flan_jax.training import checkpoints, loop, losses, optimizers, placement, sharding
from flan_jax.training.evaluators import LossEvaluator
from flan_jax.training.state import plan_state
from flan_jax.training.step import make_train_step
from tests.peft.methods import METHODS
from tests.peft.methods import make as make_for_methods
from tests.training import toy

MESHES = [(fsdp, model) for fsdp in (1, 2, 4, 8) for model in (1, 2, 4, 8) if fsdp * model <= 8]
DIMS = [(1, 1), (2, 1), (1, 2), (2, 2)]
DIVISIBLE = dataclasses.replace(toy.CONFIG, emb_dim=32, num_heads=8, head_dim=4, mlp_dim=40, mlp_activations=('relu',))
ODD = dataclasses.replace(DIVISIBLE, vocab_size=33, emb_dim=20, num_heads=3, head_dim=5, mlp_dim=18)
RUNS = {
  'full_adamw': (Full(), lambda: optimizers.adamw(1e-3)),
  'full_adafactor': (Full(), lambda: optimizers.adafactor(1e-3, min_dim_size_to_factor=8)),
  'lora': (LoRA(rank=4), lambda: optimizers.adamw(1e-3)),
  'prompt': (PromptTuning(length=3), lambda: optimizers.adafactor(1e-2, min_dim_size_to_factor=8)),
}


def maker(config):
  return lambda rngs: T5(config, rngs=rngs)


def on_mesh(fsdp, model, dims=(1, 1)):
  rules = sharding.standard_logical_axis_rules(*dims)
  return sharding.Partitioner(num_partitions=model, fsdp=fsdp, logical_axis_rules=rules)


def plan_of(run, partitioner, config=DIVISIBLE):
  method, optimizer = RUNS[run]
  return plan_state(maker(config), method, optimizer(), partitioner, 0)


@functools.cache
def beginning(run, config):
  """The state that all meshes start from, on the host."""
  return jax.device_get(plan_of(run, sharding.Partitioner(num_devices=1), config).init())


def trained(run, partitioner, config=DIVISIBLE, steps=10):
  plan = plan_of(run, partitioner, config)
  step = make_train_step(plan.blueprint, RUNS[run][1](), losses.LossConfig(), placement=plan.placement)
  state = jax.device_put(beginning(run, config), plan.placement.state)
  batches = [{k: v for k, v in batch.items() if k != 'provenance'}
             for batch in itertools.islice(toy.CountingBatches(), steps)]
  placed = [sharding.put_batch(batch, sharding.batch_sharding(plan.mesh)) for batch in batches]
  # Half the time to compile, for the same partitioning. The program refuses a state that lies elsewhere than planned.
  compiled = step.lower(plan.abstract, placed[0]).compile({'xla_backend_optimization_level': 0})
  seen = []
  for batch in placed:
    state, metrics = compiled(state, batch)
    seen.append(float(metrics['loss']))
  return plan, state, seen


@functools.cache
def alone(run, config):
  _, state, seen = trained(run, sharding.Partitioner(num_devices=1), config)
  return jax.device_get(state.trainable), seen


def assert_trains_as_alone(run, partitioner, config=DIVISIBLE):
  expected, losses_alone = alone(run, config)
  plan, state, seen = trained(run, partitioner, config)
  assert plan.mesh.size == 8
  np.testing.assert_allclose(seen, losses_alone, rtol=1e-5)
  start = beginning(run, config).trainable
  assert max(np.abs(expected[name] - start[name]).max() for name in expected) > 1e-3
  for name, value in state.trainable.items():
    np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-5, err_msg=name)
  return plan, state


def test_there_are_ten_meshes_of_eight_devices():
  shapes = {tuple(on_mesh(*sizes).mesh().shape.values()) for sizes in MESHES}
  assert len(shapes) == 10 and all(np.prod(shape) == 8 for shape in shapes)


@pytest.mark.parametrize(('run', 'dims', 'embed'), [
  ('full_adafactor', (2, 1), 'fsdp'),  # on this mesh XLA mixes up rows where kernels are not gathered first
  ('lora', (2, 2), ('data', 'fsdp')),
])
def test_a_mesh_of_all_axes_trains_as_one_device_does(run, dims, embed):
  _, state = assert_trains_as_alone(run, on_mesh(2, 2, dims))
  assert state.params['encoder/layers/0/mlp/wi/kernel'].sharding.spec == jax.P(embed, 'model')


@pytest.mark.slow
@pytest.mark.parametrize('run', RUNS)
@pytest.mark.parametrize('mesh', MESHES)
def test_every_mesh_trains_as_one_device_does(run, mesh):
  dims = DIMS[(MESHES.index(mesh) + list(RUNS).index(run)) % len(DIMS)]  # each mesh meets all, each run meets all
  assert_trains_as_alone(run, on_mesh(*mesh, dims))


def test_sizes_that_do_not_divide_stay_whole_and_are_told():
  plan, state = assert_trains_as_alone('full_adamw', on_mesh(2, 2), ODD)
  kernel = state.trainable['encoder/layers/0/attention/query/kernel']
  assert kernel.sharding.spec == jax.P('fsdp', None)
  planned = loop.dry_run(make_model=maker(ODD), batch=next(toy.CountingBatches()), optimizer=optimizers.adamw(),
                         partitioner=on_mesh(2, 2))
  told = '\n'.join(planned.placed)
  assert 'not split: 2 parameters (768 bytes), since heads 3 does not divide over model (2)' in told
  assert 'since joined_kv 15 does not divide over model (2)' in told
  assert 'activations left to the compiler: heads 3 does not' in told
  assert 'mlp 18' not in told and '(embed, mlp) over (fsdp, model)' in told
  assert len(placement.misses(plan.blueprint, plan.placement.layout)) == 2 + 12 + 1  # biases, projections, embedding


def test_microbatches_too_few_for_the_devices_are_told():
  planned = loop.dry_run(make_model=maker(DIVISIBLE), batch=next(toy.CountingBatches()), optimizer=optimizers.adamw(),
                         partitioner=sharding.Partitioner(), num_microbatches=4)
  assert 'activations left to the compiler: batch 2 does not divide over data (8)' in planned.placed


def test_fsdp_divides_what_each_device_holds():
  optimizer = optimizers.adamw()
  batch = {k: v for k, v in next(toy.CountingBatches()).items() if k != 'provenance'}
  held = {}
  for fsdp in (1, 8):
    plan = plan_state(maker(DIVISIBLE), Full(), optimizer, sharding.Partitioner(fsdp=fsdp), 0)
    program, arrays = compile_step(plan, Full(), optimizer, losses.LossConfig(), batch)
    rows = sum(value.nbytes for value in arrays.values()) // 8
    state = placement.bytes_per_device(plan.abstract)
    assert step_memory(program)['argument'] == pytest.approx(state + rows, abs=64)  # what XLA counts itself
    held[fsdp] = [placement.bytes_per_device(part) for part in (plan.abstract.trainable, plan.abstract.opt_state)]
  # The position biases, which have no 'embed' axis, and the counts of updates are all that stays whole.
  biases = 2 * 8 * 32 * 4
  counts = 4 * sum(not leaf.shape for leaf in jax.tree.leaves(plan.abstract.opt_state))
  assert held[8][0] - biases == (held[1][0] - biases) // 8
  assert held[8][1] - 2 * biases - counts == (held[1][1] - 2 * biases - counts) // 8
  assert sum(held[8]) < 0.2 * sum(held[1])


def test_factored_moments_lie_along_the_axes_that_remain():
  plan = plan_of('full_adafactor', on_mesh(4, 2))
  found = {jax.tree_util.keystr(path, simple=True, separator='/'): leaf
           for path, leaf in jax.tree_util.tree_flatten_with_path(plan.abstract.opt_state)[0]}

  def specs(parameter):
    vectors = {name.split('/')[-len(parameter.split('/')) - 1]: leaf for name, leaf in found.items()
               if name.endswith(parameter)}
    return {field: (vector.shape, vector.sharding.spec) for field, vector in vectors.items() if vector.size > 1}

  wide, tall, square = (specs(f'encoder/layers/0/{path}/kernel') for path in ('mlp/wi', 'mlp/wo', 'attention/query'))
  assert wide == {'v_row': ((32,), jax.P('fsdp')), 'v_col': ((40,), jax.P('model'))}
  assert tall == {'v_row': ((32,), jax.P('fsdp')), 'v_col': ((40,), jax.P('model'))}
  assert square == {'v_row': ((32,), jax.P('fsdp')), 'v_col': ((32,), jax.P('model'))}
  norm = specs('encoder/encoder_norm/scale')
  assert norm == {'v': ((32,), jax.P('fsdp'))}


@pytest.mark.parametrize('name', METHODS)
def test_every_array_of_a_method_has_axes_that_the_rules_split(name):
  optimizer = optimizers.adamw()
  plan = plan_state(make_for_methods('t5_1_1'), METHODS[name], optimizer, sharding.Partitioner(), 0)
  split = {axis for axis, over in sharding.standard_logical_axis_rules(1, 1) if over is not None}
  for parameter, shape in plan.blueprint.shapes().items():
    axes = plan.blueprint.axes(parameter)
    assert len(axes) == len(shape.shape) and set(axes) <= {*logical.NAMES, None}, parameter
    assert len(axes) < 2 or split & set(axes), parameter


def test_rules_take_effect_in_their_order_and_none_closes_an_axis():
  mesh = on_mesh(2, 2).mesh()
  rules = [('mlp', 'model'), ('embed', 'model'), ('embed', ('data', 'fsdp')), ('embed', 'fsdp'), ('kv', None),
           ('kv', 'model')]

  def spec(axes, shape):
    return sharding.partition_spec(axes, shape, mesh, rules)

  assert spec(('embed', 'mlp'), (16, 32)) == jax.P(('data', 'fsdp'), 'model')  # mlp's rule comes first
  assert spec(('embed', 'mlp'), (6, 32)) == jax.P('fsdp', 'model')
  assert spec(('embed', 'mlp'), (16, 31)) == jax.P('model', None)
  assert spec(('kv', 'length'), (16, 16)) == jax.P(None, None)
  _, missed = logical.Layout(mesh, rules).resolve(('embed', 'mlp'), (5, 31))
  assert [str(miss) for miss in missed.values()] == [
    'mlp 31 does not divide over model (2)', 'embed 5 does not divide over model (2)']


def test_activations_are_laid_out_only_under_a_layout():
  layout = on_mesh(2, 2).layout()
  x = np.zeros((8, 4, 32), np.float32)

  def residual(x):
    return logical.constrain(x, 'batch', 'length', 'embed')

  assert residual(x) is x
  with logical.laid_out(layout), logical.noted() as notes:
    assert jax.jit(residual)(x).sharding.shard_shape(x.shape) == (2, 4, 32)
    assert not notes
    jax.eval_shape(residual, x[:1])
  assert [miss.name for miss in notes] == ['batch']
  assert residual(x) is x


def test_kernels_are_gathered_over_what_rows_take_and_their_gradients_are_not():
  kernel, seen = np.ones((32, 40), np.float32), []

  def product(kernel):
    whole = logical.gathered(kernel, 'embed', 'mlp')
    jax.debug.inspect_array_sharding(whole, callback=seen.append)
    return (whole**2).sum()

  with logical.laid_out(on_mesh(2, 2).layout()):
    gradient = jax.jit(jax.grad(product))(kernel)
  assert seen[0].shard_shape(kernel.shape) == (32, 20)
  assert gradient.sharding.shard_shape(kernel.shape) == (16, 20)
  assert logical.gathered(kernel, 'embed', 'mlp') is kernel


def test_partitioners_that_cannot_be_meant_are_refused():
  for options, told in (
    ({'fsdp': 3}, r'fsdp \(3\) must divide the number of devices \(8\)'),
    ({'fsdp': 4, 'num_partitions': 4}, r'num_partitions \(4\) times fsdp \(4\) must divide'),
    ({'logical_axis_rules': [('embd', 'data')]}, "no array has a logical axis 'embd'.*'embed'"),
    ({'logical_axis_rules': [('embed', 'modle')]}, "the mesh has no axis 'modle'.*'model'"),
    ({'logical_axis_rules': [('embed',)]}, 'a rule is a logical axis and a mesh axis'),
  ):
    with pytest.raises(UserError, match=told):
      sharding.Partitioner(**options).mesh()
  with pytest.raises(UserError, match='must each be 1 or 2, not 3 and 1'):
    sharding.standard_logical_axis_rules(3)
  with pytest.raises(UserError, match='multiple of the 4 devices that share it'):
    sharding.check_rows(6, on_mesh(2, 2).mesh())


@pytest.mark.parametrize('run', ['full_adafactor', 'lora'])
def test_a_checkpoint_is_the_same_bits_on_any_mesh(run, tmp_path):
  there = plan_of(run, on_mesh(4, 2, (1, 2)))
  state = jax.device_put(beginning(run, DIVISIBLE), there.placement.state)
  saver = checkpoints.Checkpointer(tmp_path)
  saver.save(0, state, b'', {})
  saver.close()
  for partitioner in (on_mesh(1, 8), on_mesh(8, 1), sharding.Partitioner(num_devices=1)):
    here = plan_of(run, partitioner)
    restored = checkpoints.read(tmp_path / 'checkpoint_0', here.abstract).state
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(restored), beginning(run, DIVISIBLE))
    assert jax.tree.map(lambda leaf: leaf.sharding, restored) == here.placement.state


@pytest.mark.slow
def test_a_run_goes_on_on_other_meshes(tmp_path):
  def run(folder, steps, partitioner):
    return toy.run(tmp_path / folder, steps, make_model=maker(DIVISIBLE), partitioner=partitioner,
                   optimizer=RUNS['full_adafactor'][1](), checkpoint_period=3, log_period=3)

  whole = run('whole', 9, on_mesh(1, 1))
  run('moved', 3, on_mesh(4, 2, (2, 2)))
  run('moved', 6, on_mesh(2, 1, (1, 2)))
  moved = run('moved', 9, sharding.Partitioner(num_devices=1))
  assert int(moved.state.step) == 9
  for name, value in whole.state.params.items():
    np.testing.assert_allclose(moved.state.params[name], value, rtol=0, atol=1e-5, err_msg=name)


def test_a_sharded_model_ranks_writes_and_is_evaluated_as_a_whole_one_is():
  answers = []
  for partitioner in (sharding.Partitioner(num_devices=1), on_mesh(2, 2, (2, 1))):
    plan = plan_of('lora', partitioner)
    state = jax.device_put(beginning('lora', DIVISIBLE), plan.placement.state)
    model = plan.blueprint.merge(state.params)
    evaluator = LossEvaluator('loss', lambda: [next(toy.CountingBatches())])
    inputs = [[5, 9, 1], [7, 8, 3, 1]]
    answers.append((Scorer(model).options(inputs, [[[7, 1], [8, 1]], [[3, 4, 1], [9, 1]]]),
                    Generator(model, max_decode_len=5)(inputs), evaluator(0, model)))
  (scores, written, loss), (scores_sharded, written_sharded, loss_sharded) = answers
  np.testing.assert_allclose(np.concatenate(scores_sharded), np.concatenate(scores), rtol=1e-5)
  assert written_sharded == written
  assert loss_sharded == pytest.approx(loss, rel=1e-5)
