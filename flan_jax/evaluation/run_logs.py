"""What training runs left beside their weights: loss over steps, what was forgotten, what they had seen of the test."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from flan_jax.errors import UserError
from flan_jax.evaluation import forgetting as watched

METRICS, CONTAMINATION = 'metrics.jsonl', 'contamination.json'
_TRAIN, _HELD_BACK = 'train', 'training_eval/'

Points = list[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Learning:
  """Loss in nats per token over the steps of all stages, one after the other.

  Attributes:
    train: (step, loss) of training.
    held_back: (step, loss) on held-back rows of the training tasks, mean over tasks; empty where none was measured.
    accuracy: of tokens, at the last step that has it.
  """

  train: Points
  held_back: Points
  accuracy: float | None


@dataclasses.dataclass(frozen=True)
class Watched(watched.Watched):
  """A score of a watched task, with the stage of training that it is of: '' where there is one."""

  stage: str = ''


def learning(folder: pathlib.Path) -> Learning | None:
  """Reads the loss over the steps of a training run, whose stages lie in folders of their own; None without any."""
  train: Points = []
  held_back: dict[float, list[float]] = {}
  accuracy = None
  for file in _files(folder, METRICS):
    entries = list(_lines(file))
    # A stage counts its own steps; one that goes on counting is left as it is.
    before = max([step for step, _ in train], default=0.0)
    start = before if entries and entries[0]['step'] <= before else 0.0
    for entry in entries:
      step, loss = start + entry['step'], entry.get('loss')
      if loss is not None and entry['split'] == _TRAIN:
        train.append((step, loss))
        accuracy = entry.get('accuracy', accuracy)
      if loss is not None and entry['split'].startswith(_HELD_BACK):
        held_back.setdefault(step, []).append(loss)
  if not train:
    return None
  return Learning(train, [(step, sum(losses) / len(losses)) for step, losses in held_back.items()], accuracy)


def forgetting(folder: pathlib.Path) -> list[Watched]:
  """Reads what was watched during a training run; empty where nothing was."""
  return [
    Watched(**vars(one), stage='' if file.parent == folder else file.parent.name)
    for file in _files(folder, watched.FILE) for one in watched.read(file)
  ]


def contamination(folder: pathlib.Path, held_out: str) -> Mapping[str, Any] | None:
  """Reads how many of the rows that were asked the training mixture held; None where that was not counted."""
  path = folder / 'contamination' / held_out / CONTAMINATION
  if not path.exists():
    return None
  try:
    found: Mapping[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return found
  except ValueError as error:
    raise UserError(f'{str(path)!r} is not JSON: {error}.') from error


def _files(folder: pathlib.Path, name: str) -> list[pathlib.Path]:
  """The files of this name in a run's folder and in those of its stages, in order of the stages."""
  def number(stage: pathlib.Path) -> tuple[int, str]:
    digits = stage.name.removeprefix('stage_')
    return (int(digits) if digits.isdigit() else 0, stage.name)

  folders = [folder, *sorted(folder.glob('stage_*'), key=number)]
  return [place / name for place in folders if (place / name).exists()]


def _lines(path: pathlib.Path) -> Iterator[Any]:
  try:
    with path.open(encoding='utf-8') as file:
      for line in file:
        yield json.loads(line)
  except ValueError as error:
    raise UserError(f'{str(path)!r} has a line that is not JSON: {error}.') from error
