"""Rank classification: the model's answer is the option that it finds most likely after the prompt (FLAN, section 2.4).

Nothing is generated, so that an answer is always one of the options. The scorer gets all rows at once, so that it can
pack those of different shapes together; the encoder runs once per row, whatever the number of options.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
from jaxtyping import Float

from flan_jax.errors import UserError, did_you_mean
from flan_jax.evaluation.predictions import Prediction, from_row

if TYPE_CHECKING:
  from flan_jax.data.rows import EvalRow

Normalization = Literal['none', 'length', 'bytes', 'prior']
_NORMALIZATIONS = get_args(Normalization)


class OptionScorer(Protocol):
  """What ranks options; `flan_jax.models.scorer.Scorer` is one."""

  def options(
    self, inputs: Sequence[np.ndarray], options: Sequence[Sequence[np.ndarray]]
  ) -> Sequence[Float[np.ndarray, 'options']]:
    """Returns the log-likelihood of every option after its row's inputs."""
    ...


def rank(
  rows: Sequence['EvalRow'],
  scorer: OptionScorer,
  *,
  normalization: Normalization = 'none',
) -> list[Prediction]:
  """Ranks the options of every row.

  A tie of k options that holds the answer is worth 1/k, the expectation of a fair draw: with the first of them taken,
  a model that cannot tell options apart would score whatever share of answers stands first.

  Args:
    rows: rows with options. Where the answer is none of them, the prediction's credit is None.
    scorer: gives log-likelihoods, the higher the likelier.
    normalization: what is made of each option's log-likelihood: 'none' leaves it; 'length' divides it by the option's
      number of tokens, EOS included, 'bytes' by the bytes of its text; 'prior' subtracts its log-likelihood after an
      empty prompt (Holtzman et al. 2021), which the encoder reads as EOS alone.

  Returns:
    One prediction per row, in their order.

  Raises:
    UserError: where a row has no options, or the normalization is unknown.
    FloatingPointError: where the model gives a score that is not a number.
  """
  if normalization not in _NORMALIZATIONS:
    raise UserError(f'There is no score normalization {normalization!r}. '
                    f'{did_you_mean(str(normalization), _NORMALIZATIONS)}')
  for row in rows:
    if not row.options:
      raise UserError(f'Task {row.task!r} has no options at row {row.row_id!r}: evaluate it by generation.')
  priors = _priors(rows, scorer) if rows and normalization == 'prior' else {}
  scores = scorer.options([row.inputs for row in rows], [row.option_tokens for row in rows])
  return [_judge(row, np.asarray(row_scores, np.float64), normalization, priors)
          for row, row_scores in zip(rows, scores, strict=True)]


Priors = dict[tuple[int, ...], float]  # by the option's tokens


def _key(tokens: np.ndarray) -> tuple[int, ...]:
  return tuple(int(token) for token in tokens)


def _priors(rows: Sequence['EvalRow'], scorer: OptionScorer) -> Priors:
  """The log-likelihood of every option after an empty prompt, each scored once however many rows have it."""
  options = list(dict.fromkeys(_key(tokens) for row in rows for tokens in row.option_tokens))
  empty = rows[0].option_tokens[0][-1:]  # EOS, which ends every option and would end an empty prompt
  scores = scorer.options([empty] * len(options), [[np.array(tokens, np.int32)] for tokens in options])
  return {tokens: float(score[0]) for tokens, score in zip(options, scores, strict=True)}


def _judge(
  row: 'EvalRow', scores: Float[np.ndarray, 'options'], normalization: Normalization, priors: Priors
) -> Prediction:
  if not np.isfinite(scores).all():
    raise FloatingPointError(f'the scores of {row.task} row {row.row_id} are not finite: {scores.tolist()}')
  if normalization == 'length':
    scores = scores / np.array([len(tokens) for tokens in row.option_tokens], np.float64)
  elif normalization == 'bytes':
    scores = scores / np.array([max(1, len(text.encode())) for text in row.options], np.float64)
  elif normalization == 'prior':
    scores = scores - np.array([priors[_key(tokens)] for tokens in row.option_tokens])
  best = np.flatnonzero(scores == scores.max())
  # Two options may read the same, and a row may accept several (ReCoRD); each of them is then right.
  right = sum(row.options[index] in row.references for index in best)
  return from_row(
    row,
    prediction=row.options[best[0]],
    credit=None if row.answer_index < 0 else right / len(best),
    options=list(row.options),
    scores=[float(score) for score in scores],
    answer_index=row.answer_index,
    tied=len(best) > 1,
  )
