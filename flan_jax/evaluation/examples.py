"""Answers for a page to browse: as many as a page can carry, spread over arms, tasks and how the answers turned out."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from flan_jax.evaluation.answers_kept import Pick
from flan_jax.evaluation.protocol_run import Arm

SIZE = 1_200_000  # bytes of JSON
_HEAD, _TAIL = 1600, 900  # characters of a long prompt that are shown; instructions stand at either end


def browse(arms: Sequence[Arm], size: int = SIZE) -> dict[str, Any]:
  """Chooses what to show.

  Args:
    arms: with answers.
    size: bytes of JSON that the answers may take. Each task of each arm gives one answer of each kind, then each
      gives a second one, and so on until the page is full; templates that come first in their dataset go first.

  Returns:
    `groups`, one for each arm and task with the number of its answers by verdict and their file; `prompts`, each the
    text, or what begins it, how many characters are left out, and what ends it; `examples`. Empty without answers.
  """
  groups = [_group(arm, task) for arm, task in _tasks(arms)]
  if not groups:
    return {}
  places: dict[str, int] = {}
  prompts: list[list[Any]] = []
  found = []
  for group, pick in _in_turns(arms):
    text = pick.prediction.inputs
    shown = [] if text in places else _shortened(text)
    example = _example(group, places.get(text, len(prompts)), pick)
    size -= len(json.dumps([example, shown], ensure_ascii=False).encode())
    if size < 0:
      break
    if shown:
      places[text] = len(prompts)
      prompts.append(shown)
    found.append(example)
  # The same question of all arms and templates stands together.
  found.sort(key=lambda one: (groups[one['group']]['dataset'], one['row'], one['group']))
  return {'groups': groups, 'prompts': prompts, 'examples': found}


def _tasks(arms: Sequence[Arm]) -> Iterator[tuple[Arm, str]]:
  return ((arm, task) for arm in arms for task in arm.answers)


def _group(arm: Arm, task: str) -> dict[str, Any]:
  result = next(result for result in arm.evaluation.templates if result.task == task)
  template = {-1: 'none', None: 'drawn'}.get(result.template, result.template)
  return {'heldOut': arm.held_out, 'arm': arm.name, 'task': task, 'dataset': result.dataset, 'cluster': result.cluster,
          'template': template, 'split': result.split, 'file': arm.files[task], 'counts': arm.answers[task].counts}


def _in_turns(arms: Sequence[Arm]) -> Iterator[tuple[int, Pick]]:
  """The picks of all groups, the first of each before the second of any."""
  ranks: dict[tuple[int, str], int] = {}
  turns: list[tuple[int, int, int, Pick]] = []
  for group, (arm, task) in enumerate(_tasks(arms)):
    dataset = next(result.dataset for result in arm.evaluation.templates if result.task == task)
    rank = ranks[id(arm), dataset] = ranks.get((id(arm), dataset), -1) + 1
    kinds: dict[tuple[str, bool], int] = {}
    for pick in arm.answers[task].picks:
      turn = kinds[pick.verdict, pick.sure] = kinds.get((pick.verdict, pick.sure), -1) + 1
      turns.append((turn, rank, group, pick))
  return ((group, pick) for _, _, group, pick in sorted(turns, key=lambda one: one[:3]))


def _example(group: int, prompt: int, pick: Pick) -> dict[str, Any]:
  prediction = pick.prediction
  return {
    'group': group, 'prompt': prompt, 'row': prediction.row_id, 'verdict': pick.verdict, 'sure': pick.sure,
    'prediction': prediction.prediction, 'references': [] if prediction.options else prediction.references,
    'options': prediction.options, 'scores': [round(score, 3) for score in prediction.scores],
    'answer': prediction.answer_index, 'truncated': prediction.truncated,
  }  # fmt: skip


def _shortened(text: str) -> list[Any]:
  """Returns a text, or what begins it, the number of characters left out, and what ends it."""
  left_out = len(text) - _HEAD - _TAIL
  return [text[:_HEAD], left_out, text[-_TAIL:]] if left_out > 0 else [text]
