"""Our metrics beside T5's own, on numbers that `official_metrics.py` had T5 compute."""

import json
import pathlib

import pytest

from flan_jax.evaluation import metrics

CASES = json.loads(pathlib.Path(__file__).with_name('official_metrics.json').read_text(encoding='utf-8'))
# Ours by the names of theirs, where they differ.
NAMES = {
  'binary_f1': {'f1': 'binary_f1'},
  'macro_f1': {'mean_2class_f1': 'macro_f1', 'mean_3class_f1': 'macro_f1'},
  'matthews_correlation': {'matthews_corrcoef': 'matthews_correlation'},
  'multirc': {'f1': 'f1a', 'exact_match': 'em'},
}
NOTHING_LEFT, OUTER_SPACE = 'nothing is left', 'outer space'


def _ours(case) -> dict[str, float]:
  more = {name: case[name] for name in ('groups', 'classes') if name in case}
  return metrics.get(case['metric'])(case['targets'], case['predictions'], **more)


def _cases(*wanted: str, differing: bool = False):
  odd = {('squad', NOTHING_LEFT), ('trivia_qa', NOTHING_LEFT), ('record', NOTHING_LEFT), ('accuracy', OUTER_SPACE)}
  found = [case for case in CASES if case['metric'] in wanted and ((case['metric'], case['case']) in odd) == differing]
  return pytest.mark.parametrize('case', found, ids=lambda case: f'{case["metric"]}: {case["case"]}')


@_cases(
  'accuracy', 'binary_f1', 'bleu', 'macro_f1', 'matthews_correlation', 'multirc', 'pearson_corrcoef', 'record', 'rouge',
  'sequence_accuracy', 'spearman_corrcoef', 'squad', 'trivia_qa',
)  # fmt: skip
def test_ours_is_the_official_number(case):
  ours, names = _ours(case), NAMES.get(case['metric'], {})
  for name, number in case['official'].items():
    assert ours[names.get(name, name)] == pytest.approx(number, abs=1e-9)


def test_the_cases_tell_metrics_apart():
  """A metric that gave the same whatever it is asked, or the same as another one, would pass them otherwise."""
  numbers: dict[str, dict[str, tuple[float, ...]]] = {}
  for case in CASES:
    numbers.setdefault(case['metric'], {})[case['case']] = tuple(case['official'].values())
  assert len(CASES) > 100 and numbers.keys() >= NAMES.keys()
  assert all(len(set(found.values())) > 2 for found in numbers.values())
  assert numbers['squad']['punctuation'] != numbers['trivia_qa']['punctuation']
  assert numbers['squad']['typographic'] != numbers['trivia_qa']['typographic']
  assert numbers['squad']['ties'] != numbers['record']['ties']
  assert numbers['pearson_corrcoef']['ties'] != numbers['spearman_corrcoef']['ties']


@_cases('squad', 'trivia_qa', 'record', differing=True)
def test_two_texts_of_which_nothing_is_left_are_equal_here_and_have_no_f1_there(case):
  ours = _ours(case)
  assert ours['em'] == ours['f1'] == case['official']['em'] == 100.0  # theirs say so themselves, by exact match
  assert case['official']['f1'] < 100.0


@_cases('accuracy', differing=True)
def test_outer_space_is_no_difference_here(case):
  assert (_ours(case)['accuracy'], case['official']['accuracy']) == (100.0, 0.0)


@_cases('edit_distance')
def test_the_edit_distance_is_of_characters_here_and_of_lower_case_words_there(case):
  def words(text):
    return ''.join(letter if letter.isalnum() or letter == '_' else ' ' for letter in text.lower()).split(' ')

  same = all(words(target) == words(text) for target, text in zip(case['targets'], case['predictions'], strict=True))
  assert (case['official']['mean_edit'] == 0.0) == same
  exact = all(target.strip() == text.strip() for target, text in zip(case['targets'], case['predictions'], strict=True))
  assert (_ours(case)['edit_distance'] == 0.0) == exact


def test_a_lost_capital_is_an_edit_here_only():
  case = next(case for case in CASES if case['metric'] == 'edit_distance' and case['case'] == 'capitals')
  assert case['official']['mean_edit'] == 0.0
  assert _ours(case)['edit_distance'] == 3.0
