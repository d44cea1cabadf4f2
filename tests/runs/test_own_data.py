"""The example of docs/own_data.md: from a file of one's own to a trained and evaluated task."""

import pathlib
import sys

import pytest
import seqio

from flan_jax.data import registry, vocabulary
from flan_jax.data.rows import rows
from flan_jax.errors import UserError
from flan_jax.evaluation import results_file
from flan_jax.runs import parts
from flan_jax.training import metrics_log
from scripts import evaluate, train
from tests.data.conftest import registries, restored  # noqa: F401  a fixture

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / 'docs' / 'examples' / 'own_data'
TASK = 'mine.tickets'
COMMON = [
  '--gin_file=models/t5_1_1_scratch.gin', '--gin.MIXTURE_OR_TASK_MODULE=tickets',
  '--gin.VOCABULARY=@seqio.ByteVocabulary()', '--gin_bindings=models.T5Config.vocab_size = 384',
  "--gin.TASK_FEATURE_LENGTHS={'inputs': 128, 'targets': 32}",
]  # fmt: skip


@pytest.fixture
def example(registries, monkeypatch):  # noqa: F811
  """The folder of the example, importable; its tasks are gone afterwards."""
  monkeypatch.syspath_prepend(EXAMPLE)
  with restored(vocabulary._ACTIVE), restored(sys.modules):
    sys.modules.pop('tickets', None)
    yield


PAGE = (ROOT / 'docs' / 'own_data.md').read_text()
DECLARATION = (EXAMPLE / 'tickets.py').read_text()


def test_the_page_shows_the_declaration_as_it_stands():
  shown = DECLARATION.partition('\nTICKETS = ')[2]
  assert len(shown.splitlines()) <= 12
  assert f'TICKETS = {shown}' in PAGE


@pytest.mark.parametrize(('file', 'right', 'wrong'), [
  ('tickets.py', "row['text']", "row['txt']"),
  ('tickets.py', 'Ticket: {ticket}', 'Ticket: {tickt}'),
  ('tickets.py', "  options=('billing', 'delivery', 'hardware', 'login'),\n", ''),
  ('tickets.jsonl', '"billing"', '"biling"'),
])  # fmt: skip
def test_the_page_shows_what_mistakes_are_answered_with(file, right, wrong, registries, tmp_path, monkeypatch):  # noqa: F811
  for name in ('tickets.py', 'tickets.jsonl'):
    text = (EXAMPLE / name).read_text()
    (tmp_path / name).write_text(text.replace(right, wrong, 1) if name == file else text)
  monkeypatch.syspath_prepend(tmp_path)
  with restored(sys.modules):
    sys.modules.pop('tickets', None)
    with pytest.raises(UserError) as raised:
      parts.use_tasks('tickets')
  assert 'error: ' + str(raised.value).replace(f'{tmp_path}/', '') in PAGE


@pytest.mark.slow
def test_a_file_becomes_a_trained_and_evaluated_task(example, tmp_path):
  run, scores = tmp_path / 'run', tmp_path / 'scores'
  assert train.main([
    *COMMON, f'--gin.MIXTURE_OR_TASK_NAME={TASK}', f'--gin.MODEL_DIR={run}', '--gin.TRAIN_STEPS=20',
    '--gin.BATCH_SIZE=8', '--gin.LEARNING_RATE=1e-2', '--gin_bindings=training.Partitioner.num_devices = 1',
    f'--gin.EVAL_TASKS={TASK}.template_0', '--gin.EVAL_PERIOD=20',
    '--gin_bindings=runs.finetune.log_period = 5', '--gin_bindings=runs.finetune.show_progress = False',
  ]) == 0  # fmt: skip
  entries = metrics_log.read(run)
  losses = [entry['loss'] for entry in entries if entry['split'] == 'train']
  assert losses[-1] < losses[0] - 0.5
  assert [entry['rows'] for entry in entries if entry['split'] == f'rank/{TASK}.template_0'] == [8]
  assert evaluate.main([*COMMON, f'--gin.MIXTURE_OR_TASK_NAME={TASK}', f'--gin.CHECKPOINT_PATH={run}',
                        f'--gin.EVAL_OUTPUT_DIR={scores}']) == 0
  ((found,),) = (evaluation.datasets for evaluation in results_file.read_results(scores / 'results.json'))
  assert found.dataset == 'tickets' and found.chance == 25.0 and len(found.by_template) == 2


def test_every_department_is_asked_about_in_every_role(example):
  vocabulary.use_vocabulary(seqio.ByteVocabulary())
  import tickets  # registers the task

  assert registry.task_info(TASK).dataset is tickets.TICKETS
  for split, count in (('train', 40), ('validation', 8), ('test', 12)):
    found = rows(TASK, split)
    assert len(found) == count
    assert {row.answer for row in found} == set(tickets.TICKETS.options)
