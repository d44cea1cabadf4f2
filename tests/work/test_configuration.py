import pytest

from flan_jax.errors import UserError
from flan_jax.training import optimizers, schedules
from flan_jax.work import configuration


def test_a_folder_of_another_configuration_is_refused_even_unfinished(tmp_path):
  configuration.check(tmp_path, {'seed': 0})
  configuration.begin(tmp_path, {'seed': 0, 'train_steps': 20})
  configuration.check(tmp_path, {'seed': 0, 'train_steps': 20})
  with pytest.raises(UserError, match=r'another configuration \(train_steps: 20 there, 40 here\): choose'):
    configuration.check(tmp_path, {'seed': 0, 'train_steps': 40})
  with pytest.raises(UserError, match='seed: 0 there, null here'):
    configuration.begin(tmp_path, {'train_steps': 20})


def facts(optimizer):
  return configuration.optimizer_facts(optimizer, 100)


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
    configuration.check_names('runs.Entry', [], 'ENTRIES')
  with pytest.raises(UserError, match=r"runs.Entry.name = 'a/b' cannot name a folder"):
    configuration.check_names('runs.Entry', ['a/b'], 'ENTRIES')
  with pytest.raises(UserError, match="two of ENTRIES are called 'lora'"):
    configuration.check_names('runs.Entry', ['lora', 'full', 'lora'], 'ENTRIES')


def test_a_digest_does_not_depend_on_the_order_of_keys():
  one = configuration.plain({'a': (1, 2), 'b': None})
  assert one == {'a': [1, 2], 'b': None}
  assert configuration.digest(one) == configuration.digest({'b': None, 'a': [1, 2]})
  assert configuration.digest(one) != configuration.digest({'a': [2, 1], 'b': None})
