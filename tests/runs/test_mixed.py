"""Lines that each name their adapter: answered in their order, as each adapter alone answers them."""

import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.errors import UserError
from flan_jax.models import Generator
from flan_jax.runs.infer import read_prompts
from flan_jax.runs.mixed import MixedGenerator
from tests.peft.methods import METHODS, base, stirred

LINES = [np.array(row, np.int32) for row in ([5, 6], [7, 8, 9], [5, 6], [4], [7, 8, 9])]


@pytest.mark.parametrize(('second', 'by_row'), [('ia3', True), ('norms', False)])
def test_each_row_is_answered_by_its_adapter_and_in_its_place(second, by_row, tmp_path):
  directories = {name: str(tmp_path / name) for name in ('lora', second)}
  for name, directory in directories.items():
    peft.save_adapter(stirred(name), directory, METHODS[name])
  model = base()
  mixed = MixedGenerator(Generator(model, max_decode_len=4, batch_size=4), model, directories)
  assert mixed.by_row == by_row
  names = ['lora', None, second, second, 'lora']
  answers = mixed(LINES, names)
  for name in (None, 'lora', second):
    alone = Generator(base() if name is None else stirred(name), max_decode_len=4)(LINES)
    for row, other in enumerate(names):
      assert other != name or answers[row] == alone[row]
  assert mixed(LINES[::-1], names[::-1]) == answers[::-1]


def test_adapters_of_another_base_are_refused(tmp_path):
  model = base(seed=7)
  METHODS['lora'].attach(model, nnx.Rngs(params=1))
  peft.save_adapter(model, tmp_path / 'lora', METHODS['lora'])
  with pytest.raises(UserError, match='trained on base weights'):
    MixedGenerator(Generator(base()), base(), {'lora': str(tmp_path / 'lora')})


def test_lines_name_their_adapter_in_json_or_before_a_tab(tmp_path):
  json_lines, table = tmp_path / 'a.jsonl', tmp_path / 'a.tsv'
  lines = '{"inputs": "x\\ty", "adapter": "nli", "id": 3}', '{"inputs": "z", "adapter": null}', '{"inputs": "w"}'
  json_lines.write_text('\n'.join(lines))
  table.write_text('nli\tx\ty\n\tz\n')
  read = list(read_prompts(str(json_lines), {'nli'}))
  assert read == [{'inputs': 'x\ty', 'adapter': 'nli', 'id': 3}, {'inputs': 'z', 'adapter': None}, {'inputs': 'w'}]
  assert list(read_prompts(str(table), {'nli'})) == [{'inputs': 'x\ty', 'adapter': 'nli'}, {'inputs': 'z'}]
  assert list(read_prompts(str(table))) == [{'inputs': 'nli\tx\ty'}, {'inputs': '\tz'}]  # as before there were adapters


@pytest.mark.parametrize(('name', 'text', 'told'), [
  ('a.tsv', 'nli\tx\nnil\tz\n', "a.tsv:2: there is no adapter 'nil'. Did you mean 'nli'"),
  ('a.tsv', 'nli x\n', 'a.tsv:1: expected an adapter .or nothing., a tab, and the prompt'),
  ('a.jsonl', '{"inputs": "x", "adapter": "nil"}\n', "a.jsonl:1: there is no adapter 'nil'. Did you mean 'nli'"),
  ('a.jsonl', '{"inputs": "x", "adapter": ["nli"]}\n', 'a.jsonl:1: there is no adapter'),
  ('a.txt', 'x\n', 'name no adapter: with ADAPTERS it must be .jsonl or .tsv'),
])
def test_lines_that_name_no_adapter_that_there_is(name, text, told, tmp_path):
  (tmp_path / name).write_text(text)
  with pytest.raises(UserError, match=told):
    list(read_prompts(str(tmp_path / name), {'nli': '/somewhere'}))
