"""Every gin file, found by glob: it parses, says what it is, and what it configures can be built on shapes."""

import dataclasses
import importlib
import re
import shlex

import gin
import jax
import numpy as np
import pytest

from flan_jax import arguments, cli, configurables, gin_files, gin_text
from flan_jax.models import T5, T5Config
from flan_jax.training import loop, sharding

FILES = {path.relative_to(gin_text.PACKAGED).as_posix(): path for path in sorted(gin_text.PACKAGED.rglob('*.gin'))}
COUNTS = {
  't5_1_0_small': 60_506_624, 't5_1_0_base': 222_903_552, 't5_1_0_large': 737_668_096, 't5_1_0_3b': 2_851_598_336,
  't5_1_0_11b': 11_307_321_344,
  't5_1_1_small': 76_961_152, 't5_1_1_base': 247_577_856, 't5_1_1_large': 783_150_080, 't5_1_1_xl': 2_849_757_184,
  't5_1_1_xxl': 11_135_332_352,
  'mt5_small': 300_176_768, 'mt5_base': 582_401_280, 'mt5_large': 1_229_581_312, 'mt5_xl': 3_742_619_648,
  'mt5_xxl': 12_921_057_280,
  'byt5_small': 299_637_760, 'byt5_base': 581_653_248, 'byt5_large': 1_228_183_552, 'byt5_xl': 3_737_801_728,
  'byt5_xxl': 12_906_899_328,
}  # fmt: skip
PUBLISHED = re.compile(r'(t5_1_[01]|mt5|byt5)_(small|base|large|3b|11b|xl|xxl)')
LENGTHS = {'inputs': 512, 'targets': 128}  # where a run takes what its rows have
VALUES = {'TRAIN_STEPS': '100', 'OLD_TASKS': "('flan2021.sst2',)"}


def in_folder(*folders):
  return [name for name in FILES if name.split('/')[0] in folders]


def is_whole(name):
  """Model files named base_... only hold what others include, of_... need a checkpoint (runs/test_five_commands.py)."""
  return not name.startswith(('models/base_', 'models/of_'))


def required(names):
  texts = [path.read_text() for path in gin_text.closure(names)]
  lines = [line for text in texts for line in gin_text.macro_lines(text)]
  wanted = {line.name for line in lines if line.value == gin_text.REQUIRED}
  given = {line.name for line in lines if line.value != gin_text.REQUIRED}
  return [f'{name}={VALUES.get(name, "placeholder")}' for name in sorted(wanted - given)]


def command_for(name):
  """The files of a command that a user would give to try one file, and the run that it is for."""
  folder = name.split('/')[0]
  runs = [path.stem for path in gin_text.closure([name]) if path.parent.name == 'runs']
  model = [] if folder in ('models', 'experiments') else ['models/t5_1_1_tiny.gin']
  first = [] if runs else ['runs/finetune.gin']
  return [*first, *model, name], (runs or ['finetune'])[0]


def load(name):
  files, run = command_for(name)
  gin_files.load(gin_files.Sources(files, required(files)), configurables.register())
  return run, gin.get_bindings(f'runs.{run}', resolve_references=True)


def batch_of(rows, lengths, prompts):
  shape = {side: jax.ShapeDtypeStruct((rows, lengths[side] + prompts.get(side, 0)), np.int32)
           for side in ('inputs', 'targets')}
  inputs = dict.fromkeys(('encoder_input_tokens', 'encoder_segment_ids', 'encoder_positions'), shape['inputs'])
  targets = ('decoder_input_tokens', 'decoder_target_tokens', 'decoder_segment_ids', 'decoder_positions')
  sides = {'inputs': 'encoder', 'targets': 'decoder'}
  room = {f'{sides[side]}_prompt_positions': shape[side] for side in prompts}
  return {**inputs, **dict.fromkeys(targets, shape['targets']), **room}


def dry_run(bindings, optimizer):
  config = bindings['model']
  method = bindings.get('method')
  prompts = method.prompt_lengths if method else {}
  batch = batch_of(bindings.get('batch_size', 8), bindings['task_feature_lengths'] or LENGTHS, prompts)
  return loop.dry_run(make_model=lambda rngs: T5(config, rngs=rngs), batch=batch, optimizer=optimizer,
                      method=method, loss=bindings.get('loss'))


def shallow(bindings):
  """One layer in each stack: what a depth of 24 repeats is traced once."""
  return {**bindings, 'model': dataclasses.replace(bindings['model'], num_encoder_layers=1, num_decoder_layers=1)}


def count_at_full_depth(table, config):
  layers = {'encoder': config.num_encoder_layers, 'decoder': config.num_decoder_layers}
  return sum(row.size * (layers[row.name.split('/')[0]] if '/layers/' in row.name else 1) for row in table.rows)


@pytest.mark.parametrize('name', [name for name in in_folder('runs') if 'mesh.gin' in FILES[name].read_text()])
def test_the_mesh_of_a_run_that_trains_is_set_by_macros(name):
  files, run = command_for(name)
  mesh = ['NUM_PARTITIONS=2', 'FSDP=4', 'ACTIVATION_PARTITIONING_DIMS=2', 'PARAMETER_PARTITIONING_DIMS=2',
          "training.standard_logical_axis_rules.additional_rules=[('relpos_buckets', 'fsdp')]"]
  gin_files.load(gin_files.Sources(files, [*required(files), *mesh]), configurables.register())
  partitioner = gin.get_bindings(f'runs.{run}', resolve_references=True)['partitioner']
  assert dict(partitioner.mesh().shape) == {'data': 1, 'fsdp': 4, 'model': 2}
  assert list(partitioner.rules()) == [
    *sharding.standard_logical_axis_rules(2, 2), ('relpos_buckets', 'fsdp')]


@pytest.mark.parametrize('name', FILES)
def test_every_file_begins_with_a_comment(name):
  assert re.match(r'# \S.*\w', FILES[name].read_text())


@pytest.mark.parametrize('name', in_folder('runs', 'experiments'))
def test_run_and_experiment_files_say_their_command(name):
  header = re.match(r'(#.*\n)+', FILES[name].read_text()).group()
  assert re.search(r'^# Command: python -m scripts\.\w+ ', header, re.MULTILINE)


@pytest.mark.parametrize('name', in_folder('runs'))
def test_every_macro_of_a_run_file_says_what_it_is(name):
  assert not [line.name for line in gin_text.macro_lines(FILES[name].read_text()) if not line.comment]


@pytest.mark.parametrize('name', in_folder('runs'))
def test_the_command_of_a_run_file_is_understood_by_its_script(name, tmp_path, monkeypatch, capsys):
  header = re.match(r'(#.*\n)+', FILES[name].read_text()).group()
  text = re.search(r'^# Command: python -m (scripts\.\w+)((?:.*\n#  )*.*)', header, re.MULTILINE)
  called = []
  monkeypatch.setattr(cli, 'call', lambda configurable, args: called.append(configurable))
  argv = shlex.split(text.group(2).replace('\n#', ' ').replace('=DIR', f'={tmp_path}'))
  assert importlib.import_module(text.group(1)).main(argv) == 0, capsys.readouterr().err
  assert called == [f'runs.{name.removeprefix("runs/").removesuffix(".gin")}']


@pytest.mark.parametrize('name', [name for name in FILES if is_whole(name)])
def test_every_file_gives_its_run_all_that_it_needs_of_the_right_kinds(name):
  run, bindings = load(name)
  function = configurables.register()[f'runs.{run}']
  assert arguments.missing(function, bindings) == []
  assert arguments.misfits(function, bindings) == {}


@pytest.mark.parametrize('name', [name for name in in_folder('models') if is_whole(name)])
def test_every_model_file_trains_on_shapes_and_has_the_published_size(name):
  before = len(jax.live_arrays())
  _, bindings = load(name)
  planned = dry_run(shallow(bindings), bindings['optimizer'])
  assert 'loss' in planned.metrics
  assert len(jax.live_arrays()) <= before + 2
  stem = name.removeprefix('models/').removesuffix('.gin')
  size = count_at_full_depth(planned.table, bindings['model'])
  if PUBLISHED.fullmatch(stem):
    assert size == COUNTS[stem]
  else:
    assert size < 20_000_000, f'{stem} is no toy: put its published size into COUNTS'


@pytest.mark.slow
def test_the_largest_model_is_planned_whole_without_allocating_anything():
  before = len(jax.live_arrays())
  _, bindings = load('models/t5_1_0_11b.gin')
  planned = dry_run(bindings, bindings['optimizer'])
  assert planned.table.total == planned.table.trainable == COUNTS['t5_1_0_11b']
  assert len(jax.live_arrays()) <= before + 2


@pytest.mark.parametrize('name', in_folder('peft', 'experiments', 'runs'))
def test_peft_run_and_experiment_files_can_be_run_on_shapes(name):
  run, bindings = load(name)
  for entry in bindings.get('entries', ()):
    planned = dry_run({**shallow(bindings), 'method': entry.method}, entry.optimizer)
    assert 0 < planned.table.trainable <= planned.table.total
  if run == 'compare_peft':
    return
  if run == 'export_batches':  # has no model; its method says how much room packed rows leave
    assert 'model' not in bindings and bindings['method'].prompt_lengths == {}
    return
  optimizers = [stage.optimizer for stage in bindings.get('stages', ())] or [bindings.get('optimizer')]
  if optimizers == [None]:  # a run that trains nothing
    assert isinstance(bindings['model'], T5Config)
    assert run in ('evaluate', 'infer')
    return
  for optimizer in optimizers:
    planned = dry_run(bindings, optimizer)
    assert 0 < planned.table.trainable <= planned.table.total
  if name.startswith('peft/') and bindings['method'].name != 'full':
    assert planned.table.trainable < planned.table.total
