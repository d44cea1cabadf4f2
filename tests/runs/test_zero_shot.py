"""The held-out protocol on a toy family: what is trained, asked, reused, refused, left to others, and put together."""

import dataclasses
import json
import shutil

import pytest
import seqio

from flan_jax.data import vocabulary
from flan_jax.errors import UserError
from flan_jax.evaluation import results_file
from flan_jax.heldout.arms import Arm, Stage
from flan_jax.models import T5Config
from flan_jax.peft import LoRA
from flan_jax.runs import first_look, heldout_training, zero_shot
from flan_jax.training import optimizers, sharding
from flan_jax.work import claims
from tests.data.conftest import open_registries, restored
from tests.heldout import toy_family

MODEL = T5Config(vocab_size=384, emb_dim=8, num_heads=1, head_dim=8, mlp_dim=8, num_encoder_layers=1,
                 num_decoder_layers=1, logits_via_embedding=True, dtype='float32', dropout_rate=0.0)
TUNED = Arm('tuned', 'tuned')
REMOVED = Arm('removed', 'tuned, no instruction', start='tuned', trains_on='nothing', ask_prompts='fields_only')
UNTUNED = Arm('untuned', 'untuned', trains_on='nothing')


@pytest.fixture(scope='module')
def toys():
  with open_registries():
    yield toy_family.register()


@pytest.fixture
def protocol(toys, tmp_path, monkeypatch):
  """Runs the protocol, and returns its evaluations and which stages were trained now."""
  trained = []
  finetune = heldout_training.finetune

  def counted(**options):
    trained.append('/'.join(options['model_dir'].split('/')[-3:]))
    return finetune(**options)

  monkeypatch.setattr(heldout_training, 'finetune', counted)
  monkeypatch.setattr(first_look, 'look', lambda *_: iter(()))  # a thousand examples before two steps

  def run(*arms, **changes):
    trained.clear()
    options = {
      'model_dir': str(tmp_path / 'run'), 'family': 'toys', 'held_out': ('red', 'blue'), 'model': MODEL,
      'stages': [Stage(2, optimizers.adamw(1e-2))], 'vocabulary': seqio.ByteVocabulary(), 'batch_size': 8,
      'task_feature_lengths': {'inputs': 64, 'targets': 8}, 'mixture_or_task_module': (), 'show_progress': False,
    }  # fmt: skip
    found = zero_shot.zero_shot(arms=arms or [TUNED, [REMOVED], UNTUNED], **{**options, **changes})
    return found, list(trained)

  with restored(vocabulary._ACTIVE):
    yield run


@pytest.mark.slow
def test_every_cluster_and_arm_is_a_cell_with_its_origin(protocol, tmp_path, capsys):
  found, trained = protocol()
  assert trained == ['red/tuned/stage_1', 'blue/tuned/stage_1']
  assert [(one.origin.held_out, one.origin.arm) for one in found] == [
    (cluster, arm) for cluster in ('red', 'blue') for arm in ('tuned', 'removed', 'untuned')]
  tuned, removed, untuned = found[:3]
  assert tuned.origin.trained_on == ['green_a', 'green_b', 'blue_a'] and tuned.origin.steps == 2
  assert removed.origin.trained_on == tuned.origin.trained_on and removed.origin.trainable == 0
  assert untuned.origin.trained_on == [] and untuned.origin.parameters == tuned.origin.trainable
  assert {result.dataset for result in tuned.datasets} == {'red_a', 'red_opposite', 'red_hard', 'grey_a'}
  assert len(tuned.templates) == 8 and len(removed.templates) == 4
  record = results_file.read_record(tmp_path / 'run' / 'results.json')
  assert record.evaluations == found and record.config['missing'] == []
  whole = results_file.with_predictions(tmp_path / 'run' / 'predictions', tuned)
  assert all(len(result.predictions) == 8 for result in whole.templates)
  assert {'heldout.png', 'report.html'} <= {path.name for path in (tmp_path / 'run').iterdir()}
  assert not list((tmp_path / 'run').rglob('*claim*'))
  assert len({one.origin.digest for one in found}) == len(found)
  del capsys


@pytest.mark.slow
def test_what_is_done_is_reused_and_what_is_asked_otherwise_is_asked_anew(protocol, tmp_path):
  first, _ = protocol(held_out='blue')
  again, trained = protocol(held_out='blue')
  assert again == first and trained == []
  fewer, trained = protocol(held_out='blue', examples=4)
  assert trained == [] and {result.rows for one in fewer for result in one.templates} == {4}
  shutil.rmtree(tmp_path / 'run' / 'blue' / 'removed')
  _, trained = protocol(held_out='blue', examples=4)
  assert trained == []
  _, trained = protocol(TUNED, UNTUNED, Arm('more', 'more', train_rows=5), held_out='blue', examples=4)
  assert trained == ['blue/more/stage_1']


@pytest.mark.slow
def test_another_configuration_is_refused_before_anything_trains(protocol):
  protocol(held_out='blue')
  other = {'batch_size: 8 there, 4 here': {'batch_size': 4}, 'seed: 0 there, 1 here': {'random_seed': 1},
           'method: ': {'method': LoRA(rank=1)}, 'stages: ': {'stages': [Stage(3, optimizers.adamw(1e-2))]}}
  for told, changes in other.items():
    with pytest.raises(UserError, match=f'blue/tuned was made with another configuration .{told}'):
      protocol(held_out='blue', **changes)


@pytest.mark.slow
def test_an_arm_on_all_clusters_trains_once_and_one_on_the_cluster_starts_from_another(protocol, tmp_path):
  included = Arm('included', 'included', trains_on='all')
  prompted = Arm('adapted', 'adapted', trains_on='cluster', start='included', method=LoRA(rank=1), train_rows=6)
  found, trained = protocol(included, prompted, watch_tasks='toys.green_a', watch_period=1)
  assert trained == ['all/included/stage_1', 'red/adapted/stage_1', 'blue/adapted/stage_1']
  adapted = found[1]
  assert adapted.origin.method['method'] == 'lora' and 0 < adapted.origin.trainable < adapted.origin.parameters
  assert adapted.origin.steps == 4 and set(adapted.origin.trained_on) == set(toy_family.MEMBERS)
  watched = (tmp_path / 'run' / 'red' / 'adapted' / 'stage_1' / 'forgetting.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in watched] == [0, 1, 2] and json.loads(watched[-1])['change']['n'] == 6
  assert 'What training changed elsewhere' in (tmp_path / 'run' / 'report.html').read_text()
  config = json.loads((tmp_path / 'run' / 'red' / 'adapted' / 'config.json').read_text())
  assert config['stages'][0]['tasks'] == ['toys.red_a.6_rows', 'toys.red_opposite.6_rows', 'toys.red_hard.6_rows']


@pytest.mark.slow
def test_a_cell_that_another_process_holds_is_left_to_it_and_those_that_need_it_wait(protocol, tmp_path, capsys):
  with claims.claimed(tmp_path / 'run' / 'blue' / 'tuned' / heldout_training.CLAIM):
    found, trained = protocol(held_out='blue')
  assert trained == [] and [one.origin.arm for one in found] == ['untuned']
  told = capsys.readouterr().out
  assert 'blue/tuned: claimed by process' in told and 'blue/removed: waits for the arm that it starts from' in told
  assert '1 of 3 cells are done; missing: blue/tuned, blue/removed' in told
  assert len(protocol(held_out='blue')[0]) == 3


@pytest.mark.slow
def test_a_process_may_take_some_clusters_and_the_report_has_all_that_is_done(protocol):
  assert {one.origin.held_out for one in protocol(only='blue')[0]} == {'blue'}
  found, trained = protocol(only=('red',))
  assert {one.origin.held_out for one in found} == {'red', 'blue'} and trained == ['red/tuned/stage_1']


def test_extra_tasks_are_asked_of_every_arm_and_pairs_are_measured(protocol, tmp_path):
  found, _ = protocol(UNTUNED, extra_tasks=('toys.green_a',), pairs={'red_a': 'red_a'}, held_out='red')
  for one in found:
    assert 'green_a' in {result.dataset for result in one.datasets}
  record = results_file.read_record(tmp_path / 'run' / 'results.json')
  assert record.config['extra'] == ['green']
  for one in found:
    assert one.paired[0].n == 8 and one.paired[0].mean == one.datasets[0].mean.value


def test_the_template_that_did_best_on_validation_rows_is_chosen(protocol):
  found, _ = protocol(UNTUNED, held_out='blue')
  (result,) = found[0].datasets
  assert result.chosen.task in result.by_template and result.chosen.chosen_on == 'validation'
  assert result.chosen.score.value == result.by_template[result.chosen.task] and result.chosen.score.n == 8
  assert protocol(UNTUNED, held_out='blue', select_on=None)[0][0].datasets[0].chosen is None
  with pytest.raises(UserError, match="SELECT_ON = 'test' is the split that is reported"):
    protocol(UNTUNED, held_out='blue', select_on='test')


def test_questions_in_training_are_counted_and_leave_where_asked(protocol, tmp_path, capsys):
  protocol(TUNED, held_out='blue', remove_contamination=True)
  found = json.loads((tmp_path / 'run' / 'contamination' / 'blue' / 'contamination.json').read_text())
  assert found['removed'] and 'blue_a' not in found['training']
  (counted,) = found['datasets']
  planted = toy_family.PLANTED
  assert (counted['dataset'], counted['rows'], counted['exact'], counted['overlapping']) == ('blue_a', 8, planted, 0)
  assert counted['by_training_dataset'] == {'green_b': planted}
  mixed = json.loads((tmp_path / 'run' / 'blue' / 'tuned' / 'stage_1' / 'mixture.json').read_text())
  assert f'without_{planted}_rows' in mixed['mixture']
  assert f'{planted} training rows altogether left out of training' in capsys.readouterr().out
  with pytest.raises(UserError, match="was made with another configuration .contamination_removed: 13 there"):
    protocol(TUNED, held_out='blue')
  with pytest.raises(UserError, match='removes nothing where CONTAMINATION_NGRAM is None'):
    protocol(remove_contamination=True, contamination_ngram=None)


def test_a_plan_writes_nothing(protocol, tmp_path, capsys):
  assert protocol(dry_run=True)[0] == []
  told = capsys.readouterr().out
  assert 'red/tuned: trains 2 steps on green_a, green_b, blue_a; asks 8 tasks' in told
  assert 'red/removed: weights of tuned; asks 4 tasks' in told
  assert not (tmp_path / 'run').exists()


def test_training_lies_over_the_mesh_that_is_asked_for(protocol, capsys):
  protocol(dry_run=True, partitioner=sharding.Partitioner(num_partitions=2, fsdp=2))
  assert 'mesh data 2 x fsdp 2 x model 2' in capsys.readouterr().out


@pytest.mark.parametrize(('changes', 'told'), [
  ({'family': 'toyz'}, "no task family 'toyz'. Did you mean 'toys'"),
  ({'held_out': 'bleu'}, "HELD_OUT: family 'toys' has no cluster 'bleu'. Did you mean 'blue'"),
  ({'only': 'bleu'}, "ONLY: family 'toys' has no cluster 'bleu'"),
  ({'extra_tasks': ('toys.gren_a',)}, "EXTRA_TASKS: There is no task or mixture 'toys.gren_a'. Did you mean"),
])  # fmt: skip
def test_what_cannot_be_meant_is_said_and_nothing_written(protocol, tmp_path, changes, told):
  with pytest.raises(UserError, match=told):
    protocol(**changes)
  assert not (tmp_path / 'run').exists()


def test_cells_of_an_arm_are_put_together_by_held_out_cluster(protocol):
  found, _ = protocol(UNTUNED, held_out=('red', 'grey'))
  (merged,) = zero_shot.by_arm(found)
  assert [result.cluster for result in merged.clusters] == ['red', 'grey']  # grey from its own cell, not from red's
  (alone,) = zero_shot.by_arm([one for one in found if one.origin.held_out == 'red'])
  assert [result.cluster for result in alone.clusters] == ['red', 'grey']
  assert dataclasses.replace(merged, model='x').origin is None
