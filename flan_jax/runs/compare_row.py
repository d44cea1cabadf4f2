"""One row of a comparison: train, then ask the new task and the old ones, beside the untouched base."""

import dataclasses
import functools
import math
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import seqio
from flax import nnx

from flan_jax.comparison import memory, timing
from flan_jax.comparison.entries import Entry, Setting
from flan_jax.comparison.rows import Change, Row
from flan_jax.data import iterator, registry
from flan_jax.evaluation import averages
from flan_jax.evaluation.change import change
from flan_jax.evaluation.results import Evaluation, TemplateResult
from flan_jax.evaluation.results_file import write_results
from flan_jax.models import T5
from flan_jax.peft.digest import fingerprint
from flan_jax.peft.partition import make_blueprint, parameter_table
from flan_jax.runs import parts
from flan_jax.runs.finetune import finetune
from flan_jax.runs.judge import Judge, Questions
from flan_jax.training import initial, loop, sharding
from flan_jax.training.state import StatePlan, plan_state

RUN = 'run'


@dataclasses.dataclass
class Bench:
  """What all rows of a process share: the setting, the base, and the judge that asks.

  Attributes:
    setting: of the comparison.
    checkpoint_path: of the base.
    make_model: builds the base.
    vocabulary: of the tasks.
    partitioner: devices.
    show_progress: progress bars.
  """

  setting: Setting
  checkpoint_path: str
  make_model: Callable[[nnx.Rngs], T5]
  vocabulary: seqio.Vocabulary
  partitioner: sharding.Partitioner
  show_progress: bool = True

  @functools.cached_property
  def base(self) -> T5:
    """The untouched model."""
    return initial.restore_model(self.checkpoint_path, self.make_model)

  @functools.cached_property
  def fingerprint(self) -> str:
    """A word for the base's weights."""
    return fingerprint(self.base_weights())

  @functools.cached_property
  def judge(self) -> Judge:
    """Asks the same rows of every model; what it draws does not depend on the seed of a row."""
    asked = self.setting
    return Judge(Questions(split=asked.split, examples=asked.examples, lengths=asked.task_feature_lengths))

  @functools.cached_property
  def before(self) -> tuple[Evaluation, Evaluation]:
    """What the base answers, on the new task and on the old ones."""
    return self.ask(self.base, 'untouched base', self.checkpoint_path)

  def base_weights(self) -> dict[str, Any]:
    """The base's parameters by name."""
    return make_blueprint(self.base, nnx.Param).split(self.base)[0]

  def batch(self, entry: Entry) -> dict[str, np.ndarray]:
    """The first batch of the new task alone, with the room that the method's prompts need."""
    asked = self.setting
    stream = iterator.batches(self._new_task, asked.task_feature_lengths, asked.batch_size,
                              prompts=entry.method.prompt_lengths)
    return next(stream)

  def plan(self, entry: Entry) -> StatePlan:
    """The state of a training run, in shapes."""
    return plan_state(self.make_model, entry.method, entry.optimizer, self.partitioner, 0)

  def ask(self, model: T5, label: str, checkpoint: str) -> tuple[Evaluation, Evaluation]:
    """Asks a model the new task and the old ones."""
    def tasks(names: Sequence[str]) -> list[str]:
      return [task for name in names for task in parts.evaluation_tasks(name)]

    groups = {'new task': [self.setting.new_task], 'old tasks': self.setting.old_tasks}
    new, old = (self.judge.evaluate(model, tasks(names), f'{label}, {what}', checkpoint)
                for what, names in groups.items())
    return new, old

  def dry_run(self, entry: Entry, model_dir: str) -> None:
    """Prints the plan of an entry's training."""
    self._finetune(entry, 0, model_dir, dry_run=True)

  def row(self, entry: Entry, seed: int, folder: pathlib.Path) -> Row:
    """Trains and measures one row.

    Args:
      entry: the method.
      seed: of the training.
      folder: gets the training run and results.json.

    Raises:
      KeyboardInterrupt: where a signal ended the training; a checkpoint is written, and the same command goes on.
    """
    peak, began = memory.Peak(), time.monotonic()
    result = self._finetune(entry, seed, str(folder / RUN))
    if isinstance(result, loop.TrainResult) and result.interrupted:
      raise KeyboardInterrupt
    seconds, (measured_peak, measured_on) = time.monotonic() - began, peak.read()
    del result  # the state lies on the devices
    adapted = initial.restore_model(folder / RUN, self.make_model)
    batch, plan = self.batch(entry), self.plan(entry)
    without = {name: value for name, value in batch.items() if name != timing.PROVENANCE}
    compiled, _ = memory.compile_step(plan, entry.method, entry.optimizer, self.setting.loss, without)
    after = self.ask(adapted, entry.name, str(folder / RUN))
    write_results(folder / 'results.json', [*self.before, *after])
    new, old = after
    return Row(
      entry=entry.name, seed=seed, trainable=parameter_table(plan.blueprint).trainable,
      base=sum(math.prod(shape.shape) for shape in plan.base.values()),
      disk_bytes=_kept_bytes(folder / RUN / loop.ADAPTER) or memory.tree_bytes(plan.abstract.trainable),
      memory=memory.step_memory(compiled), optimizer_bytes=memory.tree_bytes(plan.abstract.opt_state),
      measured_peak=measured_peak, measured_on=measured_on, examples=timing.count_examples(batch), seconds=seconds,
      new=_change(self.before[0].templates, new.templates), old=_change(self.before[1].templates, old.templates),
      old_tasks=_by_dataset(self.before[1].templates, old.templates),
    )  # fmt: skip

  @functools.cached_property
  def _new_task(self) -> str:
    task, limit = self.setting.new_task, self.setting.train_rows
    return task if limit is None else registry.limited(task, limit)

  def _finetune(self, entry: Entry, seed: int, model_dir: str, dry_run: bool = False) -> Any:
    asked = self.setting
    return finetune(
      model_dir=model_dir, mixture_or_task_name=[self._new_task, *entry.mixed_in], train_steps=asked.train_steps,
      task_feature_lengths=asked.task_feature_lengths, batch_size=asked.batch_size, model=asked.model,
      vocabulary=self.vocabulary, optimizer=entry.optimizer, method=entry.method, loss=asked.loss,
      initial_checkpoint_path=self.checkpoint_path, checkpoint_period=asked.train_steps, keep=1, random_seed=seed,
      mixture_or_task_module=(), partitioner=self.partitioner, show_progress=self.show_progress, dry_run=dry_run,
    )  # fmt: skip


def _kept_bytes(folder: pathlib.Path) -> int:
  return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())


def _change(before: Sequence[TemplateResult], after: Sequence[TemplateResult]) -> Change:
  return Change(averages.overall(before), averages.overall(after), change(after, before))


def _by_dataset(before: Sequence[TemplateResult], after: Sequence[TemplateResult]) -> dict[str, Change]:
  def of(results: Sequence[TemplateResult], dataset: str) -> list[TemplateResult]:
    return [result for result in results if result.dataset == dataset]

  return {name: _change(of(before, name), of(after, name)) for name in dict.fromkeys(r.dataset for r in after)}
