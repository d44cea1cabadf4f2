"""A mixture written as rows: the rows that training would see, and what the index says of them."""

import json

import numpy as np
import pytest

from flan_jax.data import iterator, vocabulary
from flan_jax.exported.reader import ExportedRows
from scripts import export_batches
from tasks.quickstart import builder
from tasks.quickstart.vocabulary import quickstart_vocabulary
from tests.data.conftest import data_dir, restored

TASK, LENGTHS = 'quickstart_synonym', {'inputs': 48, 'targets': 12}
PROMPT = ('--gin_file=peft/prompt_tuning.gin', '--gin_bindings=peft.PromptTuning.length = 5')


@pytest.fixture(scope='module')
def suite(tmp_path_factory):
  """A TFDS data dir with one small dataset."""
  folder = tmp_path_factory.mktemp('tfds')
  builder.FlanQuickstart(config='synonym', data_dir=folder).download_and_prepare()
  with data_dir(folder), restored(vocabulary._ACTIVE):
    yield folder


@pytest.fixture
def export(suite, tmp_path, capsys):
  """Runs the script; returns its exit code, what it said, and the folder."""

  def run(*flags):
    code = export_batches.main([
      '--gin_file=models/quickstart.gin', f'--gin.MIXTURE_OR_TASK_NAME={TASK}', f'--gin.TASK_FEATURE_LENGTHS={LENGTHS}',
      f'--gin.EXPORT_DIR={tmp_path / "rows"}', f'--tfds_data_dir={suite}', *flags])
    return code, capsys.readouterr(), tmp_path / 'rows'

  return run


@pytest.mark.parametrize(('flags', 'prompts'), [((), {}), (PROMPT, {'inputs': 5})])
def test_the_rows_are_those_that_training_reads(export, flags, prompts):
  code, said, folder = export('--gin.EXPORT_ROWS=70', '--gin.ROWS_PER_SHARD=32', *flags)
  assert code == 0, said.err
  rows = ExportedRows(folder)
  assert [shard.rows for shard in rows.index.shards] == [32, 32, 6]
  stream = iterator.batches(TASK, LENGTHS, 70, seed=0, prompts=prompts)
  expected, found = next(stream), rows.read(np.arange(70))
  assert found.keys() == expected.keys()
  assert all(np.array_equal(found[name], expected[name]) for name in found)
  examples = len(stream.origins(expected))
  assert rows.index.counts['examples'] == rows.index.counts[f'{TASK}/examples'] == examples
  assert '70 rows in 3 files' in said.out and f'{examples:,} examples, 0 of them cut' in said.out
  assert rows.index.prompts == prompts and rows.index.tasks == [TASK]


def test_one_pass_holds_as_many_examples_as_there_are_rows(export):
  code, said, folder = export()
  assert code == 0, said.err
  index = ExportedRows(folder).index
  assert 5960 <= index.counts['examples'] < 5960 + 12
  assert index.vocabulary.identity == vocabulary.identity_of(quickstart_vocabulary())
  assert index.vocabulary.size == quickstart_vocabulary().vocab_size
  assert json.loads((folder / 'mixture.json').read_text())['mixture'] == TASK
  assert (folder / 'tokenizer' / 'tokenizer.json').is_file()
  taken = export()[1].err
  assert taken == f'error: {folder} exists already: choose another EXPORT_DIR, or remove it.\n'


def test_a_dry_run_writes_nothing(export, tmp_path):
  code, said, _ = export('--dry_run')
  assert code == 0 and 'rows of 5,960 examples' in said.out
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('flag', 'told'), [
  ('EXPORT_ROWS=0', 'EXPORT_ROWS must be at least 1, not 0'),
  ('ROWS_PER_SHARD=0', 'ROWS_PER_SHARD must be at least 1, not 0'),
  ('EXPORT_SPLIT=dev', "'dev'"),
  ('MIXTURE_OR_TASK_NAME=quickstart_synonim', "Did you mean 'quickstart_syn"),
  ('USE_CACHED_TASKS=True', "'quickstart_synonym' is in none of the cache folders"),
])
def test_mistakes_are_one_sentence_and_leave_nothing(export, tmp_path, flag, told):
  code, said, _ = export(f'--gin.{flag}')
  assert code == 2 and told in said.err and said.err.count('\n') == 1, said.err
  assert not list(tmp_path.iterdir())
