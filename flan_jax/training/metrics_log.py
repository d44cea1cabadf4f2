"""Numbers of a run: `metrics.jsonl` and TensorBoard events, without gaps or repeats when a run is resumed."""

import collections
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from flan_jax.hidden import hidden

with hidden('torch'):  # it would be asked for its tensors, which are not written here
  from tensorboardX import SummaryWriter

JSONL = 'metrics.jsonl'


def drop_after(path: pathlib.Path, step: int) -> None:
  """Removes the lines of a JSONL file that a resumed run is going to write again, and a line cut off by a kill."""
  if not path.exists():
    return
  kept = []
  for line in path.read_text(encoding='utf-8').splitlines():
    try:
      if json.loads(line)['step'] <= step:
        kept.append(line + '\n')
    except (ValueError, KeyError, TypeError):
      continue
  partial = path.with_suffix('.partial')
  partial.write_text(''.join(kept), encoding='utf-8')
  partial.replace(path)


class MetricsLog:
  """Writes metrics by step and split; a split is a folder of events such as 'train' or 'training_eval/nli'."""

  def __init__(self, model_dir: str | pathlib.Path, resumed_at: int = 0):
    """Opens the log.

    Args:
      model_dir: the run folder; it must exist.
      resumed_at: the step of the checkpoint that was restored; later entries of an earlier start are removed.
    """
    self._folder = pathlib.Path(model_dir)
    self._resumed_at = resumed_at
    drop_after(self._folder / JSONL, resumed_at or -1)  # a run that begins anew measures step 0 again
    self._lines = (self._folder / JSONL).open('a', encoding='utf-8')
    self._writers: dict[str, SummaryWriter] = {}

  def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
    """Appends one entry; the line is on its way to disk when this returns.

    Args:
      step: number of updates done.
      split: 'train', 'training_eval/<name>', ...
      metrics: plain numbers; those that are not finite are written as null.
    """
    values = {name: float(value) for name, value in metrics.items()}
    entry: dict[str, Any] = {'step': step, 'split': split}
    entry.update({name: value if math.isfinite(value) else None for name, value in values.items()})
    self._lines.write(json.dumps(entry) + '\n')
    self._lines.flush()
    writer = self._writer(split)
    for name, value in values.items():
      writer.add_scalar(name, value, step)

  def flush(self) -> None:
    """Forces everything to disk."""
    self._lines.flush()
    os.fsync(self._lines.fileno())
    for writer in self._writers.values():
      writer.flush()

  def close(self) -> None:
    """Flushes and closes all files."""
    self.flush()
    self._lines.close()
    for writer in self._writers.values():
      writer.close()

  def _writer(self, split: str) -> SummaryWriter:
    if split not in self._writers:
      purge = self._resumed_at + 1 if self._resumed_at else None
      self._writers[split] = SummaryWriter(str(self._folder / split), purge_step=purge)
    return self._writers[split]


def totals(model_dir: str | pathlib.Path, split: str) -> dict[str, float]:
  """The sums of a split's metrics over all its entries, resumed stretches of the run included."""
  sums: collections.Counter[str] = collections.Counter()
  for entry in read(model_dir):
    if entry['split'] == split:
      sums.update({name: value or 0 for name, value in entry.items() if name not in ('step', 'split')})
  return dict(sums)


def read(model_dir: str | pathlib.Path) -> list[dict[str, Any]]:
  """The entries of a run's metrics.jsonl, in order."""
  lines = (pathlib.Path(model_dir) / JSONL).read_text(encoding='utf-8').splitlines()
  return [json.loads(line) for line in lines]
