import json

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import predictions, results
from flan_jax.evaluation.paired import paired_accuracy
from flan_jax.evaluation.protocol import evaluate_task, evaluate_tasks
from tests.evaluation.synthetic import YES, always, row


@pytest.fixture
def evaluation() -> results.Evaluation:
  ids = [f'r{index}' for index in range(9)]
  plain = [row(name, answer='yes' if place % 3 else 'no') for place, name in enumerate(ids)]
  opposite = [row(name, answer='no', dataset='nli_opposite') for name in ids]
  evaluation = evaluate_tasks([plain, opposite], 'instruction-tuned', always(YES), checkpoint='run/5000', seed=4)
  evaluation.paired.append(paired_accuracy(*evaluation.templates))
  return evaluation


def test_json_holds_the_origin_of_every_number(evaluation, tmp_path):
  path = results.write_results(tmp_path / 'deep' / 'results.json', [evaluation], {'mixture': 'quickstart'})
  record = json.loads(path.read_text())
  assert record['config'] == {'mixture': 'quickstart'}
  assert {'python', 'jax', 'flax', 'numpy'} <= record['versions'].keys()
  first = record['evaluations'][0]['templates'][0]
  assert first['metrics']['accuracy']['value'] == pytest.approx(200 / 3)
  assert {key: first[key] for key in ('task', 'split', 'template', 'rows', 'seed')} == {
    'task': 'nli.template_0', 'split': 'test', 'template': 0, 'rows': 9, 'seed': 4,
  }  # fmt: skip
  assert 'predictions' not in first
  assert not list(path.parent.glob('*.partial'))


def test_results_read_back_equal(evaluation, tmp_path):
  path = results.write_results(tmp_path / 'results.json', [evaluation])
  assert results.read_results(path) == [evaluation]


def test_predictions_read_back_equal(evaluation, tmp_path):
  paths = results.write_predictions(tmp_path, evaluation)
  assert [str(path.relative_to(tmp_path)) for path in paths] == [
    'instruction-tuned/nli.template_0.test.jsonl', 'instruction-tuned/nli_opposite.template_0.test.jsonl',
  ]  # fmt: skip
  read = predictions.read_jsonl(paths[0])
  assert read == evaluation.templates[0].predictions
  assert (read[0].row_id, read[0].template, read[0].options, read[0].scores) == ('r0', 0, ['yes', 'no'], [0.0, -1.0])


def test_one_line_is_one_object_whatever_the_text_holds(tmp_path):
  odd = row('r0', answer='a\u2028b\n"c"', options=('a\u2028b\n"c"', 'no'))
  result = evaluate_task([odd], always(YES))
  path = predictions.write_jsonl(tmp_path / 'odd.jsonl', result.predictions)
  assert len(path.read_bytes().strip().split(b'\n')) == 1
  assert predictions.read_jsonl(path) == result.predictions


@pytest.mark.parametrize('content', ['{', '[]', '{"format": 1}', '{"format": 99, "evaluations": []}'])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
  path = tmp_path / 'results.json'
  path.write_text(content)
  with pytest.raises(UserError, match=r'results\.json'):
    results.read_results(path)


def test_missing_files_are_named(tmp_path):
  with pytest.raises(UserError, match=r'none\.json.*No such file'):
    results.read_results(tmp_path / 'none.json')
  with pytest.raises(UserError, match=r'none\.jsonl.*No such file'):
    predictions.read_jsonl(tmp_path / 'none.jsonl')
  (tmp_path / 'bad.jsonl').write_text('{"x": 1}\n')
  with pytest.raises(UserError, match='not a file of predictions'):
    predictions.read_jsonl(tmp_path / 'bad.jsonl')
