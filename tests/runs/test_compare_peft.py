"""A comparison of methods: what is made, reused, refused and left to others; and one from command to picture."""

import json

import pytest

from flan_jax.comparison import costs, rows
from flan_jax.errors import UserError
from flan_jax.runs import compare_peft, parts
from flan_jax.work import claims
from scripts import compare_peft as script
from tasks.quickstart import builder
from tasks.quickstart.vocabulary import quickstart_vocabulary
from tests.comparison import made
from tests.data.conftest import restored

OLD = ('quickstart_topic', 'quickstart_kind')


class MadeBench:
  """Stands in for what trains: its rows are made by hand."""

  fingerprint = 'abc'
  partitioner = compare_peft.sharding.Partitioner(num_devices=1)
  asked: list[tuple[str, int]] = []  # noqa: RUF012
  fails_at = None

  def __init__(self, *_):
    pass

  def row(self, entry, seed, folder):
    if self.fails_at == entry.name:
      raise KeyboardInterrupt
    self.asked.append((entry.name, seed))
    return made.row(entry.name, seed)


@pytest.fixture
def compare(tmp_path, monkeypatch):
  """Compares made rows, and returns those that were made anew and whether speed was measured."""
  from flan_jax.data import vocabulary
  measured = []

  def measure(bench, entries, timing, config):
    measured.append(len(entries))
    return made.costs([entry.name for entry in entries], config)

  monkeypatch.setattr(compare_peft, 'Bench', MadeBench)
  monkeypatch.setattr(compare_peft, 'measure', measure)

  def run(names=('full', 'lora'), rates=None, **changes):
    MadeBench.asked, MadeBench.fails_at = [], changes.pop('fails_at', None)
    measured.clear()
    options = {'model_dir': str(tmp_path / 'run'), 'checkpoint_path': 'base', 'new_task': 'quickstart_nli_negated',
               'old_tasks': OLD, 'train_steps': 20, 'model': made.SETTING.model, 'batch_size': 8,
               'vocabulary': quickstart_vocabulary(), 'task_feature_lengths': {'inputs': 32, 'targets': 8}}
    entries = [made.entry(name, (rates or {}).get(name, 1e-2)) for name in names]
    compare_peft.compare_peft(entries=entries, **{**options, **changes})
    return MadeBench.asked, bool(measured)

  monkeypatch.setattr(parts, 'vocabulary_size', lambda _: 16)  # the toy's model embeds few ids
  with restored(vocabulary._ACTIVE):
    yield run


def record(tmp_path):
  return json.loads((tmp_path / 'run' / 'comparison.json').read_text())


def test_every_entry_and_seed_is_a_row_and_speed_comes_last(compare, tmp_path):
  asked, measured = compare(seeds=(3, 4))
  assert asked == [('full', 3), ('lora', 3), ('full', 4), ('lora', 4)] and measured
  assert {path.name for path in (tmp_path / 'run').iterdir()} == {
    'rows', 'costs.json', 'comparison.json', 'comparison.md', 'comparison.png'}
  assert not list((tmp_path / 'run').rglob('*claim*'))
  assert record(tmp_path)['lines'][0]['cost']['step_ms']['median'] == 20.0


def test_a_finished_row_is_not_made_again_and_a_new_one_is_added(compare, tmp_path):
  compare()
  assert compare() == ([], False)
  assert compare(('full', 'lora', 'prompt')) == ([('prompt', 0)], True)  # all methods are timed anew, in turns
  assert [line['name'] for line in record(tmp_path)['lines']] == ['full', 'lora', 'prompt']


def test_rows_of_another_configuration_are_refused_before_anything_is_made(compare):
  compare()
  with pytest.raises(UserError, match=r'full.seed_0 was made with another configuration \(train_steps: 20 there, 30 '):
    compare(('prompt', 'full'), train_steps=30)
  assert MadeBench.asked == []
  with pytest.raises(UserError, match='lora.seed_0 was made with another configuration .optimizer: '):
    compare(rates={'lora': 2e-2})


def test_an_interrupted_comparison_goes_on(compare, tmp_path):
  with pytest.raises(KeyboardInterrupt):
    compare(('full', 'lora', 'prompt'), fails_at='lora')
  assert not list((tmp_path / 'run').rglob('*claim*'))
  assert compare(('full', 'lora', 'prompt')) == ([('lora', 0), ('prompt', 0)], True)


def test_a_row_that_another_process_holds_is_left_to_it(compare, tmp_path, capsys):
  claim = tmp_path / 'run' / 'rows' / 'lora.seed_0' / compare_peft.CLAIM
  with claims.claimed(claim):
    asked, measured = compare(('full', 'lora', 'prompt'))
    assert asked == [('full', 0), ('prompt', 0)] and not measured
  told = capsys.readouterr().out
  assert 'lora.seed_0: claimed by process' in told and f'rm {claim}' in told
  assert '2 of 3 rows are done; missing: lora.seed_0' in told
  assert record(tmp_path)['missing'] == ['lora.seed_0']
  assert compare(('full', 'lora', 'prompt')) == ([('lora', 0)], True)


def test_speed_that_another_process_measures_is_left_to_it(compare, tmp_path, capsys):
  with claims.claimed(tmp_path / 'run' / f'{costs.FILE}.{compare_peft.CLAIM}'):
    assert compare() == ([('full', 0), ('lora', 0)], False)
  assert 'costs.json: claimed by process' in capsys.readouterr().out
  assert compare(timing_rounds=0) == ([], False)
  assert compare() == ([], True)


@pytest.mark.parametrize(('changes', 'told'), [
  ({'old_tasks': ()}, 'OLD_TASKS is empty'), ({'seeds': ()}, 'SEEDS is empty'), ({'names': ()}, 'ENTRIES is empty'),
  ({'new_task': 'quickstart_nli_negatid'}, "Did you mean 'quickstart_nli_negated'"),
  ({'old_tasks': ('quickstart_topik',)}, "Did you mean 'quickstart_topic'"),
])  # fmt: skip
def test_what_cannot_be_meant_is_said_and_nothing_written(compare, tmp_path, changes, told):
  with pytest.raises(UserError, match=told):
    compare(**changes)
  assert not (tmp_path / 'run').exists()


@pytest.mark.slow
def test_three_methods_from_the_command_to_the_picture(tmp_path, capsys):
  """On a base that is as untrained as it is small: every number is there, and what must be equal is."""
  from scripts import train
  data = tmp_path / 'tfds'
  for config in ('nli_negated', 'topic', 'kind'):
    builder.FlanQuickstart(config=config, data_dir=data).download_and_prepare()
  common = [
    f'--tfds_data_dir={data}', '--gin_bindings=models.T5Config.emb_dim = 16',
    '--gin_bindings=models.T5Config.mlp_dim = 16', '--gin_bindings=models.T5Config.num_encoder_layers = 1',
    '--gin_bindings=training.Partitioner.num_devices = 1',
  ]  # fmt: skip
  assert train.main([
    '--gin_file=models/quickstart.gin', *common, f'--gin.MODEL_DIR={tmp_path / "base"}', '--gin.TRAIN_STEPS=2',
    '--gin.BATCH_SIZE=8', "--gin.TASK_FEATURE_LENGTHS={'inputs': 64, 'targets': 16}",
    "--gin.MIXTURE_OR_TASK_NAME=('quickstart_topic', 'quickstart_kind')",
  ]) == 0  # fmt: skip
  command = [
    '--gin_file=experiments/forgetting.gin', *common, f'--gin.CHECKPOINT_PATH={tmp_path / "base"}',
    f'--gin.MODEL_DIR={tmp_path / "run"}', '--gin.TRAIN_STEPS=3', '--gin.WARMUP_STEPS=1', '--gin.BATCH_SIZE=8',
    "--gin.OLD_TASKS=('quickstart_topic', 'quickstart_kind')", '--gin.EVALUATOR_NUM_EXAMPLES=4',
    '--gin.TIMING_ROUNDS=1', '--gin.TRAIN_ROWS=40', '--gin_bindings=runs.compare_peft.timing_steps = 2',
    '--gin_bindings=runs.compare_peft.show_progress = False',
    '--gin.ENTRIES=[@entry/full/mixed/runs.Entry(), @entry/lora/runs.Entry(), @entry/prompt/runs.Entry()]',
  ]  # fmt: skip
  assert script.main(command) == 0, capsys.readouterr().err
  found = record(tmp_path)
  full, lora, prompt = found['rows']
  assert full['trainable'] == full['base'] == lora['base'] == prompt['base']
  assert lora['trainable'] < full['trainable'] and prompt['trainable'] == 160
  assert full['new']['before'] == lora['new']['before'] == prompt['new']['before']
  assert all(row['memory']['peak'] > 0 and row['disk_bytes'] > 0 and row['measured_peak'] > 0 for row in found['rows'])
  assert prompt['examples'] < lora['examples']  # the room of the prompts
  assert found['costs']['entries']['lora']['merged_ms'] and not found['costs']['entries']['prompt']['merged_ms']
  mixture = json.loads((tmp_path / 'run' / 'rows' / 'full_mixed.seed_0' / 'run' / 'mixture.json').read_text())
  assert {part['task']: part['rows'] for part in mixture['tasks']} == {
    'quickstart_nli_negated.40_rows': 40, 'quickstart_topic': 5960, 'quickstart_kind': 5960}
  first = (tmp_path / 'run' / 'rows' / 'lora.seed_0' / rows.ROW).read_text()
  assert script.main(command) == 0
  assert (tmp_path / 'run' / 'rows' / 'lora.seed_0' / rows.ROW).read_text() == first
  assert script.main([*command, '--gin.TRAIN_ROWS=41']) == 2
  assert 'another configuration (train_rows: 40 there, 41 here)' in capsys.readouterr().err
