"""Memory of the compiled step and time in turns, on a toy."""

import jax
import numpy as np
import pytest
from flax import nnx

from flan_jax.comparison import memory, timing
from flan_jax.peft import Full, LoRA
from flan_jax.peft.partition import make_blueprint
from flan_jax.training import optimizers, sharding
from flan_jax.training.losses import LossConfig
from flan_jax.training.state import plan_state
from tests.training import toy

PARTITIONER = sharding.Partitioner(num_devices=1)


def batch():
  return {name: value for name, value in next(toy.CountingBatches()).items() if name != 'provenance'}


@pytest.fixture(scope='module')
def compiled():
  """The plan and the compiled step of two methods."""
  found = {}
  for method in (Full(), LoRA(rank=2)):
    plan = plan_state(toy.make_plain_model, method, optimizers.adamw(), PARTITIONER, 0)
    found[method.name] = (plan, memory.compile_step(plan, method, optimizers.adamw(), LossConfig(), batch())[0])
  return found


def test_memory_counts_the_state_once(compiled):
  for plan, step in compiled.values():
    found, state = memory.step_memory(step), memory.tree_bytes(plan.abstract)
    assert found['argument'] >= state
    assert found['alias'] == pytest.approx(state, rel=0.02), 'the state is donated: its successor takes its room'
    assert found['peak'] >= state + found['temp']


def test_what_does_not_train_needs_no_optimizer_state_and_less_memory(compiled):
  (full, whole), (lora, part) = compiled['full'], compiled['lora']
  trained = sum(leaf.size for leaf in full.abstract.trainable.values())
  assert memory.tree_bytes(full.abstract.opt_state) == pytest.approx(2 * 4 * trained, rel=0.01)
  assert memory.tree_bytes(lora.abstract.opt_state) < 0.3 * memory.tree_bytes(full.abstract.opt_state)
  assert memory.step_memory(part)['peak'] < memory.step_memory(whole)['peak']


def test_a_peak_is_the_processs_where_no_device_tells():
  peak = memory.Peak()
  block = np.ones(30_000_000, np.uint8)
  found, whose = peak.read()
  assert whose == memory.PROCESS and found > block.nbytes


def test_a_device_that_stays_below_its_mark_tells_nothing(monkeypatch):
  marks = iter([100, 100, 100, 150])
  monkeypatch.setattr(memory, 'device_peak', lambda: next(marks))
  assert memory.Peak().read() == (None, memory.DEVICE)
  assert memory.Peak().read() == (150, memory.DEVICE)


def test_turns_alternate_and_the_first_round_does_not_count():
  called, values = [], iter(range(8))

  def turn(name):
    def measure():
      called.append(name)
      return float(next(values))

    return measure

  found = timing.in_turns({'a': turn('a'), 'b': turn('b')}, 3)
  assert called == ['b', 'a', 'a', 'b', 'b', 'a', 'a', 'b']
  assert found == {'a': timing.Spread(5.0, 2.0, 6.0, 3), 'b': timing.Spread(4.0, 3.0, 7.0, 3)}


def test_a_turn_of_training_starts_from_the_base_again_and_again():
  model = toy.make_plain_model(nnx.Rngs(params=0))
  weights = {name: np.asarray(value) for name, value in make_blueprint(model, nnx.Param).split(model)[0].items()}
  rows = {**batch(), timing.PROVENANCE: np.zeros((8, 7), np.int32)}
  turn = timing.TrainingTurn(toy.make_plain_model, weights, LoRA(rank=2), optimizers.adamw(), LossConfig(), PARTITIONER,
                             rows, 2)
  before = len(jax.live_arrays())
  assert turn() > 0 and turn() > 0
  assert len(jax.live_arrays()) <= before + 2, 'a turn lets go of its state'
