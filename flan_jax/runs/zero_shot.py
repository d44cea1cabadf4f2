"""The held-out protocol: train without a cluster, ask about it, and compare with what an honest reader asks for."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import rich
import seqio
from flax import nnx

from flan_jax.data import registry
from flan_jax.data.dataset import Dataset
from flan_jax.data.variants import ORDINARY, Variant
from flan_jax.errors import UserError, did_you_mean
from flan_jax.evaluation import paired, plots, report, results_file, tables
from flan_jax.evaluation.results import Evaluation
from flan_jax.models import T5, T5Config
from flan_jax.peft import Method
from flan_jax.runs import parts
from flan_jax.runs.finetune import finetune
from flan_jax.runs.judge import Judge, Questions, folder_for
from flan_jax.training import initial, losses
from flan_jax.training.optimizers import Optimizer

WITHOUT = Variant(prompting='fields_only')
CAPTION = 'Accuracy with 95 % bootstrap intervals; the dashed line is chance.'
HALVES = 'Open circles are the plain half of a pair, filled ones the opposite half.'
LABELS = {
  'tuned': 'instruction-tuned',
  'removed': 'same weights, instruction removed',
  'contrast': 'trained without instructions',
  'untuned': 'untuned',
}


@dataclasses.dataclass(frozen=True)
class Stage:
  """One stretch of training.

  Attributes:
    train_steps: its updates.
    optimizer: a new one for each stage.
    leave_out: a regex; datasets whose whole name matches sit this stage out (few datasets first, say).
    contrast_steps: updates of the same stage for the model without instructions, whose shorter prompts pack more
      examples into a step; None means as many.
  """

  train_steps: int
  optimizer: Optimizer
  leave_out: str | None = None
  contrast_steps: int | None = None


def zero_shot(
  *,
  model_dir: str,
  family: str,
  held_out: str,
  stages: Sequence[Stage],
  model: T5Config,
  vocabulary: seqio.Vocabulary,
  task_feature_lengths: Mapping[str, int],
  batch_size: int = 128,
  method: Method | None = None,
  loss: losses.LossConfig | None = None,
  initial_checkpoint_path: str | None = None,
  contrast: bool = True,
  train_clusters: Sequence[str] | None = None,
  pairs: Mapping[str, str] | None = None,
  split: str = 'test',
  examples: int | None = None,
  skip_unavailable: bool = False,
  mixture_or_task_module: str | Sequence[str] = parts.TASK_MODULES,
  random_seed: int = 0,
  config_text: str = '',
  show_progress: bool = True,
  dry_run: bool = False,
) -> list[Evaluation]:
  """Trains on all clusters but one (and those too close to it), then asks about the held-out ones.

  Args:
    model_dir: gets a run folder for each stage, results.json, predictions/, heldout.png and report.html.
    family: e.g. 'flan2021' or 'quickstart'.
    held_out: the cluster; those that the family's rules exclude with it are held out and reported too.
    stages: of training, in order, each starting from the last one's weights.
    model: the network.
    vocabulary: of the tasks.
    task_feature_lengths: lengths in tokens.
    batch_size: packed rows of a step.
    method: what trains; everything where None.
    loss: see `training.losses`.
    initial_checkpoint_path: where the first stage starts; random weights where None.
    contrast: also train a model without instructions by the same stages, and judge it.
    train_clusters: train on these clusters only (the number of clusters is an experiment of FLAN's, section 4.1); None
      takes all that are not held out.
    pairs: datasets and the datasets that ask the opposite about the same rows.
    split: the held-out rows that are asked.
    examples: at most this many rows of each task.
    skip_unavailable: leave out datasets without rows on disk, a line for each, rather than fetch them or stop.
    mixture_or_task_module: modules that register tasks.
    random_seed: of everything.
    config_text: the operative configuration, for the report.
    show_progress: progress bars.
    dry_run: plan the first stage and stop.

  Returns:
    The evaluations: tuned, instruction removed, trained without instructions (if asked for), untuned.
  """
  parts.use_tasks(mixture_or_task_module)
  make_model = parts.model_maker(model, vocabulary)
  members = registry.family(family)
  for cluster in (held_out, *(train_clusters or ())):
    if cluster not in members.clusters:
      raise UserError(f'Family {family!r} has no cluster {cluster!r}. {did_you_mean(cluster, members.clusters)}')
  training = training_datasets(members, held_out, train_clusters)
  allowed = {dataset.name for dataset in members.without(held_out)}
  heldout = [dataset for dataset in members.datasets if dataset.name not in allowed]
  if skip_unavailable:
    heldout = _on_disk(members, heldout, split)
  shared: dict[str, Any] = {
    'model': model, 'vocabulary': vocabulary, 'task_feature_lengths': task_feature_lengths, 'batch_size': batch_size,
    'method': method, 'loss': loss, 'mixture_or_task_module': mixture_or_task_module, 'random_seed': random_seed,
    'show_progress': show_progress, 'config_text': config_text, 'checkpoint_period': 500, 'keep': 1,
    'skip_unavailable': skip_unavailable,
  }  # fmt: skip
  if dry_run:
    first = stages[0]
    finetune(model_dir=model_dir, mixture_or_task_name=stage_mixture(first, members, training),
             train_steps=first.train_steps, optimizer=first.optimizer, dry_run=True, **shared)
    return []
  folder = folder_for(model_dir)
  weights = {}
  for name, variant in (('tuned', ORDINARY), ('contrast', WITHOUT)) if contrast else (('tuned', ORDINARY),):
    mixtures = [stage_mixture(stage, members, training, variant) for stage in stages]
    weights[name] = _train(folder / name, stages, mixtures, variant == WITHOUT, initial_checkpoint_path, shared)
  models = {name: initial.restore_model(path, make_model) for name, path in weights.items()}
  models['untuned'] = _start(make_model, initial_checkpoint_path, random_seed)
  asked = Questions(split=split, examples=examples, lengths=task_feature_lengths, seed=random_seed)
  evaluations = _judge(models, members, heldout, asked, weights, dict(pairs or {}))
  _write(folder, evaluations, held_out, config_text)
  return evaluations


def training_datasets(family: registry.Family, held_out: str, clusters: Sequence[str] | None = None) -> list[Dataset]:
  """The datasets that may train a model to be judged on a cluster, of some clusters only where these are given.

  Raises:
    UserError: where a cluster is asked for that is held out, or no dataset remains.
  """
  allowed = family.without(held_out)
  for cluster in clusters or ():
    if cluster not in {dataset.cluster for dataset in allowed}:
      raise UserError(f'The cluster {cluster!r} cannot train a model that is judged on {held_out!r}: it is held out.')
  return [dataset for dataset in allowed if clusters is None or dataset.cluster in clusters]


def _on_disk(family: registry.Family, datasets: Sequence[Dataset], split: str) -> list[Dataset]:
  """The datasets that have rows of a role on disk; a line says of each other why it has none."""
  found, left_out = parts.on_disk([family.task(dataset) for dataset in datasets], split)
  for line in left_out:
    print(line)
  return [dataset for dataset in datasets if family.task(dataset) in found]


def stage_mixture(stage: Stage, family: registry.Family, datasets: Sequence[Dataset],
                  variant: Variant = ORDINARY) -> str:
  """The name of the mixture that a stage trains on.

  Raises:
    UserError: where the stage leaves nothing, or its regex leaves out nothing.
  """
  try:
    pattern = re.compile(stage.leave_out) if stage.leave_out is not None else None
  except re.error as error:
    raise UserError(f'runs.Stage.leave_out = {stage.leave_out!r} is not a regular expression: {error}.') from error
  kept = [dataset for dataset in datasets if pattern is None or not pattern.fullmatch(dataset.name)]
  if not kept or (pattern is not None and len(kept) == len(datasets)):
    raise UserError(f'runs.Stage.leave_out = {stage.leave_out!r} leaves {len(kept)} of {len(datasets)} datasets: '
                    f'{", ".join(dataset.name for dataset in datasets)}.')
  return registry.mixture_of([family.task(dataset, variant) for dataset in kept], family.max_rate)


def _train(folder: pathlib.Path, stages: Sequence[Stage], mixtures: Sequence[str], is_contrast: bool, start: str | None,
           shared: Mapping[str, Any]) -> str:
  """Trains all stages; each run folder that is finished already is found so and left alone."""
  for number, (stage, mixture) in enumerate(zip(stages, mixtures, strict=True), 1):
    run = folder / f'stage_{number}'
    steps = stage.contrast_steps if is_contrast and stage.contrast_steps else stage.train_steps
    finetune(model_dir=str(run), mixture_or_task_name=mixture, train_steps=steps, optimizer=stage.optimizer,
             initial_checkpoint_path=start, **shared)
    start = str(run)
  return str(start)


def _start(make_model: Any, path: str | None, seed: int) -> T5:
  """The model before any tuning."""
  if path is not None:
    return initial.restore_model(path, make_model)
  return make_model(nnx.Rngs(params=jax.random.key(seed)))


def _judge(models: Mapping[str, T5], family: registry.Family, heldout: Sequence[Dataset], asked: Questions,
           weights: Mapping[str, str], pairs: Mapping[str, str]) -> list[Evaluation]:
  """Asks every model in its ways, and pairs the datasets that ask the opposite."""
  instructed = [task for dataset in heldout for task in parts.evaluation_tasks(family.task(dataset))]
  bare = [family.task(dataset, WITHOUT) for dataset in heldout]
  ways = {'tuned': ('tuned', instructed), 'removed': ('tuned', bare)}
  if 'contrast' in models:
    ways['contrast'] = ('contrast', bare)
  ways['untuned'] = ('untuned', instructed)
  judge = Judge(models['untuned'], asked)
  found = []
  for label, (name, tasks) in ways.items():
    evaluation = judge.evaluate(models[name], tasks, LABELS[label], weights.get(name, ''))
    by_dataset: dict[str, list] = {}
    for template in evaluation.templates:
      by_dataset.setdefault(template.dataset, []).append(template)
    measured = [paired.paired_accuracy(by_dataset[plain], by_dataset[opposite], seed=asked.seed)
                for plain, opposite in pairs.items() if plain in by_dataset and opposite in by_dataset]
    found.append(dataclasses.replace(evaluation, paired=measured))
  return found


def _write(folder: pathlib.Path, evaluations: list[Evaluation], held_out: str, config_text: str) -> None:
  """Writes numbers, predictions, the picture and the report, and prints the tables."""
  results_file.write_results(folder / 'results.json', evaluations)
  for evaluation in evaluations:
    results_file.write_predictions(folder / 'predictions', evaluation)
  measured = any(evaluation.paired for evaluation in evaluations)
  draw = plots.paired_bars if measured else plots.cluster_bars
  picture = draw(folder / 'heldout.png', evaluations, title=f'Held out: {held_out}')
  shown = ([tables.paired_table(evaluations)] if measured else []) + [tables.cluster_table(evaluations),
                                                                      tables.dataset_table(evaluations)]
  report.write_report(folder / 'report.html', f'Zero-shot on {held_out}', [
    report.Section('What was asked', paragraphs=[
      f'The cluster {held_out!r}, and those that its exclusion rules name, took no part in training.',
      'Where a question is also asked the opposite way, the mean of both halves is the measure: a model that ignores '
      'the instruction gives the same answer twice and ends at chance, however well it does on one half.',
    ], images=[(picture, CAPTION + (' ' + HALVES if measured else ''))], tables=shown),
    report.Section('Configuration', code=config_text),
  ])  # fmt: skip
  for table in shown:
    rich.print(table)
