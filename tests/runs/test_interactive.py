"""The small prompt: its commands, and itself as a process over a pipe and in a terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from flax import nnx

from flan_jax import gin_text, peft
from flan_jax.errors import UserError
from flan_jax.models import Generator
from flan_jax.peft.io import adapter_variables
from flan_jax.runs.interactive import Session
from tests.runs import answering

DECODING = {'method': 'greedy', 'max_decode_len': 4, 'num_beams': 2, 'alpha': 0.6, 'temperature': 1.0, 'top_k': 0,
            'top_p': 1.0, 'seed': 0}
TEXT = answering.prompts(1)[0]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  folder = tmp_path_factory.mktemp('trained') / 'run'
  answering.train(folder)
  return folder


@pytest.fixture(scope='module')
def adapters(trained, tmp_path_factory):
  """Folders of two adapters of the model, of unlike methods."""
  folder, found = tmp_path_factory.mktemp('adapters'), {}
  for place, (name, method) in enumerate({'nli': peft.LoRA(rank=2), 'qa': peft.BitFit()}.items()):
    model = answering.restore(trained)
    method.attach(model, nnx.Rngs(params=1))
    for variable in adapter_variables(model).values():
      if isinstance(variable, nnx.Param):
        variable.set_value(jax.random.normal(jax.random.key(place), variable.shape))
    found[name] = str(folder / name)
    peft.save_adapter(model, found[name], method)
  return found


@pytest.fixture
def session(trained, adapters):
  return Session(answering.restore(trained), answering.vocabulary(), DECODING, adapters, limit=8)


def generated(text, model, **settings):
  tokens = np.array([*answering.vocabulary().encode(text)[:7], answering.EOS], np.int32)
  ((_, answer),) = Generator(model, max_decode_len=4, batch_size=1, **settings).stream([tokens], row_ids=[0])
  return answering.vocabulary().decode(answer.tokens), f'score {answer.log_prob:.6f}'


def test_a_line_is_answered_with_its_score(session, trained):
  answer, notes = session.respond(TEXT).split('\n')
  assert (answer, notes.strip('[]').split(', ')[0]) == generated(TEXT, answering.restore(trained))
  assert 'prompt cut to 8 tokens' in session.respond('cat ' * 9)
  assert session.respond('//the') == session.respond('// the')  # of one slash and a word, whatever the space


def test_decoding_is_changed_by_commands(session, trained):
  greedy = session.respond(TEXT)
  for command, told, settings in (
    ('/beam 3', 'beam search with 3 beams', {'method': 'beam', 'num_beams': 3}),
    ('/beam', 'beam search with 3 beams', {'method': 'beam', 'num_beams': 3}),
    ('/greedy', 'greedy decoding', {}),
  ):
    assert session.respond(command) == told
    assert session.respond(TEXT).startswith('{}\n[{}'.format(*generated(TEXT, answering.restore(trained), **settings)))
  assert session.respond(TEXT) == greedy
  assert session.respond('/sample 0.5') == 'sampling at temperature 0.5'
  assert len({session.respond(TEXT) for _ in range(5)}) > 1


def test_adapters_are_switched_by_name_and_taken_off(session):
  plain = session.respond(TEXT)
  assert session.respond('/adapters') == '  nli\n  qa'
  answers = {}
  for name in ('nli', 'qa', 'nli', 'qa'):
    assert session.respond(f'/adapter {name}') == f'adapter {name}'
    assert answers.setdefault(name, session.respond(TEXT)) == session.respond(TEXT)
  assert session.respond('/adapters') == '  nli\n* qa'
  assert session.respond('/adapter') == 'the model as it is'
  assert session.respond(TEXT) == plain
  assert len({plain, *answers.values()}) == 3


@pytest.mark.parametrize(('line', 'told'), [
  ('/beem 4', "no command '/beem'. Did you mean '/beam'? /help lists all"),
  ('/adapter nil', "no adapter 'nil' in the set. Did you mean 'nli'"),
  ('/beam x', "'x' is no whole number: write it as in /beam 4"),
  ('/beam 0', 'num_beams must be at least 1, not 0'),
  ('/sample warm', "'warm' is no number: write it as in /sample 0.7"),
  ('/sample 0', 'temperature must be above 0'),
  ('/greedy now', '/greedy takes nothing behind it'),
  ('/beam 4 5', '/beam takes one thing behind it: /beam N'),
])
def test_a_bad_command_is_one_sentence_and_changes_nothing(session, line, told):
  before = session.respond(TEXT)
  with pytest.raises(UserError, match=re.escape(told)):
    session.respond(line)
  assert session.respond(TEXT) == before


def test_help_names_every_command_and_a_model_without_adapters_has_none(trained):
  session = Session(answering.restore(trained), answering.vocabulary(), DECODING, {})
  told = session.respond('/help')
  for command in ('/adapter NAME', '/adapters', '/beam N', '/greedy', '/sample T', '/help', '/quit'):
    assert command in told
  assert session.respond('/adapters') == 'there are none'
  with pytest.raises(UserError, match='there are no adapters to switch to'):
    session.respond('/adapter nli')
  assert not session.ended
  session.respond('/quit')
  assert session.ended


@pytest.fixture(scope='module')
def command(trained, adapters):
  """The command of a session."""
  return [sys.executable, '-m', 'scripts.infer', *answering.FLAGS, f'--gin.CHECKPOINT_PATH={trained}', '--interactive',
          f'--gin.ADAPTERS={adapters}', '--gin.MAX_DECODE_LEN=4', "--gin.TASK_FEATURE_LENGTHS={'inputs': 8}"]


def test_every_macro_of_decoding_reaches_a_session():
  bound = {name: set(re.findall(r'= %(\w+)', block)) for name, block in re.findall(
    r'^runs\.(infer|interact):\n((?:  .*\n)+)', (gin_text.PACKAGED / 'runs' / 'infer.gin').read_text(), re.MULTILINE)}
  of_rows = {'INFER_OUTPUT_DIR', 'INPUT_FILE', 'MIXTURE_OR_TASK_NAME', 'MIXTURE_OR_TASK_MODULE', 'SPLIT',
             'EVALUATOR_NUM_EXAMPLES', 'BATCH_SIZE', 'WINDOW_BATCHES'}
  assert bound['infer'] - bound['interact'] == of_rows


@pytest.mark.slow
def test_a_session_over_a_pipe(command, session):
  lines = [TEXT, '', '/adapter nli', TEXT, '/beem', '/quit', 'never read']
  done = subprocess.run(command, input='\n'.join(lines), capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert done.stderr == ''
  plain = session.respond(TEXT)
  session.respond('/adapter nli')
  assert done.stdout == f'{plain}\nadapter nli\n{session.respond(TEXT)}\n' + (
    "error: there is no command '/beem'. Did you mean '/beam'? /help lists all.\n")


OWN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
  """A process at a pseudo-terminal."""

  def __init__(self, command):
    self.ours, theirs = pty.openpty()
    self.process = subprocess.Popen([sys.executable, '-c', OWN_TERMINAL, *command], stdin=theirs, stdout=theirs,
                                    stderr=theirs, env={**os.environ, 'TERM': 'xterm', 'INPUTRC': '/dev/null'})
    os.close(theirs)

  def type(self, keys):
    os.write(self.ours, keys.encode())

  def read(self, until, seconds=120):
    """Returns what is shown up to and including a text."""
    shown, deadline = '', time.monotonic() + seconds
    while until not in shown:
      ready, _, _ = select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))
      assert ready, f'{until!r} did not come within {seconds} s after {shown!r}'
      shown += os.read(self.ours, 1).decode(errors='replace')
    return shown


@pytest.mark.slow
def test_a_session_in_a_terminal(command, session):
  """A prompt, history by the arrow key, Ctrl-C that drops a line, Ctrl-D that ends."""
  terminal = Terminal(command)
  assert '/help lists the commands, Ctrl-D ends' in terminal.read('> ')
  plain = session.respond(TEXT).replace('\n', '\r\n')
  terminal.type(f'{TEXT}\n')
  assert plain in terminal.read(']') and '> ' in terminal.read('> ')
  terminal.type('\x1b[A\n')
  assert plain in terminal.read(']')
  terminal.read('> ')
  terminal.type('/adapter n')
  terminal.read('/adapter n')
  # Python loses a Ctrl-C that comes between the echo of a key and its wait for the next one, until that one comes.
  time.sleep(1)
  terminal.type('\x03')
  terminal.read('> ')
  terminal.type('/adapters\n')
  assert '  nli\r\n  qa' in terminal.read('qa')
  terminal.read('> ')
  terminal.type('\x04')
  assert terminal.process.wait(30) == 0
  os.close(terminal.ours)
