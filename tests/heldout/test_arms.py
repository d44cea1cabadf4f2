"""Arms, what they train on, and curves of them."""

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation.results import Point
from flan_jax.heldout import arms, curves, training_sets
from flan_jax.heldout.arms import Arm, Stage
from flan_jax.models import T5Config
from flan_jax.training import optimizers
from tests.data.conftest import open_registries
from tests.heldout import toy_family

TUNED, UNTUNED = Arm('tuned', 'tuned'), Arm('untuned', 'untuned', trains_on='nothing')


@pytest.fixture(scope='module')
def family():
  with open_registries():
    yield toy_family.register()


def names(datasets):
  return [dataset.name for dataset in datasets]


def test_lists_of_arms_are_flat_and_starts_come_first():
  later = Arm('later', 'later', start='tuned', trains_on='cluster')
  found = arms.in_order([later, [UNTUNED, [TUNED]]])
  assert list(found) == ['tuned', 'later', 'untuned']
  assert [arm.name for arm in arms.chain(later, found)] == ['later', 'tuned']


@pytest.mark.parametrize(('given', 'message'), [
  ([], 'ARMS is empty'),
  ([TUNED, TUNED], "two of ARMS are called 'tuned'"),
  ([Arm('a/b', '')], "runs.Arm.name = 'a/b' cannot name a folder"),
  ([Arm('a', '', start='tund'), TUNED], "runs.Arm.start = 'tund' of 'a' is none of ARMS. Did you mean 'tuned'"),
  ([Arm('a', '', start='b'), Arm('b', '', start='a')], "in a circle: 'a' from 'b' from 'a'"),
  ([Arm('a', '', train_prompts='first_3')], "train_prompts of 'a': There is no way of prompting 'first_3'. Did you"),
  ([Arm('a', '', ask_prompts='field_only')], "ask_prompts of 'a': .* Did you mean 'fields_only'"),
  ([Arm('a', '', cluster_count=0)], 'cluster_count = 0'),
  ([Arm('a', '', cluster_count=1, trains_on='all')], 'counts clusters of an arm with trains_on'),
  ([Arm('a', '', cluster_order='sise')], "cluster_order = 'sise' of 'a' must be 'size', a seed"),
  ([Arm('a', '', trains_on='nothing', train_rows=3)], 'would have no effect'),
  ([TUNED, Arm('a', '', start='tuned', model=T5Config(vocab_size=8))], 'leave runs.Arm.model away'),
])  # fmt: skip
def test_arms_that_cannot_be_meant_are_refused(given, message):
  with pytest.raises(UserError, match=message):
    arms.in_order(given)


def test_what_trains_follows_what_is_held_out(family):
  assert names(training_sets.datasets(TUNED, family, 'red')) == ['green_a', 'green_b', 'blue_a']
  assert names(training_sets.judged(family, 'red')) == ['red_a', 'red_opposite', 'red_hard', 'grey_a']
  assert names(training_sets.datasets(TUNED, family, 'grey')) == [
    'red_a', 'red_opposite', 'red_hard', 'green_a', 'green_b', 'blue_a']
  assert names(training_sets.datasets(Arm('a', '', trains_on='cluster'), family, 'green')) == ['green_a', 'green_b']
  assert len(training_sets.datasets(Arm('a', '', trains_on='all'), family, 'red')) == len(toy_family.MEMBERS)
  assert training_sets.datasets(UNTUNED, family, 'red') == []


def test_clusters_are_counted_in_the_stated_order(family):
  def clusters(count, order):
    arm = Arm('a', '', cluster_count=count, cluster_order=order)
    return list(dict.fromkeys(d.cluster for d in training_sets.datasets(arm, family, 'blue')))

  assert clusters(1, 'size') == ['red'] and clusters(2, 'size') == ['red', 'green']
  assert clusters(1, ('grey', 'red')) == ['grey']
  assert clusters(2, 5) == clusters(2, 5)
  assert len({tuple(clusters(1, seed)) for seed in range(8)}) > 1
  for seed in range(4):
    assert set(clusters(1, seed)) < set(clusters(2, seed)) < set(clusters(3, seed))
  with pytest.raises(UserError, match="cluster_count = 4 of 'a': with 'blue' held out there are 3 clusters"):
    clusters(4, 'size')
  with pytest.raises(UserError, match="'blue' is no cluster that may train with 'blue' held out"):
    clusters(1, ('blue',))


def test_held_out_clusters_are_named_checked_and_in_order(family):
  assert training_sets.held_out_clusters(family, 'all') == ['red', 'green', 'blue', 'grey']
  assert training_sets.held_out_clusters(family, ('blue', 'red', 'blue')) == ['blue', 'red']
  with pytest.raises(UserError, match="HELD_OUT: family 'toys' has no cluster 'gren'. Did you mean 'green'"):
    training_sets.held_out_clusters(family, 'gren')
  with pytest.raises(UserError, match='ONLY is empty'):
    training_sets.held_out_clusters(family, (), 'ONLY')


def test_a_stage_leaves_out_datasets_and_keeps_first_rows(family):
  def tasks(leave_out=None, **changes):
    arm = Arm('a', '', **changes)
    stage = Stage(1, optimizers.adamw(1e-3), leave_out)
    return training_sets.stage_tasks(stage, arm, family, training_sets.datasets(arm, family, 'blue'))

  assert 'toys.red_opposite' in tasks() and 'toys.red_opposite' not in tasks('.*_opposite')
  assert tasks(train_prompts='fields_only', trains_on='cluster') == ['toys.blue_a.fields_only']
  assert tasks(train_rows=5, trains_on='cluster') == ['toys.blue_a.5_rows']
  assert tasks('.*_opposite', trains_on='cluster') == ['toys.blue_a']  # matches elsewhere in the family
  with pytest.raises(UserError, match='matches no dataset of family'):
    tasks('.*_oposite')
  with pytest.raises(UserError, match='leaves none of the 1 datasets'):
    tasks('blue.*', trains_on='cluster')
  with pytest.raises(UserError, match='is not a regular expression'):
    tasks('(')


def test_curves_are_arms_with_points():
  found = arms.in_order([TUNED, curves.clusters_curve((1, 2), ('size', 3), all_of='tuned', count_of_all=4)])
  points = {name: arm.point(10) for name, arm in found.items() if arm.curve}
  assert points['clusters_2_3'] == Point('training clusters', 2.0, 'order 3')
  assert points['clusters_all_size'] == Point('training clusters', 4.0, 'most datasets first')
  assert not found['clusters_all_size'].trains and found['clusters_all_size'].start == 'tuned'
  with pytest.raises(UserError, match='count_of_all'):
    curves.clusters_curve((1,), all_of='tuned')


def test_curves_of_templates_exemplars_and_sizes():
  templates = curves.templates_curve((1, 4), all_of='tuned')
  assert [(arm.train_prompts, arm.x) for arm in templates] == [('first_1', 1), ('first_4', 4), ('', 10)]
  exemplars = curves.exemplars_curve('tuned', (0, 2))
  assert [(arm.ask_prompts, arm.x, arm.start) for arm in exemplars] == [('', 0, 'tuned'), ('2shot', 2, 'tuned')]
  models = {'small': T5Config(vocab_size=8), 'large': T5Config(vocab_size=16)}
  sizes = arms.in_order([UNTUNED, curves.sizes_curve(models, own={'untuned': 'untuned'})])
  assert [arm.point(77).x for arm in sizes.values() if arm.curve] == [77.0] * 5
  assert sizes['size_of_untuned'].start == 'untuned' and sizes['size_of_untuned'].series == 'untuned'
  assert sizes['size_small'].start == 'size_small_untuned' and sizes['size_small'].model is None
