import dataclasses

import pytest

from flan_jax.evaluation import protocol_run, results_file, summary
from flan_jax.evaluation.statistics import Estimate
from tests.evaluation import protocol_folder


@pytest.mark.parametrize(('estimate', 'chance', 'said'), [
  (Estimate(60.0, 50.1, 70.0, 9), 50.0, 'above chance'),
  (Estimate(60.0, 50.0, 70.0, 9), 50.0, 'at chance'),
  (Estimate(40.0, 30.0, 50.0, 9), 50.0, 'at chance'),
  (Estimate(40.0, 30.0, 49.9, 9), 50.0, 'below chance'),
  (Estimate(40.0, None, None, 9), 50.0, ''),
  (Estimate(40.0, 30.0, 49.9, 9), None, ''),
])  # fmt: skip
def test_chance_in_the_interval_is_chance(estimate, chance, said):
  assert summary.against_chance(estimate, chance) == said


@pytest.mark.parametrize(('low', 'high', 'said'), [
  (0.1, 2.0, 'above'), (0.0, 2.0, 'not told apart from'), (-2.0, -0.1, 'below'), (None, None, ''),
  (-1e-14, -1e-15, 'not told apart from'), (1e-15, 1e-14, 'not told apart from'),
])  # fmt: skip
def test_nought_in_the_interval_tells_nothing_apart(low, high, said):
  assert summary.direction(Estimate(1.0, low, high, 9)) == said


def run(tmp_path, skills) -> protocol_run.Run:
  found = [dataclasses.replace(protocol_folder.evaluation(cluster, arm, templates=1, count=150, skill=skill),
                               origin=protocol_folder.origin(cluster, arm))
           for cluster, arms in skills.items() for arm, skill in arms.items()]  # fmt: skip
  protocol_folder.write(tmp_path, found)
  return protocol_run.load(tmp_path)


def test_the_sentences_say_what_the_numbers_say(tmp_path):
  found = run(tmp_path, {'nli': {'tuned': 0.95, 'untuned': 0.56}, 'coreference': {'tuned': 0.56, 'untuned': 0.95}})
  short, lines = summary.sentences(found)
  assert short[0] == 'Of 2 held-out clusters, tuned is above chance in 1 (nli) and at chance in 1 (coreference).'
  assert short[1].startswith('Compared with untuned in 2 clusters, tuned is above it in 1 and below it in 1; ')
  assert '; over all 4 datasets the difference is ' in short[1]
  tuned, untuned = found.of('nli')
  above = tuned.above(untuned, ['rte', 'cb'])
  scores = [arm.evaluation.clusters[0].mean.value for arm in (tuned, untuned)]
  assert above.value == pytest.approx(scores[0] - scores[1]) and above.value > 20
  assert lines[0] == (f'nli: tuned reaches {tuned.evaluation.clusters[0].mean}, above chance (50.0). '
                      f'It is above untuned ({summary.signed(above)}).')  # fmt: skip
  assert 'It is below untuned (-' in lines[1]


def test_clusters_are_counted_where_they_were_held_out_and_extra_ones_are_named_apart(tmp_path):
  found = run(tmp_path, {'nli': {'tuned': 0.95, 'untuned': 0.5}, 'coreference': {'tuned': 0.95, 'untuned': 0.5}})
  # Each arm was asked both clusters, as arms are whose clusters leave together; and one more beside them.
  other = {arm.name: arm.evaluation for arm in found.of('coreference')}
  arms = [dataclasses.replace(arm, evaluation=dataclasses.replace(arm.evaluation, clusters=[
    *arm.evaluation.clusters, *(one for one in other[arm.name].clusters if arm.held_out == 'nli'),
    dataclasses.replace(arm.evaluation.clusters[0], cluster='bbh'),
  ])) for arm in found.arms]  # fmt: skip
  record = dataclasses.replace(found.record, config={**found.record.config, 'extra': ['bbh']})
  short, lines = summary.sentences(dataclasses.replace(found, arms=arms, record=record))
  assert short[0] == 'Of 2 held-out clusters, tuned is above chance in 2 (nli and coreference).'
  assert 'in 2 clusters' in short[1] and short[-1] == 'bbh was asked of every arm too; see the tables.'
  assert [line.partition(':')[0] for line in lines] == ['nli', 'coreference']


def test_without_predictions_nothing_is_said_to_be_above(tmp_path):
  one = protocol_folder.evaluation('nli', 'tuned', templates=1, count=20)
  two = protocol_folder.evaluation('nli', 'untuned', templates=1, count=20)
  results_file.write_results(tmp_path / 'results.json', [
    dataclasses.replace(found, origin=protocol_folder.origin('nli', arm))
    for found, arm in ((one, 'tuned'), (two, 'untuned'))
  ])  # fmt: skip
  found = protocol_run.load(tmp_path)
  assert len(found.missing) == 4
  short, lines = summary.sentences(found)
  assert 'tuned is not to be paired with it in 1; a difference over all datasets cannot be paired' in short[1]
  assert 'untuned' not in lines[0]
