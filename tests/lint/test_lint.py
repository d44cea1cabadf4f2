"""Every fault is found on its line, nothing else is, and ours has none."""

import collections
import pathlib
import re
import sys

import pytest

from flan_jax.lint import rows
from flan_jax.lint.faults import RULES, WARNINGS
from scripts import inspect_tasks

MODULE = 'tests.lint.faulty_tasks'
FILE = pathlib.Path(__file__).with_name('faulty_tasks.py')
FINDING = re.compile(r'(?P<file>\S+):(?P<line>\d+): (?P<kind>fault|warning) \[(?P<rule>[\w-]+)\] [^:]*: .*')


def run(capfd, *flags):
  """Lints by the script and returns the exit code, the findings, and the other lines."""
  capfd.readouterr()
  code = inspect_tasks.main(['lint', *flags])
  lines = capfd.readouterr().out.splitlines()
  matches = [FINDING.fullmatch(line) for line in lines]
  return code, [match for match in matches if match], [line for line in lines if not FINDING.fullmatch(line)]


@pytest.fixture
def lint(untouched, capfd):
  return lambda *flags: run(capfd, f'--module={MODULE}', f'--tfds_data_dir={untouched}', *flags)


def expected():
  """(line, rule) of every seeded fault."""
  lines = enumerate(FILE.read_text().splitlines(), start=1)
  return collections.Counter((number, line.split('# expect: ')[1]) for number, line in lines if '# expect: ' in line)


def test_every_seeded_fault_is_found_on_its_line_and_nothing_else(lint):
  code, findings, said = lint('faulty', '--rows=60')
  assert code == 1
  assert {match['file'] for match in findings} == {'tests/lint/faulty_tasks.py'}
  assert collections.Counter((int(match['line']), match['rule']) for match in findings) == expected()
  assert {match['rule'] for match in findings if match['kind'] == 'warning'} == WARNINGS
  faults = sum(rule not in WARNINGS for _, rule in expected().elements())
  assert said == [f'15 datasets, 40 templates, 720 rows: {faults} findings (1 warning; 1 allowed by comments)']


def test_every_rule_has_a_seeded_fault():
  assert {rule for _, rule in expected()} == RULES.keys() - {'too-long'}  # which needs a limit, not another declaration


def test_findings_say_what_would_be_right(lint):
  _, findings, _ = lint('faulty.faulty_fields', 'faulty.faulty_other_options')
  told = '\n'.join(match[0] for match in findings)
  assert "faulty_fields, template 0: there is no field 'secnd'. Did you mean 'second'?" in told
  assert re.search(r"200 of 200 train rows \(the first is flan_quickstart-train\S+__0\) have an answer that is none of "
                   r"the options: '(yes|no)' is not among 'Yes', 'No'\.", told)  # fmt: skip


def test_without_rows_the_declarations_alone_are_judged(lint):
  code, findings, said = lint('faulty', '--rows=0')
  static = {'unknown-field', 'answer-in-inputs', 'stray-character', 'near-duplicate', 'too-many-inverted',
            'options-not-rendered', 'options-unseen'}  # fmt: skip
  assert code == 1 and {match['rule'] for match in findings} == static
  assert '0 rows' in said[0] and '15 datasets by static checks only' in said[0]


def test_examples_that_do_not_fit_are_counted_and_too_many_are_a_fault(lint):
  flags = ('faulty.faulty_free_text', 'faulty.faulty_twice', '--vocabulary=bytes', '--targets_length=32')
  code, findings, said = lint(*flags, '--inputs_length=40', '--rows=40')
  assert code == 1 and [match['rule'] for match in findings].count('too-long') == 2
  assert any(re.fullmatch(r'cut at 40 and 32 tokens: faulty_free_text: inputs \d+\.\d%', line) for line in said)
  _, findings, _ = lint(*flags, '--inputs_length=40', '--rows=40', '--max_cut=1')
  assert 'too-long' not in {match['rule'] for match in findings}


def test_ours_is_clean(untouched, capfd):
  """All 70 datasets of FLAN 2021 and the embedded suite, which has rows of two configurations here."""
  code, findings, said = run(capfd, f'--tfds_data_dir={untouched}', '--rows=50', 'flan2021', 'quickstart')
  assert (code, findings) == (0, [])
  (line,) = said
  assert line.startswith('91 datasets, 838 templates, 150 rows: no findings (88 datasets by static checks only; ')


@pytest.mark.slow
@pytest.mark.parametrize('folder', ['tfds', 'tfds_tiny'])
def test_ours_is_clean_on_real_rows(untouched, real_data, capfd, folder):
  vocabulary = real_data / 'vocabs' / 't5_cc_all.32000.model'
  flags = (f'--tfds_data_dir={real_data / folder}', f'--vocabulary={vocabulary}', 'flan2021')
  code, findings, said = run(capfd, *flags)
  assert (code, findings) == (0, [])
  assert re.match(r'70 datasets, 700 templates, [\d,]+ rows: no findings', said[-1])


def test_linting_needs_no_module_of_ours(tmp_path, monkeypatch, untouched, capfd):
  (tmp_path / 'my_tasks.py').write_text(
    'from flan_jax.data.dataset import Dataset\n'
    'from flan_jax.data.registry import register_family\n'
    'from flan_jax.data.template import Template\n'
    "register_family('mine', [Dataset(name='m', cluster='c', source='glue/sst2:2.0.0', fields=dict,\n"
    "  options=('a', 'b'), templates=(Template('{sentnce}{options}'),))], check=False)\n"
  )
  monkeypatch.syspath_prepend(tmp_path)
  code, findings, _ = run(capfd, '--module=my_tasks', 'mine')
  sys.modules.pop('my_tasks')
  assert code == 1 and [match['rule'] for match in findings] == ['unknown-field']
  assert (findings[0]['file'], findings[0]['line']) == (str(tmp_path / 'my_tasks.py'), '5')


@pytest.mark.parametrize(('ends', 'leaks'), [('valid or invalid', False), ('it is: {}', True), ('it is:{}', True)])
def test_an_answer_at_the_end_counts_as_words_of_its_own(ends, leaks):
  found = [('valid', 'invalid')[n % 2] for n in range(20)]
  texts = [ends.format(answer) for answer in found]
  assert (sum(map(rows._ends, texts, found)) == 20) == leaks
