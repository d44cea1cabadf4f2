import dataclasses

import numpy as np
import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import results_file
from flan_jax.evaluation.protocol import evaluate_tasks
from flan_jax.evaluation.results import Origin, Point
from flan_jax.evaluation.seeds import over_seeds, seed_table
from tests.evaluation.synthetic import NO, YES, RuleScorer, row

DATASETS = (('nli', 'nli', 2), ('topic', 'topic', 1), ('mood', 'topic', 1))  # name, cluster, templates


def run(seed, right, *, arm='tuned', model='m', held_out='nli', count=100, point=None, reverse=False):
  """A run of which a model gets so many rows right of each dataset, others with each seed."""
  tasks = []
  for name, cluster, templates in DATASETS:
    hit = set(np.random.default_rng([seed, len(name)]).permutation(count)[: right[name]].tolist())
    rows = [
      [row(f'r{n}', inputs=(3 + (n in hit), n + 10, 1), dataset=name, cluster=cluster, template=template)
       for n in range(count)]
      for template in range(templates)
    ]  # fmt: skip
    tasks += [list(reversed(one)) if reverse else one for one in rows]
  scorer = RuleScorer(lambda source, option: float(option == (YES if source[0] == 4 else NO)))
  found = evaluate_tasks(tasks, model, scorer)
  origin = Origin(held_out, arm, ['x'], 10, {}, 1, 1, seed, f'{seed}', point)
  return dataclasses.replace(found, origin=origin)


RIGHT = [{'nli': nli, 'topic': 70, 'mood': mood} for nli, mood in ((50, 20), (56, 30), (65, 40))]


@pytest.fixture(scope='module')
def runs():
  return [[run(seed, right)] for seed, right in enumerate(RIGHT, 11)]


def test_datasets_and_clusters_have_mean_spread_and_ends_over_runs(runs):
  found = {(one.level, one.name): one for one in over_seeds(runs)}
  assert list(found) == [('dataset', 'nli'), ('dataset', 'topic'), ('dataset', 'mood'), ('cluster', 'nli'),
                         ('cluster', 'topic')]  # fmt: skip
  nli = found['dataset', 'nli']
  assert nli.values == {11: 50.0, 12: 56.0, 13: 65.0}
  assert (nli.mean.value, nli.lowest, nli.highest) == (pytest.approx(57.0), 50.0, 65.0)
  assert nli.std == pytest.approx(57**0.5)  # (49 + 1 + 64) / 2
  assert (nli.arm, nli.held_out, nli.metric, nli.split, nli.mean.n) == ('tuned', 'nli', 'accuracy', 'test', 100)
  assert found['dataset', 'topic'].std == 0.0
  topic = found['cluster', 'topic']
  assert topic.values == pytest.approx({11: 45.0, 12: 50.0, 13: 55.0})
  assert (topic.std, topic.mean.n) == (pytest.approx(5.0), 200)


def test_intervals_draw_runs_and_questions(runs):
  """Wider than of one run's questions where runs differ; that of questions where all runs answered alike."""
  nli = over_seeds(runs, seed=2)[0]
  alone = [evaluation.datasets[0].mean for evaluation, in runs]
  assert nli.mean.low < nli.mean.value < nli.mean.high
  same = dataclasses.replace(runs[0][0], origin=dataclasses.replace(runs[0][0].origin, seed=99))
  alike = over_seeds([runs[0], [same]])[0].mean
  assert alike == pytest.approx(alone[0])
  variance = 0.24 / 100 / 3 + np.var([0.50, 0.56, 0.65]) / 3  # of 100 questions answered independently; of drawn runs
  assert nli.mean.high - nli.mean.low == pytest.approx(2 * 1.96 * 100 * variance**0.5, rel=0.2)


def test_rows_are_paired_by_id_whatever_their_order(runs):
  shuffled = [runs[0], [run(12, RIGHT[1], reverse=True)], runs[2]]
  for one, other in zip(over_seeds(runs), over_seeds(shuffled), strict=True):
    assert one == other


def test_results_read_without_predictions_have_no_interval_and_with_them_the_same(runs, tmp_path):
  read = []
  for place, (evaluation,) in enumerate(runs):
    results_file.write_results(tmp_path / f'{place}.json', [evaluation])
    results_file.write_predictions(tmp_path / str(place), evaluation)
    read.append(results_file.read_results(tmp_path / f'{place}.json'))
  bare = over_seeds(read)
  assert [(one.mean.low, one.mean.n) for one in bare] == [(None, 100)] * 3 + [(None, 100), (None, 200)]
  full = [[results_file.with_predictions(tmp_path / str(place), one) for one in run] for place, run in enumerate(read)]
  assert over_seeds(full) == over_seeds(runs)
  assert [one.std for one in bare] == pytest.approx([one.std for one in over_seeds(runs)])


def test_arms_points_and_models_are_kept_apart():
  few, many = Point('clusters', 1, 'first'), Point('clusters', 3)
  two = [
    [run(seed, right), run(seed, RIGHT[0], arm='untuned'), run(seed, right, point=few), run(seed, right, point=many)]
    for seed, right in enumerate(RIGHT[:2])
  ]
  found = over_seeds(two)
  assert [one.arm for one in found[::5]] == ['tuned', 'untuned', 'tuned (clusters 1 first)', 'tuned (clusters 3)']
  plain = [[dataclasses.replace(evaluation, origin=None) for evaluation in one[:1]] for one in two]
  found = over_seeds(plain)[0]
  assert (found.arm, found.held_out, list(found.values)) == ('m', '', [0, 1])


def test_runs_that_do_not_match_are_refused_with_what_differs(runs):
  first, second = runs[0][0], runs[1][0]

  def with_templates(change):
    return [dataclasses.replace(second, templates=[change(result) for result in second.templates])]

  with pytest.raises(UserError, match='needs at least two runs, not 1'):
    over_seeds(runs[:1])
  with pytest.raises(UserError, match=r"Two runs of 'tuned' with 'nli' held out have the seed 11"):
    over_seeds([runs[0], runs[0]])
  with pytest.raises(UserError, match=r"Run 1 has two evaluations of 'tuned' with 'nli' held out"):
    over_seeds([[first, first], [second]])
  with pytest.raises(UserError, match=r"Run 2 has other conditions .* has 'contrast' with 'nli' held out, 'tuned'"):
    over_seeds([runs[0], [run(12, RIGHT[1], arm='contrast')]])
  with pytest.raises(UserError, match=r'only one of them has the tasks nli\.template_1'):
    over_seeds([runs[0], [dataclasses.replace(second, templates=[second.templates[0], *second.templates[2:]])]])
  with pytest.raises(UserError, match=r"'nli\.template_0' has a number of rows of 100 in run 1 and 99 in run 2"):
    over_seeds([runs[0], with_templates(lambda result: dataclasses.replace(result, rows=99))])
  with pytest.raises(UserError, match=r"'nli\.template_0' has the split test in run 1 and validation in run 2"):
    over_seeds([runs[0], with_templates(lambda result: dataclasses.replace(result, split='validation'))])
  with pytest.raises(UserError, match=r"'nli\.template_0' was asked about other rows"):
    over_seeds([runs[0], with_templates(lambda result: dataclasses.replace(result, predictions=[
      dataclasses.replace(one, row_id=f'x{one.row_id}') for one in result.predictions]))])


def test_the_table_has_a_row_for_each(runs):
  table = seed_table(over_seeds(runs))
  assert table.rows[0][:6] == ('nli', 'dataset', 'tuned', 'nli', 'accuracy', '57.0')
  assert table.rows[0][7:] == ('7.5', '50.0', '65.0', '3')
  assert [line[1] for line in table.rows] == ['dataset'] * 3 + ['cluster'] * 2
  assert 'too narrow' in table.to_markdown()


def test_the_script_puts_folders_together(runs, tmp_path, capsys):
  from scripts import report
  folders = [tmp_path / f'seed_{place}' for place in range(3)]
  for folder, evaluations in zip(folders, runs, strict=True):
    results_file.write_results(folder / 'results.json', evaluations)
    for evaluation in evaluations:
      results_file.write_predictions(folder / 'predictions', evaluation)
  output = tmp_path / 'seeds.html'
  assert report.main(['seeds', *map(str, folders), '--arm', 'tuned', '--output', str(output)]) == 0
  assert '57.0' in capsys.readouterr().out and '57.0' in output.read_text()
  assert report.main(['seeds', *map(str, folders), '--arm', 'tund']) == 2
  assert "has no arm 'tund'. Did you mean 'tuned'" in capsys.readouterr().err
