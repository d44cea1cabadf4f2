"""Mistakes in a declaration are one sentence when it is made, and every declaration of ours has none."""

import dataclasses

import pytest
import seqio
import tensorflow as tf

from flan_jax.data import check, registry
from flan_jax.data.check import check_declaration, check_fields
from flan_jax.data.dataset import Dataset
from flan_jax.data.extract import extract_fields
from flan_jax.data.files import Jsonl, Rows
from flan_jax.data.own_rows import OwnRows
from flan_jax.data.source import TfdsRows, rows_of
from flan_jax.data.template import Template
from flan_jax.errors import UserError
from tasks import flan2021, quickstart
from tests.data.conftest import data_dir

ROWS = [{'text': f'ticket {n}', 'team': ('sales', 'help')[n % 2], 'label': n % 2, 'score': n / 2, 'tags': ['a', 'b']}
        for n in range(20)]  # fmt: skip
FIELDS = 'text, team, label, score, tags'


def _fields(row):
  return {'text': row['text'], 'answer': row['team']}


def _own(**changes):
  declared = {'name': 'mine', 'cluster': 'support', 'source': Rows(ROWS), 'options': ('sales', 'help'),
              'fields': _fields, 'templates': (Template('{text}\n{options}'),)}  # fmt: skip
  return Dataset(**(declared | changes))


def _sst2(**changes):
  return _own(source='glue/sst2:2.0.0', **{'fields': lambda r: {'text': r['sentence'], 'label': r['label']}} | changes)


def _error(dataset, action=check_declaration):
  with pytest.raises(UserError) as raised:
    action(dataset)
  assert '\n' not in str(raised.value)
  assert str(raised.value).startswith("Dataset 'mine': ")
  return str(raised.value).removeprefix("Dataset 'mine': ")


def _by_branch(row):
  if row['score'] > 3:  # AutoGraph's business
    return {'text': tf.strings.join(['urgent: ', row['text']]), 'answer': row['team']}
  return {'text': row['text'], 'answer': row['team']}


@pytest.mark.parametrize('changes', [
  {},
  {'fields': lambda row: {'text': row['text'], 'label': row['label']}},
  {'fields': lambda row: {'text': row['text'], 'answer': row['tags'][0], 'options': row['tags'],
                          'references': row['tags']}},
  {'fields': _by_branch},
  {'fields': lambda row: {'text': 'constant', 'answer': tf.strings.as_string(row['score'])}, 'options': None,
   'templates': (Template('{text}'),)},
  {'options': ('sales',), 'keep': lambda row: row['team'] == 'sales'},
])  # fmt: skip
def test_what_can_be_meant_passes(changes):
  check_declaration(_own(**changes))


MISTAKES = [
  ({'fields': lambda row: {'text': row['txt'], 'answer': row['team']}}, f"a row has no field 'txt'; it has {FIELDS}."),
  ({'keep': lambda row: row['kept'] > 0}, f"a row has no field 'kept'; it has {FIELDS}."),
  ({'fields': lambda row: {'text': row['text']}},
   f"its fields give neither 'answer' nor 'label'; they give text, from rows that have {FIELDS}."),
  ({'fields': lambda row: {'text': row['text'], 'answer': row['team'], 'label': row['label']}},
   "its fields give both 'answer' and 'label'; one of them says what is right."),
  ({'fields': lambda row: {'text': row['text'], 'label': row['label']}, 'options': None},
   "its fields give a 'label', and there are no options for it to choose from; declare options=(...)"),
  ({'fields': lambda row: {'text': row['score'], 'answer': row['team']}},
   "the field 'text' must be one string, not float64; tf.strings.as_string writes a number"),
  ({'fields': lambda row: {'text': row['tags'], 'answer': row['team']}},
   "the field 'text' must be one string, not a list of string; "),
  ({'fields': lambda row: {'text': row['text'], 'answer': row['label']}}, "the field 'answer' must be one string, not"),
  ({'fields': lambda row: {'text': row['text'], 'label': row['team']}},
   "'label' must be a whole number, the place of the answer among the options, not string; give a text as 'answer'."),
  ({'fields': lambda row: {'text': row['text'], 'answer': row['team'], 'options': row['team']}},
   "'options' must be a list of strings, not string."),
  ({'fields': lambda row: {'text': row['text'] + 1, 'answer': row['team']}},
   f'its fields (or keep) cannot be computed from a row with {FIELDS} (TypeError: '),
  ({'templates': (Template('{text}'), Template('{txt}?'))},
   "template '{txt}?' uses the field 'txt', which its rows do not have. Did you mean 'text'?"),
  ({'options': None}, "template '{text}\\n{options}' shows {options}, and the dataset has none; declare options="),
]


@pytest.mark.parametrize(('changes', 'told'), MISTAKES, ids=lambda value: value[:30] if isinstance(value, str) else '')
def test_a_mistake_is_named_with_what_there_is(changes, told):
  assert _error(_own(**changes)).startswith(told)


def test_an_answer_that_is_no_option_is_named_with_its_line(tmp_path):
  path = tmp_path / 'a.jsonl'
  path.write_text(''.join(f'{{"text": "t", "team": "{team}", "label": {label}}}\n'
                          for team, label in (('help', 0), ('sales', 1), ('slaes', 2), ('x', -1))))
  source = Jsonl(path)
  assert _error(_own(source=source)) == f"{path}:3: 'slaes' is none of the 2 options (sales, help)."
  labelled = _own(source=source, fields=lambda row: {'text': row['text'], 'label': row['label']})
  assert _error(labelled) == f"{path}:3: '2' is none of the 2 options (sales, help); a label counts them from 0."
  late = dataclasses.replace(labelled, keep=lambda row: row['label'] < 2)
  assert _error(late).startswith(f"{path}:4: '-1' is none of")


def test_every_row_of_every_split_is_looked_at():
  wrong = [*ROWS, ROWS[0] | {'team': 'hepl'}]
  assert _error(_own(source=Rows(ROWS * 200 + wrong))).startswith(
    "Rows(...), split 'train', row 4020: 'hepl' is none of the 2 options (sales, help)")
  assert _error(_own(source=Rows({'train': ROWS, 'test': wrong}))).startswith("Rows(...), split 'test', row 20: 'hepl'")


def test_a_file_that_is_not_there_is_a_mistake_too(tmp_path):
  assert _error(_own(source=Jsonl(tmp_path / 'no.jsonl'))).startswith(f'there is no file {tmp_path}/no.jsonl ')


def test_tfds_rows_are_known_by_their_builder_without_being_prepared(tmp_path):
  with data_dir(tmp_path):
    check_declaration(_sst2())
    wrong = _sst2(fields=lambda row: {'text': row['sentense'], 'label': row['label']})
    assert _error(wrong) == "a row has no field 'sentense'; it has sentence, label, idx."
    nested = _own(source='super_glue/record:1.0.2', fields=lambda row: {'text': row['idx']['pasage'], 'answer': 'x'})
    assert _error(nested).startswith("a row has no field 'pasage'; it has ")
    assert 'idx/passage' in _error(nested)
  assert not list(tmp_path.iterdir())


def test_a_builder_that_cannot_be_had_leaves_the_check_to_the_first_use(tmp_path):
  wrong = _sst2(fields=lambda row: {'text': row['sentense'], 'label': row['label']})
  with data_dir(tmp_path / 'nowhere'):
    check_declaration(wrong)
  with data_dir(tmp_path):
    check_declaration(dataclasses.replace(wrong, source='nobody_knows_it:1.0.0'))
    spec = TfdsRows('mine', 'glue/sst2:2.0.0', wrong.splits).element_spec
  empty = tf.data.Dataset.from_generator(lambda: iter(()), output_signature=spec)
  for found in (lambda dataset: extract_fields(dataset)(empty), lambda d: check_fields(d, spec)):
    assert _error(wrong, found) == "a row has no field 'sentense'; it has sentence, label, idx."


def test_a_family_is_checked_before_any_of_it_is_registered(registries, monkeypatch):
  before = set(seqio.TaskRegistry.names())
  wrong = _own(templates=(Template('{txt}'),))
  with pytest.raises(UserError, match="uses the field 'txt'"):
    registry.register_family('helpdesk', [_own(name='first'), wrong])
  assert set(seqio.TaskRegistry.names()) == before
  with pytest.raises(UserError, match="'helpdesk' cannot be registered: 'helpdesk.first' is what two of its"):
    registry.register_family('helpdesk', [_own(name='first'), _own(name='first')])
  monkeypatch.setattr(check, 'rows_of', lambda dataset: pytest.fail('it is checked'))
  registry.register_family('helpdesk', [_own(name='first'), wrong], check=False)


def test_declarations_know_their_source():
  assert isinstance(rows_of(_own()), OwnRows) and rows_of(_own()).origin == 'Rows(...)'
  assert isinstance(rows_of(_sst2()), TfdsRows) and rows_of(_sst2()).origin == 'glue/sst2:2.0.0'


@pytest.mark.parametrize('cluster', sorted({d.cluster for d in (*flan2021.DATASETS, *quickstart.DATASETS)}))
def test_no_declaration_of_ours_has_a_mistake(cluster, tmp_path):
  with data_dir(tmp_path):
    for dataset in (*flan2021.DATASETS, *quickstart.DATASETS):
      if dataset.cluster == cluster:
        check_fields(dataset, rows_of(dataset).element_spec)


def test_a_group_is_one_string_and_no_field():
  check_declaration(_own(group=lambda row: row['team']))
  told = _error(_own(group=lambda row: row['label']))
  assert told == 'its group must be one string, not int64; tf.strings.as_string writes a number.'
  assert _error(_own(group=lambda row: row['tags'])).startswith('its group must be one string, not a list of string')
  assert "'group_'" in _error(_own(group=lambda row: row['team'], templates=(Template('{text} {group_}\n{options}'),)))
