"""Official patterns on real rows: the bytes that the official code would make of the same rows in the same order."""

import dataclasses
import pathlib

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.official import drop_incomplete, read_official_templates
from flan_jax.errors import UserError
from tasks.flan2021 import DATASETS
from tasks.flan2021.official import official_datasets
from tasks.flan2021.official.table import TABLE
from tests.tasks.flan2021 import made_up, official_rules
from tests.tasks.test_flan2021 import MADE_UP

FILE = pathlib.Path(__file__).with_name('official_patterns.py')
PATTERNS = read_official_templates(FILE)
OURS = {dataset.name: dataset for dataset in DATASETS}
TEMPLATED = {dataset.name: dataset for dataset in official_datasets(FILE, DATASETS)}
FAITHFUL = {dataset.name: dataset for dataset in official_datasets(FILE, DATASETS, faithful=True)}
REAL = [name for name in OURS if name not in MADE_UP]
# The same bytes without the switch as well, on all the real rows that there are.
EQUAL_ANYWAY = (
  'bool_q', 'arc_easy', 'arc_challenge', 'natural_questions', 'trivia_qa', 'mrpc', 'paws_wiki', 'stsb', 'rte', 'cb',
  'qnli', 'wnli', 'snli', 'wic', 'cola', 'trec', 'record', 'math_dataset', 'web_nlg_en', 'wmt16_translate_roen',
  'squad_v2',
)  # fmt: skip
# docs/flan_differences.md tells of more than white space in these.
OTHER_WORDS = (
  'wsc', 'wsc273', 'definite_pronoun_resolution', 'quac', 'qqp', 'ag_news_subset', 'sentiment140', 'drop', 'dart',
)  # fmt: skip
# Rows that need tidying, where those above seldom do.
CRAFTED = {
  'cnn_dailymail': [
    {'article': 'LONDON, England (CNN) -- A man (40) -- not 41 -- came. In May 2013 . he.', 'highlights': ' h\n'},
    {'article': '07:00, 2 May 2013 . UPDATED 2014 . The rest', 'highlights': 'h'},
    {'article': '', 'highlights': ''},
  ],
  'samsum': [{'dialogue': 'A: I <3 you\r\nB: <file_gif> and > x\r\nC: a<b> c <d>e', 'summary': 's '}],
  'aeslc': [{'email_body': 'a\n\n b', 'subject_line': 'x\ny'}, {'email_body': '', 'subject_line': '\n'}],
  'gigaword': [{'document': 'a <unk> b', 'summary': 'c'}],
  'true_case': [{'en': 'Ærlig ÉCOLE Straße  X'}],
  'fix_punct': [{'en': 'Café, "naïve"!  a_b 3.5\t(x) €'}],
  'word_segment': [{'en': 'a b\tc  d'}],
  'hellaswag': [
    {
      'context': '[header] How to [title] A b [step] c [x]y', 'activity_label': 'act', 'label': 3,
      'endings': ['[substeps] do. [title] x', 'b [he laughs] ', 'c', 'd [step]\ne'],
    },
  ],
  'e2e_nlg': [{'meaning_representation': 'name[The Mill], area[x]', 'target': 't', 'references': ['r']}],
  'dart': [{'tripleset': ['[TABLECONTEXT] | [TITLE] | A', 'x [y] | z'], 'target': 't', 'references': ['r', 't']}],
  'web_nlg_en': [{'input': ['A_b | c_d | "e"', 'f|g | h'], 'target': 't', 'references': ['r']}],
  'opinion_abstracts_rotten_tomatoes': [
    {'_critics': {'value': [f'r{n}' for n in range(8)] + ['', 'x', 'y']}, '_movie_name': 'a_b', '_critic_consensus': ''}
  ],
  'opinion_abstracts_idebate': [
    {'_argument_sentences': {'value': ['', ' a '] * 6}, '_debate_name': 'd', '_claim': 'c\n'}
  ],
  'sentiment140': [{'text': 't', 'polarity': polarity} for polarity in range(5)],
  'stsb': [{'sentence1': 'a', 'sentence2': 'b', 'label': label} for label in (0.4, 2.5, 3.5, 4.75)],
  'yelp_polarity_reviews': [{'text': r'a \""b\"" c\nd "" e', 'label': 1}],
  'imdb_reviews': [{'text': 'a<br /><br />b <br/> c', 'label': 0}],
  'qqp': [{'question1': '"Is ""x"" y?"', 'question2': '', 'label': 1}],
  'copa': [
    {'premise': 'It rained.', 'question': question, 'choice1': 'a', 'choice2': ' b', 'label': 1}
    for question in ('cause', 'effect')
  ],
  'squad_v2': [
    {'title': 'A_b', 'context': ' c', 'question': 'q ', 'answers': {'text': answers}, 'is_impossible': impossible}
    for answers, impossible in ((['x', 'y'], False), (['x'], True), ([' z'], False))
  ],
  'winogrande': [{'sentence': 'So _ is _ b.', 'option1': 'A', 'option2': 'B', 'label': 1}],
  'record': [
    {
      'query': ' Then @placeholder ran, @placeholder too.', 'passage': 'p \n@highlight\nq\n@highlight\nr',
      'entities': ['A', 'B'], 'answers': ['B', 'A'], 'idx': {'query': 7},
    },
  ],
  'wsc273': [
    {
      'text': 'Ann saw it.', 'pronoun_start': 8, 'pronoun_end': 10, 'option1_normalized': 'the A',
      'option2_normalized': 'B', 'label': 1,
    },
  ],
  'quac': [{'title': 't', 'background': ' b', 'context': 'c CANNOTANSWER', 'question': 'q',
            'orig_answer': {'text': 'CANNOTANSWER'}}],
}  # fmt: skip


def _real_rows(source, splits, folder) -> tf.data.Dataset:
  rows = None
  for part in ('tfds', 'tfds_tiny'):
    builder = tfds.builder(source, data_dir=str(folder / part))
    for split in sorted({text.split('[')[0] for _, text in splits.items()} & set(builder.info.splits)):
      found = builder.as_dataset(split=split, shuffle_files=False)
      rows = found if rows is None else rows.concatenate(found)
  assert rows is not None
  return rows


def _rendered(dataset, rows) -> list[list[list[str]]]:
  """Row by row, what our templates make of it: [inputs, targets] each."""

  @tf.autograph.experimental.do_not_convert
  def render(row):
    fields = dataset.example(row)
    return tf.stack([tf.stack(template.render(fields)) for template in dataset.templates])

  kept = rows.filter(dataset.keep) if dataset.keep else rows
  return [[[text.decode() for text in pair] for pair in pairs] for pairs in kept.map(render).as_numpy_iterator()]


def _expected(name, rows) -> list[list[list[str]]]:
  """What the official code makes of it under each pattern."""
  found = [row for row in map(official_rules.text, rows.as_numpy_iterator()) if official_rules.keeps(name, row)]
  return [
    [[official_rules.filled(text, fields) for text in pair] for pair in PATTERNS[TABLE[name].key]]
    for fields in (official_rules.official(name, row) for row in found)
  ]


@pytest.mark.slow
@pytest.mark.parametrize('name', REAL)
def test_faithful_examples_are_the_official_ones_on_real_rows(name, real_data):
  dataset = FAITHFUL[name]
  rows = _real_rows(dataset.source, dataset.splits, real_data).take(150)
  expected = _expected(name, rows)
  assert expected
  assert _rendered(dataset, rows) == expected


@pytest.mark.parametrize('name', MADE_UP)
def test_faithful_examples_are_the_official_ones_on_rows_of_the_declared_features(name):
  rows = made_up.rows(name, FAITHFUL[name].source, 12)
  expected = _expected(name, rows)
  assert len(expected) == 12
  assert _rendered(FAITHFUL[name], rows) == expected


@pytest.mark.parametrize('name', CRAFTED)
def test_faithful_fields_keep_the_official_clean_ups_and_their_mistakes(name):
  dataset = FAITHFUL[name]
  for row in CRAFTED[name]:
    tensors = tf.nest.map_structure(tf.constant, row)
    assert bool(dataset.keep(tensors) if dataset.keep else True) is official_rules.keeps(name, row)
    fields, expected = dataset.example(tensors), official_rules.official(name, row)
    for template, pattern in zip(dataset.templates, PATTERNS[TABLE[name].key], strict=True):
      rendered = [text.numpy().decode() for text in template.render(fields)]
      assert rendered == [official_rules.filled(text, expected) for text in pattern]


@pytest.mark.parametrize('name', EQUAL_ANYWAY)
def test_examples_are_the_official_ones_without_the_switch_as_well(name, real_data):
  dataset = TEMPLATED[name]
  rows = _real_rows(dataset.source, dataset.splits, real_data).take(150)
  assert _rendered(dataset, rows) == _expected(name, rows)


@pytest.mark.parametrize('name', [name for name in REAL if name not in {*EQUAL_ANYWAY, *OTHER_WORDS}])
def test_without_the_switch_only_white_space_differs_where_nothing_else_is_documented(name, real_data):
  dataset = TEMPLATED[name]
  rows = _real_rows(dataset.source, dataset.splits, real_data).take(60)
  assert _without_spaces(_rendered(dataset, rows)) == _without_spaces(_expected(name, rows))


def _without_spaces(rows):
  return [[[''.join(text.split()) for text in pair] for pair in row] for row in rows]


@pytest.mark.parametrize('name', MADE_UP)
def test_without_the_switch_every_placeholder_is_filled_from_our_fields(name):
  rows = made_up.rows(name, TEMPLATED[name].source, 12)
  rendered = _rendered(TEMPLATED[name], rows)
  assert len(rendered) == 12
  if name != 'multi_news':  # its articles are numbered; what is drawn has nothing else to tidy
    assert rendered == _expected(name, rows)


def test_rounds_take_the_templates_in_turn_and_drop_what_is_left_over(real_data):
  """Example i of the stream, filters passed, meets template i modulo their number."""
  dataset = FAITHFUL['snli']
  rows = _real_rows(dataset.source, dataset.splits, real_data).take(10)
  count = len(dataset.templates)

  @tf.autograph.experimental.do_not_convert
  def turns(index, row):
    rendered = tf.stack([tf.stack(template.render(dataset.example(row))) for template in dataset.templates])
    return tf.gather(rendered, index % count)

  stream = drop_incomplete(rows.filter(dataset.keep), count).enumerate().map(turns)
  found = [[text.decode() for text in pair] for pair in stream.as_numpy_iterator()]
  expected = _expected('snli', rows)
  assert len(expected) % count
  whole = len(expected) // count * count
  assert found == [expected[index][index % count] for index in range(whole)]


@pytest.mark.parametrize('name', OURS)
def test_every_placeholder_of_the_table_is_a_field_in_both_modes(name):
  """A pattern for each placeholder that the table knows, on rows of the declared features."""
  entry = TABLE[name]
  assert set(entry.names) | set(entry.constants) >= {
    placeholder for pair in PATTERNS[entry.key] for text in pair for placeholder in _names(text)
  } - {'options_', 'options_str'}


def _names(text):
  return {part.split('}')[0] for part in text.split('{')[1:]}


def test_datasets_keep_their_names_clusters_and_order():
  for ours, official in zip(DATASETS, FAITHFUL.values(), strict=True):
    assert (official.name, official.cluster, official.metrics) == (ours.name, ours.cluster, ours.metrics)
    assert official.source == ('super_glue/wsc:1.0.2' if ours.name == 'wsc' else ours.source)
  assert set(TABLE) == set(OURS)


def test_datasets_share_patterns_as_in_the_official_tasks():
  shared = {}
  for name, entry in TABLE.items():
    shared.setdefault(entry.key, set()).add(name)
  assert len(shared) == 61
  assert {key: names for key, names in shared.items() if len(names) > 1} == {
    'arc': {'arc_easy', 'arc_challenge'},
    'anli': {'anli_r1', 'anli_r2', 'anli_r3'},
    'mnli': {'mnli_matched', 'mnli_mismatched'},
    'wmt16_translate': {name for name in OURS if name.startswith('wmt16_')},
  }


def test_targets_that_are_the_answer_are_answerable():
  for dataset in (*TEMPLATED.values(), *FAITHFUL.values()):
    assert dataset.answerable == (0, 1), dataset.name


def _written(tmp_path, **patterns) -> pathlib.Path:
  file = tmp_path / 'templates.py'
  file.write_text(f'PATTERNS = {patterns!r}\n', encoding='utf-8')
  return file


def test_the_continuations_of_the_baseline_have_option_words_of_their_own(tmp_path):
  file = _written(tmp_path, cb=[('{premise} {hypothesis}', '{glm_answer}')], copa=[('{glm_premise}', '{answer}')])
  some = [OURS['cb'], OURS['copa']]
  mended, copa = official_datasets(file, some)
  faithful, faithful_copa = official_datasets(file, some, faithful=True)
  # The official words stand in another order than the labels: a contradiction is "neither".
  assert faithful.options == ('true', 'neither', 'false')
  assert mended.options == ('true', 'false', 'neither')
  row = {'premise': tf.constant('p'), 'hypothesis': tf.constant('h'), 'label': tf.constant(1)}
  assert mended.templates[0].render(mended.example(row))[1].numpy() == b'false'
  row = tf.nest.map_structure(tf.constant, CRAFTED['copa'][1])
  for dataset in (copa, faithful_copa):
    assert dataset.templates[0].render(dataset.example(row))[0].numpy() == b'It rained so'


def test_fields_that_only_official_templates_know_are_there_only_if_used():
  row = tf.nest.map_structure(tf.constant, CRAFTED['copa'][0])
  for dataset in (TEMPLATED['copa'], FAITHFUL['copa']):
    assert 'glm_premise' not in dataset.example(row)


def test_a_template_that_the_file_has_twice_stays_twice(tmp_path):
  pairs = [('Judge: {sentence}', '{answer}'), ('{sentence}', '{answer}'), ('Judge: {sentence}', '{answer}')]
  (cola,) = official_datasets(_written(tmp_path, cola=pairs), [OURS['cola']])
  assert [template.inputs for template in cola.templates] == [inputs for inputs, _ in pairs]


def test_dialogue_wraps_every_prompt():
  (rte,) = official_datasets(FILE, [OURS['rte']], faithful=True, dialogue=True)
  for plain, wrapped in zip(FAITHFUL['rte'].templates, rte.templates, strict=True):
    assert (wrapped.inputs, wrapped.targets) == (f'0 {plain.inputs} X 1 FLAN', plain.targets)


@pytest.mark.parametrize(
  ('key', 'pairs', 'message'),
  [
    (
      'sst',
      [('{sentence}', '{answer}')],
      "has no templates under 'sst2', which dataset 'sst2' needs. Did you mean 'sst'",
    ),
    ('sst2', [], "has no templates under 'sst2'"),
    ('sst2', [('{sentense}', '{answer}')], r"no placeholder \{sentense\}. Did you mean 'sentence'"),
    ('sst2', [('{sentence}', '{label}')], r'no placeholder \{label\}'),
    ('sst2', [('{0.__class__}', '{answer}')], r"'\{0.__class__\}' is not a placeholder"),
    ('sst2', [('{sentence}', '{options_}')], 'belongs in the inputs'),
  ],
)
def test_a_file_that_does_not_fit_is_named(key, pairs, message, tmp_path):
  with pytest.raises(UserError, match=message):
    official_datasets(_written(tmp_path, **{key: pairs}), [OURS['sst2']])


def test_a_dataset_that_flan_does_not_have_is_named():
  mine = dataclasses.replace(OURS['sst2'], name='sst5')
  with pytest.raises(UserError, match="'sst5' is none of FLAN 2021.* Did you mean 'sst2'"):
    official_datasets(FILE, [mine])


def test_words_of_the_baseline_and_of_flan_do_not_mix(tmp_path):
  file = _written(tmp_path, rte=[('{premise} {hypothesis}', '{glm_answer}'), ('{premise}', '{answer}')])
  with pytest.raises(UserError, match='cannot be mixed'):
    official_datasets(file, [OURS['rte']])
