import random

import numpy as np
import pytest
import sacrebleu
import sklearn.metrics
from rouge_score import rouge_scorer

from flan_jax.errors import UserError
from flan_jax.evaluation import metrics

SYSTEM = ['The dog bit the man.', "It wasn't surprising.", 'The man had just bitten him.']
REFERENCES = [
  ['The dog bit the man.', 'The dog had bit the man.'],
  ['It was not unexpected.', 'No one was surprised.'],
  ['The man bit him first.', 'The man had bitten the dog.'],
]


def _precision_and_recall_f1(target: str, prediction: str) -> float:
  """F1 as SQuAD's script has it, through precision and recall, by removing each matched word from a list."""
  expected, given = metrics.normalize_answer(target).split(), metrics.normalize_answer(prediction).split()
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
  assert metrics.normalize_answer(text) == normal


def test_token_f1_is_the_golden_value_of_shared_words():
  assert metrics.token_f1('the red big house', 'a big red car') == pytest.approx(2 / 3)  # 2 shared of 3 and 3
  assert metrics.token_f1('Denver Broncos', 'Broncos') == pytest.approx(2 / 3)  # precision 1, recall 1/2
  assert metrics.token_f1('ha ha ha', 'ha ha') == pytest.approx(0.8)  # words count as often as they occur
  assert metrics.token_f1('the', 'a') == 1.0  # both empty once normalised
  assert metrics.token_f1('the', 'cat') == metrics.token_f1('cat', '') == 0.0


def test_token_f1_equals_precision_and_recall_on_random_texts():
  draw = random.Random(0)
  words = ['The', 'a', 'cat', 'cat.', 'Dog', 'dog', 'sat!', 'mat', '']
  for _ in range(300):
    target, text = (' '.join(draw.choices(words, k=draw.randrange(7))) for _ in range(2))
    assert metrics.token_f1(target, text) == pytest.approx(_precision_and_recall_f1(target, text))


def test_squad_gives_exact_match_and_f1_of_the_best_reference():
  targets = [['Denver Broncos', 'the Broncos'], ['24 to 10'], ['gold']]
  found = metrics.get('squad')(targets, ['Broncos!', '24 by 10', 'silver'])
  assert found == {'em': pytest.approx(100 / 3), 'f1': pytest.approx(100 * (1 + 2 / 3 + 0) / 3)}
  assert next(iter(found)) == 'em'  # the headline


def test_accuracy_compares_text_but_for_outer_space_and_exact_match_normalises():
  targets, texts = ['yes', 'yes', 'The cat'], [' yes\n', 'Yes', 'cat.']
  assert metrics.get('accuracy')(targets, texts) == {'accuracy': pytest.approx(100 / 3)}
  assert metrics.get('exact_match')(targets, texts) == {'exact_match': 100.0}


@pytest.mark.parametrize('name', ['accuracy', 'edit_similarity', 'exact_match', 'f1', 'squad', 'rouge'])
def test_any_reference_may_match_whatever_its_place(name):
  one = metrics.get(name)(['a good dog'], ['a good dog'])
  assert set(one.values()) == {100.0}
  for references in (['a good dog', 'x y'], ['x y', 'a good dog']):
    assert metrics.get(name)([references], ['a good dog']) == one


def test_values_of_rows_average_to_the_metric():
  targets, texts = ['a b', 'c', 'd e'], ['b', 'c', 'f']
  rows = metrics.per_row('f1', targets, texts)
  np.testing.assert_allclose(rows['f1'], [1.0, 1.0, 0.0])  # "a" is an article
  for name in ('accuracy', 'edit_similarity', 'exact_match', 'f1', 'rouge', 'squad'):
    means = {key: 100 * values.mean() for key, values in metrics.per_row(name, targets, texts).items()}
    assert metrics.get(name)(targets, texts) == pytest.approx(means)
  for name in ('bleu', 'edit_distance', 'macro_f1'):
    assert metrics.per_row(name, targets, texts) is None


def test_edit_distance_worked_by_hand_to_the_nearest_reference():
  # kitten -> sitting: k to s, e to i, g added. The second row: T to t, the stop gone. The third: one o too many, not 5.
  targets, texts = ['kitten', 'The cat.', ['Monday', 'to']], ['sitting', 'the cat', 'too']
  assert metrics.get('edit_distance')(targets, texts) == {'edit_distance': pytest.approx((3 + 2 + 1) / 3)}
  found = metrics.per_row('edit_similarity', targets, texts)['edit_similarity']
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
  with pytest.raises(UserError, match='Known: accuracy, bleu'):
    metrics.per_row('zzz', ['a'], ['a'])


@pytest.mark.parametrize('name', metrics.names())
def test_seqio_takes_every_metric_as_a_metric_fn(name):
  import seqio

  metric = metrics.get(name)
  source = seqio.FunctionDataSource(lambda split, shuffle_files, seed=None: None, splits=['test'])
  task = seqio.Task(f'metric_fn_{name}', source, output_features={}, preprocessors=[], metric_fns=[metric])
  assert task.predict_metric_fns == [metric]  # SeqIO looks at the names of the arguments
  values = task.predict_metric_fns[0](targets=['a b', 'c d'], predictions=['a b', 'd e'])
  assert all(type(value) is float for value in values.values())
