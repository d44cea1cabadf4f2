"""What one declaration registers: tasks, ablations, mixtures without a cluster; a user's own dataset on real rows."""

import dataclasses

import pytest
import seqio

from flan_jax.data import iterator, registry
from flan_jax.data.dataset import Dataset
from flan_jax.data.files import Rows
from flan_jax.data.template import Template
from flan_jax.errors import UserError
from tasks import flan2021


def own(name, cluster='sentiment'):
  return Dataset(
    name=name, cluster=cluster, source='glue/sst2:2.0.0', options=('negative', 'positive'),
    fields=lambda row: {'sentence': row['sentence'], 'label': row['label']},
    templates=(Template('Good or bad? {sentence}\n{options}'), Template('Say it {answer}.', targets='{sentence}')),
  )  # fmt: skip


def tasks_about(dataset):
  prefix = f'flan2021.{dataset}.'
  return {name.removeprefix(prefix) for name in seqio.TaskRegistry.names() if name.startswith(prefix)}


def test_every_variant_of_a_dataset_is_a_task():
  found = tasks_about('rte')
  assert found >= {
    *(f'template_{index}' for index in range(10)), *(f'first_{n}' for n in (1, 2, 4, 7)), 'round_robin', 'rank',
    *(f'{k}shot' for k in (1, 2, 3, 5, 10)), 'fewshot', 'no_options', 'fields_only', 'dataset_name',
    'template_3.5shot.no_options.rank', 'first_4.fewshot', 'round_robin.1shot',
  }  # fmt: skip
  assert 'template_9.rank' not in found  # inverted: its target is not the answer
  assert {'5shot.no_options', 'template_9.no_options'} <= found


def test_datasets_have_the_variants_that_make_sense():
  assert not any('rank' in name or 'no_options' in name for name in tasks_about('aeslc'))  # free text
  assert not any('shot' in name for name in tasks_about('wsc273'))  # no training rows
  assert seqio.TaskRegistry.get('flan2021.wsc273.rank')


def test_mixtures_come_in_variants_made_of_the_nearest_tasks():
  assert set(registry.tasks_of('flan2021.linguistic_acceptability.5shot')) == {'flan2021.cola.5shot'}
  mixed = registry.tasks_of('flan2021.without_nli.no_options')
  assert {'flan2021.cola.no_options', 'flan2021.aeslc'} <= set(mixed) and 'flan2021.aeslc.no_options' not in mixed


def test_a_task_knows_its_name_under_one_template():
  assert registry.task_info('flan2021.rte.5shot.rank').alone(3) == 'flan2021.rte.template_3.5shot.rank'
  assert registry.task_info('flan2021.rte').alone(0) == 'flan2021.rte.template_0'


@pytest.mark.parametrize(('held_out', 'gone'), [
  ('nli', ('nli', 'paraphrase')), ('sentiment', ('sentiment',)),
  ('commonsense', ('commonsense', 'reading_comprehension_with_commonsense')),
])  # fmt: skip
def test_a_held_out_cluster_leaves_training_with_those_close_to_it(held_out, gone):
  kept = {f'flan2021.{dataset.name}' for dataset in flan2021.FAMILY.datasets if dataset.cluster not in gone}
  assert len(kept) > 40
  assert set(registry.tasks_of(f'flan2021.without_{held_out}')) == kept
  bare = set(registry.tasks_of(f'flan2021.without_{held_out}.fields_only'))
  assert bare == {f'{name}.fields_only' for name in kept}


def test_rates_are_the_number_of_rows_up_to_a_cap(real_tfds):
  mixture = seqio.MixtureRegistry.get('flan2021')
  named = ('sst2', 'common_gen', 'rte', 'cb', 'copa')
  rates = {name: mixture.get_rate(seqio.TaskRegistry.get(f'flan2021.{name}')) for name in named}
  assert rates['sst2'] == rates['common_gen'] == registry.MAX_RATE
  assert (rates['rte'], rates['cb'], rates['copa']) == (2290, 200, 350)


def test_tasks_can_be_mixed_by_naming_them(registries):
  one = registry.mixture_of(('flan2021.sst2', 'flan2021.trec'))
  assert registry.mixture_of(('flan2021.trec', 'flan2021.sst2', 'flan2021.sst2')) == one
  assert sorted(registry.tasks_of(one)) == ['flan2021.sst2', 'flan2021.trec']
  assert registry.mixture_of(('flan2021.sst2',)) == 'flan2021.sst2'
  mixed = registry.tasks_of(registry.mixture_of(('flan2021.math', 'flan2021.sst2')))
  assert sorted(mixed) == ['flan2021.math_dataset', 'flan2021.sst2']
  with pytest.raises(UserError, match="'sst3'.*Did you mean.*'flan2021.sst2'"):
    registry.mixture_of(('sst3', 'flan2021.trec'))
  with pytest.raises(UserError, match='at least one'):
    registry.mixture_of(())


def test_tasks_keep_the_cap_of_their_own_family_when_they_are_mixed(registries, real_tfds):
  registry.register_family('even', [own('reviews')], max_rate=1)
  mixture = seqio.MixtureRegistry.get(registry.mixture_of(['even.reviews', 'flan2021.copa', 'flan2021.sst2']))
  assert [mixture.get_rate(task) for task in mixture.tasks] == [1, 350, registry.MAX_RATE]
  capped = seqio.MixtureRegistry.get(registry.mixture_of(['even.reviews', 'flan2021.copa', 'flan2021.sst2'], 100))
  assert [capped.get_rate(task) for task in capped.tasks] == [100, 100, 100]
  assert capped.name != mixture.name


def test_a_mixture_without_some_of_its_tasks_keeps_the_rates_of_the_others(registries, real_tfds):
  rates = [('flan2021.copa', 7.0), ('flan2021.sst2', 5.0), ('flan2021.piqa', 2.0)]
  seqio.MixtureRegistry.add('uneven', rates)
  name = registry.reduced('uneven', ['flan2021.sst2', 'flan2021.copa'])
  assert name.startswith('uneven.2_of_3_')
  assert registry.reduced('uneven', ['flan2021.copa', 'flan2021.sst2']) == name
  assert name != registry.reduced('uneven', ['flan2021.copa', 'flan2021.piqa'])
  smaller = seqio.MixtureRegistry.get(name)
  assert {task.name: smaller.get_rate(task) for task in smaller.tasks} == dict(rates[:2])


def test_a_mixture_of_ones_own_takes_datasets_of_its_family_under_a_free_name(registries):
  chosen = [dataset for dataset in flan2021.FAMILY.datasets if dataset.name in ('rte', 'cb')]
  registry.register_mixture(flan2021.FAMILY, 'flan2021.small_nli', chosen)
  assert registry.tasks_of('flan2021.small_nli.5shot') == ['flan2021.cb.5shot', 'flan2021.rte.5shot']
  with pytest.raises(UserError, match="'flan2021.small_nli' cannot be registered: the name is taken"):
    registry.register_mixture(flan2021.FAMILY, 'flan2021.small_nli', chosen)
  with pytest.raises(UserError, match="family 'flan2021' has no dataset 'rtee'. Did you mean 'rte'"):
    registry.register_mixture(flan2021.FAMILY, 'flan2021.other', [own('rtee')])


def test_a_taken_name_is_refused_before_anything_is_registered(registries):
  before = set(seqio.TaskRegistry.names())
  with pytest.raises(UserError, match="'mine.twice' is what two of its"):
    registry.register_family('mine', [own('first'), own('twice'), own('twice')])
  assert set(seqio.TaskRegistry.names()) == before


@pytest.mark.parametrize(('look_up', 'near'), [
  (registry.family, 'flan2021'), (registry.task_info, 'flan2021.sst2'), (registry.get_mixture_or_task, 'flan2021.nli'),
])  # fmt: skip
def test_unknown_names_are_answered_with_near_ones(look_up, near):
  with pytest.raises(UserError, match=f"Did you mean.*'{near}'"):
    look_up(near + 'x')


def test_a_users_own_dataset_works_end_to_end(registries, real_tfds):
  registry.register_family('mine', [own('reviews'), own('other_reviews', cluster='other')])
  assert registry.tasks_of('mine.without_other') == ['mine.reviews']
  batches = iterator.batches('mine', {'inputs': 48, 'targets': 24}, 4)
  assert {origin.task for origin in batches.origins(next(batches))} == {'mine.reviews', 'mine.other_reviews'}


def rows_of_ones_own(count):
  return [{'sentence': f'number {index}', 'label': index % 2} for index in range(count)]


def test_a_task_can_be_limited_to_its_first_rows_and_keeps_all_else(registries):
  dataset = dataclasses.replace(own('mine'), source=Rows(rows_of_ones_own(100)))
  registry.register_family('few', [dataset], max_rate=7)
  name = registry.limited('few.mine', 20)
  assert registry.limited('few.mine', 20) == name == 'few.mine.20_rows'
  whole, limited = (seqio.TaskRegistry.get(task).source for task in ('few.mine', name))
  assert [len(limited.rows(split)) for split in ('train', 'validation', 'test')] == [20, 10, 10]
  assert [limited.rows(split) for split in ('validation', 'test')] == [
    whole.rows(split) for split in ('validation', 'test')]
  assert limited.rows('train').start == whole.rows('train').start == 0
  assert len(seqio.TaskRegistry.get(registry.limited('few.mine', 500)).source.rows('train')) == len(whole.rows('train'))
  assert seqio.MixtureRegistry.get(registry.mixture_of([name, 'few.mine'])).get_rate(
    seqio.TaskRegistry.get(name)) == 7
  with pytest.raises(UserError, match='its first 0 rows'):
    registry.limited('few.mine', 0)
  with pytest.raises(UserError, match="no task 'few.mein'. Did you mean 'few.mine'"):
    registry.limited('few.mein', 5)
