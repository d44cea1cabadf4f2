"""What one declaration registers: tasks, ablations, mixtures without a cluster; a user's own dataset on real rows."""

import pytest
import seqio

from flan_jax.data import iterator, registry
from flan_jax.data.dataset import Dataset
from flan_jax.data.template import Template
from flan_jax.errors import UserError
from tasks import flan2021


def own(name, cluster='sentiment'):
  return Dataset(
    name=name, cluster=cluster, source='glue/sst2:2.0.0', options=('negative', 'positive'),
    fields=lambda row: {'sentence': row['sentence'], 'label': row['label']},
    templates=(Template('Good or bad? {sentence}\n{options}'), Template('Say it {answer}.', targets='{sentence}')),
  )  # fmt: skip


def test_every_variant_of_a_dataset_is_a_task():
  names = {name for name in seqio.TaskRegistry.names() if name.split('.')[0] == 'sst2'}
  assert names == {'sst2', 'sst2.fields_only', 'sst2.dataset_name', *(f'sst2.template_{index}' for index in range(10))}


@pytest.mark.parametrize(('held_out', 'gone'), [
  ('nli', ('nli', 'paraphrase')), ('sentiment', ('sentiment',)),
  ('commonsense', ('commonsense', 'reading_comprehension_with_commonsense')),
])  # fmt: skip
def test_a_held_out_cluster_leaves_training_with_those_close_to_it(held_out, gone):
  kept = {dataset.name for dataset in flan2021.DATASETS if dataset.cluster not in gone} - {'wsc273'}
  assert len(kept) > 40
  assert set(registry.tasks_of(f'flan2021.without_{held_out}')) == kept
  bare = set(registry.tasks_of(f'flan2021.without_{held_out}.fields_only'))
  assert bare == {f'{name}.fields_only' for name in kept}


def test_rates_are_the_number_of_rows_up_to_a_cap(real_tfds):
  mixture = seqio.MixtureRegistry.get('flan2021')
  named = ('sst2', 'common_gen', 'rte', 'cb', 'copa')
  rates = {task.name: mixture.get_rate(task) for task in mixture.tasks if task.name in named}
  assert rates['sst2'] == rates['common_gen'] == registry.MAX_RATE
  assert (rates['rte'], rates['cb'], rates['copa']) == (2290, 200, 350)


def test_tasks_can_be_mixed_by_naming_them(registries):
  one = registry.mixture_of(('sst2', 'trec'))
  assert registry.mixture_of(('trec', 'sst2', 'sst2')) == one
  assert sorted(registry.tasks_of(one)) == ['sst2', 'trec']
  assert registry.mixture_of(('sst2',)) == 'sst2'
  mixed = registry.tasks_of(registry.mixture_of(('flan2021.math', 'sst2')))
  assert sorted(mixed) == ['math_dataset', 'sst2']
  with pytest.raises(UserError, match="'sts2'.*Did you mean.*'sst2'"):
    registry.mixture_of(('sts2', 'trec'))
  with pytest.raises(UserError, match='at least one'):
    registry.mixture_of(())


def test_a_taken_name_is_refused_before_anything_is_registered(registries):
  before = set(seqio.TaskRegistry.names())
  with pytest.raises(UserError, match="'sst2' is taken by a dataset of family 'flan2021'"):
    registry.register_family('mine', [own('mine_first'), own('sst2')])
  assert set(seqio.TaskRegistry.names()) == before


@pytest.mark.parametrize(('look_up', 'near'), [
  (registry.family, 'flan2021'), (registry.task_info, 'sst2'), (registry.get_mixture_or_task, 'flan2021.nli'),
])  # fmt: skip
def test_unknown_names_are_answered_with_near_ones(look_up, near):
  with pytest.raises(UserError, match=f"Did you mean.*'{near}'"):
    look_up(near + 'x')


def test_a_users_own_dataset_works_end_to_end(registries, real_tfds):
  registry.register_family('mine', [own('mine_reviews'), own('mine_other', cluster='other')])
  assert registry.tasks_of('mine.without_other') == ['mine_reviews']
  batches = iterator.batches('mine', {'inputs': 48, 'targets': 24}, 4)
  assert {origin.task for origin in batches.origins(next(batches))} == {'mine_reviews', 'mine_other'}
