"""Metrics of generated text by name, for our evaluation and as SeqIO `metric_fns`.

A metric is called with `(targets, predictions)`: for each row its references (a string, or a list of strings of which
any may match) and the model's text. It returns percentages by name; only `edit_distance` counts characters, and there
less is better. Definitions are those of the benchmarks' own scripts and of T5's evaluation, so that numbers compare:
SQuAD's answer normalisation, sacrebleu with the 'intl' tokenizer, ROUGE F1 of the rouge-score package without stemming.
The exception is the edit distance: T5's lower-cases and splits into words, and so cannot see what true-casing does.
"""

import collections
import re
import string
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import editdistance
import numpy as np
import sacrebleu
import sklearn.metrics
from jaxtyping import Float
from rouge_score import rouge_scorer

from flan_jax.errors import UserError, did_you_mean

References = str | Sequence[str]
Rows = dict[str, Float[np.ndarray, 'rows']]
ROUGE_TYPES = ('rouge1', 'rouge2', 'rougeL', 'rougeLsum')


class MetricFn(Protocol):
  """A metric in SeqIO's form."""

  def __call__(self, targets: Sequence[References], predictions: Sequence[str]) -> dict[str, float]:
    """Returns percentages by name (`edit_distance`: characters)."""
    ...


def get(name: str) -> MetricFn:
  """Returns a metric by name, or suggests the names nearest to it."""
  if name in _ROWWISE:
    return _mean_of_rows(name)
  if name in _CORPUS:
    return _CORPUS[name]
  raise UserError(f'There is no metric {name!r}. {did_you_mean(name, names())}')


def names() -> list[str]:
  """Returns all metric names, sorted."""
  return sorted({*_ROWWISE, *_CORPUS})


def per_row(name: str, targets: Sequence[References], predictions: Sequence[str]) -> Rows | None:
  """Returns the values (0 to 1) of each row where the metric is their mean; None for metrics of a whole corpus."""
  get(name)
  _check(targets, predictions)
  return _ROWWISE[name](targets, predictions) if name in _ROWWISE else None


def normalize_answer(text: str) -> str:
  """Returns text as SQuAD compares it: lower case, no punctuation, no articles, single spaces."""
  kept = ''.join(character for character in text.lower() if character not in string.punctuation)
  return ' '.join(re.sub(r'\b(a|an|the)\b', ' ', kept).split())


def token_f1(target: str, prediction: str) -> float:
  """Returns the F1 of the words that a normalised prediction and reference share (SQuAD); 1 where both are empty."""
  expected, given = normalize_answer(target).split(), normalize_answer(prediction).split()
  if not expected or not given:
    return float(expected == given)
  shared = sum((collections.Counter(expected) & collections.Counter(given)).values())
  return 2.0 * shared / (len(expected) + len(given))


def _accuracy(targets: Sequence[References], predictions: Sequence[str]) -> Rows:
  return {'accuracy': _best(targets, predictions, lambda target, text: float(target.strip() == text.strip()))}


def _exact_match(targets: Sequence[References], predictions: Sequence[str]) -> Rows:
  return {'exact_match': _best(targets, predictions, _normalized_match)}


def _token_f1(targets: Sequence[References], predictions: Sequence[str]) -> Rows:
  return {'f1': _best(targets, predictions, token_f1)}


def _squad(targets: Sequence[References], predictions: Sequence[str]) -> Rows:
  return {'em': _best(targets, predictions, _normalized_match), **_token_f1(targets, predictions)}


def _edit_similarity(targets: Sequence[References], predictions: Sequence[str]) -> Rows:
  return {'edit_similarity': _best(targets, predictions, _similarity)}


def _rouge(targets: Sequence[References], predictions: Sequence[str]) -> Rows:
  """Takes the reference with the best F1 for each type; sentences end with ' . ' as in CNN/DailyMail or a newline."""
  scorer = rouge_scorer.RougeScorer(ROUGE_TYPES)
  rows = [
    scorer.score_multi([_sentences(reference) for reference in _listed(target)], _sentences(text))
    for target, text in zip(targets, predictions, strict=True)
  ]
  return {name: np.array([row[name].fmeasure for row in rows], np.float64) for name in ROUGE_TYPES}


def _bleu(targets: Sequence[References], predictions: Sequence[str]) -> dict[str, float]:
  """Corpus BLEU; rows may have different numbers of references."""
  _check(targets, predictions)
  listed = [_listed(target) for target in targets]
  # sacrebleu skips a None, which is how rows have different numbers of references; an empty text would count as one
  # of length zero in the brevity penalty.
  streams: list[list[Any]] = [
    [references[place] if place < len(references) else None for references in listed]
    for place in range(max(len(references) for references in listed))
  ]
  return {'bleu': float(sacrebleu.corpus_bleu(list(predictions), streams, tokenize='intl').score)}


def _edit_distance(targets: Sequence[References], predictions: Sequence[str]) -> dict[str, float]:
  """Mean distance to the nearest reference; the values of rows are 0 to 1, so for those there is `edit_similarity`."""
  _check(targets, predictions)
  pairs = zip(targets, predictions, strict=True)
  return {'edit_distance': float(np.mean([min(_edits(t, text) for t in _listed(target)) for target, text in pairs]))}


def _macro_f1(targets: Sequence[References], predictions: Sequence[str]) -> dict[str, float]:
  """Unweighted mean over the classes of the targets; a text that is no class is wrong for its own row's class."""
  expected, given = _labels(targets, predictions)
  value = sklearn.metrics.f1_score(expected, given, labels=sorted(set(expected)), average='macro', zero_division=0)
  return {'macro_f1': 100.0 * float(value)}


def _matthews(targets: Sequence[References], predictions: Sequence[str]) -> dict[str, float]:
  expected, given = _labels(targets, predictions)
  if len({*expected, *given}) < 2:  # undefined; by convention 0
    return {'matthews_correlation': 0.0}
  return {'matthews_correlation': 100.0 * float(sklearn.metrics.matthews_corrcoef(expected, given))}


def _mean_of_rows(name: str) -> MetricFn:
  def metric(targets: Sequence[References], predictions: Sequence[str]) -> dict[str, float]:
    _check(targets, predictions)
    return {key: 100.0 * float(values.mean()) for key, values in _ROWWISE[name](targets, predictions).items()}

  metric.__name__ = name
  return metric


def _best(
  targets: Sequence[References], predictions: Sequence[str], match: Callable[[str, str], float]
) -> Float[np.ndarray, 'rows']:
  """Returns the value of the best reference of each row."""
  pairs = zip(targets, predictions, strict=True)
  return np.array([max(match(reference, text) for reference in _listed(target)) for target, text in pairs], np.float64)


def _normalized_match(target: str, prediction: str) -> float:
  return float(normalize_answer(target) == normalize_answer(prediction))


def _edits(target: str, prediction: str) -> int:
  """The Levenshtein distance in characters; outer space is no difference, as in accuracy."""
  return editdistance.eval(target.strip(), prediction.strip())


def _similarity(target: str, prediction: str) -> float:
  """1 less the distance as a share of the longer text, which is the most that it can be."""
  longest = max(len(target.strip()), len(prediction.strip()), 1)
  return 1.0 - _edits(target, prediction) / longest


def _sentences(text: str) -> str:
  return text.replace(' . ', ' .\n')


def _listed(references: References) -> list[str]:
  return [references] if isinstance(references, str) else list(references)


def _labels(targets: Sequence[References], predictions: Sequence[str]) -> tuple[list[str], list[str]]:
  _check(targets, predictions)
  return [_listed(target)[0].strip() for target in targets], [text.strip() for text in predictions]


def _check(targets: Sequence[References], predictions: Sequence[str]) -> None:
  if len(targets) != len(predictions):
    raise ValueError(f'{len(targets)} targets but {len(predictions)} predictions')
  if not targets:
    raise ValueError('a metric of no rows is not a number')
  if not all(_listed(target) for target in targets):
    raise ValueError('a row has no references')


_ROWWISE: dict[str, Callable[[Sequence[References], Sequence[str]], Rows]] = {
  'accuracy': _accuracy,
  'edit_similarity': _edit_similarity,
  'exact_match': _exact_match,
  'f1': _token_f1,
  'rouge': _rouge,
  'squad': _squad,
}
_CORPUS: dict[str, MetricFn] = {
  'bleu': _bleu,
  'edit_distance': _edit_distance,
  'macro_f1': _macro_f1,
  'matthews_correlation': _matthews,
}
