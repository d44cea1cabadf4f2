"""What a run says of its rows, and how it counts the examples of a batch."""

import numpy as np
import pytest
import seqio
import tensorflow as tf

from flan_jax import arguments
from flan_jax.data import iterator, provenance, registry
from flan_jax.data.vocabulary import use_vocabulary
from flan_jax.errors import UserError
from flan_jax.runs import first_look, parts, plan

MINE = [f'plan_probe_{number}' for number in range(plan.MANY + 1)]


@pytest.fixture(scope='module')
def many():
  """A mixture of more tasks than fit a screen, none of them declared our way."""
  for rows, name in enumerate(MINE, 1):
    source = seqio.FunctionDataSource(lambda split, shuffle_files, seed=None: tf.data.Dataset.range(1), ['train'],
                                      num_input_examples={'train': 10 * rows})
    seqio.TaskRegistry.add(name, source=source, preprocessors=[], output_features=registry.FEATURES)
  seqio.MixtureRegistry.add('plan_probe', MINE, default_rate=lambda task: task.num_input_examples('train'))
  return 'plan_probe'


@pytest.fixture
def real_tasks(real_data):
  seqio.set_tfds_data_dir_override(str(real_data / 'tfds'))
  use_vocabulary(seqio.SentencePieceVocabulary(str(real_data / 'vocabs' / 't5_cc_all.32000.model'), 100))
  parts.use_tasks()
  yield
  seqio.set_tfds_data_dir_override(None)


def test_one_task_is_told_by_its_rows(real_tasks):
  assert plan.training_rows('flan2021.sst2') == ['  flan2021.sst2: train[0:30000] of glue/sst2:2.0.0']


def test_the_tasks_of_a_mixture_are_told_with_their_shares(real_tasks):
  name = registry.mixture_of(['flan2021.sst2', 'flan2021.rte'])
  rows = registry.get_mixture_or_task('flan2021.rte').num_input_examples('train')
  share = 100 * rows / (rows + registry.MAX_RATE)
  assert plan.training_rows(name) == [
    f'  flan2021.rte: train[0:{rows}] of super_glue/rte:1.0.2, {share:.1f} % of the examples',
    f'  flan2021.sst2: train[0:30000] of glue/sst2:2.0.0, {100 - share:.1f} % of the examples']


def test_many_tasks_are_told_one_by_one_in_a_plan_and_by_cluster_at_the_start_of_a_run(many):
  assert len(plan.training_rows(many)) == len(MINE)
  assert f'  {MINE[0]}: 10 rows, {100 / 91:.1f} % of the examples' in plan.training_rows(many)
  (line,) = plan.training_rows(many, brief=True)
  assert line.startswith('  others: ') and line.endswith('; 910 rows, 100.0 % of the examples')
  assert all(name in line for name in MINE)


def test_cut_examples_of_a_packed_batch_are_counted_as_their_records_say(real_tasks):
  stream = iterator.batches('flan2021.sst2', {'inputs': 48, 'targets': 8}, batch_size=16, seed=1)
  batch = next(stream)
  counts = first_look.counter('flan2021.sst2')(batch)
  examples, cut = counts['examples'], counts['truncated']
  assert counts['flan2021.sst2/examples'] == examples and counts['flan2021.sst2/inputs_cut'] <= cut
  records = stream.origins(batch)
  assert examples == len(records) >= 16
  assert 0 < cut == sum(record.truncated for record in records) < examples


def test_padding_is_no_example():
  batch = {provenance.FEATURE: np.zeros((4, 3 * provenance.WIDTH), np.int32)}
  assert first_look.counter('flan2021.sst2')(batch) == {'examples': 0, 'truncated': 0}


@pytest.mark.parametrize(('hint', 'good', 'bad'), [
  (int, [3], [True, 3.0, '3', None]), (float, [3, 0.5], [True, '0.5']), (str | None, ['a', None], [3]),
  (tuple[str, ...], [('a',), ['a']], ['a', (1,)]), (dict[str, int], [{'a': 1}], [{'a': 'b'}, 3]),
  (seqio.Vocabulary, [seqio.PassThroughVocabulary(3)], ['t5']), (bool, [True], [0]),
  (tuple[str, int | None], [('a', 3), ['a', None]], [('a',), ('a', 'b'), 'ab', ('a', 3, 3)]),
])  # fmt: skip
def test_values_are_held_to_the_kinds_of_a_signature(hint, good, bad):
  assert all(arguments.accepts(value, hint) for value in good)
  assert not any(arguments.accepts(value, hint) for value in bad)


def test_tasks_without_rows_are_left_out_on_request_and_each_dataset_is_told_once(real_tasks):
  kept, lines = parts.on_disk(['flan2021.commonsense', 'flan2021.sst2', 'flan2021.piqa.template_0'], 'train')
  assert kept == ['flan2021.copa', 'flan2021.sst2']
  assert sorted(line.split("'")[1] for line in lines) == ['hellaswag', 'piqa', 'story_cloze']
  assert sorted(lines.values()) == [['flan2021.hellaswag'], ['flan2021.piqa', 'flan2021.piqa.template_0'],
                                    ['flan2021.story_cloze']]
  assert all(line.startswith('left out: Dataset ') and 'is not prepared in' in line for line in lines)
  assert parts.on_disk(['flan2021.question_classification'], 'train') == (['flan2021.question_classification'], {})
  with pytest.raises(UserError, match="SKIP_UNAVAILABLE leaves nothing of flan2021.piqa. left out: Dataset 'piqa'"):
    parts.on_disk(['flan2021.piqa'], 'train')
