"""Metrics of texts: exact, normalised and partial matches, ROUGE, BLEU, edits.

Definitions are those of the benchmarks' own scripts and of T5's evaluation, so that numbers compare: the normalisations
of answers of SQuAD and of TriviaQA, sacrebleu with the 'intl' tokenizer, ROUGE F1 of the rouge-score package without
stemming. The exception is the edit distance: T5's lower-cases and splits into words, and so cannot see what true-casing
does.
"""

import collections
import re
import string
from collections.abc import Callable
from typing import Any

import editdistance
import numpy as np
from jaxtyping import Float

from flan_jax.evaluation import stated_answers
from flan_jax.evaluation.answers import Answers, listed

Rows = dict[str, Float[np.ndarray, 'rows']]
ROUGE_TYPES = ('rouge1', 'rouge2', 'rougeL', 'rougeLsum')
_TRIVIA_PUNCTUATION = re.compile(f'[{re.escape(string.punctuation)}‘’´]')


def normalize_answer(text: str) -> str:
  """Returns text as SQuAD compares it: lower case, no punctuation, no articles, single spaces."""
  kept = ''.join(character for character in text.lower() if character not in string.punctuation)
  return _without_articles(kept)


def normalize_trivia(text: str) -> str:
  """Returns text as TriviaQA compares it: as SQuAD, but a space for each mark, typographic quotes and accents too."""
  return _without_articles(_TRIVIA_PUNCTUATION.sub(' ', text.lower()))


def token_f1(target: str, prediction: str, normalize: Callable[[str], str] = normalize_answer) -> float:
  """Returns the F1 of the words that a normalised prediction and reference share (SQuAD); 1 where both are empty.

  SQuAD 2.0's script counts two empty texts as equal, those of SQuAD 1.1 and TriviaQA, and T5, give them no F1.
  """
  expected, given = normalize(target).split(), normalize(prediction).split()
  if not expected or not given:
    return float(expected == given)
  shared = sum((collections.Counter(expected) & collections.Counter(given)).values())
  return 2.0 * shared / (len(expected) + len(given))


def accuracy(answers: Answers) -> Rows:
  """Equal texts but for outer space."""
  return {'accuracy': _best(answers, lambda target, text: float(target.strip() == text.strip()))}


def sequence_accuracy(answers: Answers) -> Rows:
  """Equal texts, outer space included."""
  return {'sequence_accuracy': _best(answers, lambda target, text: float(target == text))}


def exact_match(answers: Answers) -> Rows:
  """Equal texts once normalised as SQuAD does."""
  return {'exact_match': _best(answers, _match(normalize_answer))}


def words_f1(answers: Answers) -> Rows:
  """F1 of shared words, see `token_f1`."""
  return {'f1': _best(answers, token_f1)}


def squad(answers: Answers) -> Rows:
  """Exact match and F1 of words, normalised as SQuAD does."""
  return _matches(answers, normalize_answer)


def trivia_qa(answers: Answers) -> Rows:
  """Exact match and F1 of words, normalised as TriviaQA does."""
  return _matches(answers, normalize_trivia)


def record(answers: Answers) -> Rows:
  """As `squad`, every question once: of rows with one group only the first counts, the others are NaN."""
  _, firsts = np.unique(list(answers.groups), return_index=True)
  counts = np.isin(np.arange(len(answers.groups)), firsts)
  return {name: np.where(counts, values, np.nan) for name, values in squad(answers).items()}


def final_number(answers: Answers) -> Rows:
  """The same last number in the text."""
  return {'final_number': _best(answers, stated_answers.same_number)}


def stated_answer(answers: Answers) -> Rows:
  """What the text says the answer is."""
  return {'stated_answer': _best(answers, stated_answers.same_statement)}


def edit_similarity(answers: Answers) -> Rows:
  """1 less the edit distance as a share of the longer text, which is the most that it can be."""
  return {'edit_similarity': _best(answers, _similarity)}


def rouge(answers: Answers) -> Rows:
  """Takes the reference with the best F1 for each type; sentences end with ' . ' as in CNN/DailyMail or a newline."""
  from rouge_score import rouge_scorer  # half a second, with nltk behind it: not for every run that may evaluate

  scorer = rouge_scorer.RougeScorer(ROUGE_TYPES)
  rows = [
    scorer.score_multi([_sentences(reference) for reference in listed(target)], _sentences(text))
    for target, text in zip(answers.references, answers.predictions, strict=True)
  ]
  return {name: np.array([row[name].fmeasure for row in rows], np.float64) for name in ROUGE_TYPES}


def bleu(answers: Answers) -> dict[str, float]:
  """Corpus BLEU in percent; rows may have different numbers of references."""
  import sacrebleu  # as above

  references = [listed(target) for target in answers.references]
  # sacrebleu skips a None, which is how rows have different numbers of references; an empty text would count as one
  # of length zero in the brevity penalty.
  streams: list[list[Any]] = [
    [texts[place] if place < len(texts) else None for texts in references]
    for place in range(max(len(texts) for texts in references))
  ]
  return {'bleu': float(sacrebleu.corpus_bleu(list(answers.predictions), streams, tokenize='intl').score)}


def edits(answers: Answers) -> Float[np.ndarray, 'rows']:
  """The distance of each row to its nearest reference, in characters."""
  return -_best(answers, lambda target, text: -float(_edits(target, text)))


def _matches(answers: Answers, normalize: Callable[[str], str]) -> Rows:
  f1 = _best(answers, lambda target, text: token_f1(target, text, normalize))
  return {'em': _best(answers, _match(normalize)), 'f1': f1}


def _best(answers: Answers, match: Callable[[str, str], float]) -> Float[np.ndarray, 'rows']:
  """Returns the value of the best reference of each row."""
  pairs = zip(answers.references, answers.predictions, strict=True)
  return np.array([max(match(reference, text) for reference in listed(target)) for target, text in pairs], np.float64)


def _match(normalize: Callable[[str], str]) -> Callable[[str, str], float]:
  return lambda target, prediction: float(normalize(target) == normalize(prediction))


def _edits(target: str, prediction: str) -> int:
  """The Levenshtein distance in characters; outer space is no difference, as in accuracy."""
  return editdistance.eval(target.strip(), prediction.strip())


def _similarity(target: str, prediction: str) -> float:
  longest = max(len(target.strip()), len(prediction.strip()), 1)
  return 1.0 - _edits(target, prediction) / longest


def _sentences(text: str) -> str:
  return text.replace(' . ', ' .\n')


def _without_articles(text: str) -> str:
  return ' '.join(re.sub(r'\b(a|an|the)\b', ' ', text).split())
