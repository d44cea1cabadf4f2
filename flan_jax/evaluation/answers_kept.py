"""What a report keeps of the answers to a task while it reads them: every row's credit, and a few to look at."""

import dataclasses
import heapq
import math
import pathlib
import zlib
from collections.abc import Iterable
from typing import Literal

from flan_jax.evaluation.predictions import Prediction, stream_jsonl

Verdict = Literal['right', 'wrong', 'partly', 'unjudged']
VERDICTS: tuple[Verdict, ...] = ('right', 'wrong', 'partly', 'unjudged')
LIMIT = 20


@dataclasses.dataclass(frozen=True)
class Pick:
  """An answer to look at.

  Attributes:
    prediction: the answer.
    verdict: what its credit says.
    sure: it is among the wrong answers that the model was most sure of.
  """

  prediction: Prediction
  verdict: Verdict
  sure: bool = False


@dataclasses.dataclass(frozen=True)
class Answers:
  """The answers to one task.

  Attributes:
    credits: of each row that has one.
    groups: of each row that has one.
    counts: answers by verdict, all of them.
    picks: at most a limit of each verdict, and as many wrong ones that the model was most sure of.
  """

  credits: dict[str, float]
  groups: dict[str, str]
  counts: dict[Verdict, int]
  picks: list[Pick]


def read(path: str | pathlib.Path, limit: int = LIMIT) -> Answers:
  """Reads a file of predictions, keeping a bounded part of it.

  Args:
    path: what `write_jsonl` wrote.
    limit: picks of each kind.

  Raises:
    UserError: where the file is missing or not one of ours.
  """
  return collect(stream_jsonl(path), limit)


def collect(predictions: Iterable[Prediction], limit: int = LIMIT) -> Answers:
  """Goes through predictions once; see `read`."""
  credits: dict[str, float] = {}
  groups: dict[str, str] = {}
  counts = dict.fromkeys(VERDICTS, 0)
  drawn: dict[str, list[tuple[float, int, Pick]]] = {}
  for place, prediction in enumerate(predictions):
    verdict = verdict_of(prediction.credit)
    counts[verdict] += 1
    if prediction.credit is not None:
      credits[prediction.row_id] = prediction.credit
    if prediction.group:
      groups[prediction.row_id] = prediction.group
    _offer(drawn.setdefault(verdict, []), -_order(prediction.row_id), place, Pick(prediction, verdict), limit)
    if verdict == 'wrong' and prediction.options:
      sure = Pick(prediction, verdict, sure=True)
      _offer(drawn.setdefault('sure', []), _surety(prediction.scores), place, sure, limit)
  return Answers(credits, groups, counts, _merged(drawn))


def shares(scores: list[float]) -> list[float]:
  """Returns the softmax of scores: how a model spreads its belief over the options it was shown."""
  top = max(scores)
  weights = [math.exp(score - top) for score in scores]
  return [weight / sum(weights) for weight in weights]


def _surety(scores: list[float]) -> float:
  """The logarithm of the largest share, which still tells shares apart that are all but 1."""
  *others, top = sorted(scores)
  return -math.log1p(sum(math.exp(score - top) for score in others))


def verdict_of(credit: float | None) -> Verdict:
  """Returns what a credit says in a word; a tie and a graded metric are partly right."""
  if credit is None:
    return 'unjudged'
  return 'right' if credit >= 1.0 else 'partly' if credit > 0.0 else 'wrong'


def _order(row_id: str) -> int:
  """Ranks rows by chance, in the same way for every task and model: reports then show the same questions for all."""
  return zlib.crc32(row_id.encode())


def _offer(heap: list[tuple[float, int, Pick]], key: float, place: int, pick: Pick, limit: int) -> None:
  """Keeps the picks with the largest keys, of equals the earlier."""
  push = heapq.heappush if len(heap) < limit else heapq.heappushpop
  push(heap, (key, -place, pick))


def _merged(drawn: dict[str, list[tuple[float, int, Pick]]]) -> list[Pick]:
  """Lists the picks, the best of each kind first in turn; a row that is drawn twice stands once, as a sure one."""
  kinds = [[pick for *_, pick in sorted(heap, key=lambda one: one[:2], reverse=True)] for heap in drawn.values()]
  sure = {pick.prediction.row_id for kind in kinds for pick in kind if pick.sure}
  turns = [kind[turn] for turn in range(max(map(len, kinds), default=0)) for kind in kinds if turn < len(kind)]
  return [pick for pick in turns if pick.sure or pick.prediction.row_id not in sure]
