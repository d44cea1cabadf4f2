"""How long a training step and an answer take, measured in turns in one process: what disturbs one disturbs all."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from flan_jax.comparison.memory import compile_step
from flan_jax.data import provenance
from flan_jax.evaluation.generate import Decode, generate
from flan_jax.evaluation.rank import rank
from flan_jax.models import T5, Generator, Scorer
from flan_jax.models.runner import Runner
from flan_jax.peft import Method
from flan_jax.training import sharding
from flan_jax.training.losses import LossConfig
from flan_jax.training.optimizers import Optimizer
from flan_jax.training.state import MakeModel, plan_state

if TYPE_CHECKING:
  from flan_jax.data.rows import EvalRow

PROVENANCE = provenance.FEATURE
Turn = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class Spread:
  """Several measurements of one thing.

  Attributes:
    median: of all rounds.
    low: the lowest.
    high: the highest.
    rounds: how many.
  """

  median: float
  low: float
  high: float
  rounds: int

  @classmethod
  def of(cls, values: Sequence[float]) -> 'Spread':
    """Sums measurements up."""
    return cls(statistics.median(values), min(values), max(values), len(values))


def in_turns(turns: Mapping[str, Turn], rounds: int) -> dict[str, Spread]:
  """Lets everything measure itself once a round, every other round backwards; a round before them does not count.

  Args:
    turns: by name, what measures and returns a number.
    rounds: that count.
  """
  found: dict[str, list[float]] = {name: [] for name in turns}
  for number in range(rounds + 1):
    for name in list(turns)[:: 1 if number % 2 else -1]:
      value = turns[name]()
      if number:
        found[name].append(value)
  return {name: Spread.of(values) for name, values in found.items()}


def count_tokens(batch: Mapping[str, np.ndarray]) -> int:
  """Tokens of a batch that are text: neither padding nor the room of a soft prompt."""
  return int(np.sum(batch['encoder_input_tokens'] > 0) + np.sum(batch['decoder_target_tokens'] > 0))


def count_examples(batch: Mapping[str, np.ndarray]) -> int:
  """Examples packed into a batch."""
  return sum(counts.examples for counts in provenance.count(batch[PROVENANCE]).values())


class TrainingTurn:
  """Milliseconds of one update of one method.

  Only one state lies on the devices at a time: each turn starts from the base weights and lets go of its state, so that
  a comparison needs no more memory than its largest method.
  """

  def __init__(self, make_model: MakeModel, base: Mapping[str, np.ndarray], method: Method, optimizer: Optimizer,
               loss: LossConfig, partitioner: sharding.Partitioner, batch: Mapping[str, np.ndarray], steps: int):
    """Compiles the step.

    Args:
      make_model: builds the base model.
      base: its weights, on the host.
      method: what trains.
      optimizer: over what trains.
      loss: what is minimised.
      partitioner: devices.
      batch: what every step trains on.
      steps: of a turn.
    """
    self._plan, self._base, self._steps = plan_state(make_model, method, optimizer, partitioner, 0), base, steps
    without = {name: value for name, value in batch.items() if name != PROVENANCE}
    self._step, self._arrays = compile_step(self._plan, method, optimizer, loss, without)

  def __call__(self) -> float:
    """Runs one step that does not count, then those that do."""
    placed = {name: jax.device_put(self._base[name], shape.sharding) for name, shape in self._plan.base.items()}
    state, _ = self._step(self._plan.start(placed), self._arrays)
    jax.block_until_ready(state)
    began = time.perf_counter()
    for _ in range(self._steps):
      state, _ = self._step(state, self._arrays)
    jax.block_until_ready(state)
    return 1000.0 * (time.perf_counter() - began) / self._steps


class Answering:
  """Milliseconds of one answer, by ranking where rows have options and by encoding and decoding elsewhere.

  Models of one structure, such as all that are merged, share what is compiled.
  """

  def __init__(self, rows: Sequence['EvalRow'], batch_size: int, decode: Decode, max_decode_len: int, eos_id: int):
    """Takes the questions.

    Args:
      rows: of one task.
      batch_size: rows answered at once.
      decode: tokens to text.
      max_decode_len: tokens that generation may write.
      eos_id: of the vocabulary.
    """
    self.ranks = all(row.options for row in rows)
    self._rows, self._batch_size, self._decode = rows, batch_size, decode
    self._max_decode_len, self._eos_id = max_decode_len, eos_id
    self._runners: dict[Any, Runner] = {}

  def turn(self, model: T5) -> Turn:
    """Returns what lets a model answer all rows once."""
    runner = self._runner(model)
    weights = runner.state

    def answer() -> float:
      runner.state = weights
      began = time.perf_counter()
      if isinstance(runner, Scorer):
        rank(self._rows, runner)
      elif isinstance(runner, Generator):
        generate(self._rows, runner, self._decode)
      return 1000.0 * (time.perf_counter() - began) / len(self._rows)

    return answer

  def _runner(self, model: T5) -> Runner:
    fresh = Scorer(model, batch_size=self._batch_size) if self.ranks else Generator(
      model, max_decode_len=self._max_decode_len, eos_id=self._eos_id, batch_size=self._batch_size)
    runner = self._runners.setdefault(fresh.graphdef, fresh)
    runner.update(model)
    return runner
