"""BIG-Bench-Hard and GSM8K: on made-up files with every shape that theirs have, and on theirs."""

import json

import pytest
import seqio

from flan_jax.data import registry, vocabulary
from flan_jax.data.rows import rows
from flan_jax.data.source import rows_of
from flan_jax.errors import UserError
from flan_jax.evaluation.protocol import evaluate_task
from flan_jax.inspection import names
from flan_jax.lint.run import lint
from flan_jax.runs import parts
from tasks import extra
from tasks.extra import bbh, gsm8k
from tests.data.conftest import restored

EVERY = (*bbh.DIRECT, *bbh.THREE_SHOT, *bbh.REASONED, *gsm8k.DATASETS)
SMALLER = {'causal_judgement': 187, 'penguins_in_a_table': 146, 'snarks': 178}  # the other tasks have 250 rows
# Titles split at their commas: no label of the list is the answer.
BROKEN = {'movie_recommendation': ['Monsters, Inc'], 'ruin_names': ['dearth, wind, & fire', 'rita, sue and bob poo']}
FREE_TEXT = {'dyck_languages', 'multistep_arithmetic_two', 'object_counting', 'word_sorting'}


class LikesTheFirst:
  """Scores the first option highest."""

  def options(self, inputs, options):
    return [[-float(place) for place in range(len(choices))] for choices in options]


@pytest.fixture(autouse=True)
def byte_vocabulary():
  with restored(vocabulary._ACTIVE):
    vocabulary.use_vocabulary(seqio.ByteVocabulary())
    yield


@pytest.fixture
def made_up(tmp_path, monkeypatch):
  """Both benchmarks in miniature: two rows of every task."""
  for folder in ('bbh', 'cot-prompts'):
    (tmp_path / folder).mkdir()
  for task in bbh.DIRECT:
    answers = task.options or (('(B)', '(A)') if task.options == () else ('3', '4 5'))
    listed = '\nOptions:\n(A) up\n(B) down' if task.options == () else ''
    examples = [{'input': f'Case {n}?{listed}', 'target': answer} for n, answer in enumerate(answers)]
    (tmp_path / 'bbh' / f'{task.name}.json').write_text(json.dumps({'canary': '', 'examples': examples}))
    (tmp_path / 'cot-prompts' / f'{task.name}.txt').write_text(
      f'canary\n-----\nDo it.\n\nQ: Old{listed}\nA: {bbh.STEPS}\nOld it is. So the answer is {answers[0]}.\n')
  problems = ''.join(json.dumps({'question': f'{n} and {n}?', 'answer': f'<<{n}+{n}>>It grows.\n#### {2 * n}'}) + '\n'
                     for n in range(1, 10))  # fmt: skip
  for split in ('train', 'test'):
    (tmp_path / f'{split}.jsonl').write_text(problems)
  monkeypatch.setenv(bbh.VARIABLE, str(tmp_path))
  monkeypatch.setenv(gsm8k.VARIABLE, str(tmp_path))
  return tmp_path


@pytest.fixture
def real(real_data, monkeypatch):
  """The authors' files."""
  monkeypatch.setenv(bbh.VARIABLE, str(real_data / 'instructions' / 'bbh'))
  monkeypatch.setenv(gsm8k.VARIABLE, str(real_data / 'instructions' / 'gsm8k'))


def findings(datasets):
  return lint([(dataset, rows_of(dataset)) for dataset in datasets], rows=1500)


def test_tasks_and_mixtures_are_named_as_the_page_says():
  assert registry.tasks_of('bbh') == [f'bbh.{dataset.name}' for dataset in bbh.DIRECT]
  assert registry.tasks_of('bbh.3shot') == [f'bbh.{dataset.name}_3shot' for dataset in bbh.DIRECT]
  assert registry.tasks_of('bbh.cot') == [f'bbh.{dataset.name}_cot' for dataset in bbh.DIRECT]
  assert registry.tasks_of('grade_school_math') == ['gsm8k', 'gsm8k_cot']
  assert len(bbh.DIRECT) == 27 and {d.name for d in bbh.DIRECT if d.options is None} == FREE_TEXT
  assert len(parts.evaluation_tasks('bbh')) == 4 * 27
  assert registry.task_info('bbh.snarks.template_3.rank').dataset is bbh.DIRECT[19]


def test_exemplars_are_drawn_from_no_rows():
  assert 'bbh.5shot' not in registry.known_names() and 'bbh.first_2' in registry.known_names()
  with pytest.raises(UserError, match=r"no task 'bbh\.snarks\.5shot'"):
    registry.task_info('bbh.snarks.5shot')


def test_importing_needs_no_folder_and_the_linter_counts_what_it_cannot_read(monkeypatch):
  for variable in (bbh.VARIABLE, gsm8k.VARIABLE):
    monkeypatch.delenv(variable, raising=False)
  assert findings(EVERY).summary.startswith('83 datasets, 167 templates, 0 rows: no findings (83 datasets by')
  sizes = names.sizes(registry.task_info('bbh.snarks'))
  assert sizes == {'test': None}
  with pytest.raises(UserError, match=f'SKIP_UNAVAILABLE leaves nothing of bbh.*{bbh.VARIABLE} is not set'):
    parts.on_disk(['bbh'], 'test')


@pytest.mark.parametrize('name', ['boolean_expressions', 'snarks', 'word_sorting'])  # one of each kind
def test_every_template_asks_for_the_answer(made_up, name):
  for task in parts.evaluation_tasks(f'bbh.{name}'):
    found = rows(task)
    assert [row.inputs_pretokenized.count(f'Case {n}?') for n, row in enumerate(found)] == [1, 1]
    assert [row.targets_pretokenized for row in found] == [row.answer for row in found]
    assert all((row.answer in row.options) == (name not in FREE_TEXT) for row in found)


def test_solved_examples_come_first(made_up):
  first, second = rows('bbh.snarks_3shot')
  listed = '\nOptions:\n(A) up\n(B) down'
  assert first.inputs_pretokenized == f'Do it.\n\nQ: Old{listed}\nA: (B)\n\nQ: Case 0?{listed}\nA:'
  assert (second.answer, second.options) == ('(A)', ['(A)', '(B)'])
  reasoned, _ = rows('bbh.web_of_lies_cot')
  assert reasoned.inputs_pretokenized == (f'Do it.\n\nQ: Old\nA: {bbh.STEPS}\nOld it is. So the answer is Yes.\n\n'
                                          f'Q: Case 0?\nA: {bbh.STEPS}')
  assert (reasoned.answer, reasoned.options) == ('Yes', [])  # written, not ranked
  assert rows('gsm8k_cot')[0].inputs_pretokenized.count('The answer is') == gsm8k.SHOTS


@pytest.mark.parametrize(('task', 'written', 'metric', 'value'), [
  ('bbh.snarks_cot', ['(A) is meant. So the answer is (B).', 'So the answer is (B).'], 'stated_answer', 50),
  ('bbh.word_sorting.template_0', ['3', '5 4'], 'accuracy', 50),
  ('gsm8k.template_0', ['So 1 + 1 = 2.', '4 nuts', *['7'] * 7], 'final_number', 200 / 9),
])  # fmt: skip
def test_what_is_written_is_scored_by_its_conclusion(made_up, task, written, metric, value):
  asked = rows(task)
  metrics = registry.task_info(task).dataset.metrics
  texts = iter(written)
  result = evaluate_task(asked, generator=lambda inputs: [list(next(texts).encode()) for _ in inputs],
                         decode=lambda tokens: bytes(tokens).decode(), metrics=metrics)
  assert (result.method, result.metric, result.rows) == ('generate', metric, len(asked))
  assert result.metrics[metric].value == pytest.approx(value)


def test_real_rows_are_all_there_and_three_answers_are_known_to_be_no_option(real):
  for dataset in bbh.DIRECT:
    found = rows_of(dataset).tables['test'].records.rows
    assert len(found) == SMALLER.get(dataset.name, 250)
    if dataset.name not in FREE_TEXT:
      wrong = [row['target'] for row in found if row['target'] not in (dataset.options or row['options'])]
      assert wrong == BROKEN.get(dataset.name, [])
  assert sum(SMALLER.get(dataset.name, 250) for dataset in bbh.DIRECT) == 6511


def test_a_row_whose_answer_is_no_option_is_counted(real):
  result = evaluate_task(rows('bbh.ruin_names.template_0'), LikesTheFirst())
  assert (result.method, result.unanswerable, result.rows) == ('rank', 2, 248)


def test_real_files_have_three_solved_examples_each(real):
  for short, reasoned in zip(bbh.THREE_SHOT, bbh.REASONED, strict=True):
    before = rows_of(short).tables['test'].records.rows[0]['solved']
    assert before.count('\nA: ') == 3 and 'canary' not in before and bbh.STEPS not in before
    before = rows_of(reasoned).tables['test'].records.rows[0]['solved']
    assert before.count(f'\nA: {bbh.STEPS}') == 3 and before.count('So the answer is') == 3


def test_real_problems_have_whole_numbers_and_no_annotations(real):
  found = rows('gsm8k.template_0')
  assert len(found) == 1319 and all(row.answer.lstrip('-').isdigit() for row in found)
  assert found[0].answer == '18'
  (row,) = rows('gsm8k_cot', limit=1)
  assert '<<' not in row.inputs_pretokenized and '####' not in row.inputs_pretokenized


def test_the_linter_finds_nothing_in_real_rows(real):
  report = findings((*bbh.DIRECT, gsm8k.GSM8K))
  assert report.faults == [] and report.static_only == []
  assert report.rows == 6511 + 1319


def test_nothing_of_them_trains(made_up):
  assert all(dataset.splits.train is None for dataset in EVERY)
  with pytest.raises(UserError, match="has no 'train' rows"):
    parts.check_split(['bbh'], 'train')  # a mixture: SeqIO alone would count no rows and go on
  assert extra.BBH.name == 'bbh' and extra.GRADE_SCHOOL_MATH.prefix == ''
