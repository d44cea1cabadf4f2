import dataclasses
import json

import pytest

from flan_jax.comparison.entries import check_entries, configuration, differences, optimizer_facts
from flan_jax.errors import UserError
from flan_jax.peft import LoRA
from flan_jax.training import optimizers, schedules
from tests.comparison import made


def config(entry=None, seed=0, base='abc', **changes):
  return configuration(entry or made.entry('lora'), seed, dataclasses.replace(made.SETTING, **changes), base)


def test_the_same_settings_have_the_same_configuration_and_json_gives_it_back():
  assert config() == config()
  assert json.loads(json.dumps(config())) == config()


@pytest.mark.parametrize(('other', 'named'), [
  (config(seed=1), 'seed'), (config(base='abd'), 'base'), (config(train_rows=None), 'train_rows'),
  (config(old_tasks=('old_a',)), 'old_tasks'), (config(made.entry('lora', 2e-2)), 'optimizer'),
  (config(dataclasses.replace(made.entry('lora'), method=LoRA(rank=3))), 'method'),
  (config(dataclasses.replace(made.entry('lora'), mixed_in=('old_a',))), 'mixed_in'),
  (config(examples=7), 'examples'), (config(train_steps=41), 'train_steps'),
])  # fmt: skip
def test_whatever_numbers_depend_on_makes_another_configuration(other, named):
  assert any(text.startswith(f'{named}: ') for text in differences(config(), other))


def facts(optimizer):
  return optimizer_facts(optimizer, 100)


def test_optimizers_are_told_apart_by_all_that_they_do():
  one = facts(optimizers.adamw(1e-2))
  assert one == facts(optimizers.adamw(1e-2))
  for other in (optimizers.adamw(2e-2), optimizers.adamw(1e-2, b2=0.98), optimizers.adamw(1e-2, clip_norm=None),
                optimizers.adafactor(1e-2), optimizers.adamw(schedules.cosine(1e-2, 100)),
                optimizers.from_optax('lion', 1e-2)):
    assert facts(other)['update'] != one['update']
  assert facts(optimizers.adamw(schedules.linear(1.0, 100)))['learning_rate'] == pytest.approx(
    {'0': 1.0, '25': 0.75, '50': 0.5, '75': 0.25})


def test_names_have_to_be_folders_of_their_own():
  with pytest.raises(UserError, match='ENTRIES is empty'):
    check_entries([])
  with pytest.raises(UserError, match=r"runs.Entry.name = 'a/b' cannot name a folder"):
    check_entries([dataclasses.replace(made.entry('lora'), name='a/b')])
  with pytest.raises(UserError, match="two of ENTRIES are called 'lora'"):
    check_entries([made.entry('lora'), made.entry('full'), made.entry('lora')])
