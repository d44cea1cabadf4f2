"""Prompts from files, pipes and standard input: what is read, and which line is told to be wrong."""

import io
import json
import os
import sys
import threading
import types

import pytest

from flan_jax.errors import UserError
from flan_jax.runs.prompts import PromptFile


@pytest.fixture
def written(tmp_path):
  """Makes a file and returns its path."""

  def write(name, text):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(tmp_path / name)

  return write


def typed(monkeypatch, text):
  monkeypatch.setattr(sys, 'stdin', types.SimpleNamespace(buffer=io.BytesIO(text.encode())))
  return PromptFile('-')


def test_every_line_of_a_text_is_a_prompt_whatever_else_could_end_lines(written):
  prompts = PromptFile(written('a.txt', b'\xef\xbb\xbfone\r\n\ntwo\x0b\xe2\x80\xa8three\n  four'))
  assert list(prompts.records()) == [{'inputs': text} for text in ('one', '', 'two\x0b\u2028three', '  four')]
  assert (prompts.name, prompts.count) == ('a', 4)
  assert list(prompts.records(2)) == list(prompts.records())[2:]


def test_json_lines_keep_their_fields_and_may_be_blank_between(written):
  rows = [{'inputs': 'x\u2028y', 'id': 3, 'more': {'a': [1.5]}}, {'inputs': ''}]
  text = '\n'.join(['', *(json.dumps(row, ensure_ascii=False) for row in rows), ''])
  prompts = PromptFile(written('a.jsonl', text + '\n'))
  assert list(prompts.records()) == rows and prompts.count == 2
  assert list(prompts.records(1)) == rows[1:]


def test_a_table_names_its_columns(written):
  path = written('a.tsv', 'id\tinputs\tadapter\n1\t"x" \tnli\n2\t\t\n')
  assert list(PromptFile(path).records()) == [{'id': '1', 'inputs': '"x" ', 'adapter': 'nli'},
                                              {'id': '2', 'inputs': '', 'adapter': ''}]
  assert list(PromptFile(path, {'nli'}).records()) == [{'id': '1', 'inputs': '"x" ', 'adapter': 'nli'},
                                                       {'id': '2', 'inputs': ''}]


def test_lines_name_their_adapter_in_json_or_before_a_tab(written):
  lines = '{"inputs": "x\\ty", "adapter": "nli", "id": 3}', '{"inputs": "z", "adapter": null}', '{"inputs": "w"}'
  read = list(PromptFile(written('a.jsonl', '\n'.join(lines)), {'nli'}).records())
  assert read == [{'inputs': 'x\ty', 'adapter': 'nli', 'id': 3}, {'inputs': 'z', 'adapter': None}, {'inputs': 'w'}]
  table = written('a.tsv', 'nli\tx\ty\n\tz\nnli\tinputs\n')
  assert list(PromptFile(table, {'nli'}).records()) == [
    {'inputs': 'x\ty', 'adapter': 'nli'}, {'inputs': 'z'}, {'inputs': 'inputs', 'adapter': 'nli'}]


@pytest.mark.parametrize(('name', 'text', 'adapters', 'told'), [
  ('a.tsv', 'nli\tx\nnil\tz\n', {'nli'}, "a.tsv:2: there is no adapter 'nil'. Did you mean 'nli'"),
  ('a.tsv', 'nli x\n', {'nli'}, 'a.tsv:1: expected an adapter .or nothing., a tab, and the prompt'),
  ('a.jsonl', '{"inputs": "x", "adapter": "nil"}\n', {'nli'}, "a.jsonl:1: there is no adapter 'nil'. Did you mean"),
  ('a.jsonl', '{"inputs": "x", "adapter": ["nli"]}\n', {'nli'}, 'a.jsonl:1: there is no adapter'),
  ('a.txt', 'x\n', {'nli'}, 'name no adapter: with ADAPTERS it must be .jsonl or .tsv'),
  ('a.tsv', 'id\tinput\n1\tx\n', None, 'a.tsv:1: expected a header line .* "inputs" among them, not .id.*input'),
  ('a.tsv', 'id\tinputs\n1\tx\n\n', None, 'a.tsv:3: expected 2 columns as in the header line, not 1'),
  ('a.tsv', 'inputs\tinputs\n1\tx\n', None, 'a.tsv:1: each column needs a name of its own'),
  ('a.tsv', 'inputs\tscore\n1\tx\n', None, "a.tsv:1: the field 'score' is what the answer"),
  ('a.jsonl', '{"inputs": "x"}\n{"inputs": "x", "prediction": "y"}', None, "a.jsonl:2: the field 'prediction' is what"),
  ('a.jsonl', '{"inputs": "x"}\n\n{"inputs": 3}\n', None, 'a.jsonl:3: expected a JSON object with a field "inputs"'),
  ('a.jsonl', '{"inputs": "\\ud800"}\n', None, 'a.jsonl:1: expected a JSON object'),
  ('a.jsonl', '[' * 100_000, None, 'a.jsonl:1: expected a JSON object'),
  ('a.txt', b'x\ncaf\xe9\n', None, 'a.txt:2: this is not UTF-8 .* at byte 3'),
  ('a.csv', 'inputs\nx\n', None, 'must be .jsonl, .tsv with a header line, or a text with one prompt a line, not .csv'),
  ('a.jsonl', '\n\n', None, 'is empty'),
])  # fmt: skip
def test_the_line_that_is_wrong_is_told_before_any_is_answered(written, name, text, adapters, told):
  with pytest.raises(UserError, match=told):
    PromptFile(written(name, text), adapters)


def test_no_more_is_read_than_is_asked_for(written):
  path = written('a.jsonl', '{"inputs": "x"}\n{"inputs": "y"}\nbroken')
  prompts = PromptFile(path, examples=2)
  assert [row['inputs'] for row in prompts.records()] == ['x', 'y']
  assert prompts.digest != PromptFile(path, examples=1).digest


def test_the_same_lines_have_one_digest_and_a_change_meanwhile_is_noticed(written):
  path = written('a.txt', 'x\ny\n')
  prompts = PromptFile(path)
  assert prompts.digest == PromptFile(written('b.txt', 'x\ny\n')).digest
  assert prompts.digest != PromptFile(written('b.tsv', 'inputs\ny\n')).digest
  records = prompts.records()
  assert next(records) == {'inputs': 'x'}
  written('a.txt', 'x\nz\n')
  with pytest.raises(UserError, match='was changed while it was being answered'):
    list(prompts.records())


def test_standard_input_is_text_or_json_lines_and_read_more_than_once(monkeypatch):
  prompts = typed(monkeypatch, 'x\ny\n')
  assert (prompts.name, prompts.count) == ('stdin', 2)
  for _ in range(2):
    assert list(prompts.records()) == [{'inputs': 'x'}, {'inputs': 'y'}]
  assert list(typed(monkeypatch, '\n {"inputs": "x", "id": 1}\n').records()) == [{'inputs': 'x', 'id': 1}]
  with pytest.raises(UserError, match='<stdin>:2: expected a JSON object'):
    typed(monkeypatch, '{"inputs": "x"}\ny\n')
  with pytest.raises(UserError, match='standard input is empty'):
    typed(monkeypatch, '')


def test_a_pipe_under_a_name_is_read_more_than_once(tmp_path):
  os.mkfifo(tmp_path / 'a.jsonl')
  writer = threading.Thread(target=(tmp_path / 'a.jsonl').write_text, args=('{"inputs": "x"}\n',))
  writer.start()
  prompts = PromptFile(str(tmp_path / 'a.jsonl'))
  writer.join()
  assert list(prompts.records()) == list(prompts.records()) == [{'inputs': 'x'}]
