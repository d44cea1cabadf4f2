"""Prompts of promptsource: its YAML without its Python, its Jinja in a sandbox, its rules about both."""

import pathlib

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.dataset import text_fields
from flan_jax.data.promptsource import Prompt, apply, most_frequent, prompt_dataset, prompt_named, read_promptsource
from flan_jax.errors import UserError

FILE = """\
dataset: mine
subset: part
templates:
  0b1c: !Template
    answer_choices: bad ||| good
    id: 0b1c
    jinja: 'A guest says: {{text}}

      Which is it, {{ answer_choices | join(" or ") }}?

      |||

      {{ answer_choices[label] }}'
    metadata: !TemplateMetadata
      choices_in_prompt: true
      languages:
      - en
      metrics:
      - Accuracy
      original_task: true
    name: which is it?
    reference: me
  0a00: !Template
    answer_choices: null
    id: 0a00
    jinja: "{% if label == 1 %}Praise it. ||| {{text}}{% endif %}"
    metadata: !TemplateMetadata
      original_task: false
    name: praise
"""
ROWS = [{'text': 'Fine.', 'label': 1}, {'text': 'Not a ||| fine one.', 'label': 0}]


def _read(tmp_path: pathlib.Path, text: str = FILE) -> list[Prompt]:
  file = tmp_path / 'templates.yaml'
  file.write_text(text, encoding='utf-8')
  return read_promptsource(file)


def _prompt(jinja: str, answer_choices: str | None = None) -> Prompt:
  return Prompt('mine', jinja, answer_choices)


def test_reads_the_fields_of_every_prompt(tmp_path):
  praise, which = _read(tmp_path)
  assert (praise.name, which.name) == ('praise', 'which is it?')
  assert which.answer_choices == 'bad ||| good'
  assert (which.original_task, praise.original_task) == (True, False)
  assert (which.choices_in_prompt, which.metrics, which.languages) == (True, ('Accuracy',), ('en',))
  assert (which.reference, which.columns) == ('me', {'text', 'label'})
  assert prompt_named([praise, which], 'praise') is praise


def test_choices_may_be_a_list(tmp_path):
  prompts = _read(tmp_path, FILE.replace('bad ||| good', '[bad, good]'))
  assert [example['options'] for example in apply(prompt_named(prompts, 'which is it?'), ROWS)] == [['bad', 'good']] * 2


def test_an_example_is_what_stands_on_both_sides_of_the_separator(tmp_path):
  which = prompt_named(_read(tmp_path), 'which is it?')
  assert list(apply(which, ROWS)) == [
    {'inputs': 'A guest says: Fine.\nWhich is it, bad or good?', 'targets': 'good', 'options': ['bad', 'good']},
    {'inputs': 'A guest says: Not a ||| fine one.\nWhich is it, bad or good?', 'targets': 'bad',
     'options': ['bad', 'good']},
  ]  # fmt: skip


def test_rows_that_a_prompt_passes_over_are_counted(tmp_path, caplog):
  rows = apply(prompt_named(_read(tmp_path), 'praise'), [*ROWS, {'text': ' ', 'label': 1}])
  for _ in range(2):  # a second iteration counts anew
    assert list(rows) == [{'inputs': 'Praise it.', 'targets': 'Fine.', 'options': []}]
    assert rows.skipped == {'no prompt': 1, 'no answer': 1}


@pytest.mark.parametrize('rows', [[], [{'text': 'x', 'label': 0}]])
def test_no_example_at_all_is_an_error(rows, tmp_path):
  with pytest.raises(UserError, match=r'templates\.yaml: prompt 0a00 .*: none of \d rows gives an example'):
    list(apply(prompt_named(_read(tmp_path), 'praise'), rows))


def test_choices_of_a_row_may_hold_the_separator():
  prompt = _prompt('{{ answer_choices | join("; ") }} ||| {{ answer_choices[1] }}', '{{ options | join(" ||| ") }}')
  (example,) = apply(prompt, [{'options': ['a', 'b']}])
  assert example == {'inputs': 'a; b', 'targets': 'b', 'options': ['a', 'b']}
  prompt = _prompt('{{ answer_choices | length }} ||| {{ answer_choices[0] }}', '{{ one }} ||| {{ two }}')
  (example,) = apply(prompt, [{'one': 'a ||| b', 'two': 'c'}])
  assert example == {'inputs': '2', 'targets': 'a ||| b', 'options': ['a ||| b', 'c']}


def test_the_functions_of_promptsource_are_there():
  jinja = (
    '{% for word, tag in zip(words, tags) %}{{word}}/{{tag | highlight}} {% endfor %}'
    '{{ words | most_frequent | choice }}|||{{ words | most_frequent | join(",") }}'
  )
  (example,) = apply(_prompt(jinja), [{'words': ['b', 'a', 'a'], 'tags': ['1', '2', '3']}])
  assert (example['inputs'], example['targets']) == ('b/1 a/2 a/3 a', 'a')
  assert most_frequent(['b', 'a', 'b', 'a', 'c']) == ['b', 'a']
  assert most_frequent([]) is None


def test_draws_depend_on_the_seed_and_the_place_of_the_row_alone():
  prompt = _prompt('{{ ["a", "b", "c", "d"] | choice }} ||| x')
  rows = [{}] * 20
  drawn = [[example['inputs'] for example in apply(prompt, rows, seed=seed)] for seed in (0, 0, 1)]
  assert drawn[0] == drawn[1] != drawn[2]
  assert set(drawn[0]) == set('abcd')
  assert [example['inputs'] for example in apply(prompt, rows[:5])] == drawn[0][:5]


def test_nothing_is_cut_unless_asked():
  prompt = _prompt('{{ text }} ||| {{ text | length }}')
  text = 'word ' * 1000
  assert next(iter(apply(prompt, [{'text': text}])))['inputs'] == text.strip()
  cut = next(iter(apply(prompt, [{'text': text}], truncate=2048)))
  assert cut['inputs'] == ('word ' * 409).strip() + '...'
  assert cut['targets'] == '5000'


def test_hyphens_of_columns_become_underscores(real_data):
  """TREC's column `label-coarse`, on real rows."""
  builder = tfds.builder('trec:1.0.0', data_dir=str(real_data / 'tfds'))
  rows = [
    {'text': row['text'].decode(), 'label-coarse': int(row['label-coarse'])}
    for row in builder.as_dataset(split='test').take(50).as_numpy_iterator()
  ]
  words = ['a description', 'an entity', 'an abbreviation', 'a person', 'a number', 'a place']
  prompt = _prompt('{{text}}\n\nWanted: ||| {{ answer_choices[label_coarse] }}', ' ||| '.join(words))
  assert list(apply(prompt, rows)) == [
    {'inputs': f'{row["text"].strip()}\n\nWanted:', 'targets': words[row['label-coarse']], 'options': words}
    for row in rows
  ]


@pytest.mark.parametrize(
  'jinja',
  [
    '{{ "".__class__.__mro__[1].__subclasses__() }}',
    '{{ text.__init__.__globals__ }}',
    '{{ "{0.__class__.__mro__}".format(text) }}',
    '{{ (text | choice).__class__ }}',
    '{{ zip.__self__.open("/tmp/x") }}',
    '{{ self.__init__.__globals__.__builtins__.__import__("os").system("touch FLAG") }}',
    '{{ cycler.__init__.__globals__.os.system("touch FLAG") }}',
    '{{ lipsum.__globals__["os"].popen("touch FLAG").read() }}',
    '{{ (text | attr("__class__")).__mro__ }}',
    '{{ ["{0.__class__}"] | map("format", text) | first }}{{ ("{0.__class__}" | attr("format"))(text) }}',
    '{% for x in range(10**9) %}{% endfor %}',
  ],
)
def test_the_sandbox_holds(jinja, tmp_path):
  flag = tmp_path / 'flag'
  prompt = _prompt(jinja.replace('FLAG', str(flag)) + ' x ||| y')
  with pytest.raises(UserError, match=r'row 1: the prompt (tries to leave the sandbox|fails with \w+: )'):
    list(apply(prompt, [{'text': 'abc'}]))
  assert not flag.exists()


def test_rows_are_not_changed_by_a_prompt():
  rows = [{'words': ['a']}]
  assert [e['inputs'] for e in apply(_prompt('{% if words.append("b") %}{% endif %}{{ words }} ||| x'), rows)]
  assert rows == [{'words': ['a']}]


@pytest.mark.parametrize(
  ('row', 'message'),
  [
    ({'texts': 'x'}, r"row 1 has no column 'text'. Did you mean 'texts'"),
    ({'text': 'x', 'answer_choices': []}, "row 1 has a column 'answer_choices'"),
    ({'text': 3}, 'row 1: the prompt fails with UndefinedError: '),
  ],
)
def test_rows_that_do_not_fit_are_named(row, message):
  with pytest.raises(UserError, match=message):
    list(apply(_prompt('{{ text.split().pop() }} ||| x'), [row]))


@pytest.mark.parametrize(
  ('old', 'new', 'message'),
  [
    ('!TemplateMetadata', '!!python/object/apply:os.system', r'templates\.yaml:\d+: this is not YAML of promptsource'),
    ('!Template\n', '!!python/object/new:os.system\n', r'templates\.yaml:\d+: .*python/object/new'),
    ('!Template\n', '!Other\n', r"templates\.yaml:\d+: .*'!Other'"),
    ('templates:', 'template:', 'has no "templates"'),
    ('    name: praise\n', '', "prompt 0a00 has no 'name'; it has answer_choices, id, jinja"),
    ('Praise it. |||', 'Praise it.', r"prompt 0a00 \('praise'\): the Jinja text has no '\|\|\|'"),
    ('{% endif %}', '', r"\('praise'\): not Jinja, line 1 of its text: Unexpected end of template"),
    ('bad ||| good', '{bad: 1}', r"\('which is it\?'\): answer_choices should be a text, and is"),
    ('{{text}}', '{{text | shout}}', r"not Jinja, line 1 of its text: No filter named 'shout'"),
    ('dataset: mine', 'dataset: [', r'templates\.yaml:\d+: this is not YAML'),
  ],
)
def test_files_that_are_none_of_promptsource_are_refused(old, new, message, tmp_path):
  with pytest.raises(UserError, match=message) as caught:
    _read(tmp_path, FILE.replace(old, new))
  assert '\n' not in str(caught.value)


def test_files_and_names_that_do_not_exist_are_named(tmp_path):
  with pytest.raises(UserError, match=r'nowhere\.yaml cannot be read'):
    read_promptsource(tmp_path / 'nowhere.yaml')
  with pytest.raises(UserError, match="no prompt 'prase'. Did you mean 'praise'"):
    prompt_named(_read(tmp_path), 'prase')


def test_prompted_rows_are_a_dataset_of_one_template(tmp_path):
  praise, which = _read(tmp_path)
  dataset = prompt_dataset(which, 'mine:1.0.0', cluster='sentiment')
  assert (dataset.name, dataset.metrics, dataset.answerable) == ('which_is_it', ('accuracy',), (0,))
  (first, _) = apply(which, ROWS)
  fields = dataset.example({name: tf.constant(value) for name, value in first.items()})
  inputs, targets = (text.numpy().decode() for text in dataset.templates[0].render(fields))
  assert (inputs, targets) == (first['inputs'], first['targets'])
  assert fields['options'].numpy().tolist() == [b'bad', b'good']
  assert dataset.classifies

  inverted = prompt_dataset(praise, 'mine:1.0.0', cluster='sentiment', name='praises')
  (example,) = apply(praise, ROWS)
  fields = inverted.example({name: tf.constant(value, tf.string) for name, value in example.items()})
  assert (inverted.name, inverted.answerable, inverted.classifies) == ('praises', (), False)
  assert inverted.templates[0].render(fields)[1].numpy() == b'Fine.'
  assert text_fields(fields) == ['prompt']
