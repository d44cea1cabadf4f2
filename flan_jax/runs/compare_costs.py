"""The last part of a comparison: all methods timed in turns in one process, at training and at answering."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from flan_jax.comparison import costs, timing
from flan_jax.comparison.entries import Entry
from flan_jax.models import T5
from flan_jax.peft import merge_adapter
from flan_jax.peft.io import attached
from flan_jax.peft.partition import twin
from flan_jax.runs import parts
from flan_jax.runs.compare_row import Bench
from flan_jax.training import sharding


@dataclasses.dataclass(frozen=True)
class Timing:
  """How much is timed.

  Attributes:
    rounds: of turns.
    steps: updates of a turn.
    examples: answers of a turn.
  """

  rounds: int
  steps: int
  examples: int


def costs_config(configurations: Sequence[Mapping[str, Any]], wanted: Timing,
                 partitioner: sharding.Partitioner) -> dict[str, Any]:
  """All that the speed of the entries depends on, as JSON would give it back."""
  device = f'{jax.devices()[0].device_kind} x {partitioner.mesh().size}'
  found = {'entries': costs.names(configurations), 'timing': dataclasses.asdict(wanted), 'device': device}
  return json.loads(json.dumps(found))


def measure(bench: Bench, entries: Sequence[Entry], wanted: Timing, config: Mapping[str, Any]) -> costs.Costs:
  """Times every entry; what trained does not matter for speed, so that fresh adapters do.

  Args:
    bench: the setting and the base.
    entries: what is timed.
    wanted: how much.
    config: see `costs_config`.
  """
  weights = {name: np.asarray(value) for name, value in bench.base_weights().items()}
  by_room: dict[str, dict[str, np.ndarray]] = {}  # the room for prompts is all that tells one batch from another
  batches = {}
  for entry in entries:
    room = str(sorted(entry.method.prompt_lengths.items()))
    if room not in by_room:
      by_room[room] = bench.batch(entry)
    batches[entry.name] = by_room[room]
  steps = timing.in_turns({
    entry.name: timing.TrainingTurn(bench.make_model, weights, entry.method, entry.optimizer, bench.setting.loss,
                                    bench.partitioner, batches[entry.name], wanted.steps)
    for entry in entries
  }, wanted.rounds)  # fmt: skip
  answering = _answering(bench, wanted.examples)
  turns = {('base', ''): answering.turn(bench.base)}
  for entry in entries:
    model = attached(bench.base, entry.method)
    turns['attached', entry.name] = answering.turn(model)  # type: ignore[arg-type]
    merged = _merged(model, entry)
    if merged is not None:
      turns['merged', entry.name] = answering.turn(merged)
  answers = timing.in_turns({'/'.join(key): turn for key, turn in turns.items()}, wanted.rounds)
  found = {
    name: costs.Cost(step, timing.count_tokens(batches[name]), timing.count_examples(batches[name]),
                     answers[f'attached/{name}'], answers.get(f'merged/{name}'))
    for name, step in steps.items()
  }
  return costs.Costs(dict(config), 'rank' if answering.ranks else 'generate', answers['base/'], found)


def _answering(bench: Bench, examples: int) -> timing.Answering:
  """The first questions of the new task, under its first template."""
  asked, vocabulary = bench.setting, bench.vocabulary
  task = parts.evaluation_tasks(asked.new_task)[0]
  (rows,) = parts.read_tasks([task], asked.split, examples, asked.task_feature_lengths)
  return timing.Answering(rows, min(examples, 64), vocabulary.decode, asked.task_feature_lengths['targets'],
                          vocabulary.eos_id)


def _merged(model: Any, entry: Entry) -> T5 | None:
  """The model with its adapter merged; None for methods that cannot be merged."""
  if not entry.method.merges:
    return None
  copy = twin(model)
  merge_adapter(copy, entry.method)
  return copy
