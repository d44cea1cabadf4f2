"""What a run tells of its speed, its memory and its time, and the trace of named steps."""

import gzip
import json
import re
import types

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax import cli
from flan_jax.errors import UserError
from flan_jax.peft.partition import make_blueprint
from flan_jax.training import flops, losses, metrics_log, peaks, profiling, progress, speed, step, window
from scripts import train
from tests.training import toy


def metrics(tokens=6.0, padding=2.0):
  names = ('loss', 'z_loss', 'weight', 'correct', 'target_tokens', 'grad_norm', 'learning_rate')
  values = {**dict.fromkeys(names, 1.0), 'tokens': tokens, 'padding': padding}
  return {name: jnp.float32(value) for name, value in values.items()}


@pytest.fixture(scope='module')
def traced(tmp_path_factory):
  folder = tmp_path_factory.mktemp('traced')
  return folder, toy.run(folder, 12, profile='4-6')


def test_every_entry_of_a_run_tells_speed_padding_flops_memory_and_waiting(traced):
  folder, result = traced
  batches = toy.CountingBatches()
  tokens = [(batch['encoder_input_tokens'] > 0).mean() for batch in (next(batches) for _ in range(12))]
  entries = metrics_log.read(folder)
  assert [entry['step'] for entry in entries] == [5, 10, 12]
  for entry, held in zip(entries, (tokens[:5], tokens[5:10], tokens[10:]), strict=True):
    assert entry['padding_share'] == pytest.approx(1.0 - np.mean(held))
    assert entry['step_seconds'] * entry['steps_per_second'] == pytest.approx(1.0)
    assert entry['tokens_per_second'] * entry['step_seconds'] == pytest.approx(np.mean(held) * 2 * 8 * 4)
    assert entry['step_seconds_median'] > 0.0 and 0.0 < entry['data_wait_share'] <= 1.0
    assert 'model_flops_share_of_peak' not in entry  # a CPU has no published peak
    sizes = flops.Sizes(8, 4, 8, 4)
    work = flops.step_flops(result.plan.blueprint, sizes).total
    assert entry['model_flops_per_second'] == pytest.approx(work / entry['step_seconds'])
    assert entry['peak_resident_memory_bytes'] > 50e6 and 'peak_device_memory_bytes' not in entry
  assert list((folder / 'train').glob('events.*'))


def test_the_trace_holds_the_named_steps_and_scopes(traced):
  folder, _ = traced
  (events,) = folder.glob('profile/plugins/profile/*/*.trace.json.gz')
  named = [event for event in json.loads(gzip.decompress(events.read_bytes()))['traceEvents'] if 'name' in event]
  steps = [event['args']['step_num'] for event in named if event['name'] == 'train']
  assert steps == ['4', '5', '6']
  assert [event for event in named if event['name'] == 'wait_for_data']
  (planes,) = folder.glob('profile/plugins/profile/*/*.xplane.pb')
  operations = set(re.findall(rb'jit\(step\)/[\w()/]+', planes.read_bytes()))
  for scopes in ('encoder.*attention', 'encoder.*mlp', 'decoder.*attention', 'decoder.*mlp', 'logits', 'loss',
                 'optimizer'):  # fmt: skip
    assert [name for name in operations if re.search(scopes.encode(), name)], scopes


@pytest.mark.parametrize('text, told', [
  ('ten', 'names no steps'), ('10:14', 'names no steps'), ('-3', 'names no steps'), ('14-10', 'in their order'),
  ('0-3', 'from 1 to TRAIN_STEPS (20)'), ('10-21', 'from 1 to TRAIN_STEPS (20)'),
])  # fmt: skip
def test_a_bad_range_is_one_sentence_before_anything_is_made(tmp_path, text, told):
  with pytest.raises(UserError) as caught:
    toy.run(tmp_path / 'run', 20, profile=text)
  assert told in str(caught.value) and repr(text) in str(caught.value) and '\n' not in str(caught.value)
  assert not (tmp_path / 'run').exists()


def test_the_flag_is_the_macro(monkeypatch):
  bindings = []
  monkeypatch.setattr(cli, 'load_gin', lambda args: bindings.extend(args.gin_bindings))
  monkeypatch.setattr(cli, 'call', lambda name, args: None)
  assert train.main(['--profile=10-14', '--gin.TRAIN_STEPS=20']) == 0
  assert bindings == ["PROFILE='10-14'", 'TRAIN_STEPS=20']


def test_ranges():
  assert profiling.parse('10-14', 20) == (10, 14) and profiling.parse(' 7 ', 20) == (7, 7)
  assert profiling.parse(20, 20) == (20, 20) and profiling.parse(None, 20) is None


def test_steps_that_an_earlier_process_has_done_are_told(tmp_path):
  said = []
  trace = profiling.Trace(tmp_path, profiling.Steps(2, 3), said.append)
  with trace.step(4):
    trace.after(4, jnp.float32(0.0))
  trace.close()
  assert len(said) == 1 and 'steps 2-3' in said[0] and 'nothing was traced' in said[0]
  assert not list(tmp_path.iterdir())


def test_a_run_that_stops_amid_its_trace_still_writes_it(tmp_path):
  said = []
  trace = profiling.Trace(tmp_path, profiling.Steps(2, 9), said.append)
  with trace.step(2):
    pass
  trace.close()
  assert list(tmp_path.glob('profile/plugins/profile/*/*.xplane.pb')) and 'is in' in said[0]


class Clock:
  """Time that passes when it is told to."""

  def __init__(self):
    self.now = 100.0

  def monotonic(self):
    return self.now


def test_waiting_for_data_is_a_share_of_the_time_and_compiling_is_not(monkeypatch):
  time = Clock()
  monkeypatch.setattr(window, 'time', time)
  steps = window.Window()

  def take(number, wait, work):
    with steps.waiting():
      time.now += wait
    if number == 1:
      time.now += 50.0  # compiles, after which the loop starts the clock
      steps.begin()
    time.now += work
    steps.add(number, metrics(), {})
    steps._steps[-1].done.result()

  take(1, 7.0, 1.0)
  take(2, 2.0, 1.0)
  first = steps.fetch().metrics(losses.LossConfig())
  assert (first['step_seconds'], first['data_wait_share']) == (2.0, 0.5) and len(steps) == 0
  time.now += 30.0  # an evaluation, say
  take(3, 1.0, 3.0)
  second = steps.fetch().metrics(losses.LossConfig())
  assert (second['step_seconds'], second['data_wait_share']) == (4.0, 0.25)


def test_one_slow_step_moves_the_mean_and_not_the_median():
  times = [0.0, 1.0, 2.0, 9.0]
  steps = [window._Step(number, {}, {}, None) for number in (1, 2, 3)]
  host = [{name: np.asarray(value) for name, value in metrics().items()} for _ in steps]
  found = window.WindowReport(steps, host, times, 3.0).metrics(losses.LossConfig(), work=speed.Work(300.0, 1000.0))
  assert found['step_seconds'] == pytest.approx(3.0) and found['step_seconds_median'] == 1.0
  assert found['tokens_per_second'] == pytest.approx(2.0) and found['padding_share'] == 0.25
  assert found['data_wait_share'] == pytest.approx(1 / 3)
  assert found['model_flops_per_second'] == pytest.approx(100.0)
  assert found['model_flops_share_of_peak'] == pytest.approx(0.1)


def test_the_room_of_a_soft_prompt_is_neither_a_token_nor_padding():
  batch = {'encoder_input_tokens': jnp.array([[0, 0, 5, 6, 0]]), 'decoder_target_tokens': jnp.array([[7, 1, 0, 0]]),
           'encoder_prompt_positions': jnp.array([[1, 2, 0, 0, 0]])}  # fmt: skip
  assert (step.count_tokens(batch), step.count_padding(batch)) == (4, 3)


def test_peaks_are_published_ones_or_none():
  def devices(*kinds):
    return [types.SimpleNamespace(device_kind=kind) for kind in kinds]

  assert peaks.peak(devices('NVIDIA H100 80GB HBM3')) == 989e12
  assert peaks.peak(devices(*['TPU v5 lite'] * 4)) == 4 * 197e12
  for unknown in (('cpu',), ('NVIDIA H100 80GB HBM3 MIG 1g.10gb',), ('TPU v4', 'TPU v99'), ()):
    assert peaks.peak(devices(*unknown)) is None


def test_a_model_without_a_formula_has_no_flops():
  blueprint = make_blueprint(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Param)
  work = speed.Work.of(blueprint, {}, [])
  assert work == speed.Work(None, None) and work.rates(3.0) == {}


def test_the_line_tells_the_share_of_the_peak_and_of_waiting_where_there_is_something_to_tell(capsys):
  shown = {'loss': 1.0, 'accuracy': 0.5, 'tokens_per_second': 10.0, 'data_wait_share': 0.04}
  with progress.Progress(9) as line:
    line.update(1, shown)
    line.update(2, {**shown, 'data_wait_share': 0.4, 'model_flops_share_of_peak': 0.456})
  quiet, loud = capsys.readouterr().err.splitlines()
  assert 'peak' not in quiet and 'waits' not in quiet
  assert '46 % of peak' in loud and 'waits for data 40 %' in loud
