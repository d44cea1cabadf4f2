import random
import warnings

import numpy as np
import pytest
import sacrebleu
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from flan_jax.errors import UserError
from flan_jax.evaluation import label_metrics, metrics, text_metrics
from flan_jax.evaluation.answers import Answers

SYSTEM = ['The dog bit the man.', "It wasn't surprising.", 'The man had just bitten him.']
REFERENCES = [
  ['The dog bit the man.', 'The dog had bit the man.'],
  ['It was not unexpected.', 'No one was surprised.'],
  ['The man bit him first.', 'The man had bitten the dog.'],
]


def _precision_and_recall_f1(target: str, prediction: str) -> float:
  """F1 as SQuAD's script has it, through precision and recall, by removing each matched word from a list."""
  expected, given = text_metrics.normalize_answer(target).split(), text_metrics.normalize_answer(prediction).split()
  left, same = list(expected), 0
  for word in given:
    if word in left:
      left.remove(word)
      same += 1
  if not same:
    return float(not expected and not given)
  precision, recall = same / len(given), same / len(expected)
  return 2 * precision * recall / (precision + recall)


def _levenshtein(one: str, other: str) -> int:
  """The definition: a row per character of one text, a column per character of the other."""
  row = list(range(len(other) + 1))
  for i, character in enumerate(one, 1):
    above, row = row, [i]
    for j, opposite in enumerate(other, 1):
      row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (character != opposite)))
  return row[-1]


@pytest.mark.parametrize(('text', 'normal'), [
  ('The  Cat, sat!', 'cat sat'),
  ('an Apple a day\tkeeps\nthe doctor away', 'apple day keeps doctor away'),
  ('theatre, anthem and aardvark', 'theatre anthem and aardvark'),  # articles only as whole words
  ('U.S.A.', 'usa'),
  ('twenty-one', 'twentyone'),  # punctuation leaves no space, as in the official script
  ('  ', ''),
  ('the', ''),
  ('Müller’s', 'müller’s'),  # only ASCII punctuation
])  # fmt: skip
def test_answers_are_normalised_as_squad_does(text, normal):
  assert text_metrics.normalize_answer(text) == normal


def test_token_f1_is_the_golden_value_of_shared_words():
  assert text_metrics.token_f1('the red big house', 'a big red car') == pytest.approx(2 / 3)  # 2 shared of 3 and 3
  assert text_metrics.token_f1('Denver Broncos', 'Broncos') == pytest.approx(2 / 3)  # precision 1, recall 1/2
  assert text_metrics.token_f1('ha ha ha', 'ha ha') == pytest.approx(0.8)  # words count as often as they occur
  assert text_metrics.token_f1('the', 'a') == 1.0  # both empty once normalised
  assert text_metrics.token_f1('the', 'cat') == text_metrics.token_f1('cat', '') == 0.0


def test_token_f1_equals_precision_and_recall_on_random_texts():
  draw = random.Random(0)
  words = ['The', 'a', 'cat', 'cat.', 'Dog', 'dog', 'sat!', 'mat', '']
  for _ in range(300):
    target, text = (' '.join(draw.choices(words, k=draw.randrange(7))) for _ in range(2))
    assert text_metrics.token_f1(target, text) == pytest.approx(_precision_and_recall_f1(target, text))


def test_squad_gives_exact_match_and_f1_of_the_best_reference():
  targets = [['Denver Broncos', 'the Broncos'], ['24 to 10'], ['gold']]
  found = metrics.get('squad')(targets, ['Broncos!', '24 by 10', 'silver'])
  assert found == {'em': pytest.approx(100 / 3), 'f1': pytest.approx(100 * (1 + 2 / 3 + 0) / 3)}
  assert next(iter(found)) == 'em'  # the headline


def test_accuracy_compares_text_but_for_outer_space_and_exact_match_normalises():
  targets, texts = ['yes', 'yes', 'The cat'], [' yes\n', 'Yes', 'cat.']
  assert metrics.get('accuracy')(targets, texts) == {'accuracy': pytest.approx(100 / 3)}
  assert metrics.get('exact_match')(targets, texts) == {'exact_match': 100.0}


@pytest.mark.parametrize('name', [
  'accuracy', 'edit_similarity', 'exact_match', 'f1', 'rouge', 'sequence_accuracy', 'squad', 'trivia_qa',
])  # fmt: skip
def test_any_reference_may_match_whatever_its_place(name):
  one = metrics.get(name)(['a good dog'], ['a good dog'])
  assert set(one.values()) == {100.0}
  for references in (['a good dog', 'x y'], ['x y', 'a good dog']):
    assert metrics.get(name)([references], ['a good dog']) == one


def _rows(name, targets, texts):
  return metrics.measure(name, Answers(targets, texts)).rows


def test_values_of_rows_average_to_the_metric():
  targets, texts = ['a b', 'c', 'd e'], ['b', 'c', 'f']
  np.testing.assert_allclose(_rows('f1', targets, texts)['f1'], [1.0, 1.0, 0.0])  # "a" is an article
  for name in ('accuracy', 'edit_similarity', 'exact_match', 'f1', 'rouge', 'sequence_accuracy', 'squad', 'trivia_qa'):
    means = {key: 100 * values.mean() for key, values in _rows(name, targets, texts).items()}
    assert metrics.get(name)(targets, texts) == pytest.approx(means)
  for name in ('bleu', 'edit_distance', 'macro_f1'):
    assert _rows(name, targets, texts) is None


def test_edit_distance_worked_by_hand_to_the_nearest_reference():
  # kitten -> sitting: k to s, e to i, g added. The second row: T to t, the stop gone. The third: one o too many, not 5.
  targets, texts = ['kitten', 'The cat.', ['Monday', 'to']], ['sitting', 'the cat', 'too']
  assert metrics.get('edit_distance')(targets, texts) == {'edit_distance': pytest.approx((3 + 2 + 1) / 3)}
  found = _rows('edit_similarity', targets, texts)['edit_similarity']
  np.testing.assert_allclose(found, [1 - 3 / 7, 1 - 2 / 8, 1 - 1 / 3])


def test_edit_distance_sees_case_punctuation_and_spaces_but_no_outer_space():
  distance = metrics.get('edit_distance')
  for text in ('the Cat, sat', 'The cat, sat', 'the cat sat', 'thecat, sat', 'the cat, sät'):
    assert distance(['the cat, sat'], [text]) == {'edit_distance': 1.0}
  assert distance(['the cat'], [' the cat\n']) == {'edit_distance': 0.0}
  assert metrics.get('edit_similarity')(['the cat'], [' the cat\n']) == {'edit_similarity': 100.0}
  assert distance(['', 'abc'], ['', '']) == {'edit_distance': 1.5}
  assert metrics.get('edit_similarity')(['', 'abc'], ['', '']) == {'edit_similarity': 50.0}


def test_edit_distance_equals_the_recurrence_on_random_texts():
  draw = random.Random(2)
  for _ in range(100):
    one, other = (''.join(draw.choices('abBé.', k=draw.randrange(9))) for _ in range(2))
    assert metrics.get('edit_distance')([one], [other])['edit_distance'] == _levenshtein(one, other)


def test_rouge_equals_the_package_on_the_best_reference():
  targets = [['The cat sat. It purred.', 'A cat was sitting'], ['Rain is expected on Monday .']]
  texts = ['The cat was sitting.', 'Monday: rain expected']
  scorer = rouge_scorer.RougeScorer(['rouge1', 'rouge2', 'rougeL'])
  found = metrics.get('rouge')(targets, texts)
  for kind in ('rouge1', 'rouge2', 'rougeL'):
    best = [max(scorer.score(reference, text)[kind].fmeasure for reference in references)
            for references, text in zip(targets, texts, strict=True)]  # fmt: skip
    assert found[kind] == pytest.approx(100 * np.mean(best))
  assert 0 < found['rouge2'] < found['rouge1'] < 100


def test_rouge_l_of_summaries_goes_by_sentences_that_end_with_a_spaced_stop():
  target, text = 'the cat sat . the dog ran .', 'the dog ran . the cat sat .'
  scorer = rouge_scorer.RougeScorer(['rougeLsum'])
  by_lines = scorer.score('the cat sat .\nthe dog ran .', 'the dog ran .\nthe cat sat .')['rougeLsum'].fmeasure
  found = metrics.get('rouge')([target], [text])
  assert found['rougeLsum'] == pytest.approx(100 * by_lines) == 100.0
  assert found['rougeL'] == pytest.approx(50.0)  # one sequence: three of six words in order


def test_bleu_equals_sacrebleu_called_directly():
  streams = [[row[place] for row in REFERENCES] for place in (0, 1)]
  direct = sacrebleu.corpus_bleu(SYSTEM, streams, tokenize='intl').score
  assert metrics.get('bleu')(REFERENCES, SYSTEM)['bleu'] == pytest.approx(direct)
  default = sacrebleu.corpus_bleu(SYSTEM, streams).score  # the example of sacrebleu's README
  assert default == pytest.approx(48.53, abs=0.01)
  assert direct < default - 1.0  # so that taking the default tokenizer would show


def test_bleu_tokenizes_internationally():
  target, text = 'costs 5€ – “cheap”', 'costs 5 € – “ cheap ”'
  assert metrics.get('bleu')([target], [text])['bleu'] == pytest.approx(100.0)
  assert sacrebleu.corpus_bleu([text], [[target]], tokenize='13a').score < 50.0


def test_bleu_takes_rows_with_different_numbers_of_references():
  targets = ['yes it is', ['the cat sat on the mat', 'a cat sat on a mat today', 'cats sit']]
  texts = ['yes', 'the cat sat on the mat today']
  streams = [['yes it is', 'the cat sat on the mat'], [None, 'a cat sat on a mat today'], [None, 'cats sit']]
  direct = sacrebleu.corpus_bleu(texts, streams, tokenize='intl')
  assert direct.ref_len == 3 + 7  # a missing reference is not one of length zero, which would be nearest to 'yes'
  assert direct.bp < 1.0
  assert metrics.get('bleu')(targets, texts)['bleu'] == pytest.approx(direct.score)


def test_macro_f1_equals_sklearn_on_labels():
  draw = random.Random(1)
  expected = draw.choices(['yes', 'no', 'maybe'], weights=[6, 3, 1], k=200)
  given = [label if draw.random() < 0.6 else draw.choice(['yes', 'no', 'maybe']) for label in expected]
  found = metrics.get('macro_f1')(expected, given)['macro_f1']
  assert found == pytest.approx(100 * sklearn.metrics.f1_score(expected, given, average='macro'))


def test_macro_f1_worked_by_hand_with_a_text_that_is_no_class():
  # yes: 1 of 2 found, nothing else called yes: P 1, R 1/2, F1 2/3. no: P 1, R 1, F1 1. 'perhaps' is no class.
  assert metrics.get('macro_f1')(['yes', 'yes', 'no'], ['yes', 'perhaps', 'no'])['macro_f1'] == pytest.approx(500 / 6)
  assert metrics.get('macro_f1')(['yes', 'no'], ['what', 'else'])['macro_f1'] == 0.0
  assert metrics.get('macro_f1')(['yes', 'yes'], [' yes', 'yes\n'])['macro_f1'] == 100.0


def test_matthews_equals_sklearn_and_the_formula():
  expected = ['yes'] * 60 + ['no'] * 40
  given = ['yes'] * 50 + ['no'] * 10 + ['yes'] * 15 + ['no'] * 25
  found = metrics.get('matthews_correlation')(expected, given)['matthews_correlation']
  assert found == pytest.approx(100 * sklearn.metrics.matthews_corrcoef(expected, given))
  assert found == pytest.approx(100 * (50 * 25 - 15 * 10) / (65 * 60 * 40 * 35) ** 0.5)
  opposite = ['no' if label == 'yes' else 'yes' for label in given]
  assert metrics.get('matthews_correlation')(expected, opposite)['matthews_correlation'] == pytest.approx(-found)


@pytest.mark.parametrize(('expected', 'given'), [
  (['yes'] * 4, ['yes'] * 4), (['yes'] * 4, ['no'] * 4), (['yes', 'no'] * 2, ['yes'] * 4),
  (['yes'] * 4, ['yes', 'no'] * 2),
])  # fmt: skip
def test_matthews_of_a_constant_side_is_nought(expected, given):
  assert metrics.get('matthews_correlation')(expected, given)['matthews_correlation'] == 0.0


@pytest.mark.parametrize(('text', 'normal'), [
  ('Jean-Paul', 'jean paul'),
  ('the “Ode”', '“ode”'),  # of the typographic marks only single quotes
  ('O´Hara’s', 'o hara s'),
  ('snake_case', 'snake case'),
  ('A.', ''),
])  # fmt: skip
def test_answers_are_normalised_as_trivia_qa_does(text, normal):
  assert text_metrics.normalize_trivia(text) == normal


def _drawn(seed: int, count: int = 300):
  """Numbers of which many are equal, and answers that go with them, some of them no number."""
  draw = random.Random(seed)
  targets = [draw.randrange(6) for _ in range(count)]
  texts = [draw.choice(['none', 'nan', '']) if draw.random() < 0.1 else str(target + draw.choice([-1, 0, 0.5, 2]))
           for target in targets]  # fmt: skip
  return targets, texts


@pytest.mark.parametrize(('name', 'function'), [
  ('pearson_corrcoef', scipy.stats.pearsonr), ('spearman_corrcoef', scipy.stats.spearmanr),
])  # fmt: skip
@pytest.mark.parametrize('seed', range(3))
def test_correlations_are_those_of_scipy_and_count_what_is_no_number(name, function, seed):
  targets, texts = _drawn(seed)
  numbers = [-1.0 if text in ('none', 'nan', '') else float(text) for text in texts]
  found = metrics.get(name)([str(target) for target in targets], texts)
  assert found[name] == pytest.approx(100 * function(targets, numbers)[0])
  strange = sum(text in ('none', 'nan', '') for text in texts)
  assert found['no_number'] == pytest.approx(100 * strange / len(texts)) and strange > 10


def test_a_correlation_of_a_constant_is_nought_and_a_reference_must_be_a_number():
  for name in ('pearson_corrcoef', 'spearman_corrcoef'):
    assert metrics.get(name)(['1', '2', '3'], ['2.1', '2.1', '2.1']) == {name: 0.0, 'no_number': 0.0}
    with pytest.raises(UserError, match=f"Metric '{name}' compares numbers, and a row expects 'three'"):
      metrics.get(name)(['1', 'three'], ['1', '3'])


def test_macro_f1_of_shared_options_counts_the_classes_that_no_row_has():
  found = metrics.get('macro_f1')(['yes', 'no'], ['yes', 'no'], classes=('yes', 'no', 'maybe'))
  assert found == {'macro_f1': pytest.approx(200 / 3)}


def test_multirc_worked_by_hand():
  """Two questions. Answers: found, missed, a false alarm, and rightly refused: F1 1/2. One question is all right."""
  groups, targets = ['q1', 'q2', 'q2', 'q1'], ['yes', 'yes', 'no', 'no']
  found = metrics.get('multirc')(targets, ['yes', 'no', 'yes', 'no'], groups=groups, classes=('no', 'yes'))
  assert found == {'f1a': 50.0, 'em': 50.0}
  assert metrics.get('multirc')(targets, ['yes', 'no', 'no', 'no'], groups=groups, classes=('no', 'yes')) == {
    'f1a': pytest.approx(200 / 3), 'em': 50.0}  # fmt: skip


def test_record_counts_a_question_once():
  answers = Answers([['Ann'], ['Bob', 'Rob'], ['Ann']], ['ann', 'Rob Roy', 'no'], groups=['1', '2', '1'])
  found = metrics.measure('record', answers)
  assert {name: value.value for name, value in found.estimates.items()} == {
    'em': 50.0, 'f1': pytest.approx(100 * (1 + 2 / 3) / 2)}  # fmt: skip
  assert found.estimates['em'].n == 2
  np.testing.assert_array_equal(found.rows['em'], [1.0, 0.0, np.nan])


def test_what_a_metric_lacks_is_named():
  with pytest.raises(UserError, match=r"'record' goes by question, .* declare group=\.\.\. in their Dataset"):
    metrics.get('record')(['a'], ['a'])
  with pytest.raises(UserError, match=r"'binary_f1' needs two options that all rows share.*: 'a', 'b', 'c'\."):
    metrics.get('binary_f1')(['a'], ['a'], classes='abc')
  with pytest.raises(UserError, match=r"'multirc' needs two options .* share: none\."):
    metrics.check(['accuracy', 'multirc'], ['q1'], [])
  with pytest.raises(UserError, match="'binary_f1' is of 'no' and 'yes', and a row expects 'maybe'"):
    metrics.get('binary_f1')(['yes', 'maybe'], ['yes', 'yes'], classes=('no', 'yes'))
  metrics.check(['multirc', 'record'])  # what the rows are like is not known


@pytest.mark.parametrize('name', [
  'binary_f1', 'macro_f1', 'matthews_correlation', 'multirc', 'pearson_corrcoef', 'spearman_corrcoef',
])  # fmt: skip
def test_resamples_are_measured_as_the_rows_that_they_hold_would_be(name):
  """What the bootstrap makes of counts is the metric of the rows themselves, drawn and repeated."""
  draw = random.Random(4)
  targets = [draw.choice('014') for _ in range(60)] if 'corrcoef' in name else [draw.choice('01') for _ in range(60)]
  texts = [target if draw.random() < 0.7 else draw.choice('01x') for target in targets]
  groups = [str(place // 3) for place in range(60)] if name == 'multirc' else []
  units = [range(start, start + 3) for start in range(0, 60, 3)] if groups else [[place] for place in range(60)]
  weights = np.random.default_rng(0).multinomial(len(units), np.full(len(units), 1 / len(units)), size=20)
  found = getattr(label_metrics, name)(Answers(targets, texts, groups, '01'))
  for key, sums in found.items():
    values = sums.function(weights.astype(np.float64) @ sums.units)
    for value, weight in zip(values, weights, strict=True):
      rows = [(f'{place // 3} {copy}', place) for unit, count in zip(units, weight, strict=True)
              for copy in range(count) for place in unit]  # fmt: skip
      again = metrics.get(name)([targets[place] for _, place in rows], [texts[place] for _, place in rows],
                                groups=[group for group, _ in rows] if groups else [], classes='01')  # fmt: skip
      assert value == pytest.approx(again[key], abs=1e-9)
    assert len(set(values)) > 5
    estimate = sums.estimate(seed=3)
    assert estimate.low < estimate.value < estimate.high


def test_rows_of_one_group_are_drawn_together():
  """Each question three times is as uncertain as each once."""
  targets, texts = ['a'] * 60, ['a'] * 25 + ['b'] * 35
  thrice = Answers([t for t in targets for _ in range(3)], [t for t in texts for _ in range(3)],
                   groups=[str(place) for place in range(60) for _ in range(3)])  # fmt: skip
  once, together = metrics.measure('accuracy', Answers(targets, texts)), metrics.measure('accuracy', thrice)
  assert together.estimates['accuracy'][:3] == once.estimates['accuracy'][:3]
  assert together.estimates['accuracy'].n == 180


@given(st.lists(st.tuples(st.sampled_from('abc'), st.sampled_from('abcx')), min_size=2, max_size=30))
def test_metrics_of_labels_are_those_of_sklearn(pairs):
  targets, texts = ([pair[side] for pair in pairs] for side in (0, 1))
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # of classes that nobody has
    f1 = sklearn.metrics.f1_score(targets, texts, labels=list('abc'), average='macro', zero_division=0)
    matthews = sklearn.metrics.matthews_corrcoef(targets, texts)
  assert metrics.get('macro_f1')(targets, texts, classes='abc')['macro_f1'] == pytest.approx(100 * f1)
  assert metrics.get('matthews_correlation')(targets, texts)['matthews_correlation'] == pytest.approx(100 * matthews)


NEEDED = {'groups': ['1', '2'], 'classes': ('a b', 'c d')}


@pytest.mark.parametrize('name', metrics.names())
def test_no_rows_uneven_rows_and_rows_without_references_are_errors(name):
  metric = metrics.get(name)
  with pytest.raises(ValueError, match='no rows'):
    metric([], [])
  with pytest.raises(ValueError, match='2 targets but 1 predictions'):
    metric(['a', 'b'], ['a'])
  with pytest.raises(ValueError, match='a row has no references'):
    metric(['a', []], ['a', 'b'])


def test_an_unknown_metric_gets_the_nearest_names():
  with pytest.raises(UserError, match="There is no metric 'acuracy'. Did you mean 'accuracy'?"):
    metrics.get('acuracy')
  with pytest.raises(UserError, match='Known: accuracy, binary_f1, bleu'):
    metrics.measure('zzz', Answers(['a'], ['a']))


@pytest.mark.parametrize('name', metrics.names())
def test_seqio_takes_every_metric_as_a_metric_fn(name):
  import seqio

  metric = metrics.get(name)
  number = 'corrcoef' in name
  source = seqio.FunctionDataSource(lambda split, shuffle_files, seed=None: None, splits=['test'])
  task = seqio.Task(f'metric_fn_{name}', source, output_features={}, preprocessors=[], metric_fns=[metric])
  assert task.predict_metric_fns == [metric]  # SeqIO looks at the names of the arguments
  targets, texts = (['1', '2'], ['1', '3']) if number else (['a b', 'c d'], ['a b', 'd e'])
  values = task.predict_metric_fns[0](targets=targets, predictions=texts, **NEEDED)
  assert all(type(value) is float for value in values.values())
