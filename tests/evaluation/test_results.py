import dataclasses
import json

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import predictions, results, results_file
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
  path = results_file.write_results(tmp_path / 'deep' / 'results.json', [evaluation], {'mixture': 'quickstart'})
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
  path = results_file.write_results(tmp_path / 'results.json', [evaluation])
  assert results_file.read_results(path) == [evaluation]


def test_the_origin_of_a_model_and_its_chosen_templates_read_back_equal(evaluation, tmp_path):
  estimate = evaluation.datasets[0].mean
  datasets = [dataclasses.replace(dataset, chosen=results.Chosen('nli.template_0', 'validation', 61.5, estimate))
              for dataset in evaluation.datasets]
  origin = results.Origin('nli', 'two_clusters', ['topic', 'review'], 1500, {'method': 'lora'}, 172864, 8192, seed=3,
                          digest='ab12', point=results.Point('training clusters', 2.0, 'order 1'), folder='nli/x')
  made = dataclasses.replace(evaluation, datasets=datasets, origin=origin)
  record = results_file.read_record(results_file.write_results(tmp_path / 'results.json', [made], {'gin': 'A = 1'}))
  assert (record.evaluations, record.config) == ([made], {'gin': 'A = 1'})


def test_predictions_of_an_arm_lie_by_its_held_out_cluster_and_read_back(evaluation, tmp_path):
  origin = results.Origin('nli', 'tuned', [], 0, {}, 1, 0, seed=0, digest='')
  made = dataclasses.replace(evaluation, origin=origin)
  paths = results_file.write_predictions(tmp_path, made)
  assert str(paths[0].relative_to(tmp_path)) == 'nli/tuned/nli.template_0.test.jsonl'
  bare = results_file.read_results(results_file.write_results(tmp_path / 'results.json', [made]))[0]
  found = results_file.with_predictions(tmp_path, bare)
  assert [result.predictions for result in found.templates] == [result.predictions for result in made.templates]
  paths[0].unlink()
  with pytest.raises(UserError, match=r'nli\.template_0\.test\.jsonl'):
    results_file.with_predictions(tmp_path, bare)


def test_predictions_read_back_equal(evaluation, tmp_path):
  paths = results_file.write_predictions(tmp_path, evaluation)
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


@pytest.mark.parametrize('content', [
  '{', '[]', '{"format": 2}', '{"format": 1, "evaluations": []}', '{"format": 99, "evaluations": []}'
])  # fmt: skip
def test_a_file_of_another_kind_is_refused(tmp_path, content):
  path = tmp_path / 'results.json'
  path.write_text(content)
  with pytest.raises(UserError, match=r'results\.json'):
    results_file.read_results(path)


def test_missing_files_are_named(tmp_path):
  with pytest.raises(UserError, match=r'none\.json.*No such file'):
    results_file.read_results(tmp_path / 'none.json')
  with pytest.raises(UserError, match=r'none\.jsonl.*No such file'):
    predictions.read_jsonl(tmp_path / 'none.jsonl')
  (tmp_path / 'bad.jsonl').write_text('{"x": 1}\n')
  with pytest.raises(UserError, match='not a file of predictions'):
    predictions.read_jsonl(tmp_path / 'bad.jsonl')
