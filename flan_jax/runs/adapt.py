"""Learning one new task by a PEFT method: what it learned, what it cost, and what the model forgot meanwhile."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import rich
import seqio

from flan_jax.evaluation import averages, tables
from flan_jax.evaluation.results import Evaluation
from flan_jax.evaluation.results_file import write_results
from flan_jax.evaluation.statistics import Estimate
from flan_jax.models import T5Config
from flan_jax.peft import AdapterSet, LoRA, Method
from flan_jax.peft.io import saved_variables
from flan_jax.peft.partition import make_blueprint, parameter_table
from flan_jax.runs import parts
from flan_jax.runs.finetune import finetune
from flan_jax.runs.judge import Judge, Questions, folder_for
from flan_jax.training import initial, loop, losses, sharding
from flan_jax.training.optimizers import Optimizer
from flan_jax.training.run_folder import write_text

BEFORE, ATTACHED, REMOVED = 'before', 'adapter attached', 'adapter removed'


@dataclasses.dataclass(frozen=True)
class Adaptation:
  """What a new task cost.

  Attributes:
    method: name and hyperparameters.
    trainable: parameters that trained.
    total: parameters of the model with its adapters.
    new: accuracy on the new task (percent), before and with the adapter attached.
    old: accuracy on the old tasks (percent), before, attached and removed.
    evaluations: what the numbers come from.
  """

  method: dict[str, Any]
  trainable: int
  total: int
  new: dict[str, Estimate]
  old: dict[str, Estimate]
  evaluations: list[Evaluation] = dataclasses.field(repr=False)

  def table(self) -> tables.Table:
    """Returns the numbers as a table."""
    columns = ('', 'new task', '95 % interval', 'old tasks', '95 % interval')
    rows = []
    for label in (BEFORE, ATTACHED, REMOVED):
      cells = [self.new.get(label, self.new[BEFORE]), self.old[label]]
      rows.append((label, *(text for e in cells for text in (tables.number(e.value), tables.interval(e.low, e.high)))))
    share = 100.0 * self.trainable / self.total
    title = f'{self.method["method"]}: {self.trainable:,} of {self.total:,} parameters trained ({share:.1f} %)'
    note = 'Percent, mean over templates and datasets. Removed, the model is the base.'
    return tables.Table(title, columns, rows, note)


def adapt(
  *,
  model_dir: str,
  checkpoint_path: str,
  new_task: str,
  old_tasks: Sequence[str],
  train_steps: int,
  model: T5Config,
  vocabulary: seqio.Vocabulary,
  optimizer: Optimizer,
  task_feature_lengths: Mapping[str, int],
  batch_size: int = 128,
  method: Method | None = None,
  loss: losses.LossConfig | None = None,
  split: str = 'test',
  examples: int | None = None,
  partitioner: sharding.Partitioner | None = None,
  mixture_or_task_module: str | Sequence[str] = parts.TASK_MODULES,
  random_seed: int = 0,
  config_text: str = '',
  show_progress: bool = True,
  dry_run: bool = False,
) -> Adaptation | loop.TrainResult | loop.DryRun:
  """Fine-tunes a checkpoint on one new task, and measures the new task and old ones before, attached and removed.

  Args:
    model_dir: gets the training run, results.json and adaptation.json.
    checkpoint_path: the run folder or checkpoint to start from.
    new_task: the task to learn.
    old_tasks: tasks that the checkpoint can do.
    train_steps: updates.
    model: the network.
    vocabulary: of the tasks.
    optimizer: see `training.optimizers`.
    task_feature_lengths: lengths in tokens.
    batch_size: packed rows of a step.
    method: what trains; LoRA at its defaults where None.
    loss: see `training.losses`.
    split: the rows that are asked.
    examples: at most this many rows of each task.
    partitioner: devices that train; all of them, each with rows of its own, where None.
    mixture_or_task_module: modules that register tasks.
    random_seed: of everything.
    config_text: the operative configuration.
    show_progress: a progress bar.
    dry_run: plan the training and stop.

  Returns:
    The adaptation; the plan for a dry run.
  """
  parts.use_tasks(mixture_or_task_module)
  make_model = parts.model_maker(model, vocabulary)
  method = (method or LoRA()).bound(vocabulary.encode)
  shared: dict[str, Any] = {
    'model_dir': str(pathlib.Path(model_dir) / 'run'), 'mixture_or_task_name': new_task, 'train_steps': train_steps,
    'model': model, 'vocabulary': vocabulary, 'optimizer': optimizer, 'task_feature_lengths': task_feature_lengths,
    'batch_size': batch_size, 'method': method, 'loss': loss, 'mixture_or_task_module': mixture_or_task_module,
    'random_seed': random_seed, 'config_text': config_text, 'show_progress': show_progress, 'dry_run': dry_run,
    'checkpoint_period': train_steps, 'keep': 1, 'partitioner': partitioner,
  }  # fmt: skip
  if dry_run:
    return finetune(initial_checkpoint_path=checkpoint_path, **shared)
  folder = folder_for(model_dir)
  finetune(initial_checkpoint_path=checkpoint_path, **shared)
  base = initial.restore_model(checkpoint_path, make_model)
  trained = initial.restore_model(shared['model_dir'], make_model)
  counts = parameter_table(make_blueprint(trained, method.trainable_filter()))
  adapters = AdapterSet(base)
  adapters.add(new_task, method, {name: v.get_value() for name, v in saved_variables(trained, method).items()})
  judge = Judge(Questions(split=split, examples=examples, lengths=task_feature_lengths, seed=random_seed))

  def ask(names: Sequence[str], label: str) -> Evaluation:
    tasks = [task for name in names for task in parts.evaluation_tasks(name)]
    return judge.evaluate(base, tasks, label, checkpoint_path)

  new, old = [], []
  for active, label in ((None, BEFORE), (new_task, ATTACHED), (None, REMOVED)):
    adapters.switch(active)
    old.append(ask(old_tasks, f'old tasks, {label}'))
    if label != REMOVED:
      new.append(ask([new_task], f'new task, {label}'))

  def means(evaluations: Sequence[Evaluation]) -> list[Estimate]:
    return [averages.overall(evaluation.templates, random_seed) for evaluation in evaluations]

  result = Adaptation(
    method=method.config, trainable=counts.trainable, total=counts.total,
    new=dict(zip((BEFORE, ATTACHED), means(new), strict=True)),
    old=dict(zip((BEFORE, ATTACHED, REMOVED), means(old), strict=True)),
    evaluations=[*new, *old],
  )  # fmt: skip
  _write(folder, result)
  return result


def _write(folder: pathlib.Path, result: Adaptation) -> None:
  write_results(folder / 'results.json', result.evaluations)
  numbers = {
    'method': result.method, 'trainable': result.trainable, 'total': result.total,
    'new': {label: estimate._asdict() for label, estimate in result.new.items()},
    'old': {label: estimate._asdict() for label, estimate in result.old.items()},
  }  # fmt: skip
  write_text(folder / 'adaptation.json', json.dumps(numbers, indent=2) + '\n')
  rich.print(result.table())
