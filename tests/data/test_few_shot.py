"""Exemplars on real rows: of the training rows only, never the question itself, as many as the budget holds."""

import collections

import numpy as np
import pytest
import seqio

from flan_jax.data import iterator, provenance, registry, vocabulary
from flan_jax.data.dataset import Dataset
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tests.data.conftest import restored

LENGTHS = {'inputs': 1024, 'targets': 64}


def read(task, split='test', count=40, lengths=LENGTHS, seed=0):
  dataset = registry.get_mixture_or_task(task).get_dataset(lengths, split=split, shuffle=False, seed=seed)
  return list(dataset.take(count).as_numpy_iterator())


def ids(task, split):
  return {row['tfds_id'] for row in registry.get_mixture_or_task(task).source.get_dataset(
    split, shuffle=False).as_numpy_iterator()}  # fmt: skip


def parts(text):
  """The solved exemplars of a prompt as (question, answer), and the question that is asked."""
  *solved, asked = text.decode().split('Input: ')[1:]
  return [tuple(each.removesuffix('\n\n').split('\nOutput: ')) for each in solved], asked.removesuffix('\nOutput:')


@pytest.mark.parametrize('split', ['train', 'test'])
@pytest.mark.parametrize('task', ['flan2021.cb.5shot', 'flan2021.cb.template_1.10shot', 'flan2021.trec.3shot'])
def test_exemplars_are_training_rows_distinct_and_never_the_question(task, split, real_tfds):
  training = ids(task, 'train')
  found = read(task, split, 150, LENGTHS | {'inputs': 100_000})
  assert {len(example['exemplars']) for example in found} == {registry.task_info(task).variant.exemplars(None)}
  for example in found:
    exemplars = example['exemplars'].tolist()
    assert set(exemplars) <= training
    assert len(set(exemplars)) == len(exemplars)
    assert example['tfds_id'] not in exemplars


def test_exemplars_are_asked_as_the_question_is_and_solved_rightly(real_tfds):
  """Each is the row that its id names, rendered by the question's own template."""
  task = 'flan2021.cb.3shot'
  dataset = registry.task_info(task).dataset
  rows = {row['tfds_id'].numpy(): row for row in registry.get_mixture_or_task(task).source.get_dataset(
    'train', shuffle=False)}  # fmt: skip
  seen = set()
  for example in read(task, 'test', 56):
    template = dataset.templates[example['template']]
    solved, _ = parts(example['inputs_pretokenized'])
    expected = [tuple(text.numpy().decode() for text in template.render(dataset.example(rows[row])))
                for row in example['exemplars']]
    assert solved == expected
    seen.add(int(example['template']))
  assert len(seen) == 10


@pytest.mark.parametrize('name', ['flan2021.cb.5shot', 'flan2021.aeslc.2shot', 'flan2021.copa.template_3.10shot'])
def test_tokens_are_those_of_the_whole_text(name, real_tfds):
  """Exemplars are tokenized apart from their questions; put together they read as one text does."""
  encode = registry.FEATURES['inputs'].vocabulary.encode
  for example in read(name, count=30):
    whole = encode(example['inputs_pretokenized'].decode())
    assert example['inputs'].tolist() == [*whole[: LENGTHS['inputs'] - 1], 1]


def test_bytes_are_those_of_the_whole_text(real_data, real_tfds):
  with restored(vocabulary._ACTIVE):
    vocabulary.use_vocabulary(seqio.ByteVocabulary())
    for example in read('flan2021.cb.3shot', count=20, lengths={'inputs': 100_000, 'targets': 64}):
      assert bytes(token - 3 for token in example['inputs'][:-1]) == example['inputs_pretokenized']


@pytest.mark.parametrize('limit', [300, 450, 800])
def test_exemplars_that_do_not_fit_go_from_the_last_one_on(limit, real_tfds):
  """The same draw with more room has the same first exemplars, and one more would not have fitted."""
  task, encode = 'flan2021.cb.10shot', registry.FEATURES['inputs'].vocabulary.encode
  whole, cut = (read(task, count=56, lengths=LENGTHS | {'inputs': room}) for room in (100_000, limit))
  kept = collections.Counter()
  for full, short in zip(whole, cut, strict=True):
    exemplars = short['exemplars'].tolist()
    assert full['exemplars'].tolist()[: len(exemplars)] == exemplars
    (record,) = provenance.decode(short['provenance'], [task])
    assert record.exemplars_left_out == 10 - len(exemplars)
    solved, asked = parts(full['inputs_pretokenized'])
    sizes = [len(encode(f'Input: {question}\nOutput: {answer}\n\n')) for question, answer in solved]
    used = len(encode(f'Input: {asked}\nOutput:')) + sum(sizes[: len(exemplars)]) + 1
    assert used <= limit or not exemplars
    assert used + sizes[len(exemplars)] > limit
    assert record.flags & provenance.INPUTS_TRUNCATED == (used > limit)
    kept[len(exemplars)] += 1
  assert len(kept) > 2


def test_fewshot_takes_as_many_as_the_dataset_declares(real_tfds):
  assert {len(example['exemplars']) for example in read('flan2021.cb.template_0.fewshot',
                                                        lengths=LENGTHS | {'inputs': 100_000})} == {16}


def test_the_seed_draws_the_exemplars(real_tfds):
  drawn, again, others = ([tuple(example['exemplars']) for example in read('flan2021.cb.5shot', seed=seed)]
                          for seed in (0, 0, 1))
  assert drawn == again != others
  assert len({exemplars for row in drawn for exemplars in row}) > 40


def test_with_few_training_rows_there_are_fewer_exemplars_and_they_are_counted(registries, real_tfds):
  tiny = Dataset(
    name='tiny', cluster='any', source='super_glue/cb:1.0.2', options=('a', 'b', 'c'),
    splits=Splits(train='train[:4]', validation=None, test='validation'),
    fields=lambda row: {'text': row['premise'], 'label': row['label']},
    templates=(Template('{text} {options}'), Template('What is said? {text} {options}')),
  )  # fmt: skip
  registry.register_family('mine', [tiny], check=False)
  for split, most in (('train', 3), ('test', 4)):
    for example in read('mine.tiny.template_0.5shot', split):
      assert len(set(example['exemplars'].tolist())) == len(example['exemplars']) == most
      (record,) = provenance.decode(example['provenance'], ['mine.tiny.template_0.5shot'])
      assert record.exemplars_left_out == 5 - most


def test_exemplars_train_packed_and_resume_exactly(real_tfds):
  def stream():
    return iterator.batches('flan2021.cb.3shot', {'inputs': 512, 'targets': 32}, 2, seed=5)

  batches = stream()
  for _ in range(3):
    next(batches)
  position = batches.get_state()
  after = [next(batches) for _ in range(3)]
  resumed = stream()
  resumed.set_state(position)
  for batch in after:
    found = next(resumed)
    assert all(np.array_equal(found[name], batch[name]) for name in batch)
