"""Watched tasks: the base is scored once, changes stay paired with it, and a killed run ends with the same lines."""

import contextlib
import json
import signal
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import seqio
from flax import nnx

from flan_jax.data import provenance, registry, vocabulary
from flan_jax.data.dataset import Dataset
from flan_jax.data.files import Rows
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from flan_jax.errors import UserError
from flan_jax.evaluation import forgetting
from flan_jax.evaluation.statistics import Estimate
from flan_jax.models import T5, T5Config
from flan_jax.peft import PromptTuning
from flan_jax.peft.partition import named_variables
from flan_jax.runs import watch
from flan_jax.runs.finetune import finetune
from flan_jax.training import loop, metrics_log, optimizers
from flan_jax.training.checkpoints import Checkpointer
from tests import processes
from tests.data.conftest import restored
from tests.training import toy

CONFIG = T5Config(vocab_size=384, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=1,
                  num_decoder_layers=1, dropout_rate=0.1, dtype='float32')  # fmt: skip
ROWS = [{'text': f'{word} {n}', 'label': n % 2} for word in ('good', 'bad') for n in range(20)]
STEPS = 8
TASKS = ('watched.ranked', 'watched.ranked.template_1')


def declare():
  """A task with options, which is watched and trained on; a free one, which is watched too."""
  common = {'cluster': 'toy', 'source': Rows(ROWS)}
  ranked = Dataset(name='ranked', options=('no', 'yes'), fields=lambda row: {'t': row['text'], 'label': row['label']},
                   templates=(Template('{t}? {options}'), Template('Is {t} even? {options}')), **common)  # fmt: skip
  free = Dataset(name='free', fields=lambda row: {'t': row['text'], 'answer': row['text']}, metrics=('edit_distance',),
                 templates=(Template('Say {t}'), Template('{answer}', targets='{t}')), **common,
                 splits=Splits('train[:30]', 'train[30:33]', None))  # fmt: skip
  registry.register_family('watched', [ranked, free])


def make_model(rngs):
  return T5(CONFIG, rngs=rngs)


def tune(folder, train_steps=STEPS, tasks=TASKS, examples=3, **changes):
  """Trains on made batches, and watches tasks."""
  vocabulary.use_vocabulary(seqio.ByteVocabulary())
  found = watch.watch(tasks, folder, period=4, examples=examples, lengths={'inputs': 48, 'targets': 16})
  return toy.run(folder, train_steps, make_model=make_model, evaluators=found, checkpoint_period=2, **changes)


@pytest.fixture(scope='module', autouse=True)
def declared():
  held = (vocabulary._ACTIVE, seqio.TaskRegistry._REGISTRY, seqio.MixtureRegistry._REGISTRY, registry._TASKS,
          registry._FAMILIES)  # fmt: skip
  with contextlib.ExitStack() as stack:
    for registered in held:
      stack.enter_context(restored(registered))
    declare()
    yield


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A run that nothing interrupted."""
  folder = tmp_path_factory.mktemp('whole')
  tune(folder)
  return folder


def lines(folder):
  return (folder / forgetting.FILE).read_text().splitlines()


def test_tasks_are_scored_before_the_first_update_along_the_run_and_at_the_end(whole):
  found = forgetting.read(whole)
  assert [(one.step, one.task) for one in found] == [
    (step, task) for step in (0, 4, 8) for task in TASKS]
  assert all((one.change is None) == (one.step == 0) for one in found)
  for one in found[2:]:
    first = next(base for base in found if base.task == one.task)
    assert one.change.value == pytest.approx(one.score.value - first.score.value)
    assert one.change.low <= one.change.value <= one.change.high and one.change.n == one.score.n
  assert json.loads(lines(whole)[0]).keys() == {'step', 'task', 'dataset', 'metric', 'score', 'change'}


def test_free_text_is_scored_by_its_metric_and_inverted_rows_are_left_out(tmp_path):
  vocabulary.use_vocabulary(seqio.ByteVocabulary())
  (free,) = watch.watch(['watched.free'], tmp_path, period=4, examples=3, lengths={'inputs': 48, 'targets': 16})
  free.begin(0)
  model = make_model(nnx.Rngs(0))
  told = [free(step, model) for step in (0, 4)]
  assert told[0]['rows'] == 2 and told[1] == {**told[0], 'change': 0.0}
  assert [(one.metric, one.score.n) for one in forgetting.read(tmp_path)] == [('edit_distance', 2)] * 2
  assert forgetting.read(tmp_path)[1].change == Estimate(0.0, None, None, 2)  # a distance has no interval


def test_the_scores_are_logged_as_those_of_other_evaluators(whole):
  entries = [entry for entry in metrics_log.read(whole) if entry['split'] == 'watch/watched.ranked']
  assert [entry['step'] for entry in entries] == [0, 4, 8]
  found = [one for one in forgetting.read(whole) if one.task == 'watched.ranked']
  assert [entry['accuracy'] for entry in entries] == [one.score.value for one in found]
  assert [entry.get('change') for entry in entries] == [one.change and one.change.value for one in found]


CHILD = """
import os, signal, sys
from flan_jax.data import iterator
from flan_jax.runs import watch
from tests.runs import test_watch
test_watch.declare()
step, after = int(sys.argv[2]), sys.argv[3] == 'after'
score = watch.WatchEvaluator.__call__
def dying(self, now, model):
  if now == step and not after:
    os.kill(os.getpid(), signal.SIGKILL)
  result = score(self, now, model)
  if now == step:
    os.kill(os.getpid(), signal.SIGKILL)
  return result
watch.WatchEvaluator.__call__ = dying
test_watch.tune(sys.argv[1])
"""


def kill(folder, step, when):
  child = subprocess.run([sys.executable, '-c', CHILD, str(folder), str(step), when], check=False,
                         env=processes.environment(), capture_output=True, text=True)  # fmt: skip
  assert child.returncode == -signal.SIGKILL, child.stderr[-2000:]


@pytest.mark.slow
def test_a_run_that_was_killed_ends_with_the_same_lines(whole, tmp_path):
  kill(tmp_path, 0, 'after')  # one of the two tasks is scored
  assert len(lines(tmp_path)) == 1
  kill(tmp_path, 4, 'after')  # a line is there whose checkpoint is not
  assert len(lines(tmp_path)) == 3
  tune(tmp_path)
  assert lines(tmp_path) == lines(whole)
  watched = [[entry for entry in metrics_log.read(folder) if entry['split'].startswith('watch/')]
             for folder in (whole, tmp_path)]
  assert watched[0] == watched[1]


def test_a_run_that_goes_on_keeps_the_score_of_its_base(whole, tmp_path, monkeypatch):
  tune(tmp_path, 4)
  asked = []
  score = watch.WatchEvaluator.__call__
  monkeypatch.setattr(watch.WatchEvaluator, '__call__', lambda self, step, model: asked.append(step) or
                      score(self, step, model))
  tune(tmp_path)
  assert asked == [8, 8]
  assert lines(tmp_path) == lines(whole)
  tune(tmp_path)  # a finished run
  assert asked == [8, 8] and lines(tmp_path) == lines(whole)


def test_what_the_base_was_not_asked_is_refused(tmp_path):
  tune(tmp_path, 2, ['watched.ranked'])
  with pytest.raises(UserError, match=r"'watched.ranked.template_1' was not scored before .*at step 2 now"):
    tune(tmp_path, 4)
  with pytest.raises(UserError, match=r"WATCH_TASKS: the rows of 'watched.ranked' are not those.*WATCH_EXAMPLES"):
    tune(tmp_path, 4, ['watched.ranked'], examples=2)
  with pytest.raises(UserError, match=r"no validation row of 'watched.free.template_1' asks for its answer"):
    tune(tmp_path / 'other', 4, ['watched.free.template_1'])


def test_step_0_is_the_base_without_what_was_just_attached(tmp_path, monkeypatch):
  plain = make_model(nnx.Rngs(0))
  saver = Checkpointer(tmp_path / 'base')
  saver.save_weights({name: variable.get_value() for name, (_, variable) in named_variables(plain).items()}, {})
  saver.close()
  seen = []

  class Stop(Exception):
    pass

  def answer(self, model, rows, metrics):
    seen.append(model)
    raise Stop  # before the model's arrays are used again

  monkeypatch.setattr(watch.Judge, 'answer', answer)
  with pytest.raises(Stop):
    tune(tmp_path / 'prompt', 2, method=PromptTuning(), initial_checkpoint_path=str(tmp_path / 'base'))
  tokens = {'encoder_input_tokens': [[5, 6, 1]], 'decoder_input_tokens': [[0, 7]], 'decoder_target_tokens': [[7, 1]]}
  batch = {name: jnp.asarray(value) for name, value in tokens.items()}
  np.testing.assert_array_equal(seen[0](batch), plain(batch))


@pytest.fixture
def planned(monkeypatch, tmp_path):
  """Runs `finetune` up to the first step, and returns what the loop was given."""
  given = {}

  def train(**options):
    given.update(options, notes=list(options['notes']))
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / forgetting.FILE).write_text(
      forgetting.Watched(0, 'watched.ranked', 'ranked', 'accuracy', Estimate(50.0, 0.0, 100.0, 3), None).line())
    return loop.TrainResult(0, None, None, {})

  monkeypatch.setattr(loop, 'train', train)

  def run(**changes):
    finetune(**{
      'model_dir': str(tmp_path / 'run'), 'mixture_or_task_name': 'watched.ranked', 'train_steps': 2, 'model': CONFIG,
      'task_feature_lengths': {'inputs': 48, 'targets': 16}, 'vocabulary': seqio.ByteVocabulary(), 'batch_size': 8,
      'optimizer': optimizers.adamw(3e-2), 'mixture_or_task_module': (), **changes,
    })  # fmt: skip
    return given

  return run


def test_a_run_watches_cleans_and_ends_with_a_table(planned, capsys):
  given = planned(watch_tasks='watched.ranked', watch_period=7, contamination_tasks='watched.free',
                  contamination_split='validation', remove_contamination=True)  # fmt: skip
  assert [(one.name, one.period) for one in given['evaluators']] == [('watch/watched.ranked', 7)]
  assert 'What was forgotten' in capsys.readouterr().out
  counts = json.loads(given['files']['contamination.json'])
  assert counts['removed']
  assert (counts['datasets'][0]['rows'], counts['datasets'][0]['exact']) == (3, 2)  # 30 to 32, two of which train
  gone = {json.loads(line)['training_row'] for line in given['files']['contamination.jsonl'].splitlines()}
  assert {row.rpartition('__')[2] for row in gone} == {'30', '31'}
  assert '  2 training rows altogether left out of training' in given['notes']
  assert any(line.endswith('train[0:32] of Rows(...), 2 rows left out') for line in given['notes'])
  (mixed,) = json.loads(given['files']['mixture.json'])['tasks']
  assert mixed['task'].startswith('watched.ranked.without_2_rows_') and mixed['rows'] == 30
  seen = provenance.decode(next(given['batches'])[provenance.FEATURE], [mixed['task']])
  assert seen and not {one.row for one in seen} & {30, 31}


@pytest.mark.parametrize(('changes', 'told'), [
  ({'watch_tasks': 'watched.ranked', 'watch_period': 0}, 'WATCH_PERIOD must be at least 1, not 0'),
  ({'watch_tasks': 'watched.rank'}, "no task or mixture 'watched.rank'.*Did you mean"),
  ({'contamination_tasks': 'watched.rank'}, "no task or mixture 'watched.rank'.*Did you mean"),
  ({'remove_contamination': True}, 'removes nothing without CONTAMINATION_TASKS'),
  ({'contamination_tasks': 'watched.free', 'contamination_split': 'tset'}, "tset"),
])  # fmt: skip
def test_what_cannot_be_meant_is_said_before_the_run(planned, changes, told):
  with pytest.raises(UserError, match=told):
    planned(**changes)
