import dataclasses

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import averages
from flan_jax.evaluation.choice import choose, chosen_templates
from flan_jax.evaluation.protocol import evaluate_tasks
from tests.evaluation.synthetic import YES, always, row


def _evaluation(shares, split, model='tuned', metrics=None, count=20):
  """Each template (dataset, number) has so many rows of 20 right."""
  tasks = [
    [row(f'{split}{n}', answer='yes' if n < right else 'no', dataset=dataset, template=template, cluster=dataset[0])
     for n in range(count)]
    for (dataset, template), right in shares.items()
  ]  # fmt: skip
  return evaluate_tasks(tasks, model, always(YES), split=split, metrics=metrics)


VALIDATION = {('nli', 0): 11, ('nli', 1): 15, ('nli', 2): 15, ('net', 0): 3, ('qa', 0): 20, ('qa', 1): 2}
TEST = {('nli', 0): 18, ('nli', 1): 10, ('nli', 2): 2, ('net', 0): 6, ('qa', 0): 4, ('qa', 1): 19}


def test_the_best_template_of_the_validation_rows_is_scored_on_the_test_rows():
  test = _evaluation(TEST, 'test')
  found = choose(test, _evaluation(VALIDATION, 'validation'), seed=3)
  told = {dataset.dataset: (dataset.chosen.task, dataset.chosen.validation, dataset.chosen.score.value)
          for dataset in found.datasets}  # fmt: skip
  assert told == {  # of the two equal ones of nli the first, whatever they do on the test
    'nli': ('nli.template_1', 75.0, 50.0), 'net': ('net.template_0', 15.0, 30.0), 'qa': ('qa.template_0', 100.0, 20.0)}
  assert {dataset.chosen.chosen_on for dataset in found.datasets} == {'validation'}
  score = found.datasets[0].chosen.score
  assert score.low < 50.0 < score.high and score.n == 20
  assert dataclasses.replace(found, datasets=test.datasets) == test
  clusters = {cluster.cluster: cluster.mean.value for cluster in averages.over_datasets(chosen_templates(found))}
  assert clusters == {'n': pytest.approx((50 + 30) / 2), 'q': 20.0}


def test_fewer_edits_are_better():
  def edits(evaluation):
    return dataclasses.replace(
      evaluation,
      datasets=[dataclasses.replace(dataset, metric='edit_distance') for dataset in evaluation.datasets],
      templates=[dataclasses.replace(result, metric='edit_distance', metrics={'edit_distance': result.score})
                 for result in evaluation.templates],
    )  # fmt: skip

  found = choose(edits(_evaluation(TEST, 'test')), edits(_evaluation(VALIDATION, 'validation')))
  assert [dataset.chosen.task[-1] for dataset in found.datasets] == ['0', '0', '1']


def test_results_without_predictions_keep_the_interval_that_they_have():
  def bare(evaluation):
    templates = [dataclasses.replace(result, predictions=[]) for result in evaluation.templates]
    return dataclasses.replace(evaluation, templates=templates)

  found = choose(bare(_evaluation(TEST, 'test')), bare(_evaluation(VALIDATION, 'validation')))
  assert found.datasets[0].chosen.score == found.templates[1].score


def test_what_does_not_match_is_named():
  test, validation = _evaluation(TEST, 'test'), _evaluation(VALIDATION, 'validation')
  with pytest.raises(UserError, match="not 'untuned' those of 'tuned'"):
    choose(test, dataclasses.replace(validation, model='untuned'))
  with pytest.raises(UserError, match="dataset 'nli' must be chosen on other rows .* both evaluations are of 'test'"):
    choose(test, test)
  fewer = {key: value for key, value in VALIDATION.items() if key != ('qa', 1)}
  with pytest.raises(UserError, match=r"dataset 'qa' can be chosen .* only one of them has qa\.template_1"):
    choose(test, _evaluation(fewer, 'validation'))
  other = dataclasses.replace(validation, templates=[
    dataclasses.replace(result, metric='em', metrics={'em': result.score}) for result in validation.templates])
  with pytest.raises(UserError, match=r"'nli\.template_0' was measured by em on 'validation' and by accuracy on"):
    choose(test, other)
  with pytest.raises(UserError, match=r'No template was chosen for nli, net, qa \(tuned\)'):
    chosen_templates(test)
