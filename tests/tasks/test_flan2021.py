"""The FLAN 2021 declarations: well-written templates, and every dataset on its real rows."""

import collections
import re

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from flan_jax.data.dataset import Dataset
from flan_jax.data.registry import task_info, tasks_of
from flan_jax.data.splits import resolve
from flan_jax.lint import templates
from tasks.flan2021 import DATASETS
from tasks.flan2021.clusters import CLUSTERS, EXCLUSIONS
from tests.tasks.flan2021 import made_up
from tests.tasks.flan2021.sizes import OFFICIAL, ROLES

BY_NAME = {dataset.name: dataset for dataset in DATASETS}
every_dataset = pytest.mark.parametrize('dataset', DATASETS, ids=lambda dataset: dataset.name)
FREE_CLUSTERS = (
  'summarization', 'struct_to_text', 'translation', 'text_formatting', 'math', 'conversational_qa',
)  # fmt: skip
FREE_TEXT = {'squad_v1', 'squad_v2', 'drop', 'natural_questions', 'trivia_qa'} | {
  dataset.name for dataset in DATASETS if dataset.cluster in FREE_CLUSTERS and dataset.name != 'ag_news_subset'
}
# No row of these is at hand.
MADE_UP = (
  'cnn_dailymail', 'gigaword', 'multi_news', 'newsroom', 'xsum', 'opinion_abstracts_rotten_tomatoes',
  'opinion_abstracts_idebate', 'samsum', 'e2e_nlg', 'openbookqa', 'true_case', 'fix_punct', 'word_segment',
  'story_cloze', 'piqa', 'hellaswag', 'para_crawl_enes', 'wmt14_enfr', 'wmt16_translate_deen', 'wmt16_translate_tren',
  'wmt16_translate_csen', 'wmt16_translate_fien', 'wmt16_translate_ruen', 'anli_r1', 'anli_r2', 'anli_r3', 'cosmos_qa',
)  # fmt: skip


def _rows(dataset: Dataset, split: str, data, folder: str = 'tfds') -> tf.data.Dataset:
  rows = tfds.builder(dataset.source, data_dir=str(data / folder)).as_dataset(split=split, shuffle_files=False)
  return rows.filter(dataset.keep) if dataset.keep else rows


def _labels(name: str, split: str, folder) -> dict[str, int]:
  examples = _rows(BY_NAME[name], split, folder).map(BY_NAME[name].example)
  return dict(collections.Counter(e['answer'].decode() for e in examples.as_numpy_iterator()))


def test_the_family_is_complete_and_in_cluster_order():
  assert set(BY_NAME) == set(ROLES)
  assert len(BY_NAME) == 70
  positions = [CLUSTERS.index(dataset.cluster) for dataset in DATASETS]
  assert positions == sorted(positions)
  assert {dataset.cluster for dataset in DATASETS} == set(CLUSTERS)
  assert len(CLUSTERS) == 17


def test_wsc273_is_asked_and_never_trained():
  assert 'wsc273' not in tasks_of('flan2021')
  assert len(tasks_of('flan2021')) == 69
  assert task_info('flan2021.wsc273.template_0').dataset.splits.train is None


def test_exclusions_are_symmetric_and_keep_reading_apart_from_commonsense():
  for held_out, others in EXCLUSIONS.items():
    for other in others:
      assert held_out in EXCLUSIONS[other]
  assert EXCLUSIONS['nli'] == ('paraphrase',)
  assert 'commonsense' not in EXCLUSIONS['reading_comprehension']
  assert len(EXCLUSIONS) == 5


@every_dataset
def test_ten_templates_of_which_at_most_three_are_inverted(dataset):
  assert len(dataset.templates) == 10
  assert 7 <= len(dataset.answerable) <= 9
  shown = sum(template.shows_options for template in dataset.templates)
  assert shown >= 6 if dataset.name not in FREE_TEXT else shown == 0


@every_dataset
def test_the_linter_finds_nothing_in_the_templates(dataset):
  assert list(templates.check(dataset)) == []  # `make lint` has the names of the fields, too


@every_dataset
def test_templates_are_in_ascii_and_list_options_on_lines_of_their_own(dataset):
  for template in dataset.templates:
    assert (template.inputs + template.targets).isascii()
    for block in re.finditer(r'\{options\}', template.inputs):
      before, after = template.inputs[: block.start()], template.inputs[block.end() :]
      assert template.option_style == 'inline' or before in ('',) or before.endswith('\n')
      assert not after or after.startswith('\n')


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in BY_NAME if name not in MADE_UP])
def test_every_template_renders_real_rows(name, real_data):
  dataset, count = BY_NAME[name], 0
  for folder in ('tfds', 'tfds_tiny'):
    found = tfds.builder(dataset.source, data_dir=str(real_data / folder)).info.splits
    for split in {text.split('[')[0] for _, text in dataset.splits.items()} & set(found):
      count += _render_all(dataset, _rows(dataset, split, real_data, folder).take(40))
  assert count > 0


@pytest.mark.parametrize('name', MADE_UP)
def test_every_template_renders_rows_of_the_features_that_tfds_declares(name):
  dataset = BY_NAME[name]
  made = made_up.rows(name, dataset.source, 12)
  assert _render_all(dataset, made.filter(dataset.keep) if dataset.keep else made) == 12


def _render_all(dataset, rows) -> int:
  """Renders every template on every row and returns how many rows there were."""

  @tf.autograph.experimental.do_not_convert  # no Python control flow in here, and converting takes seconds
  def render(fields):
    return fields, [tf.stack(template.render(fields)) for template in dataset.templates]

  count = 0
  for fields, rendered in rows.map(dataset.example).map(render).as_numpy_iterator():
    count += 1
    _check_rendered(dataset, fields, rendered)
  return count


def _check_rendered(dataset, fields, rendered):
  assert fields['answer'] in list(fields['references'])
  if len(fields['options']):
    assert fields['answer'] in list(fields['options'])
    assert len(set(fields['options'])) == len(fields['options'])
  else:
    assert dataset.name in FREE_TEXT
  for template, (inputs, targets) in zip(dataset.templates, rendered, strict=True):
    assert inputs.strip() and targets.strip()
    assert not re.search(rb'\{(' + '|'.join(fields).encode() + rb')\}', inputs + targets)
    assert template.inverted or targets == fields['answer']
    for name in template.fields:
      assert fields[name] in inputs + targets


@pytest.mark.parametrize(
  ('name', 'split', 'counts'),
  [
    ('sst2', 'validation', {'negative': 428, 'positive': 444}),
    ('rte', 'train', {'yes': 1249, 'no': 1241}),
    ('cb', 'validation', {'Yes': 23, 'No': 28, "It's impossible to say": 5}),
    ('cola', 'validation', {'unacceptable': 322, 'acceptable': 721}),
    ('mrpc', 'validation', {'no': 129, 'yes': 279}),
    (
      'trec',
      'test',
      {'description': 138, 'entity': 94, 'abbreviation': 9, 'human': 65, 'numeric': 113, 'location': 81},
    ),
  ],
)
def test_answers_are_balanced_as_published(name, split, counts, real_data):
  assert _labels(name, split, real_data) == counts


def test_cb_answers_mean_what_their_labels_mean(real_data):
  names = tfds.builder('super_glue/cb:1.0.2', data_dir=str(real_data / 'tfds')).info.features['label'].names
  meaning = dict(zip(names, BY_NAME['cb'].options, strict=True))
  assert meaning == {'entailment': 'Yes', 'contradiction': 'No', 'neutral': "It's impossible to say"}


def test_trec_options_stand_in_the_order_of_the_labels(real_data):
  names = tfds.builder('trec:1.0.0', data_dir=str(real_data / 'tfds')).info.features['label-coarse'].names
  starts = {'DESC': 'desc', 'ENTY': 'ent', 'ABBR': 'abbr', 'HUM': 'hum', 'NUM': 'num', 'LOC': 'loc'}
  for name, option in zip(names, BY_NAME['trec'].options, strict=True):
    assert option.startswith(starts[name])


@pytest.mark.parametrize(
  ('split', 'kept', 'dropped'), [('train', 2241, 10), ('validation', 567, 3), ('test', 2365, 11)]
)
def test_arc_keeps_the_questions_with_four_choices(split, kept, dropped, real_data):
  dataset = BY_NAME['arc_easy']
  rows = list(_rows(dataset, split, real_data).map(dataset.example).as_numpy_iterator())
  total = tfds.builder(dataset.source, data_dir=str(real_data / 'tfds')).info.splits[split].num_examples
  assert (len(rows), total - len(rows)) == (kept, dropped)
  assert all(len(row['options']) == 4 for row in rows)


def test_arc_looks_the_key_up_by_letter_and_refuses_rows_without_it():
  def row(letters, key):
    texts = [f'choice {letter}' for letter in letters]
    return {
      'question': tf.constant('Why?'),
      'choices': {'text': tf.constant(texts), 'label': tf.constant(letters, tf.int64)},
      'answerKey': tf.constant(key, tf.int64),
    }

  dataset = BY_NAME['arc_easy']
  assert dataset.example(row([3, 1, 0, 2], 0))['answer'].numpy() == b'choice 0'
  assert [
    bool(dataset.keep(row(*arguments))) for arguments in (([0, 1, 2, 3], 3), ([0, 1, 2, 3], 4), ([0, 1, 2], 2))
  ] == [
    True,
    False,
    False,
  ]


def test_copa_answers_with_the_labelled_choice(real_data):
  rows = _rows(BY_NAME['copa'], 'validation', real_data)
  for row, example in zip(rows, rows.map(BY_NAME['copa'].example), strict=True):
    assert example['answer'] == row[f'choice{int(row["label"]) + 1}']
    assert example['relation'].numpy() in (b'cause', b'effect')


@pytest.mark.parametrize(
  ('body', 'subject', 'kept'),
  [('Hello.\n', 'Hi', True), (' \n\t', 'Hi', False), ('Hello.', '', False), ('a', '\n', False)],
)
def test_aeslc_leaves_out_mail_without_body_or_subject(body, subject, kept):
  row = {'email_body': tf.constant(body), 'subject_line': tf.constant(subject)}
  assert bool(BY_NAME['aeslc'].keep(row)) is kept


def test_aeslc_mail_is_on_one_line():
  row = {'email_body': tf.constant('Dear all,\n\n  see  you\tsoon. \n'), 'subject_line': tf.constant(' A\nmeeting\n')}
  example = BY_NAME['aeslc'].example(row)
  assert (example['body'].numpy(), example['answer'].numpy()) == (b'Dear all, see you soon.', b'A meeting')


def test_common_gen_gives_every_reference_once(real_data):
  dataset = BY_NAME['common_gen']
  rows = _rows(dataset, 'validation', real_data)
  for row, example in zip(rows, rows.map(dataset.example), strict=True):
    references = [text.decode() for text in example['references'].numpy()]
    assert set(references) == {text.decode().strip() for text in row['references'].numpy()}
    assert len(references) == len(set(references))
    assert references[0] == example['answer'].numpy().decode()
    assert example['concepts'].numpy().count(b', ') == len(row['concepts']) - 1


@every_dataset
def test_roles_have_the_sizes_of_flan(dataset):
  train, validation, test = OFFICIAL[dataset.name]
  kinds = {'train': train, 'validation': validation, 'dev': validation, 'test': test}
  names = {text.split('[')[0] for _, text in dataset.splits.items()}
  ranges = resolve(dataset.splits, {name: kinds[name.split('_')[0]] for name in names}, dataset.name)
  found = tuple(len(ranges[role]) if role in ranges else None for role in ('train', 'validation', 'test'))
  assert found == ROLES[dataset.name]


@pytest.mark.parametrize('name', [name for name in BY_NAME if name not in MADE_UP])
def test_a_part_of_a_dataset_keeps_validation_out_of_training(name, real_data):
  sizes = {split: info.num_examples for split, info in _splits(name, real_data).items()}
  ranges = resolve(BY_NAME[name].splits, sizes, name)
  if 'train' in ranges and 'validation' in ranges and ranges['train'].split == ranges['validation'].split:
    assert ranges['train'].stop <= ranges['validation'].start
  assert all(len(found) <= sizes[found.split] for found in ranges.values())


def _splits(name: str, data) -> dict:
  """The splits of the larger copy that there is."""
  for folder in ('tfds', 'tfds_tiny'):
    splits = tfds.builder(BY_NAME[name].source, data_dir=str(data / folder)).info.splits
    if splits:
      return splits
  raise AssertionError(f'no rows of {name}')
