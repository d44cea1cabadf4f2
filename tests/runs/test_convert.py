"""Whole models between three programs' files: the same numbers there, the same bits back, whole or not at all."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.interop.hf_folder import HuggingFaceWeights
from flan_jax.interop.sources import open_foreign
from flan_jax.interop.t5x import open_t5x
from flan_jax.models.t5 import shift_right
from flan_jax.peft import LoRA, PromptTuning
from flan_jax.runs import convert
from flan_jax.training import initial
from scripts import convert_checkpoint
from tests import processes
from tests.interop.test_hf_folder import saved
from tests.training import toy

transformers = pytest.importorskip('transformers')
torch = pytest.importorskip('torch')


def same(one, other):
  assert one.shapes.keys() == other.shapes.keys()
  for path in one.shapes:
    assert one.shapes[path] == other.shapes[path]
    assert one.read(path).tobytes() == other.read(path).tobytes(), path


def quietly(source, target, **options):
  return convert.convert(str(source), str(target), show_progress=False, **options)


def trained(folder, **options):
  toy.run(folder, 6, metadata={'model': dataclasses.asdict(toy.CONFIG)}, **options)
  return folder


def their_logits(folder, source, target):
  model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
  with torch.no_grad():
    return model(
      input_ids=torch.tensor(np.asarray(source)).long(),
      attention_mask=torch.tensor(np.asarray(source) > 0).long(),
      decoder_input_ids=torch.tensor(np.asarray(shift_right(target))).long(),
    ).logits.numpy()


@pytest.mark.parametrize('layout', ['native/checkpoint_100', 'orbax/checkpoint_100'])
def test_a_checkpoint_of_t5x_answers_in_transformers_as_in_t5x(layout, real_data, tmp_path):
  folder = real_data / 't5x_checkpoints'
  done = quietly(folder / layout, tmp_path / 'exported')
  assert done.format == 'huggingface' and any('Adafactor is not read' in note for note in done.notes)
  assert any('no tokenizer' in note for note in done.notes)
  expected = np.load(folder / 'expected_logits.npz')
  source, target = expected['encoder_input_tokens'], expected['decoder_target_tokens']
  found = their_logits(tmp_path / 'exported', source, target)
  wanted = expected[f'{layout.split("/")[0]}_logits']
  real = target > 0
  assert np.abs(found - wanted)[real].max() / max(1.0, np.abs(wanted[real]).max()) < 1e-5


def test_the_way_round_all_programs_ends_where_it_began(real_data, tmp_path):
  start = real_data / 't5x_checkpoints' / 'native' / 'checkpoint_100'
  way = [start]
  for number, name in enumerate(('flan_jax', 'huggingface', 't5x', 'huggingface', 'flan_jax', 't5x')):
    target = tmp_path / f'{number}_{name}'
    quietly(way[-1], target, format=name)
    same(open_t5x(start), initial.open_weights(target))
    way.append(target)
  store, again = open_t5x(start).store, open_t5x(way[-1]).store
  for name in store.arrays:
    if name.startswith('target/'):
      assert store.read(name).tobytes() == again.read(name).tobytes()


def test_a_scanned_checkpoint_becomes_umt5(real_data, tmp_path):
  start = real_data / 't5x_checkpoints' / 'orbax_scanned' / 'checkpoint_50'
  assert any('scale the logits of every umT5' in note for note in quietly(start, tmp_path / 'exported').notes)
  assert type(transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / 'exported')).__name__.startswith('UMT5')
  quietly(tmp_path / 'exported', tmp_path / 'back', format='t5x')
  same(open_t5x(start), open_t5x(tmp_path / 'back'))
  assert open_t5x(tmp_path / 'back').scanned


def test_a_run_with_an_adapter_is_merged(tmp_path, capsys):
  run = trained(tmp_path / 'run', method=LoRA(rank=2))
  assert convert_checkpoint.main(['--from', str(run), '--to', str(tmp_path / 'exported')]) == 0
  printed = capsys.readouterr().out
  assert 'note: the adapter of the run (lora) is merged' in printed and 'read back and equal' in printed
  source, target = (jnp.asarray(next(toy.CountingBatches())[name])
                    for name in ('encoder_input_tokens', 'decoder_target_tokens'))  # fmt: skip
  model = initial.restore_model(run, toy.make_model)
  ours = np.asarray(model.decode(model.encode(source), shift_right(target)))
  real = np.asarray(target) > 0
  assert np.abs(their_logits(tmp_path / 'exported', source, target) - ours)[real].max() < 1e-5


def test_an_adapter_is_merged_into_a_model_of_another_program(tmp_path):
  base = trained(tmp_path / 'base')
  quietly(base, tmp_path / 'theirs')
  run = trained(tmp_path / 'run', method=LoRA(rank=2), initial_checkpoint_path=str(tmp_path / 'theirs'))
  done = quietly(tmp_path / 'theirs', tmp_path / 'merged', adapter=str(run / 'adapter'))
  assert f'the adapter in {run / "adapter"} is merged' in done.notes
  quietly(run, tmp_path / 'of_run')
  merged, of_run = open_foreign(tmp_path / 'merged'), open_foreign(tmp_path / 'of_run')
  assert all(np.array_equal(merged.read(path), of_run.read(path)) for path in merged.shapes)


def test_an_mt5_stays_an_mt5(tmp_path):
  saved('mt5', tmp_path / 'theirs')
  quietly(tmp_path / 'theirs', tmp_path / 'half', format='huggingface', dtype='bfloat16')
  assert type(transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / 'half')).__name__.startswith('MT5')


def test_another_dtype_is_rounded_once(tmp_path):
  run = trained(tmp_path / 'run')
  whole = initial.open_weights(run)
  for name in convert.FORMATS:
    quietly(run, tmp_path / name, format=name, dtype='bfloat16')
    half = initial.open_weights(tmp_path / name)
    for path in whole.shapes:
      assert half.read(path).tobytes() == whole.read(path).astype(jnp.bfloat16).tobytes()


def test_what_was_converted_to_ours_can_be_trained_and_read(tmp_path):
  run = trained(tmp_path / 'run')
  quietly(run, tmp_path / 'ours', format='flan_jax')
  done = toy.run(tmp_path / 'next', 1, initial_checkpoint_path=str(tmp_path / 'ours'),
                 optimizer=toy.optimizers.adamw(0.0))  # fmt: skip
  weights = initial.open_weights(run)
  assert all(np.array_equal(value, weights.read(path)) for path, value in done.state.params.items())


def test_what_cannot_be_meant_is_refused_and_nothing_is_left(tmp_path, capsys):
  run = trained(tmp_path / 'run')
  quietly(run, tmp_path / 'theirs')
  cases = [
    ([tmp_path / 'theirs', tmp_path / 'a'], 'is a model of transformers already: say by --format'),
    ([run, tmp_path / 'a', '--format=t5'], "--format: there is no 't5'. Did you mean 't5x'?"),
    ([run, tmp_path / 'a', '--dtype=bf16'], "--dtype: there is no 'bf16'"),
    ([run, tmp_path / 'a', '--model_type=umt5'], 'umt5 cannot have relative_bias_per_layer=False'),
    ([run, tmp_path / 'theirs'], 'exists and is not empty'),
    ([tmp_path / 'nowhere', tmp_path / 'a'], 'no such folder'),
    ([run, tmp_path / 'a', f'--adapter={tmp_path}'], 'there is no adapter in'),
    ([run, tmp_path / 'a', '--base_model_name=x'], '--base_model_name means nothing where a model is converted'),
    ([run, tmp_path / 'a', '--format=t5x', '--dtype=float16'], 'float32 or bfloat16'),
  ]
  before = sorted(path.name for path in tmp_path.iterdir())
  for (source, target, *flags), message in cases:
    assert convert_checkpoint.main(['--from', str(source), '--to', str(target), *flags]) == 2
    assert message in capsys.readouterr().err
  assert sorted(path.name for path in tmp_path.iterdir()) == before
  prompts = trained(tmp_path / 'prompts', method=PromptTuning(length=2))
  assert convert_checkpoint.main(['--from', str(prompts), '--to', str(tmp_path / 'a')]) == 2
  assert 'prompt_tuning' in capsys.readouterr().err


def test_what_does_not_read_back_gets_no_name(tmp_path, monkeypatch):
  run = trained(tmp_path / 'run')
  read = HuggingFaceWeights.read

  def wrong(self, path):
    return read(self, path) + 1 if path == 'encoder/encoder_norm/scale' else read(self, path)

  monkeypatch.setattr(HuggingFaceWeights, 'read', wrong)
  with pytest.raises(UserError, match='encoder/encoder_norm/scale does not read back'):
    quietly(run, tmp_path / 'a')
  assert [path.name for path in tmp_path.iterdir()] == ['run']


BIG = dataclasses.replace(toy.CONFIG, vocab_size=32128, emb_dim=512, num_heads=8, head_dim=64, mlp_dim=2048,
                          num_encoder_layers=6, num_decoder_layers=6)


@pytest.fixture(scope='module')
def big(tmp_path_factory):
  """A folder in transformers' layout, of T5-small's size, written row by row from one generator."""
  from flan_jax.interop.hf_folder import write_huggingface
  from flan_jax.interop.t5x_names import paths, shape_of

  class Random:
    where, kind, config, notes = 'random', 'made up', BIG, ()

    def __init__(self):
      import jax

      self.shapes = {path: jax.ShapeDtypeStruct(shape_of(path, BIG), np.dtype(np.float32)) for path in paths(BIG)}

    def check(self):
      pass

    def read(self, path):
      return np.random.default_rng(len(path)).standard_normal(self.shapes[path].shape, np.float32)

  folder = tmp_path_factory.mktemp('big')
  write_huggingface(folder, Random(), shard_bytes=10**8)
  return folder


def start(*flags):
  command = [sys.executable, '-m', 'scripts.convert_checkpoint', *map(str, flags)]
  return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          cwd=pathlib.Path(__file__).parents[2],
                          env=processes.environment(XLA_FLAGS=''))


@pytest.mark.slow
@pytest.mark.parametrize('format', ['huggingface', 't5x'])
def test_a_killed_conversion_leaves_nothing_that_looks_whole(format, big, tmp_path):
  written = 0
  for moment in (0.2, 0.5, 0.8):
    process = start('--from', big, '--to', tmp_path / 'a', '--format', format, '--dtype', 'bfloat16')
    while process.poll() is None:
      with contextlib.suppress(FileNotFoundError):  # a leftover is being removed, or a file renamed
        written = sum(path.stat().st_size for path in tmp_path.rglob('*') if path.is_file())
      if written > moment * 120e6:
        process.send_signal(signal.SIGKILL)
        process.wait()
      time.sleep(0.005)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / 'a').exists()
    assert list(tmp_path.iterdir())  # it was killed in the middle
  process = start('--from', big, '--to', tmp_path / 'a', '--format', format, '--dtype', 'bfloat16')
  assert process.wait() == 0
  assert [path.name for path in tmp_path.iterdir()] == ['a']  # what the killed ones had left is gone


@pytest.mark.slow
@pytest.mark.parametrize('format', ['huggingface', 't5x'])
def test_a_conversion_holds_one_array_at_a_time(format, big, tmp_path):
  """The peak over what the program takes for a tiny model is at most 1.3 times the biggest array and its copy."""
  toy.run(tmp_path / 'tiny', 1, metadata={'model': dataclasses.asdict(toy.CONFIG)})
  script = (
    'import sys, threading, time, re\n'
    'from flan_jax.runs import convert\n'
    'convert.convert(sys.argv[4], sys.argv[2] + "-tiny", format=sys.argv[3], dtype="bfloat16", show_progress=False)\n'
    'held = lambda: int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024\n'
    'base, peak, run = held(), [0], [True]\n'
    'def watch():\n'
    '  while run[0]:\n'
    '    peak[0] = max(peak[0], held()); time.sleep(0.001)\n'
    'threading.Thread(target=watch, daemon=True).start()\n'
    'convert.convert(sys.argv[1], sys.argv[2], format=sys.argv[3], dtype="bfloat16", show_progress=False)\n'
    'print(peak[0] - base)\n'
  )
  command = [sys.executable, '-c', script, str(big), str(tmp_path / 'a'), format, str(tmp_path / 'tiny')]
  # By default glibc keeps up to 32 MB freed by each of TensorStore's threads, which the program does not hold.
  given_back = {'MALLOC_MMAP_THRESHOLD_': str(2**20)}
  done = subprocess.run(command, check=True, text=True, capture_output=True, cwd=pathlib.Path(__file__).parents[2],
                        env={**os.environ, 'XLA_FLAGS': '', **given_back})  # fmt: skip
  biggest = max(np.prod(shape.shape) for shape in open_foreign(big).shapes.values()) * 4
  whole = sum(np.prod(shape.shape) for shape in open_foreign(big).shapes.values()) * 4
  peak = int(done.stdout)
  assert peak < 1.3 * 2 * biggest < 0.7 * whole, (peak / 1e6, biggest / 1e6, whole / 1e6)
