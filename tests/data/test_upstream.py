"""Benchmarks in their authors' files: found by an environment variable when they are read, and refused where broken."""

import json

import pytest

from flan_jax.data import bbh_files, gsm8k_files
from flan_jax.data.dataset import Dataset
from flan_jax.data.source import rows_of
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from flan_jax.data.upstream import Upstream
from flan_jax.errors import UserError

VARIABLE = 'FLAN_JAX_MADE_UP'
LISTED = 'Which is a fruit?\nOptions:\n(A) a pear\n(B) a pan\n(C) a pen'
PROMPT = """canary
-----
Sort things.

They are few.

Q: Which is a tool?
Options:
(A) a saw
(B) a sea
A: Let's think step by step.
The answer is not (B), which is water. So the answer is (A).

Q: Which is a sum?
A: Let's think step by step.
1 + 1 is. So the answer is 1 + 1.
"""
SUMS = ((1, 2), (2, 4), (600, 1200))
PROBLEMS = [{'question': f'Ann has {n} nuts and finds {n}.', 'answer': f'Ann has {n}+{n}=<<{n}={m}>>{m}\n#### {m:,}'}
            for n, m in SUMS]  # fmt: skip


def write_bbh(folder, examples, prompt=PROMPT):
  for name in ('bbh', 'cot-prompts'):
    (folder / name).mkdir(exist_ok=True)
  content = examples if isinstance(examples, str) else json.dumps({'canary': '', 'examples': examples})
  (folder / 'bbh' / 'things.json').write_text(content)
  (folder / 'cot-prompts' / 'things.txt').write_text(prompt)
  return str(folder)


def write_gsm8k(folder, test, train=PROBLEMS):
  for name, problems in (('test', test), ('train', train)):
    (folder / f'{name}.jsonl').write_text(''.join(f'{json.dumps(problem)}\n' for problem in problems))
  return str(folder)


def dataset():
  source = Upstream(VARIABLE, 'a folder of things', 'bbh/things.json', lambda f: bbh_files.read_task(f, 'things'))
  return Dataset(
    name='things', cluster='things', source=source, splits=Splits(None, None, 'test'), templates=(Template('{text}'),),
    fields=lambda row: {'text': row['input'], 'answer': row['target'], 'options': row['options']})  # fmt: skip


def test_a_task_is_read_as_it_stands_with_the_labels_of_its_list(tmp_path):
  folder = write_bbh(tmp_path, [{'input': LISTED, 'target': '(A)'}, {'input': 'A fruit? (A) yes', 'target': 'yes'}])
  first, second = bbh_files.read_task(folder, 'things').rows
  assert first == {'input': LISTED, 'target': '(A)', 'options': ['(A)', '(B)', '(C)']}
  assert second['options'] == []  # a label in the text is no list


def test_solved_examples_keep_their_reasoning_or_only_the_answer(tmp_path):
  folder = write_bbh(tmp_path, [{'input': LISTED, 'target': '(A)'}])
  (row,) = bbh_files.read_task(folder, 'things', 'answers').rows
  assert row['solved'] == ('Sort things.\n\nThey are few.\n\nQ: Which is a tool?\nOptions:\n(A) a saw\n(B) a sea\n'
                           'A: (A)\n\nQ: Which is a sum?\nA: 1 + 1')
  (row,) = bbh_files.read_task(folder, 'things', 'reasoning').rows
  assert row['solved'] == PROMPT.removeprefix('canary\n-----\n').strip()


@pytest.mark.parametrize(('examples', 'prompt', 'message'), [
  ('{', PROMPT, r'things\.json is not JSON \(.*line 1'),
  ('[]', PROMPT, r'things\.json has no list "examples"'),
  ([{'input': 'a'}], PROMPT, r'things\.json, example 0 is not an "input" and a "target"'),
  ([{'input': 'a\nOptions:\n(A) b\n(C) d', 'target': '(A)'}], PROMPT, r'0: its options are called \(A\), \(C\)'),
  ([{'input': 'a', 'target': 'b'}], 'Q: a', r'things\.txt has no line "-----"'),
  ([{'input': 'a', 'target': 'b'}], 'c\n-----\nSort.', r'things\.txt has no solved example'),
  ([{'input': 'a', 'target': 'b'}], 'c\n-----\nSort.\n\nQ: a\nA: b', r'things\.txt, example 0: one answer is expected'),
])  # fmt: skip
def test_a_task_written_otherwise_is_refused(tmp_path, examples, prompt, message):
  folder = write_bbh(tmp_path, examples, prompt)
  with pytest.raises(UserError, match=message):
    bbh_files.read_task(folder, 'things', 'answers')


def test_problems_end_in_a_number_and_solutions_lose_their_annotations(tmp_path):
  read = gsm8k_files.read_test(write_gsm8k(tmp_path, PROBLEMS))
  assert [row['number'] for row in read.rows] == ['2', '4', '1200']
  assert read.rows[0] == {'question': 'Ann has 1 nuts and finds 1.', 'number': '2', 'solution': 'Ann has 1+1=2'}
  assert read.place(2).endswith('test.jsonl:3')


def test_the_first_training_problems_are_solved_before_each_question(tmp_path):
  read = gsm8k_files.read_test(write_gsm8k(tmp_path, PROBLEMS[:1], PROBLEMS), shots=2)
  assert read.rows[0]['solved'] == (
    'Question: Ann has 1 nuts and finds 1.\nAnswer: Ann has 1+1=2\nThe answer is 2.\n\n'
    'Question: Ann has 2 nuts and finds 2.\nAnswer: Ann has 2+2=4\nThe answer is 4.')
  with pytest.raises(UserError, match=r'train\.jsonl has 3 problems; 8 are needed'):
    gsm8k_files.read_test(str(tmp_path), shots=8)


@pytest.mark.parametrize(('problem', 'message'), [
  ({'question': 'a', 'answer': 'so 2'}, r'test\.jsonl:1: the answer does not end in a line "#### "'),
  ({'question': 'a', 'answer': 'so\n#### two'}, 'does not end in'),
  ({'question': 'a'}, r'test\.jsonl:1 has the fields question; a problem of GSM8K is'),
])  # fmt: skip
def test_a_problem_written_otherwise_is_refused(tmp_path, problem, message):
  with pytest.raises(UserError, match=message):
    gsm8k_files.read_test(write_gsm8k(tmp_path, [problem]))


def test_the_variable_is_looked_up_whenever_rows_are_read(tmp_path, monkeypatch):
  source = rows_of(dataset())
  assert list(source.splits) == ['test']
  for count in (1, 2):
    folder = tmp_path / str(count)
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, write_bbh(folder, [{'input': LISTED, 'target': '(A)'}] * count))
    assert source.num_input_examples('test') == count
    assert [row['target'] for row in source.get_dataset('test', shuffle=False).as_numpy_iterator()] == [b'(A)'] * count


def test_without_the_folder_one_sentence_names_the_variable(tmp_path, monkeypatch):
  source = rows_of(dataset())
  monkeypatch.delenv(VARIABLE, raising=False)
  assert source.why_missing('test') == (
    f"Dataset 'things': the environment variable {VARIABLE} is not set; it should name a folder of things.")
  monkeypatch.setenv(VARIABLE, str(tmp_path))
  with pytest.raises(UserError, match=f'{VARIABLE} is {tmp_path}, and should name a folder of things: there is no'):
    source.rows('test')
  assert source.origin == '$FLAN_JAX_MADE_UP/bbh/things.json'


def test_nothing_of_it_trains(tmp_path, monkeypatch):
  monkeypatch.setenv(VARIABLE, write_bbh(tmp_path, [{'input': LISTED, 'target': '(A)'}]))
  with pytest.raises(UserError, match=r"has no 'train' rows.*test \(1 rows\)"):
    rows_of(dataset()).rows('train')
