"""Contamination that was planted is found, listed and kept from training; and what real datasets share."""

import dataclasses
import json

import pytest
import seqio
import tensorflow as tf

from flan_jax.data import contamination, iterator, provenance, registry, vocabulary
from flan_jax.data.dataset import Dataset
from flan_jax.data.files import Rows
from flan_jax.data.rows import rows
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from flan_jax.errors import UserError
from flan_jax.evaluation.contamination_table import contamination_table
from tasks import flan2021
from tests.data.conftest import restored

LONG = 'the red ship left the old harbour before the storm came over the northern hills at night'  # 17 words
TWELVE = 'every winter the same twelve travellers cross this frozen lake on sledges'
ASKED = [
  {'premise': LONG, 'hypothesis': 'a ship left'},  # 0: its premise trains, in another case and punctuation
  {'premise': 'short one', 'hypothesis': 'it is so'},  # 1: trains whole, fields in the other order
  {'premise': 'short two', 'hypothesis': 'it is so'},  # 2: only half of it trains
  {'premise': f'{TWELVE} northwards', 'hypothesis': 'a lake'},  # 3: twelve shared words
  {'premise': f'We heard that {LONG[:75]} yesterday', 'hypothesis': 'x'},  # 4: part of a longer training text
  {'premise': 'of this nothing is anywhere to be found in any of the rows', 'hypothesis': 'yes'},  # 5
]
TRAINED = [
  {'one': 'it is so!', 'two': 'Short  ONE.'},
  {'one': LONG.replace(' ', ', ').upper() + '?!', 'two': 'unrelated'},
  {'one': f'They told us: {LONG}, and it was true.', 'two': 'no'},
  {'one': f'{TWELVE} southwards', 'two': 'yes'},
  *({'one': f'number {n} is clean', 'two': 'yes'} for n in range(20)),
]  # fmt: skip


def asked(name='asked', rows=ASKED):
  return Dataset(
    name=name, cluster='nli', source=Rows({'test': [{**row, 'label': 0} for row in rows]}), options=('yes', 'no'),
    splits=Splits(train=None, validation=None, test='test'),
    fields=lambda row: {'premise': row['premise'], 'hypothesis': row['hypothesis'], 'label': row['label']},
    templates=(Template('{premise} So: {hypothesis}?'),),
  )  # fmt: skip


def trained(name='trained', rows=TRAINED, **changes):
  declared = Dataset(
    name=name, cluster='pairs', source=Rows({'train': [{**row, 'label': 1} for row in rows]}), options=('yes', 'no'),
    splits=Splits(train='train', validation=None, test=None), exemplars=2,
    fields=lambda row: {'one': row['one'], 'two': row['two'], 'label': row['label']},
    templates=(Template('{one} and {two}: same?'), Template('Same? {two}, {one}')),
  )  # fmt: skip
  return dataclasses.replace(declared, **changes)


def row_id(dataset, split, number):
  return f'{dataset}-{split}.rows-00000-of-00001__{number}'


def numbers(ids):
  return sorted(int(row.rpartition('__')[2]) for row in ids)


def kinds(found):
  return {(numbers([pair.row])[0], numbers([pair.training_row])[0]): pair.kind for pair in found.pairs}


def test_what_was_planted_is_found_and_nothing_else():
  found = contamination.find([trained()], [asked()])
  assert kinds(found) == {(1, 0): 'exact', (0, 1): 'exact', (0, 2): 'overlap', (4, 1): 'overlap', (4, 2): 'overlap'}
  (one,) = found.datasets
  assert dataclasses.asdict(one) == {
    'dataset': 'asked', 'cluster': 'nli', 'rows': 6, 'exact': 2, 'overlapping': 1, 'training_rows': 3,
    'by_training_dataset': {'trained': 3}}  # fmt: skip
  texts = {kind: pair.text for pair in found.pairs for kind in [(pair.kind, *numbers([pair.row, pair.training_row]))]}
  assert texts['exact', 0, 1] == LONG and texts['overlap', 0, 2] == LONG
  assert texts['exact', 0, 1] == LONG.casefold()
  assert {pair.text for pair in found.pairs if numbers([pair.row]) == [1]} == {'short one | it is so'}
  assert {pair.row for pair in found.pairs if pair.kind == 'exact'} == {row_id('asked', 'test', n) for n in (0, 1)}


def test_twelve_shared_words_are_an_overlap_of_twelve():
  found = contamination.find([trained()], [asked()], n=12)
  assert kinds(found)[3, 3] == 'overlap'
  assert [pair.text for pair in found.pairs if numbers([pair.row]) == [3]] == [TWELVE]
  with pytest.raises(UserError, match='CONTAMINATION_NGRAM is at least 2'):
    contamination.find([trained()], [asked()], n=1)


def test_only_rows_that_train_and_rows_that_are_asked_are_compared():
  capped = trained(splits=Splits(train='train', validation=None, test=None, train_cap=1))
  first = contamination.find([capped], [asked()])
  assert set(kinds(first)) == {(1, 0)}
  kept = trained(keep=lambda row: row['two'] != 'unrelated')
  assert set(kinds(contamination.find([kept], [asked()]))) == {(1, 0), (0, 2), (4, 2)}
  limited = contamination.find([trained()], [asked()], limit=1)
  assert limited.datasets[0].rows == 1 and set(kinds(limited)) == {(0, 1), (0, 2)}


def test_options_and_labels_do_not_count_and_answers_of_free_text_that_train_do():
  long_options = (f'{LONG} indeed', f'never did it happen that {LONG}')
  listed = dataclasses.replace(asked(rows=ASKED[5:]), options=long_options)
  assert contamination.find([trained(options=long_options)], [listed]).pairs == ()
  told = trained(options=None, splits=Splits(train='train', validation=None, test=None),
                 fields=lambda row: {'two': row['two'], 'answer': row['one']}, templates=(Template('Tell: {two}'),))
  assert set(kinds(contamination.find([told], [asked()]))) == {(0, 1), (0, 2), (1, 0), (4, 1), (4, 2)}


def test_the_files_hold_the_counts_and_every_pair(tmp_path):
  found = contamination.find([trained()], [asked(), asked('clean', ASKED[5:])])
  found.write(tmp_path / 'run')
  counts = json.loads((tmp_path / 'run' / 'contamination.json').read_text())
  assert counts.keys() == {'n', 'split', 'removed', 'training', 'datasets'}
  assert (counts['n'], counts['split'], counts['removed'], counts['training']) == (13, 'test', False, ['trained'])
  assert counts['datasets'][0].keys() == {
    'dataset', 'cluster', 'rows', 'exact', 'overlapping', 'training_rows', 'by_training_dataset'}
  assert [one['by_training_dataset'] for one in counts['datasets']] == [{'trained': 3}, {}]
  pairs = [json.loads(line) for line in (tmp_path / 'run' / 'contamination.jsonl').read_text().splitlines()]
  assert [contamination.Pair(**pair) for pair in pairs] == list(found.pairs) and len(pairs) == 5
  assert any('asked: of 6 rows 2 exact, 1 overlapping; 3 training rows (trained 3)' in line for line in found.lines())
  assert '3 training rows altogether still train' in found.lines()[-1]
  table = contamination_table(found)
  assert table.rows[0] == ('asked', 'nli', 'trained 3', '6', '2', '1', '50.0', '3')
  assert table.rows[1][2:] == ('-', '1', '0', '0', '0.0', '0')


def test_two_datasets_of_one_name_are_refused():
  with pytest.raises(UserError, match="Two different training datasets are called 'trained'"):
    contamination.find([trained(), trained()], [asked()])


@pytest.fixture
def mixed(registries):
  """A mixture of the contaminated dataset and a clean one, and the tasks that are asked about."""
  clean = trained('clean', TRAINED[4:10])
  registry.register_family('own', [trained(), clean, asked()], evaluation_only=('asked',))
  with restored(vocabulary._ACTIVE):
    vocabulary.use_vocabulary(seqio.ByteVocabulary())
    yield 'own'


LENGTHS = {'inputs': 600, 'targets': 8}


def drawn(name, count=6, **options):
  """The rows behind the first batches: (task, number of the row)."""
  batches = iterator.batches(name, LENGTHS, 32, **options)
  found = [provenance.decode(next(batches)[provenance.FEATURE], registry.tasks_of(name)) for _ in range(count)]
  return {(one.task, one.row) for batch in found for one in batch}


def test_rows_that_leave_never_reach_a_batch(mixed):
  assert {row for task, row in drawn(mixed) if task == 'own.trained'} == set(range(24))
  found = contamination.find([mixed], [f'{mixed}.asked'])
  name = registry.without_rows(mixed, found.training_rows)
  task = next(task for task in registry.tasks_of(name) if 'trained' in task)
  for pack in (True, False):
    seen = drawn(name, pack=pack)
    assert {row for one, row in seen if one == task} == set(range(3, 24))
    assert {row for one, row in seen if one == 'own.clean'} == set(range(6))
  assert contamination.find([name], [f'{mixed}.asked']).pairs == ()


def test_rates_and_counts_are_those_of_the_rows_that_are_left(mixed):
  name = registry.without_rows(mixed, {'trained': [row_id('trained', 'train', n) for n in (0, 2)]})
  assert name.startswith('own.without_2_rows_')
  tasks = {task.name: task for task in seqio.MixtureRegistry.get(name).tasks}
  (changed,) = tasks.keys() - {'own.clean'}
  assert changed.startswith('own.trained.without_2_rows_')
  rate = seqio.MixtureRegistry.get(name).get_rate
  assert (tasks[changed].num_input_examples('train'), rate(tasks[changed]), rate(tasks['own.clean'])) == (22, 22, 6)
  assert tasks[changed].source.origin == 'Rows(...), 2 rows left out'
  even = registry.mixture_of(['own.trained', 'own.clean'], max_rate=1)
  smaller = seqio.MixtureRegistry.get(registry.without_rows(even, {'trained': [row_id('trained', 'train', 0)]}))
  assert [smaller.get_rate(task) for task in smaller.tasks] == [1, 1]


def test_the_name_goes_by_the_rows_whatever_their_order(mixed):
  ids = [row_id('trained', 'train', n) for n in (0, 2, 5)]
  name = registry.without_rows('own.trained', {'trained': ids})
  assert name == registry.without_rows('own.trained', {'trained': [*reversed(ids), ids[0]]}) != 'own.trained'
  assert name != registry.without_rows('own.trained', {'trained': [*ids[:2], row_id('trained', 'train', 6)]})
  assert registry.without_rows(mixed, {}) == registry.without_rows(mixed, {'trained': []}) == mixed
  again = registry.without_rows(name, {'trained': [row_id('trained', 'train', 9)]})
  assert seqio.TaskRegistry.get(again).num_input_examples('train') == 20


def test_a_place_in_the_rows_that_are_left_can_be_kept(mixed):
  name = registry.without_rows(mixed, {'trained': [row_id('trained', 'train', n) for n in range(0, 24, 2)]})
  one, other = (iterator.batches(name, LENGTHS, 2, seed=3) for _ in range(2))
  for _ in range(3):
    next(one)
  other.set_state(one.get_state())
  for _ in range(4):
    first, second = next(one), next(other)
    assert all((first[key] == second[key]).all() for key in first)


def test_rows_that_leave_are_no_exemplars_either(mixed):
  gone = [row_id('trained', 'train', n) for n in range(4)]
  name = registry.without_rows('own.trained.fewshot', {'trained': gone})
  asked_with = seqio.TaskRegistry.get(name).get_dataset({}, split='train', shuffle=False, try_in_mem_cache=False)
  exemplars = {row.decode() for example in asked_with.as_numpy_iterator() for row in example['exemplars']}
  assert len(exemplars) > 5 and not exemplars & set(gone)


def test_what_cannot_leave_is_named(mixed):
  with pytest.raises(UserError, match="'own' has no dataset 'traned'.*Did you mean 'trained'"):
    registry.without_rows(mixed, {'traned': ['a']})
  for wrong in (row_id('trained', 'train', 24), row_id('trained', 'test', 0), 'nothing'):
    with pytest.raises(UserError, match=f'cannot train without the row {wrong!r}'):
      registry.without_rows(mixed, {'trained': [wrong]})
  with pytest.raises(UserError, match="'clean' keeps no row to train on"):
    registry.without_rows(mixed, {'clean': [row_id('clean', 'train', n) for n in range(6)]})


def passages(name, source, column):
  """The texts of a real validation split, as if they trained."""
  return Dataset(
    name=name, cluster='passages', source=source, splits=Splits(train='validation', validation=None, test=None),
    fields=lambda row: {'text': row[column], 'answer': tf.constant('yes')}, templates=(Template('{text}'),),
  )  # fmt: skip


def test_squad_is_in_qnli(real_tfds):
  squad = passages('squad', 'squad/v1.1:3.0.0', 'context')
  (found,) = contamination.find([squad], ['flan2021.qnli']).datasets
  assert found.rows == 5463 and found.exact + found.overlapping > 500
  assert found.by_training_dataset == {'squad': found.training_rows}


@pytest.mark.parametrize(('training', 'asked_about', 'exact', 'overlapping'), [
  (passages('glue_rte', 'glue/rte:2.0.0', 'sentence1'), 'flan2021.rte', 270, 0),
  (passages('boolq', 'super_glue/boolq:1.0.2', 'passage'), 'flan2021.bool_q', 0, 3200),  # titles go before its passages
])  # fmt: skip
def test_datasets_under_two_names_are_found_whole(real_tfds, training, asked_about, exact, overlapping):
  found = contamination.find([training], [asked_about])
  assert found.datasets[0].exact >= exact and found.datasets[0].overlapping >= overlapping
  assert {pair.row for pair in found.pairs} <= {row.row_id for row in rows(f'{asked_about}.template_0', 'test')}


def test_rows_of_tfds_leave_too(real_tfds, registries):
  found = contamination.find(['flan2021.rte'], ['flan2021.rte'])
  gone = found.training_rows['rte']
  name = registry.without_rows('flan2021.rte.template_0', {'rte': gone})
  left = {row.row_id for row in rows(name, 'train')}
  assert len(left) == 2290 - len(gone) == seqio.TaskRegistry.get(name).num_input_examples('train')
  assert not left & set(gone) and len(gone) > 50
  assert flan2021.FAMILY.name == registry.task_info(name).family
