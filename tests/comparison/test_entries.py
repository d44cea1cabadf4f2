import dataclasses
import json

import pytest

from flan_jax.comparison.entries import configuration
from flan_jax.peft import LoRA
from flan_jax.work.configuration import differences
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
