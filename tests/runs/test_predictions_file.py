"""The file of predictions: windows, what a kill leaves at every moment, and when it is begun anew."""

import json

import pytest

from flan_jax.errors import UserError
from flan_jax.runs.predictions_file import PredictionsFile

IDENTITY = {'inputs': 'digest', 'num_beams': 4, 'config': ('a', 1)}
ROWS = [{'inputs': f'Fräge {number}', 'score': -number / 7, **({'inputs_truncated': True} if number % 3 == 0 else {})}
        for number in range(10)]
NAME = 'x-predict.jsonl-00000-of-00001'
MARK = 'x-predict.jsonl.COMPLETED'


def run(folder, *, stop=None, identity=IDENTITY, rows=ROWS, window=3):
  """Writes rows as a run does, from where an earlier one stopped; returns which rows it made and what it said."""
  said, made = [], []
  with PredictionsFile(folder, 'x', identity, len(rows), said.append) as output:
    while not output.complete and output.rows < len(rows):
      if output.rows == stop:
        return made, said
      part = rows[output.rows : output.rows + window]
      made += part
      output.append(part)
    if not output.complete:
      output.finish()
  assert output.counts['inputs_truncated'] == sum('inputs_truncated' in row for row in rows)
  return made, said


@pytest.fixture
def whole(tmp_path):
  """The bytes of a run that nobody stopped."""
  folder = tmp_path / 'whole'
  folder.mkdir()
  assert run(folder) == (ROWS, [])
  assert sorted(path.name for path in folder.iterdir()) == [NAME, MARK]
  assert [json.loads(line) for line in (folder / NAME).read_text().splitlines()] == ROWS
  return (folder / NAME).read_bytes()


@pytest.mark.parametrize('half', ['', '{"inputs": "Fr', '{"inputs": "Fräge 6"}\n{"inp'])
def test_what_a_kill_leaves_is_continued_to_the_same_bytes(tmp_path, whole, half):
  run(tmp_path, stop=6)
  assert not (tmp_path / NAME).exists() and not (tmp_path / MARK).exists()
  with (tmp_path / (NAME + '.partial')).open('ab') as file:
    file.write(half.encode())
  made, said = run(tmp_path)
  assert made == ROWS[6:]
  assert said == [f'{NAME}.partial: 6 of 10 rows are there, continuing behind them']
  assert (tmp_path / NAME).read_bytes() == whole


def test_what_is_complete_is_left_alone(tmp_path, whole):
  run(tmp_path)
  before = (tmp_path / NAME).stat()
  assert run(tmp_path) == ([], [])
  assert (tmp_path / NAME).stat() == before


def test_killed_between_the_name_and_the_mark(tmp_path, whole):
  run(tmp_path)
  mark = (tmp_path / MARK).read_text()
  (tmp_path / MARK).rename(tmp_path / (NAME + '.partial.json'))
  assert run(tmp_path) == ([], [])
  assert (tmp_path / MARK).read_text() == mark
  (tmp_path / (NAME + '.partial.json')).write_text(mark)  # killed between the mark and the end
  assert run(tmp_path) == ([], [])
  assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [NAME, MARK]


def test_killed_when_all_is_written_and_nothing_has_its_name(tmp_path, whole):
  with PredictionsFile(tmp_path, 'x', IDENTITY, len(ROWS)) as output:
    output.append(ROWS[:6])
    output.append(ROWS[6:])
  made, _ = run(tmp_path)
  assert made == [] and (tmp_path / NAME).read_bytes() == whole


@pytest.mark.parametrize('stop', [3, None])
def test_what_was_made_from_something_else_is_begun_anew_and_says_so(tmp_path, whole, stop):
  other = [{**row, 'score': 1.0} for row in ROWS]
  run(tmp_path, stop=stop, rows=other, identity={**IDENTITY, 'num_beams': 2, 'top_k': 5})
  made, said = run(tmp_path)
  assert made == ROWS and (tmp_path / NAME).read_bytes() == whole
  assert said == [f'{NAME}: starting anew, because the predictions there were made with other num_beams, top_k']


def test_an_older_output_is_no_longer_marked_while_another_is_made(tmp_path):
  run(tmp_path)
  run(tmp_path, stop=3, identity={**IDENTITY, 'num_beams': 2})
  assert (tmp_path / NAME).exists() and not (tmp_path / MARK).exists()


@pytest.mark.parametrize('harm', [lambda data: data[:-40], lambda data: data.replace(b'Fr', b'fr', 1)])
@pytest.mark.parametrize('stop', [6, None])
def test_what_was_damaged_is_begun_anew(tmp_path, whole, stop, harm):
  run(tmp_path, stop=stop)
  path = tmp_path / (NAME if stop is None else NAME + '.partial')
  path.write_bytes(harm(path.read_bytes()))
  made, said = run(tmp_path)
  assert made == ROWS and (tmp_path / NAME).read_bytes() == whole
  assert said == [f'{NAME}: starting anew, because the predictions there are not those that were written']


def test_an_output_of_an_older_version_is_begun_anew(tmp_path, whole):
  (tmp_path / NAME).write_text('{}\n')
  (tmp_path / MARK).touch()
  made, said = run(tmp_path)
  assert made == ROWS and 'do not say what they were made from' in said[0]


def test_two_processes_do_not_write_one_file(tmp_path):
  with PredictionsFile(tmp_path, 'x', IDENTITY, len(ROWS)) as output:
    output.append(ROWS[:3])
    with pytest.raises(UserError, match='another process is writing'), PredictionsFile(tmp_path, 'x', IDENTITY, 10):
      pass
    output.append(ROWS[3:])
    output.finish()
  assert run(tmp_path) == ([], [])


def test_a_file_with_too_few_rows_gets_no_name(tmp_path):
  with PredictionsFile(tmp_path, 'x', IDENTITY, len(ROWS)) as output:
    output.append(ROWS[:3])
    with pytest.raises(ValueError, match='3 records are written, expected 10'):
      output.finish()
