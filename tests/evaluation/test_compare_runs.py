import dataclasses

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import compare_runs, results_file
from flan_jax.evaluation.results import Evaluation
from scripts import report
from tests.evaluation import protocol_folder

OPTIONS = {'templates': 2, 'count': 50}


def write(folder, *found: Evaluation, gin='A = 1'):
  results_file.write_results(folder / 'results.json', found, {'gin': gin})
  for one in found:
    results_file.write_predictions(folder / 'predictions', one)
  return folder


def of_protocol(arm, cluster='nli', **options) -> Evaluation:
  made = protocol_folder.evaluation(cluster, arm, **{**OPTIONS, **options})
  return dataclasses.replace(made, origin=protocol_folder.origin(cluster, arm))


@pytest.fixture
def plain(tmp_path):
  """Two runs of one evaluation each, by models of other names."""
  better, worse = (protocol_folder.evaluation('nli', name, skill=skill, **OPTIONS)
                   for name, skill in (('tuned', 0.9), ('untuned', 0.5)))  # fmt: skip
  return write(tmp_path / 'a', worse), write(tmp_path / 'b', better, gin='A = 2')


def test_differences_are_those_of_the_scores_and_paired(plain):
  found = compare_runs.compare_runs(plain)
  assert [(line.level, line.name) for line in found.lines] == [
    ('dataset', 'rte'), ('dataset', 'cb'), ('cluster', 'nli'), ('all', '2')
  ]  # fmt: skip
  first, second = (results_file.read_results(folder / 'results.json')[0] for folder in plain)
  assert [line.scores[0] for line in found.lines[:2]] == [one.mean for one in first.datasets]
  assert found.lines[2].scores[1] == second.clusters[0].mean
  for line in found.lines:
    difference, = line.differences
    assert difference.value == pytest.approx(line.scores[1].value - line.scores[0].value)
    assert difference.low < difference.value < difference.high


def test_the_script_writes_the_page_and_prints_the_table(plain, tmp_path, open_page, capsys):
  output = tmp_path / 'out' / 'compare.html'
  assert report.main(['compare', *map(str, plain), '--output', str(output)]) == 0
  printed = capsys.readouterr().out
  difference = compare_runs.compare_runs(plain).lines[-1].differences[0]
  assert str(output) in printed and 'By dataset' in printed and f'{difference.value:+.1f} [' in printed
  opened = open_page(output, 375)
  assert opened.said == [] and opened.page.title() == 'a and b compared'
  assert opened.page.evaluate('document.documentElement.scrollWidth') == 375
  text = opened.page.locator('body').text_content()
  assert '-A = 1\n+A = 2' in text and 'Compared with a in 2 datasets, b is above it in ' in text
  assert (output.parent / 'compare_differences.svg').exists() and (output.parent / 'compare_differences.png').exists()


def test_arms_of_the_protocol_meet_their_own(tmp_path):
  one = write(tmp_path / 'a', of_protocol('tuned'), of_protocol('untuned'), of_protocol('tuned', 'paraphrase'))
  two = write(tmp_path / 'b', of_protocol('tuned', skill=0.9), of_protocol('untuned'),
              of_protocol('tuned', 'paraphrase', skill=0.9))  # fmt: skip
  found = compare_runs.compare_runs([one, two])
  whole = {line.arm: line for line in found.lines if line.level == 'all'}
  assert {arm: line.name for arm, line in whole.items()} == {'tuned': '4', 'untuned': '2'}
  assert whole['untuned'].differences[0][:3] == (0.0, 0.0, 0.0) and whole['tuned'].differences[0].low > 0
  assert [line.arm for line in compare_runs.compare_runs([one, two], arm='tuned').lines] == [''] * 7


def test_a_metric_of_the_corpus_has_a_difference_without_interval(tmp_path):
  written = protocol_folder.generated('stories')
  runs = []
  for name, value in (('a', 20.0), ('b', 32.5)):
    score = written.datasets[0].mean._replace(value=value, low=None, high=None)
    templates = [dataclasses.replace(one, metric='bleu', metrics={'bleu': score}, predictions=[
      dataclasses.replace(prediction, credit=None) for prediction in one.predictions
    ]) for one in written.templates]  # fmt: skip
    datasets = [dataclasses.replace(one, metric='bleu', mean=score) for one in written.datasets]
    runs.append(write(tmp_path / name, dataclasses.replace(written, templates=templates, datasets=datasets)))
  line = compare_runs.compare_runs(runs).lines[0]
  assert line.differences[0][:3] == (12.5, None, None)


def test_what_was_not_asked_alike_is_named(plain, tmp_path, capsys):
  fewer = write(tmp_path / 'fewer', protocol_folder.evaluation('nli', 'tuned', templates=2, count=49))
  other = write(tmp_path / 'other', protocol_folder.evaluation('nli', 'tuned', templates=1, count=50))
  with pytest.raises(UserError, match=r"only the rows of 'rte\.template_0' in a have 'rte-test__49'\.$"):
    compare_runs.compare_runs([plain[0], fewer])
  with pytest.raises(UserError, match=r"only those of a have 'rte\.template_1', 'cb\.template_1'"):
    compare_runs.compare_runs([other, plain[0]])
  arms = write(tmp_path / 'arms', of_protocol('tuned'), of_protocol('untuned'))
  less = write(tmp_path / 'less', of_protocol('tuned'), of_protocol('contrast'))
  with pytest.raises(UserError, match=r"only the arms of arms have 'nli / untuned'; only those of less have "
                                      r"'nli / contrast'\. --arm NAME compares one arm\.$"):  # fmt: skip
    compare_runs.compare_runs([arms, less])
  with pytest.raises(UserError, match=r"'arms' has no arm 'tuend'\. Did you mean 'tuned'"):
    compare_runs.compare_runs([arms, less], arm='tuend')
  assert compare_runs.compare_runs([arms, less], arm='tuned').lines
  (plain[1] / 'predictions' / 'instruction-tuned' / 'cb.template_1.test.jsonl').unlink()
  output = tmp_path / 'x.html'
  assert report.main(['compare', *map(str, plain), '--output', str(output)]) == 2
  assert "lacks predictions, without which rows cannot be paired: 'predictions/instruction-tuned/cb.template_1" in (
    capsys.readouterr().err)  # fmt: skip
  assert not output.exists()


def test_a_run_is_not_compared_with_itself_or_with_nothing(plain):
  with pytest.raises(UserError, match='at least two'):
    compare_runs.compare_runs(plain[:1])
  with pytest.raises(UserError, match='named once'):
    compare_runs.compare_runs([plain[0], plain[0]])


def test_the_script_builds_a_report_anew(plain, capsys):
  assert report.main(['build', str(plain[0]), '--answers', '3']) == 0
  page = plain[0] / 'report.html'
  assert capsys.readouterr().out == f'{page}\n'
  assert 'At most 3 answers of each kind' in page.read_text()
  assert report.main(['build', str(plain[0] / 'none')]) == 2
  assert 'none/results.json' in capsys.readouterr().err
