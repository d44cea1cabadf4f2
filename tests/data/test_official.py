"""Reading official template files: as data, never as code; and their patterns as our templates."""

import pathlib

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.dataset import QUOTED_ANSWER, Dataset, text_fields
from flan_jax.data.official import (
  FewShotPattern,
  OfficialDataset,
  Pattern,
  Wording,
  drop_incomplete,
  read_official_few_shot,
  read_official_templates,
  templates,
)
from flan_jax.data.registry import get_mixture_or_task, register_family
from flan_jax.errors import UserError
from tasks.flan2021 import DATASETS
from tasks.flan2021.official import official_datasets
from tasks.flan2021.official.table import TABLE
from tests.tasks.flan2021 import official_rules

OFFICIAL_PATTERNS = pathlib.Path(official_rules.__file__).with_name('official_patterns.py')

WORDING = Wording({'text': 'body', 'summary': 'answer'}, {'lang2': 'Old {Norse}'})


def _file(tmp_path: pathlib.Path, text: str) -> pathlib.Path:
  file = tmp_path / 'templates.py'
  file.write_text(text, encoding='utf-8')
  return file


def test_reads_pairs_in_order_with_joined_and_escaped_strings(tmp_path):
  file = _file(
    tmp_path,
    '"""Doc."""\nimport copy\n\nPATTERNS = {\n'
    '  "a": [\n    ("One \\"{text}\\"\\n"\n     "two", "{summary}"),\n    ("Three é", \'{text}\'),\n  ],\n'
    '  "b": [["x", "y"]],\n}\nPATTERNS["c"] = PATTERNS["a"]\nOTHER = [chr(x) for x in range(3)]\n',
  )
  assert read_official_templates(file) == {
    'a': [('One "{text}"\ntwo', '{summary}'), ('Three é', '{text}')],
    'b': [('x', 'y')],
    'c': [('One "{text}"\ntwo', '{summary}'), ('Three é', '{text}')],
  }


@pytest.mark.parametrize(
  ('code', 'message'),
  [
    ('PATTERNS = {"a": [(open("{flag}", "w").name, "x")]}', r'templates\.py:1: open\(.*is not a literal'),
    ('PATTERNS = {\n  "a": [("x", "y")],\n  "b": [(f"{1}", "y")],\n}', r"templates\.py:3: f'\{1\}' is not a literal"),
    ('PATTERNS = {"a": [__import__("os").system("touch {flag}")]}', r'should be a pair'),
    ('PATTERNS = {**globals()}', r'takes in globals\(\)'),
    ('PATTERNS = dict(a=open("{flag}", "w"))', r'should be a dictionary literal, and is dict\('),
    ('PATTERNS = {"a": load("{flag}")}', r"PATTERNS\['a'\] should be a list"),
    ('PATTERNS = {"a": [("x", "y")]}\nPATTERNS["b"] = open("{flag}", "w")', r'templates\.py:2: an item of PATTERNS'),
    ('PATTERNS = {"a": [("x", "y")]}\nPATTERNS["b"] = PATTERNS["aa"]', r"has no key 'aa'. Did you mean 'a'"),
    ('PATTERNS = {"a": [("x", "y", "z")]}', r'should be a pair'),
    ('PATTERNS = {"a": [("x", 3)]}', r'templates\.py:1: here should be a text, and is 3'),
    ('PATTERN = {"a": []}', r"no dictionary called PATTERNS\. Did you mean 'PATTERN'"),
    ('', r'no dictionary called PATTERNS\. It assigns nothing'),
    ('PATTERNS = {', r'templates\.py:1: this is not Python'),
    ('PATTERNS = "\0"', r'null bytes'),
    ('PATTERNS = {"a": [("x", ' + '+'.join(['"y"'] * 3000) + ')]}', r'templates\.py'),
    ('PATTERNS = {"a": [("x", ' + '-' * 3000 + '1)]}', r'templates\.py'),
    ('PATTERNS = ' + '(' * 5000 + ')' * 5000, r'templates\.py'),
  ],
)
def test_refuses_what_is_no_literal_and_runs_nothing(code, message, tmp_path):
  flag = tmp_path / 'flag'
  file = _file(tmp_path, f'open({str(flag)!r}, "w")\n'.replace('\n', ';') + code.replace('{flag}', str(flag)))
  with pytest.raises(UserError, match=message) as caught:
    read_official_templates(file)
  assert not flag.exists()
  assert '\n' not in str(caught.value)


def test_code_beside_the_dictionary_does_not_run(tmp_path):
  flag = tmp_path / 'flag'
  (tmp_path / 'harm.py').write_text(f'open({str(flag)!r}, "w")\n')
  code = f'import harm\nopen({str(flag)!r}, "w")\nPATTERNS = {{"a": [("x", "y")]}}\nraise SystemExit(3)\n'
  assert read_official_templates(_file(tmp_path, code)) == {'a': [('x', 'y')]}
  assert not flag.exists()


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(UserError, match=r'nowhere\.py cannot be read: No such file'):
    read_official_templates(tmp_path / 'nowhere.py')


def test_few_shot_patterns_keep_their_delimiters(tmp_path):
  file = _file(
    tmp_path,
    'import dataclasses\n@dataclasses.dataclass\nclass FewShotPattern:\n  inputs: str\n\n'
    'FEWSHOT_PATTERNS = {\n  "a": [\n'
    '    FewShotPattern(inputs="{text}?", targets="{summary}", inputs_prefix="Q: ", targets_prefix="A: ",\n'
    '                   x_y_delimiter="\\n==\\n", example_separator="\\n", in_template_mix=False),\n'
    '    templates.FewShotPattern("{text}", "{summary}"),\n  ],\n}\n',
  )
  first, second = read_official_few_shot(file)['a']
  assert first == FewShotPattern('{text}?', '{summary}', 'Q: ', 'A: ', '\n==\n', '\n', in_template_mix=False, line=8)
  assert first.exemplar() == Pattern('Q: {text}?\n==\nA: ', '{summary}\n', 8)
  assert (second.x_y_delimiter, second.example_separator, second.in_template_mix) == ('\n\n', '\n\n\n', True)


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    ('FewShotPattern(inputs="x", targets="y", prefix="z")', "no argument 'prefix'. Did you mean"),
    ('FewShotPattern(**settings)', 'no argument None'),
    ('FewShotPattern(inputs="x")', 'needs inputs and targets'),
    ('FewShotPattern(inputs="x", targets=1)', 'targets should be a str, and is 1'),
    ('FewShotPattern(inputs="x", targets=str(1))', r'str\(1\) is not a literal'),
    ('Other(inputs="x", targets="y")', r'should be FewShotPattern\(...\)'),
    ('("x", "y")', r'should be FewShotPattern\(...\)'),
  ],
)
def test_few_shot_patterns_are_checked(call, message, tmp_path):
  with pytest.raises(UserError, match=rf'templates\.py:2: .*{message}'):
    read_official_few_shot(_file(tmp_path, f'FEWSHOT_PATTERNS = {{\n  "a": [{call}]}}'))


def _template(inputs, targets='{summary}', wording=WORDING):
  return templates([Pattern(inputs, targets, 7)], wording, 'templates.py', 'a')[0]


def test_placeholders_are_renamed_and_options_are_one_block():
  template = _template('{text}\n{options_} {options_str}')
  assert (template.inputs, template.targets) == ('{body}\n{options} {options}', '{answer}')
  assert not template.inverted


def test_only_names_in_braces_are_placeholders():
  """Other braces are themselves, as the official formatter has it: `{{text}}` is a field between two braces."""
  fields = {'body': tf.constant('B {text}'), 'answer': tf.constant('A')}
  inputs, targets = _template('{{text}} } {{ {lang2}', '{lang2} {').render(fields)
  assert inputs.numpy() == b'{B {text}} } {{ Old {Norse}'
  assert targets.numpy() == b'Old {Norse} {'


@pytest.mark.parametrize('braced', ['{0.__class__}', '{text.__init__.__globals__}', '{text!r}', '{text[0]}', '{a b}'])
def test_braces_around_anything_else_are_refused(braced):
  with pytest.raises(UserError, match=r"^templates\.py:7: 'a': '\{.*\}' is not a placeholder, which is a name"):
    _template(f'See {braced}')


@pytest.mark.parametrize(
  ('name', 'hint'), [('texts', "Did you mean 'text'"), ('0', 'Known'), ('', 'Known'), ('lang', "Did you mean 'lang2'")]
)
def test_unknown_placeholders_are_named_with_what_exists(name, hint):
  with pytest.raises(UserError, match=rf"templates\.py:7: 'a': this dataset has no placeholder \{{{name}\}}\. {hint}"):
    _template(f'See {{{name}}}')


def test_empty_inputs_are_refused():
  with pytest.raises(UserError, match='the inputs are empty'):
    _template('')


def test_a_target_that_says_more_than_the_answer_is_inverted_and_leaks_nowhere():
  chosen = (_template('{text}', '{text} {summary}'), _template('{text}'), _template('{text} ', '\n{summary}'))
  assert [template.inverted for template in chosen] == [True, False, False]
  dataset = OfficialDataset(
    'd', 'c', 's:1.0.0', lambda row: {'body': row['b'], 'answer': row['a']}, templates=(*chosen, chosen[1])
  )
  example = dataset.example({'b': tf.constant('B'), 'a': tf.constant('A')})
  assert chosen[0].render(example)[1].numpy() == b'B A'
  assert QUOTED_ANSWER not in text_fields(example)
  assert dataset.answerable == (1, 2, 3)


def test_templates_of_ours_still_must_differ():
  with pytest.raises(UserError, match='have the same inputs'):
    Dataset('d', 'c', 's:1.0.0', lambda row: {'answer': row['a']}, templates=(_template('x'), _template('x')))


def test_the_dialogue_of_lamda():
  wording = Wording(WORDING.names, dialogue=True)
  assert _template('Say {text}.', wording=wording).inputs == '0 Say {body}. X 1 FLAN'


@pytest.mark.parametrize(('rows', 'kept'), [(9, 9), (10, 9), (11, 9), (2, 0)])
def test_an_incomplete_round_is_dropped(rows, kept):
  rows = tf.data.Dataset.range(rows).map(lambda i: {'id': i, 'nested': {'ragged': tf.range(i)}})
  found = list(drop_incomplete(rows, 3).as_numpy_iterator())
  assert [row['id'] for row in found] == list(range(kept))
  assert [len(row['nested']['ragged']) for row in found] == list(range(kept))


def test_one_template_drops_nothing():
  assert len(list(drop_incomplete(tf.data.Dataset.range(7), 1))) == 7


def test_dropping_keeps_the_position_in_the_data(tmp_path):
  """A run that stops and goes on saves the iterator."""

  def iterator():
    return iter(drop_incomplete(tf.data.Dataset.range(8).map(lambda i: {'id': i}), 3))

  first = iterator()
  seen = [int(next(first)['id']) for _ in range(4)]
  path = tf.train.Checkpoint(iterator=first).save(str(tmp_path / 'position'))
  second = iterator()
  tf.train.Checkpoint(iterator=second).restore(path)
  assert seen + [int(row['id']) for row in second] == list(range(6))


@pytest.mark.parametrize('name', ['rte', 'copa', 'wsc', 'common_gen'])
def test_a_family_of_official_templates_gives_the_official_examples_in_turn(name, registries, real_tfds):
  """Registered as a user does it, read through SeqIO: row i of the stream under template i modulo four."""
  ours = next(dataset for dataset in DATASETS if dataset.name == name)
  (dataset,) = official_datasets(OFFICIAL_PATTERNS, [ours], faithful=True)
  register_family('official', [dataset])
  task = get_mixture_or_task(f'official.{name}.round_robin')
  stream = task.get_dataset(
    sequence_length={'inputs': 4096, 'targets': 512}, split='test', shuffle=False, try_in_mem_cache=False
  )
  found = [(e['inputs_pretokenized'].decode(), e['targets_pretokenized'].decode()) for e in stream.as_numpy_iterator()]
  patterns = read_official_templates(OFFICIAL_PATTERNS)[TABLE[name].key]
  rows = tfds.builder(dataset.source, data_dir=str(real_tfds)).as_dataset(split='validation', shuffle_files=False)
  fields = [official_rules.official(name, official_rules.text(row)) for row in rows.as_numpy_iterator()]
  whole = len(fields) // len(patterns) * len(patterns)  # the official stream ends here
  assert found == [
    tuple(official_rules.filled(text, fields[index]) for text in patterns[index % len(patterns)])
    for index in range(whole)
  ]
