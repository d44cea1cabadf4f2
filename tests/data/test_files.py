"""Rows of one's own: every format gives the same rows, positions and shards are exact, mistakes name file and line."""

import gzip
import itertools
import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import seqio
import tensorflow as tf

from flan_jax.data import iterator, vocabulary
from flan_jax.data.dataset import Dataset
from flan_jax.data.files import Csv, Jsonl, Parquet, Rows, Tsv
from flan_jax.data.own_rows import OwnRows, default_splits
from flan_jax.data.registry import register_family
from flan_jax.data.rows import rows
from flan_jax.data.splits import OWN_TEST, Splits
from flan_jax.data.template import Template
from flan_jax.errors import UserError
from tests.data.conftest import restored

PLAIN = [{'text': f'Ticket "{n}", näher\u2028beschrieben', 'label': n % 2, 'score': n / 4, 'open': n % 3 == 0}
         for n in range(50)]  # fmt: skip
LISTS = [row | {'tags': ['x', 'yz'][: n % 3], 'ids': list(range(n % 4))} for n, row in enumerate(PLAIN)]
TYPES = {'label': int, 'score': float, 'open': bool}
WHOLE = Splits('train', None, None)
LENGTHS = {'inputs': 64, 'targets': 8}
TASK = 'mine.my_tickets'  # of the dataset in `registered`


def write(path, text, packed=False):
  path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
  return path


def jsonl(rows):
  return ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows)


def separated(rows, mark, quote):
  cells = [[str(value) for value in row.values()] for row in rows]
  lines = [list(rows[0]), *([quote(cell) for cell in line] for line in cells)]
  return ''.join(mark.join(line) + '\r\n' for line in lines)


def in_quotes(cell):
  return '"' + cell.replace('"', '""') + '"'


def parquet(path, rows):
  pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
  return path


FORMATS = {
  'jsonl': lambda folder: Jsonl(write(folder / 'a.jsonl', jsonl(PLAIN))),
  'packed jsonl': lambda folder: Jsonl(write(folder / 'a.jsonl.gz', jsonl(PLAIN), packed=True)),
  'jsonl of Windows': lambda folder: Jsonl(write(folder / 'a.jsonl', '\ufeff' + jsonl(PLAIN).replace('\n', '\r\n'))),
  'csv': lambda folder: Csv(write(folder / 'a.csv', separated(PLAIN, ',', in_quotes)), types=TYPES),
  'packed csv': lambda folder: Csv(write(folder / 'a.gz', separated(PLAIN, ';', in_quotes), True), ';', types=TYPES),
  'csv without names': lambda folder: Csv(
    write(folder / 'a.csv', separated(PLAIN, ',', in_quotes).split('\r\n', 1)[1]), types=TYPES, columns=tuple(PLAIN[0])
  ),
  'tsv': lambda folder: Tsv(write(folder / 'a.tsv', separated(PLAIN, '\t', str)), types=TYPES),
  'parquet': lambda folder: Parquet(parquet(folder / 'a.parquet', PLAIN)),
  'list': lambda folder: Rows(PLAIN),
  'generator': lambda folder: Rows(row for row in PLAIN),
  'function': lambda folder: Rows(lambda: iter(PLAIN)),
  'numpy': lambda folder: Rows([row | {'label': np.int32(row['label']), 'text': np.str_(row['text'])}
                                for row in PLAIN]),
}


def read(source, split='train'):
  return [{name: np.asarray(value, object).tolist() for name, value in row.items()}
          for row in source.get_dataset(split, shuffle=False).as_numpy_iterator()]


def expected(rows, extension, name='mine'):
  return [
    {key: value.encode() if isinstance(value, str) else value for key, value in row.items()}
    | {'tfds_id': f'{name}-train.{extension}-00000-of-00001__{number}'.encode()}
    for number, row in enumerate(rows)
  ]


def _error(data, action=lambda source: source.tables, splits=None):
  with pytest.raises(UserError) as raised:
    action(OwnRows('mine', data, splits or Splits()))
  assert '\n' not in str(raised.value)
  assert str(raised.value).startswith("Dataset 'mine'")
  return str(raised.value).removeprefix("Dataset 'mine': ")


@pytest.mark.parametrize('name', FORMATS)
def test_every_format_gives_the_same_rows_with_the_same_types(name, tmp_path):
  source = OwnRows('mine', FORMATS[name](tmp_path), WHOLE)
  assert read(source) == expected(PLAIN, source._data.extension)
  dtypes = {field: spec.dtype for field, spec in source.element_spec.items()}
  assert dtypes == {'text': tf.string, 'label': tf.int64, 'score': tf.float64, 'open': tf.bool, 'tfds_id': tf.string}
  assert source.get_dataset('train').element_spec == source.element_spec


@pytest.mark.parametrize('make', [
  lambda folder: Jsonl(write(folder / 'a.jsonl', jsonl(LISTS))),
  lambda folder: Parquet(parquet(folder / 'a.parquet', LISTS)),
  lambda folder: Rows([row | {'ids': np.array(row['ids'], np.int64), 'tags': tuple(row['tags'])} for row in LISTS]),
])  # fmt: skip
def test_lists_keep_their_lengths(make, tmp_path):
  source = OwnRows('mine', make(tmp_path), WHOLE)
  wanted = [row | {'tags': [tag.encode() for tag in row['tags']]} for row in expected(LISTS, source._data.extension)]
  assert read(source) == wanted
  assert source.get_dataset('train').element_spec == source.element_spec
  assert source.element_spec['tags'] == tf.TensorSpec([None], tf.string)


def test_a_mapping_names_the_splits(tmp_path):
  files = {'train': write(tmp_path / 'a.jsonl', jsonl(PLAIN[:40])),
           'test': write(tmp_path / 'b.jsonl', jsonl(PLAIN[40:]))}
  source = OwnRows('mine', Jsonl(files), Splits())
  assert {role: str(found) for role, found in source.ranges.items()} == {
    'train': 'train[0:36]', 'validation': 'train[36:40]', 'test': 'test[0:10]',
  }  # fmt: skip
  assert [row['text'] for row in read(source, 'test')] == [row['text'].encode() for row in PLAIN[40:]]
  assert set(source.splits) == {'train', 'validation', 'test'}


@pytest.mark.parametrize(('sizes', 'splits'), [
  ({'train': 60}, Splits('train[:-12]', 'train[-12:-6]', 'train[-6:]')),
  ({'train': 90_000}, Splits('train[:-400]', 'train[-400:-200]', 'train[-200:]')),
  ({'train': 60, 'validation': 9}, Splits('train[:-6]', 'train[-6:]', 'validation')),
  ({'train': 60, 'validation': 9, 'test': 9}, OWN_TEST),
  ({'test': 9}, Splits(None, None, 'test')),
  ({'validation': 9, 'test': 9}, Splits(None, 'validation', 'test')),
])  # fmt: skip
def test_roles_that_are_not_declared_follow_from_the_splits(sizes, splits):
  assert default_splits(sizes) == splits


@pytest.mark.parametrize('size', [4, 5, 19, 60, 401, 5000])
def test_one_file_gives_every_role_rows_of_its_own(size):
  source = OwnRows('mine', Rows([{'n': n} for n in range(size)]), Splits())
  numbers = {role: [row['n'] for row in read(source, role)] for role in ('train', 'validation', 'test')}
  assert all(numbers.values())
  assert sorted(itertools.chain(*numbers.values())) == list(range(size))
  assert len(numbers['train']) >= len(numbers['test']) == len(numbers['validation']) <= 200


def test_declared_slices_are_clamped_to_the_rows_that_there_are():
  source = OwnRows('mine', Rows(PLAIN), Splits(train='train[:40]', validation=None, test='train[40:900]'))
  assert str(source.rows('test')) == 'train[40:50]' and source.num_input_examples('train') == 40
  assert "'validation' rows: Rows(...) holds train (50 rows), and 'validation' is declared as None" in _error(
    Rows(PLAIN), lambda s: s.rows('validation'), Splits(validation=None))
  assert source.why_missing('train') is None
  assert "has no 'validation' rows" in source.why_missing('validation')


def test_files_are_read_at_the_first_use_and_once(tmp_path):
  calls = []
  data = Rows(lambda: calls.append(1) or PLAIN)
  one, other = OwnRows('mine', data, Splits()), OwnRows('mine', data, Splits())
  late = OwnRows('mine', Jsonl(tmp_path / 'late.jsonl'), WHOLE)
  assert not calls and late.splits == ('train',)
  assert late.why_missing('train').startswith("Dataset 'mine': there is no file ")
  assert read(one) == read(other) and len(calls) == 1
  write(tmp_path / 'late.jsonl', jsonl(PLAIN))
  assert len(read(late)) == 50


def test_shuffling_follows_the_seed_and_differs_by_epoch():
  source = OwnRows('mine', Rows(PLAIN), WHOLE)

  def order(seed, epochs=1):
    return [int(row['tfds_id'].rsplit(b'__')[1])
            for row in source.get_dataset('train', seed=seed).repeat(epochs).as_numpy_iterator()]

  assert order(3) == order(3) != order(4)
  twice = order(3, 2)
  assert sorted(twice[:50]) == sorted(twice[50:]) == list(range(50)) and twice[:50] != twice[50:]


@pytest.mark.parametrize(('shards', 'shuffle'), [(1, False), (3, False), (3, True), (7, True)])
def test_shards_hold_every_row_once(shards, shuffle):
  source = OwnRows('mine', Rows(PLAIN), Splits(train='train[:40]', validation=None, test='train[40:]'))
  parts = [[row['tfds_id'] for row in source.get_dataset(
    'train', shuffle=shuffle, seed=1, shard_info=seqio.ShardInfo(index, shards)).as_numpy_iterator()]
    for index in range(shards)]  # fmt: skip
  assert sorted(len(part) for part in parts)[0] >= 40 // shards
  assert sorted(itertools.chain(*parts)) == sorted(row['tfds_id'] for row in expected(PLAIN[:40], 'rows'))
  assert source.list_shards('test') == ['mine-train.rows-00000-of-00001']


@pytest.fixture
def registered(registries, tmp_path):
  """A dataset of two hundred tickets, with lists in its rows, under ByT5's vocabulary."""
  data = [row | {'text': f'{n} {row["text"]}'} for n, row in enumerate(LISTS * 4)]
  register_family('mine', [Dataset(
    name='my_tickets', cluster='mine', source=Jsonl(write(tmp_path / 'a.jsonl', jsonl(data))), options=('no', 'yes'),
    fields=lambda row: {'text': row['text'], 'tags': tf.strings.reduce_join(row['tags']), 'label': row['label']},
    templates=(Template('{text}? {tags}'), Template('{tags}: {text}?\n{options}')),
  )])  # fmt: skip
  with restored(vocabulary._ACTIVE):
    vocabulary.use_vocabulary(seqio.ByteVocabulary())
    yield data


def test_a_run_goes_on_at_the_exact_row(registered):
  def stream():
    return iterator.batches(TASK, LENGTHS, 8, seed=5)

  batches, taken = stream(), []
  for _ in range(45):  # more than two epochs of 160 rows
    taken.append((batches.get_state(), next(batches)))
  for position in (0, 13, 31):
    resumed = stream()
    resumed.set_state(taken[position][0])
    for _, batch in taken[position : position + 6]:
      found = next(resumed)
      assert all(np.array_equal(found[name], batch[name]) for name in batch)
  origins = [origin for _, batch in taken for origin in batches.origins(batch)]
  assert {origin.task for origin in origins} == {TASK}
  assert len(origins) > 320 and 140 < len({origin.row for origin in origins} & set(range(160))) <= 160


def test_provenance_leads_back_to_the_line(registered):
  for split, first in (('validation', 160), ('test', 180)):
    found = rows(TASK, split)
    assert [row.row_id for row in found] == [f'my_tickets-train.jsonl-00000-of-00001__{first + n}' for n in range(20)]
    assert all(registered[first + n]['text'] in row.inputs_pretokenized for n, row in enumerate(found))
    assert [row.answer for row in found] == [('no', 'yes')[registered[first + n]['label']] for n in range(20)]


BAD_ROWS = [
  ([{'a': 1}, {'a': 2, 'b': 3}], "row 1 has a field 'b' that ", 'lacks. Known: a.'),
  ([{'a': 1, 'b': 2}, {'a': 1}], "row 1 lacks the field 'b' that ", '; it has a.'),
  ([{'a': 1}, {'a': '2'}], "row 1: the field 'a' is a str, and an int in ", 'row 0; every row needs the same type.'),
  ([{'a': 1}, {'a': 1.5}], "row 1: the field 'a' is a float, and an int in ", ''),
  ([{'a': True}, {'a': 1}], "row 1: the field 'a' is an int, and a bool in ", ''),
  ([{'a': ['x']}, {'a': []}, {'a': [1]}], "row 2: the field 'a' is a list of int, and a list of str in ", 'row 0'),
  ([{'a': []}, {'a': 1}], "row 1: the field 'a' is an int, and an empty list in ", ''),
  ([{'a': ['x', None]}], "row 0: the field 'a' is a list of null and str; ", ''),
  ([{'a': 'x'}, {'a': None}], "row 1: the field 'a' is null; say what it stands for, e.g. nulls={'a': \"\"}", ''),
  ([{'a': {'b': 1}}], "row 0: the field 'a' is a dict; a value is a str, int, float or bool, or a list of one", ''),
  ([{'a': [[1]]}], "row 0: the field 'a' is a list; a value is", ''),
  ([{'a': 2**63}], "row 0: the field 'a' is 9223372036854775808, which does not fit 64 bits", ''),
  ([{'a': '\ud800'}], "row 0: the field 'a' is no text (surrogates not allowed)", ''),
  ([{'tfds_id': 'x'}], "row 0: a field cannot be called 'tfds_id'", ''),
  ([{'a': 1}, 'b'], 'row 1 is a str; a row is a dictionary', ''),
  ([], 'holds no row', ''),
]


@pytest.mark.parametrize(('given', 'begins', 'holds'), BAD_ROWS)
def test_a_row_unlike_the_others_is_named(given, begins, holds):
  message = _error(Rows(given)).removeprefix("Rows(...), split 'train'").lstrip(', ')
  assert message.startswith(begins) and holds in message


BAD_LINES = [
  (Jsonl, '{"a": 1}\n{"a": 1\n', "{path}:2 is not JSON (Expecting ',' delimiter, column 8)."),
  (Jsonl, '{"a": 1}\n\n{"a": 1}\n', '{path}:2 is empty; every line holds a JSON object.'),
  (Jsonl, '[1]\n', '{path}:1 is not a JSON object'),
  (Jsonl, '{"a": 1, "a": 2}\n', '{path}:1 names a field twice; the fields are a, a.'),
  (Jsonl, '{"a": 1}\n{"a": null}\n', "{path}:2: the field 'a' is null; "),
  (Jsonl, '{"a": 1}\n{"b": 1}\n', "{path}:2 lacks the field 'a' that {path}:1 has; it has b."),
  (Jsonl, '\n', '{path} holds no row.'),
  (Csv, 'a,b\n1,2\n"x\ny",2\n1\n', '{path}:5 has 1 values for the 2 columns a, b.'),
  (Csv, 'a,b\n1,2\n\n1,2\n', '{path}:3 has 0 values for'),
  (Csv, 'a,a\n1,2\n', '{path}:1: two columns have the same name'),
  (Csv, 'a,b\n1,"2"x\n', "{path}:2 cannot be read (',' expected after '\"')."),
  (Csv, 'a,b\n', '{path} holds no row.'),
  (Csv, '', '{path} holds no row.'),
]


@pytest.mark.parametrize(('kind', 'text', 'told'), BAD_LINES)
def test_a_line_that_cannot_be_meant_is_named(kind, text, told, tmp_path):
  path = write(tmp_path / 'a.txt', text)
  assert _error(kind(path)).startswith(told.replace('{path}', str(path)))


def test_types_of_a_csv_are_kept_to(tmp_path):
  path = write(tmp_path / 'a.csv', 'text,label\na,1\nb,\nc,x\n')
  assert _error(Csv(path, types={'label': int})) == f"{path}:4: the field 'label' is 'x', and types says int."
  assert _error(Csv(path, types={'lable': int})).startswith(f"{path}: types says that 'lable' is <class 'int'>; it")
  write(path, 'text,label\na,1\nb,\n')
  assert _error(Csv(path, types={'label': int})).startswith(f"{path}:3: the field 'label' is null; ")


def test_a_null_stands_for_what_is_declared_and_for_nothing_else(tmp_path):
  path = write(tmp_path / 'a.jsonl', '{"a": null, "b": ["x"]}\n{"a": 3, "b": null}\n')
  source = OwnRows('mine', Jsonl(path, nulls={'a': -1, 'b': []}), WHOLE)
  assert [(row['a'], row['b']) for row in read(source)] == [(-1, [b'x']), (3, [])]
  message = _error(Jsonl(path, nulls={'c': 1}))
  assert "nulls explains the field 'c', which the rows do not have; they have a, b." in message
  assert "the field 'a' is an int, and a str in" in _error(Jsonl(path, nulls={'a': '', 'b': []}))


def test_files_that_cannot_be_read_are_named(tmp_path):
  write(tmp_path / 'tickets.jsonl', jsonl(PLAIN))
  assert "ticket.jsonl (working folder " in _error(Jsonl(tmp_path / 'ticket.jsonl'))
  assert _error(Jsonl(tmp_path / 'ticket.jsonl')).endswith("Did you mean 'tickets.jsonl'?")
  assert 'is a folder' in _error(Jsonl(tmp_path))
  (tmp_path / 'latin.jsonl').write_bytes(b'{"a": "x"}\n{"a": "\xe4"}\n')
  assert _error(Jsonl(tmp_path / 'latin.jsonl')) == f'{tmp_path}/latin.jsonl:2 is not UTF-8 (byte 0xe4).'
  (tmp_path / 'cut.gz').write_bytes(gzip.compress(jsonl(PLAIN).encode())[:-9])
  assert 'cut.gz is damaged' in _error(Jsonl(tmp_path / 'cut.gz'))
  assert 'tickets.jsonl is no Parquet file (' in _error(Parquet(tmp_path / 'tickets.jsonl'))


def test_splits_of_other_fields_are_named(tmp_path):
  message = _error(Rows({'train': [{'a': 1}], 'test': [{'a': 1, 'label': 2}]}))
  assert message.startswith("Rows(...), split 'test', row 0 has a field 'label' that Rows(...), split 'train', row 0")


@pytest.mark.parametrize(('source', 'told'), [
  ('data/tickets.jsonl', "is the name of a file; write source=Jsonl('data/tickets.jsonl')."),
  ('tickets.csv.gz', "write source=Csv('tickets.csv.gz')."),
  ([{'a': 1}], 'the source is a list; it is a TFDS name, a file such as Jsonl("rows.jsonl"), or Rows(...)'),
])  # fmt: skip
def test_a_source_that_is_none_is_answered_with_the_right_one(source, told):
  with pytest.raises(UserError) as raised:
    Dataset('mine', 'mine', source, dict, (Template('{a}'),))
  assert told in str(raised.value)
