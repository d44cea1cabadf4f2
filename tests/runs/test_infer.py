"""Inference as a command: order, scores, windows, what is said, and a run that is stopped and goes on."""

import io
import json
import signal
import subprocess
import sys
import time
import types

import jax
import numpy as np
import pytest
from flax import nnx
from rich import console as rich_console

from flan_jax import peft
from flan_jax.models import Generator, Scorer
from flan_jax.peft.io import adapter_variables
from flan_jax.runs import predictions_file
from flan_jax.runs.row_progress import RowProgress
from scripts import infer
from tasks.quickstart import builder
from tests import processes
from tests.runs import answering

NAME = 'a-predict.jsonl-00000-of-00001'


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  folder = tmp_path_factory.mktemp('trained') / 'run'
  answering.train(folder)
  return folder


@pytest.fixture
def ask(trained, tmp_path, capfd):
  """Runs the command in this process; returns its records and what it said."""

  def run(source, *flags, folder='out', code=0):
    capfd.readouterr()
    out = tmp_path / folder
    assert infer.main([*answering.FLAGS, f'--gin.CHECKPOINT_PATH={trained}', f'--gin.INPUT_FILE={source}',
                       f'--gin.INFER_OUTPUT_DIR={out}', '--gin.MAX_DECODE_LEN=6', '--gin.BATCH_SIZE=8',
                       '--gin.WINDOW_BATCHES=2', *flags]) == code
    said = capfd.readouterr()
    assert said.out == ''
    path = out / f'{"stdin" if source == "-" else source.stem}-predict.jsonl-00000-of-00001'
    return (answering.read(path) if code == 0 else None), said.err

  return run


def numbered(folder, longest=6):
  asked = [{'inputs': text, 'id': number} for number, text in enumerate(answering.prompts(40, longest))]
  return answering.write(folder / 'a.jsonl', asked)


@pytest.fixture
def rows(tmp_path):
  return numbered(tmp_path)


@pytest.mark.parametrize(('settings', 'longest'), [({}, 12), ({'method': 'beam', 'num_beams': 2}, 6)])
def test_answers_come_in_order_with_the_scores_that_the_scorer_gives_them(ask, trained, tmp_path, settings, longest):
  rows = numbered(tmp_path, longest)
  found, _ = ask(rows, *(f'--gin_bindings=runs.infer.{name} = {value!r}' for name, value in settings.items()))
  asked = answering.read(rows)
  assert [{'inputs': row['inputs'], 'id': row['id']} for row in found] == asked
  model, vocabulary = answering.restore(trained), answering.vocabulary()
  tokens = [np.array([*vocabulary.encode(row['inputs']), answering.EOS], np.int32) for row in asked]
  answers = Generator(model, max_decode_len=6, batch_size=8, **settings)(tokens)
  assert [row['prediction'] for row in found] == [vocabulary.decode(answer) for answer in answers]
  ended = ['prediction_truncated' not in row for row in found]
  assert 5 < sum(ended) < 35 and len({len(answer) for answer in answers}) > 3
  written = [[*answer, answering.EOS] if end else answer for answer, end in zip(answers, ended, strict=True)]
  scores = Scorer(model, batch_size=8).targets(tokens, written)
  np.testing.assert_allclose([row['score'] for row in found], scores, rtol=1e-5, atol=1e-5)


def test_draws_hang_neither_on_batches_nor_on_windows(ask, rows):
  sampled = ['--gin.DECODING=sample', '--gin.TOP_K=10']
  one, _ = ask(rows, *sampled)
  other, _ = ask(rows, *sampled, '--gin.BATCH_SIZE=5', '--gin.WINDOW_BATCHES=1', folder='other')
  assert [row['prediction'] for row in one] == [row['prediction'] for row in other]
  np.testing.assert_allclose([row['score'] for row in one], [row['score'] for row in other], rtol=1e-4, atol=1e-5)
  assert len({row['prediction'] for row in one}) > 30


def test_what_is_cut_and_what_is_stopped_is_marked_and_counted(ask, rows):
  found, said = ask(rows, "--gin.TASK_FEATURE_LENGTHS={'inputs': 4, 'targets': 8}", '--gin.MAX_DECODE_LEN=2')
  long = ['inputs_truncated' in row for row in found]
  assert long == [len(row['inputs'].split()) > 3 for row in found] and 5 < sum(long) < 35
  stopped = sum('prediction_truncated' in row for row in found)
  assert f"{sum(long)} of 40 inputs were cut to TASK_FEATURE_LENGTHS, marked 'inputs_truncated'" in said
  assert f'{stopped} of 40 predictions were stopped at MAX_DECODE_LEN' in said and stopped > 5


def test_done_is_done_and_other_settings_begin_anew(ask, rows, tmp_path):
  first, _ = ask(rows)
  path = tmp_path / 'out' / NAME
  before = path.stat()
  again, said = ask(rows)
  assert again == first and path.stat() == before
  assert said == f'{path}: all 40 rows are there, made from the same; nothing to do\n'
  beams, said = ask(rows, '--gin.DECODING=beam')
  assert f'{NAME}: starting anew, because the predictions there were made with other method, num_beams, alpha' in said
  rows.write_text(rows.read_text() + '{"inputs": "the"}\n')
  more, said = ask(rows, '--gin.DECODING=beam')
  assert 'made with other inputs\n' in said and more[:40] == beams


def test_interrupted_and_asked_again_it_ends_with_the_same_bytes(ask, rows, tmp_path, monkeypatch):
  ask(rows, folder='whole')
  append = predictions_file.PredictionsFile.append

  def interrupted(self, records):
    if self.rows == 32:
      raise KeyboardInterrupt
    append(self, records)

  with monkeypatch.context() as patch:
    patch.setattr(predictions_file.PredictionsFile, 'append', interrupted)
    _, said = ask(rows, code=130)
  assert 'stopped behind row 32 of 40: the same command continues there' in said
  _, said = ask(rows)
  assert '32 of 40 rows are there, continuing behind them' in said and '40 rows, 8 of them now' in said
  for name in (NAME, 'a-predict.jsonl.COMPLETED'):
    assert (tmp_path / 'out' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def test_standard_input_is_answered_like_a_file(ask, tmp_path, monkeypatch):
  texts = answering.prompts(5)
  (tmp_path / 'b.txt').write_text('\n'.join(texts))
  monkeypatch.setattr(sys, 'stdin', types.SimpleNamespace(buffer=io.BytesIO('\n'.join(texts).encode())))
  assert ask('-')[0] == ask(tmp_path / 'b.txt')[0]


def test_rows_of_a_task_are_answered_with_their_targets_beside(trained, tmp_path):
  builder.FlanQuickstart(config='synonym', data_dir=tmp_path / 'tfds').download_and_prepare()
  assert infer.main([
    *answering.FLAGS, f'--gin.CHECKPOINT_PATH={trained}', '--gin.MIXTURE_OR_TASK_NAME=quickstart_synonym.template_0',
    f'--gin.INFER_OUTPUT_DIR={tmp_path}', '--gin.MAX_DECODE_LEN=2', '--gin.EVALUATOR_NUM_EXAMPLES=20',
    f'--tfds_data_dir={tmp_path / "tfds"}', '--gin.BATCH_SIZE=8', '--gin.WINDOW_BATCHES=1']) == 0  # fmt: skip
  found = answering.read(tmp_path / 'quickstart_synonym.template_0-predict.jsonl-00000-of-00001')
  assert len({row['row_id'] for row in found}) == 20
  assert all({'inputs', 'targets', 'prediction', 'score'} < row.keys() for row in found)


def test_every_line_is_answered_by_its_adapter(ask, trained, tmp_path):
  folders = {}
  for place, name in enumerate(('one', 'two')):
    model, method = answering.restore(trained), peft.LoRA(rank=2)
    method.attach(model, nnx.Rngs(params=place))
    for path, variable in adapter_variables(model).items():
      if path.endswith('/b'):
        variable.set_value(jax.random.normal(jax.random.key(place), variable.shape))
    folders[name] = str(tmp_path / name)
    peft.save_adapter(model, folders[name], method)
  texts = answering.prompts(6)
  lines = [{'inputs': text, 'adapter': name} for text in texts for name in ('one', None, 'two')]
  found, _ = ask(answering.write(tmp_path / 'a.jsonl', lines), f'--gin.ADAPTERS={folders}')
  plain = answering.write(tmp_path / 'plain.jsonl', [{'inputs': text} for text in texts])
  for place, name in enumerate(('one', None, 'two')):
    alone, _ = ask(plain, *([f'--gin.ADAPTER_PATH={folders[name]}'] if name else []))
    assert [row['prediction'] for row in found[place::3]] == [row['prediction'] for row in alone]
  assert len({row['prediction'] for row in found}) > 6
  folders['two'] = folders['one']
  _, said = ask(tmp_path / 'a.jsonl', f'--gin.ADAPTERS={folders}')
  assert 'made with other adapters\n' in said


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_bytes(ask, trained, tmp_path):
  """The child is a process of its own that is killed by SIGKILL; half a line is left where it wrote."""
  source = answering.write(tmp_path / 'a.jsonl', [{'inputs': text} for text in answering.prompts(3000)])
  flags = ['--gin.DECODING=sample', '--gin.WINDOW_BATCHES=4']
  ask(source, *flags, folder='whole')
  partial = tmp_path / 'out' / f'{NAME}.partial'
  for wanted in (100, 1000):
    child = subprocess.Popen(
      [sys.executable, '-m', 'scripts.infer', *answering.FLAGS, f'--gin.CHECKPOINT_PATH={trained}',
       f'--gin.INPUT_FILE={source}', f'--gin.INFER_OUTPUT_DIR={tmp_path / "out"}', '--gin.MAX_DECODE_LEN=6',
       '--gin.BATCH_SIZE=8', *flags],
      env=processes.environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while child.poll() is None and rows_done(partial) < wanted:  # a window, and so a state, is a matter of milliseconds
      time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    _, said = child.communicate()
    assert child.returncode == -signal.SIGKILL, said
    done = rows_done(partial)
    assert wanted <= done < 3000
  with partial.open('ab') as file:
    file.write(b'{"inputs": "half a li')
  _, said = ask(source, *flags)
  assert f'{done:,} of 3,000 rows are there, continuing behind them' in said
  for name in (NAME, 'a-predict.jsonl.COMPLETED'):
    assert (tmp_path / 'out' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def rows_done(partial):
  state = partial.with_name(partial.name + '.json')
  return json.loads(state.read_text())['rows'] if state.exists() else 0


@pytest.mark.parametrize('terminal', [True, False])
def test_progress_is_a_bar_in_a_terminal_and_few_lines_elsewhere(terminal):
  written = io.StringIO()
  console = rich_console.Console(file=written, force_terminal=terminal, width=120)
  with RowProgress('mine', 2500, 500, console=console) as progress:
    for _ in range(2000):
      progress.advance()
  text = written.getvalue()
  if terminal:
    assert '2500/2500' in text and 'rows/s' in text and 'left' in text
  else:
    assert [line.split('  ')[0] for line in text.splitlines()] == [
      'mine: 1,000 of 2,500 rows', 'mine: 2,000 of 2,500 rows']
