"""Rows and costs as a comparison makes them, without any training."""

from flan_jax.comparison.costs import Cost, Costs
from flan_jax.comparison.entries import Entry, Setting
from flan_jax.comparison.rows import Change, Row
from flan_jax.comparison.timing import Spread
from flan_jax.evaluation.statistics import Estimate
from flan_jax.peft import Full, LoRA, PromptTuning
from flan_jax.training import optimizers
from flan_jax.training.losses import LossConfig
from tests.training import toy

SETTING = Setting('new_task', ('old_a', 'old_b'), 40, {'inputs': 32, 'targets': 8}, 8, toy.CONFIG, LossConfig(),
                  train_rows=500)
METHODS = {'full': Full(), 'lora': LoRA(rank=2), 'prompt': PromptTuning(length=3)}
TRAINED = {'full': 100_000, 'lora': 4_000, 'prompt': 300}


def entry(name, rate=1e-2):
  return Entry(name, METHODS[name], optimizers.adamw(rate))


def estimate(value, half_width=3.0):
  return Estimate(value, value - half_width, value + half_width, 100)


def change(before, after):
  return Change(estimate(before), estimate(after), estimate(after - before))


def row(name, seed=0, new=90.0, old=70.0):
  return Row(
    entry=name, seed=seed, trainable=TRAINED[name], base=100_000,
    disk_bytes=4 * TRAINED[name], memory={'argument': 10, 'output': 8, 'temp': 5, 'alias': 7, 'peak': 2_000_000},
    optimizer_bytes=8 * TRAINED[name], measured_peak=None, measured_on='process', examples=31, seconds=12.5,
    new=change(50.0, new), old=change(80.0, old),
    old_tasks={'old_a': change(75.0, old - 5), 'old_b': change(85.0, old + 5)},
  )  # fmt: skip


def spread(value):
  return Spread(value, 0.9 * value, 1.2 * value, 5)


def costs(names, config=None):
  merged = {name: None if name == 'prompt' else spread(1.25) for name in names}
  entries = {name: Cost(spread(20.0), 500, 31, spread(1.5), merged[name]) for name in names}
  return Costs(config or {}, 'rank', spread(1.0), entries)
