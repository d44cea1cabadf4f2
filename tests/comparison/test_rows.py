import json

import pytest

from flan_jax.comparison import costs, rows
from flan_jax.errors import UserError
from tests.comparison import made


def test_a_row_is_read_as_it_was_written(tmp_path):
  assert rows.read_row(tmp_path) is None
  rows.write_row(tmp_path, made.row('lora'))
  assert rows.read_row(tmp_path) == made.row('lora')


def test_a_row_of_another_version_is_refused(tmp_path):
  rows.write_row(tmp_path, made.row('lora'))
  record = json.loads((tmp_path / rows.ROW).read_text())
  (tmp_path / rows.ROW).write_text(json.dumps({**record, 'colour': 'red'}))
  with pytest.raises(UserError, match='is not a row of this version'):
    rows.read_row(tmp_path)
  (tmp_path / rows.ROW).write_text('{')
  with pytest.raises(UserError, match='cannot be read'):
    rows.read_row(tmp_path)


def test_costs_are_read_back_and_those_of_another_configuration_are_not(tmp_path):
  measured = made.costs(['full', 'prompt'], {'rounds': 5})
  assert costs.read(tmp_path, {'rounds': 5}) is None
  costs.write(tmp_path, measured)
  assert costs.read(tmp_path, {'rounds': 5}) == measured
  assert costs.read(tmp_path, {'rounds': 6}) is None
  assert measured.entries['full'].tokens_per_second == 25_000
