"""A user's mistake is one line on stderr that begins with `error:`, exit code 2, and no folder half-written."""

import os
import pathlib
import subprocess
import sys

import pytest

from scripts import adapt, compare_peft, evaluate, infer, train, zero_shot
from tasks.quickstart import builder

LENGTHS = "TASK_FEATURE_LENGTHS={'inputs': 64, 'targets': 16}"
TRAIN = {'MIXTURE_OR_TASK_NAME': 'quickstart_synonym', 'TRAIN_STEPS': '1', 'BATCH_SIZE': '8'}
CHATTER = ('All log messages before absl', 'cudart_stub', 'Path not found', 'CounterV2', 'Variant folder',
           'will be removed during packing', 'Downloading and preparing')

HEAVY = ('tensorflow', 'jax', 'seqio', 'flax', 'tensorflow_datasets', 'matplotlib', 'torch', 'transformers', 'lm_eval')


@pytest.fixture(scope='module')
def suite(tmp_path_factory):
  """A TFDS data dir with one small dataset."""
  folder = tmp_path_factory.mktemp('tfds')
  builder.FlanQuickstart(config='synonym', data_dir=folder).download_and_prepare()
  return folder


@pytest.fixture
def fails(suite, tmp_path, capfd):
  """Runs a script with mistaken flags and returns its lines of error, without the prefix."""

  def run(main, flags, *, data_dir=suite, files=('models/quickstart.gin',)):
    before = sorted(tmp_path.rglob('*'))
    capfd.readouterr()
    code = main([*(f'--gin_file={name}' for name in files), *(f'--gin.{flag}' for flag in flags),
                 f'--tfds_data_dir={data_dir}'])
    lines = capfd.readouterr().err.splitlines()
    assert code == 2, lines
    assert lines and all(line.startswith('error: ') for line in lines), lines
    assert sorted(tmp_path.rglob('*')) == before, 'something was left behind'
    return [line.removeprefix('error: ') for line in lines]

  return run


@pytest.fixture
def training_fails(fails, tmp_path):
  """The one line of a training run with some flags changed; None takes one away."""

  def run(*changes, **options):
    flags = {'MODEL_DIR': str(tmp_path / 'run'), **TRAIN}
    flags |= dict(change.split('=', 1) for change in changes)
    lines = fails(train.main, [LENGTHS, *(f'{name}={value}' for name, value in flags.items())], **options)
    assert len(lines) == 1, lines
    return lines[0]

  return run


@pytest.mark.parametrize(('flag', 'told'), [
  ("PROFILE='1-3'", "--profile (PROFILE): '1-3' must be steps of this run in their order, from 1 to TRAIN_STEPS (1)"),
  ('MIXTURE_OR_TASK_NAME=quickstart_synonim', "no task or mixture 'quickstart_synonim'. Did you mean 'quickstart_syn"),
  ('MIXTURE_OR_TASK_NAME=quickstart.without_nly', "Did you mean 'quickstart.without_nli'"),
  ('MIXTURE_OR_TASK_MODULE=tasks.flan2012', "MIXTURE_OR_TASK_MODULE: cannot import 'tasks.flan2012'"),
  ('EVAL_TASKS=quickstart_synonim', "no task or mixture 'quickstart_synonim'"),
  ('USE_CACHED_TASKS=True', "USE_CACHED_TASKS: 'quickstart_synonym' is in none of the cache folders"),
  ('runs.finetun.keep=1', "nothing to configure named 'runs.finetun'. Did you mean 'runs.finetune'"),
  ('runs.finetune.keeep=1', "runs.finetune has no parameter 'keeep'. Did you mean 'keep'"),
  ('BATCHSIZE=8', "BATCHSIZE is set but nothing uses it. Did you mean 'BATCH_SIZE'"),
  ('METHOD=@peft.Lora()', "Did you mean 'peft.LoRA'"),
  ("BATCH_SIZE='abc'", "BATCH_SIZE (runs.finetune.batch_size) must be a whole number, not 'abc'"),
  ('BATCH_SIZE=9', 'BATCH_SIZE (9) must be a multiple of the 8 devices that share it, e.g. 16'),
  ('BATCH_SIZE=0', 'BATCH_SIZE (0) must be a multiple of the 8 devices'),
  ('BATCH_SIZE=(8,', '--gin.BATCH_SIZE: EOF in multi-line statement'),
  ('runs.finetune.num_microbatches=3', 'num_microbatches (3) must divide BATCH_SIZE (8)'),
  ('TRAIN_STEPS=0', 'train_steps must be at least 1, not 0'),
  ('TRAIN_STEPS=1.5', 'TRAIN_STEPS (runs.finetune.train_steps) must be a whole number, not 1.5'),
  ('EVAL_PERIOD=0', 'EVAL_PERIOD must be at least 1'),
  ('CHECKPOINT_PERIOD=0', 'checkpoint_period must be at least 1'),
  ('METHOD=lora', "METHOD (runs.finetune.method) must be a Method or None, not 'lora'"),
  ('OPTIMIZER=@training.adamw', 'OPTIMIZER (runs.finetune.optimizer) must be an Optimizer, not the function adamw'),
  ('TASK_FEATURE_LENGTHS=64', 'TASK_FEATURE_LENGTHS (runs.finetune.task_feature_lengths) must be a dictionary'),
  ("TASK_FEATURE_LENGTHS={'inputs': 64}", "TASK_FEATURE_LENGTHS needs a length of at least 2 for 'targets'"),
  ('models.T5Config.emb_dim=64.0', 'models.T5Config.emb_dim must be a whole number, not 64.0'),
  ('models.T5Config.dtype=float31', "dtype has no 'float31'. Did you mean 'float32'"),
  ('models.T5Config.vocab_size=128', 'The vocabulary has 282 ids and the model embeds 128'),
  ('OPTIMIZER=@training.from_optax()', 'training.from_optax needs a value for'),
  ('training.adamw.weight_decay=heavy', "training.adamw.weight_decay must be a number, not 'heavy'"),
  ('INITIAL_CHECKPOINT_PATH=/nowhere/run', 'there is no checkpoint at /nowhere/run: no such folder'),
  ('MODEL_DIR=/dev/null/run', 'cannot write to the run folder /dev/null/run'),
])  # fmt: skip
def test_a_mistake_in_a_training_command_is_one_line(training_fails, flag, told):
  assert told in training_fails(flag)


def test_all_that_is_missing_is_told_at_once(fails):
  lines = fails(train.main, ['BATCHSIZE=8', 'runs.finetune.keeep=1'], files=())
  assert [line.split(' ')[0].rstrip(':') for line in lines] == [
    '--gin.runs.finetune.keeep', 'MODEL_DIR', 'MIXTURE_OR_TASK_NAME', 'TRAIN_STEPS', 'MODEL', 'VOCABULARY',
    'OPTIMIZER', 'LOSS', 'BATCHSIZE']
  assert all(('--gin_file=models/' in line) == (line.split(' ')[0] in ('MODEL', 'VOCABULARY', 'OPTIMIZER', 'LOSS'))
             for line in lines)


def test_a_gin_file_that_is_not_there_is_answered_by_the_nearest_names(training_fails):
  told = training_fails(files=('models/quickstart.gin', 'models/quikstart.gin'))
  assert "no gin file 'models/quikstart.gin'. Did you mean 'models/quickstart.gin'" in told


def test_a_syntax_error_names_the_file_and_the_line(training_fails, tmp_path):
  broken = tmp_path / 'broken.gin'
  broken.write_text('# mine\n\nBATCH_SIZE = = 8\n')
  assert training_fails(files=('models/quickstart.gin', str(broken))).startswith(f'{broken}:3: ')


def test_a_regex_that_matches_no_projection_lists_the_closest(training_fails):
  told = training_fails('peft.LoRA.targets=.*attention/querry', files=('models/quickstart.gin', 'peft/lora.gin'))
  assert "'.*attention/querry' matches no projection; the closest paths are" in told


def test_a_template_with_a_field_that_the_rows_lack_is_named(training_fails):
  told = training_fails('MIXTURE_OR_TASK_MODULE=tests.cli.broken_tasks', 'MIXTURE_OR_TASK_NAME=broken.misnamed')
  assert "uses the field 'frist', which its rows do not have. Did you mean 'first'" in told


def test_a_followed_task_without_validation_rows_is_named(training_fails):
  told = training_fails('MIXTURE_OR_TASK_MODULE=tests.cli.broken_tasks', 'EVAL_TASKS=broken.unvalidated')
  assert "Dataset 'unvalidated' has no 'validation' rows" in told


def test_a_data_folder_that_is_not_there(training_fails, tmp_path):
  assert f'--tfds_data_dir: there is no folder {str(tmp_path / "no")!r}' in training_fails(data_dir=tmp_path / 'no')


@pytest.mark.parametrize('main', [train.main, zero_shot.main])
def test_a_vocabulary_that_cannot_be_read_names_its_macro(fails, tmp_path, main):
  flags = [*(f'{name}={value}' for name, value in TRAIN.items() if name in ('TRAIN_STEPS', 'BATCH_SIZE')),
           f'MODEL_DIR={tmp_path / "run"}', 'VOCABULARY_FILE=/nowhere/sentencepiece.model']
  flags.append('MIXTURE_OR_TASK_NAME=quickstart_synonym' if main is train.main else 'HELD_OUT=nli')
  (line,) = fails(main, flags, files=('models/t5_1_1_tiny.gin',))
  assert line.startswith("VOCABULARY_FILE: cannot read a vocabulary from '/nowhere/sentencepiece.model'")


def test_a_file_that_is_no_vocabulary_names_its_macro(fails, tmp_path):
  file = tmp_path / 'sentencepiece.model'
  file.write_text('<html>not found</html>')
  flags = [*(f'{name}={value}' for name, value in TRAIN.items()), f'MODEL_DIR={tmp_path / "run"}']
  (line,) = fails(train.main, [*flags, f'VOCABULARY_FILE={file}'], files=('models/t5_1_1_tiny.gin',))
  assert line.startswith(f'VOCABULARY_FILE: cannot read a vocabulary from {str(file)!r}')


@pytest.mark.parametrize(('flag', 'told'), [
  ('HELD_OUT=nly', "HELD_OUT: family 'quickstart' has no cluster 'nly'. Did you mean 'nli'"),
  ('FAMILY=quickstrat', "no task family 'quickstrat'. Did you mean 'quickstart'"),
  ("CONTROLS=['one']", "ARMS or CONTROLS holds 'one': each item is a runs.Arm, or a list"),
  ("STAGES=['one']", 'STAGES (runs.zero_shot.stages) must be a list, each item a Stage'),
])
def test_a_mistake_in_a_zero_shot_command_is_one_line(fails, tmp_path, flag, told):
  (line,) = fails(zero_shot.main, [f'MODEL_DIR={tmp_path / "run"}', flag], files=('experiments/quickstart.gin',))
  assert told in line


SPOKEN = {'CHECKPOINT_PATH': '/nowhere/run', 'EVAL_OUTPUT_DIR': 'OUT', 'INFER_OUTPUT_DIR': 'OUT',
          'MIXTURE_OR_TASK_NAME': 'quickstart_synonym', 'INPUT_FILE': 'None'}


@pytest.fixture
def reading_fails(fails, tmp_path):
  """The one line of an evaluation or an inference with some macros set."""

  def run(main, **changes):
    left_out = {evaluate.main: ('INFER_OUTPUT_DIR', 'INPUT_FILE'), infer.main: ('EVAL_OUTPUT_DIR',)}[main]
    flags = {name: value for name, value in {**SPOKEN, **changes}.items() if name not in left_out}
    out = str(tmp_path / 'out')
    lines = fails(main, [f'{name}={out if value == "OUT" else value}' for name, value in flags.items()])
    assert len(lines) == 1, lines
    return lines[0]

  return run


@pytest.mark.parametrize('main', [evaluate.main, infer.main])
def test_a_checkpoint_that_is_not_there(reading_fails, tmp_path, main):
  assert reading_fails(main) == 'there is no checkpoint at /nowhere/run: no such folder'
  assert 'expected a run folder with checkpoint_<step> folders' in reading_fails(main, CHECKPOINT_PATH=tmp_path)


@pytest.mark.parametrize('main', [evaluate.main, infer.main])
def test_rows_and_tasks_that_are_not_there(reading_fails, main):
  assert "has no 'tset' rows" in reading_fails(main, SPLIT='tset')
  assert "no task or mixture 'quickstart_synonim'" in reading_fails(main, MIXTURE_OR_TASK_NAME='quickstart_synonim')


@pytest.mark.parametrize(('name', 'text', 'told'), [
  ('missing.txt', None, 'No such file'),
  ('empty.txt', '', 'is empty'),
  ('a.jsonl', '{"inputs": "x"}\n{"inputs": \n', 'a.jsonl:2: expected a JSON object with a field "inputs"'),
  ('b.jsonl', '{"prompt": "x"}\n', 'b.jsonl:1: expected a JSON object with a field "inputs"'),
  ('c.jsonl', '["x"]\n', 'c.jsonl:1: expected a JSON object with a field "inputs"'),
])
def test_an_input_file_that_cannot_be_read(reading_fails, tmp_path, name, text, told):
  if text is not None:
    (tmp_path / name).write_text(text)
  line = reading_fails(infer.main, INPUT_FILE=tmp_path / name, MIXTURE_OR_TASK_NAME='None')
  assert told in line and name in line


def test_inference_on_nothing_and_on_two_things(reading_fails):
  assert 'Give either INPUT_FILE or MIXTURE_OR_TASK_NAME' in reading_fails(infer.main, MIXTURE_OR_TASK_NAME='None')
  assert 'Give either INPUT_FILE or MIXTURE_OR_TASK_NAME' in reading_fails(infer.main, INPUT_FILE='prompts.txt')


def test_a_dataset_that_the_data_folder_lacks_is_named(fails, tmp_path, tmp_path_factory):
  empty = tmp_path_factory.mktemp('empty')
  flags = [f'{name}={value}' for name, value in {**TRAIN, 'MIXTURE_OR_TASK_NAME': 'flan2021.sst2'}.items()]
  (line,) = fails(train.main, [*flags, LENGTHS, f'MODEL_DIR={tmp_path / "run"}'], data_dir=empty)
  assert "Dataset 'sst2'" in line and 'glue/sst2' in line and '--tfds_data_dir' in line


def test_help_of_every_script_is_made_of_its_gin_file_and_is_quick():
  """One process for all: no script may import what takes seconds, and each explains its macros."""
  names = [path.stem for path in sorted(pathlib.Path(train.__file__).parent.glob('[a-z]*.py'))]
  probe = (
    'import contextlib, importlib, sys\n'
    f'for name in {names}:\n'
    '  with contextlib.suppress(SystemExit):\n'
    '    importlib.import_module(f"scripts.{name}").main(["--help"])\n'
    f'heavy = {set(HEAVY)} & set(sys.modules)\n'
    'sys.exit(f"imported {heavy}" if heavy else 0)\n'
  )
  run = subprocess.run([sys.executable, '-c', probe], capture_output=True, text=True, check=False)
  assert run.returncode == 0, run.stderr
  assert run.stdout.count('python -m scripts.') >= len(names) > 10
  for script in (adapt, compare_peft, evaluate, infer, train, zero_shot):
    assert script.__doc__.splitlines()[0] in run.stdout
    assert f'python -m {script.__name__} --gin' in run.stdout
  assert '  BATCH_SIZE                    packed rows of a step [128]' in run.stdout
  assert '[required]' in run.stdout and 'VOCABULARY_FILE' in run.stdout and 'byt5_small' in run.stdout


def test_a_run_starts_without_the_packages_that_it_does_not_use():
  """Plots, other frameworks and the metrics of texts are imported when they are needed, and still can be."""
  probe = (
    'import sys\n'
    'from flan_jax import cli\n'
    'cli.load_gin(cli.parse_args(cli.parser(None, "runs/finetune.gin"), ["--gin_file=models/t5_1_1_tiny.gin",\n'
    '             *(f"--gin.{name}=1" for name in ("MODEL_DIR", "TRAIN_STEPS", "MIXTURE_OR_TASK_NAME"))]))\n'
    'idle = {"torch", "transformers", "matplotlib", "sklearn", "pandas", "nltk", "sacrebleu"} & set(sys.modules)\n'
    'import matplotlib, pandas, scipy.stats\n'
    'sys.exit(f"imported {idle}" if idle else 0)\n'
  )
  run = subprocess.run([sys.executable, '-c', probe], capture_output=True, text=True, check=False)
  assert run.returncode == 0, run.stderr


def test_a_dry_run_prints_its_plan_and_nothing_else_and_writes_nothing(suite, tmp_path):
  run = subprocess.run(
    [sys.executable, '-m', 'scripts.train', '--dry_run', '--gin_file=models/quickstart.gin', '--gin_file=peft/lora.gin',
     f'--gin.{LENGTHS}', *(f'--gin.{name}={value}' for name, value in TRAIN.items()), f'--tfds_data_dir={suite}',
     f'--gin.MODEL_DIR={tmp_path / "run"}'],
    capture_output=True, text=True, check=False, env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '0'},
  )  # fmt: skip
  assert run.returncode == 0, run.stderr
  assert not [words for words in CHATTER if words in run.stderr], run.stderr
  assert not list(tmp_path.iterdir())
  for told in ('8,192 trainable of 172,864 parameters (4.74 %)', "method: lora (rank=8, alpha=16.0",
               '8 cpu devices, mesh data 8 x fsdp 1 x model 1',
               'quickstart_synonym: train[0:5960] of flan_quickstart/synonym:1.0.0',
               'encoder_input_tokens: int32 [8, 64]', 'decoder_target_tokens: int32 [8, 16]', 'steps: 1\n',
               'start: random weights', f'run folder: {tmp_path / "run"}'):
    assert told in run.stdout, run.stdout


def test_real_errors_pass_the_filter_of_start_up_chatter():
  """Chatter is dropped while TensorFlow is imported, other lines and a crash's last words are not."""
  probe = (
    'import os\n'
    'from flan_jax.cli_quiet import quiet_imports\n'
    'with quiet_imports():\n'
    '  os.write(2, b"cudart_stub.cc:31] chatter\\nF0000 no AVX on this machine\\n")\n'
    '  os.abort()\n'
  )
  run = subprocess.run([sys.executable, '-c', probe], capture_output=True, text=True, check=False,
                       cwd=pathlib.Path(__file__).parents[2])
  assert run.returncode != 0
  assert 'F0000 no AVX on this machine' in run.stderr and 'chatter' not in run.stderr
