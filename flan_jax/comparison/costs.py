"""The speed of every line of a comparison, kept in one file: measured together in turns, or not at all."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.comparison.rows import plain
from flan_jax.comparison.timing import Spread
from flan_jax.training.run_folder import write_text

FILE = 'costs.json'


@dataclasses.dataclass(frozen=True)
class Cost:
  """The speed of one method.

  Attributes:
    step_ms: milliseconds of an update.
    tokens: of text in the batch that was timed; methods that take room in packed rows train on fewer.
    examples: in that batch.
    attached_ms: milliseconds of an answer, adapters attached.
    merged_ms: the same, merged into the base; None for methods that cannot be.
  """

  step_ms: Spread
  tokens: int
  examples: int
  attached_ms: Spread
  merged_ms: Spread | None

  @property
  def tokens_per_second(self) -> float:
    """Tokens of text that train in a second, by the median step."""
    return 1000.0 * self.tokens / self.step_ms.median


@dataclasses.dataclass(frozen=True)
class Costs:
  """The speed of all methods of a comparison.

  Attributes:
    config: what the numbers depend on.
    answers: how the answers came about, 'rank' or 'generate'.
    base_ms: milliseconds of an answer of the untouched base.
    entries: by name of the line.
  """

  config: dict[str, Any]
  answers: str
  base_ms: Spread
  entries: dict[str, Cost]


def read(folder: pathlib.Path, config: Mapping[str, Any]) -> Costs | None:
  """What was measured under a configuration; None where nothing was, or under another one."""
  try:
    found = json.loads((folder / FILE).read_text(encoding='utf-8'))
    if found['config'] != config:
      return None
    entries = {name: _cost(record) for name, record in found['entries'].items()}
    return Costs(dict(config), found['answers'], Spread(**found['base_ms']), entries)
  except (OSError, ValueError, KeyError, TypeError):
    return None  # half a file cannot be: what cannot be read is of another version, and measured anew


def write(folder: pathlib.Path, costs: Costs) -> None:
  """Writes what was measured, in place of what was measured before."""
  write_text(folder / FILE, json.dumps(plain(costs), indent=2) + '\n')


def names(configurations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """What of the rows' configurations their speed depends on: not the seed, and not what is asked."""
  kept = ('entry', 'method', 'optimizer', 'model', 'loss', 'new_task', 'batch_size', 'task_feature_lengths')
  return [{name: configuration[name] for name in kept} for configuration in configurations]


def _cost(record: Mapping[str, Any]) -> Cost:
  merged = record['merged_ms']
  return Cost(Spread(**record['step_ms']), record['tokens'], record['examples'], Spread(**record['attached_ms']),
              Spread(**merged) if merged else None)
