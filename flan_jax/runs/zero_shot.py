"""The held-out protocol: for each cluster, train without it, ask about it, beside the controls that a reader asks for.

Levers: `held_out` (one cluster, several, all), `arms` (what is compared), `stages` and `method` (the budget and what
trains), `select_on` (choose templates on another split), `extra_tasks`. Run again, it goes on where it stopped; several
processes may run the same command and share the cells, or each take some clusters (`only`).
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import rich
import seqio

from flan_jax.data import contamination, registry
from flan_jax.errors import UserError
from flan_jax.evaluation import plots, protocol_report, results_file, tables
from flan_jax.evaluation.rank import Normalization
from flan_jax.evaluation.results import Evaluation
from flan_jax.heldout import arms as arms_lib
from flan_jax.heldout import training_sets
from flan_jax.heldout.arms import Arm, Stage
from flan_jax.models import T5Config
from flan_jax.peft import Full, Method
from flan_jax.runs import parts
from flan_jax.runs.heldout_cell import Bench, check_extra
from flan_jax.runs.heldout_training import Setting, Training
from flan_jax.runs.judge import Questions, folder_for
from flan_jax.training import losses, sharding


def zero_shot(
  *,
  model_dir: str,
  family: str,
  held_out: str | Sequence[str],
  arms: Sequence[Any],
  stages: Sequence[Stage],
  model: T5Config,
  vocabulary: seqio.Vocabulary,
  task_feature_lengths: Mapping[str, int],
  batch_size: int = 128,
  method: Method | None = None,
  loss: losses.LossConfig | None = None,
  initial_checkpoint_path: str | None = None,
  only: str | Sequence[str] = (),
  extra_tasks: Sequence[str] = (),
  pairs: Mapping[str, str] | None = None,
  split: str = 'test',
  examples: int | None = None,
  select_on: str | None = 'validation',
  select_examples: int | None = 200,
  normalization: Normalization = 'none',
  max_decode_len: int = 64,
  watch_tasks: str | Sequence[str] = (),
  watch_period: int = 1000,
  contamination_ngram: int | None = contamination.NGRAM,
  remove_contamination: bool = False,
  skip_unavailable: bool = False,
  partitioner: sharding.Partitioner | None = None,
  mixture_or_task_module: str | Sequence[str] = parts.TASK_MODULES,
  random_seed: int = 0,
  config_text: str = '',
  show_progress: bool = True,
  dry_run: bool = False,
) -> list[Evaluation]:
  """Makes a model for each held-out cluster and arm, asks them about that cluster, and reports.

  Args:
    model_dir: gets a folder for each cluster and arm, results.json, predictions/, heldout.png and report.html.
    family: e.g. 'flan2021' or 'quickstart'.
    held_out: the clusters that are held out in turn, each with those that the family's rules exclude with it; 'all'
      for every cluster.
    arms: `Arm`s, or lists of them, such as a curve.
    stages: of training, in order, each starting from the last one's weights.
    model: the network.
    vocabulary: of the tasks.
    task_feature_lengths: lengths in tokens.
    batch_size: packed rows of a step.
    method: what trains; everything where None.
    loss: see `training.losses`.
    initial_checkpoint_path: where arms without a start begin; random weights where None.
    only: this process works at these held-out clusters only; the report has what all processes have done.
    extra_tasks: tasks or mixtures that every arm is asked too, in no cluster of the family.
    pairs: datasets and the datasets that ask the opposite about the same rows.
    split: the held-out rows that are asked.
    examples: at most this many rows of each task.
    select_on: the split that the best template of each dataset is chosen on (FLAN's rule); None chooses none.
    select_examples: at most this many of its rows.
    normalization: of the options' log-likelihoods, see `rank`.
    max_decode_len: tokens that generation may write.
    watch_tasks: tasks that may be forgotten: scored before, along and after every training, see `runs.watch`.
    watch_period: steps between two of these scores.
    contamination_ngram: words in a row by which the questions are looked for in training; None does not look.
    remove_contamination: leave out the training rows that were found.
    skip_unavailable: leave out datasets without rows on disk, a line for each, rather than fetch them or stop.
    partitioner: devices that train; all of them, each with rows of its own, where None.
    mixture_or_task_module: modules that register tasks.
    random_seed: of everything.
    config_text: the operative configuration, for the report.
    show_progress: progress bars.
    dry_run: say what each cell would do, plan the first stage that trains, and stop.

  Returns:
    The evaluations that are done, by cluster and then by arm, without predictions.

  Raises:
    UserError: where a cell was made with another configuration, among what else a user can mend.
  """
  parts.use_tasks(mixture_or_task_module)
  parts.model_maker(model, vocabulary)
  members = registry.family(family)
  clusters = training_sets.held_out_clusters(members, held_out)
  mine = [name for name in clusters if name in training_sets.held_out_clusters(members, only or clusters, 'ONLY')]
  by_name = arms_lib.in_order(arms)
  check_extra(extra_tasks)
  if remove_contamination and contamination_ngram is None:
    raise UserError('REMOVE_CONTAMINATION = True removes nothing where CONTAMINATION_NGRAM is None.')
  if select_on == split:
    raise UserError(f'SELECT_ON = {select_on!r} is the split that is reported: choose templates on other rows.')
  asked = Questions(split=split, examples=examples, lengths=task_feature_lengths, normalization=normalization,
                    max_decode_len=max_decode_len, seed=random_seed)
  watched = (watch_tasks,) if isinstance(watch_tasks, str) else watch_tasks
  setting = Setting(
    model, stages, method or Full(), task_feature_lengths, batch_size, loss or losses.LossConfig(),
    initial_checkpoint_path, asked, extra_tasks, pairs or {}, select_on, select_examples, watched, watch_period,
    contamination_ngram, remove_contamination, skip_unavailable, random_seed,
  )  # fmt: skip
  training = Training(pathlib.Path(model_dir), members, by_name, setting, vocabulary, config_text, show_progress,
                      partitioner)  # fmt: skip
  bench = Bench(training)
  cells = [(cluster, arm) for cluster in mine for arm in by_name.values()]
  for cluster, arm in cells:
    training.check(cluster, arm)  # before anything trains
  if skip_unavailable:
    _say_what_is_missing(members, mine, split)
  if dry_run:
    _plan(bench, cells)
    return []
  folder = folder_for(model_dir)
  _settle(bench, cells)
  wanted = {f'{cluster}/{arm.name}': bench.evaluation(cluster, arm) for cluster in clusters for arm in by_name.values()}
  done = [found for found in wanted.values() if found is not None]
  missing = [name for name, found in wanted.items() if found is None]
  if done:
    tasks = [task for name in extra_tasks for task in registry.tasks_of(name)]
    extra = sorted({registry.task_info(task).dataset.cluster for task in tasks})
    _write(folder, done, {'gin': config_text, 'missing': missing, 'extra': extra})
  if missing:
    print(f'{len(done)} of {len(wanted)} cells are done; missing: {", ".join(missing)}')
  return done


def _settle(bench: Bench, cells: Sequence[tuple[str, Arm]]) -> None:
  """Works at the cells, again and again while that gets any of them done: one may have waited for another process."""
  left = list(cells)
  while left:
    states = [bench.settle(*cell) for cell in left]
    still = [cell for cell, state in zip(left, states, strict=True) if state != 'done']
    if len(still) == len(left):
      return
    left = still


def _say_what_is_missing(family: registry.Family, held_out: Sequence[str], split: str) -> None:
  """A line for each dataset without rows on disk, of those that train and of those that are asked about."""
  asked = dict.fromkeys(family.task(d) for cluster in held_out for d in training_sets.judged(family, cluster))
  trained = dict.fromkeys(family.task(dataset) for dataset in family.datasets)
  for names, role in ((trained, 'train'), (asked, split)):
    for line in parts.on_disk(list(names), role)[1]:
      print(line)


def _plan(bench: Bench, cells: Sequence[tuple[str, Arm]]) -> None:
  for cell in cells:
    print(bench.describe(*cell))
  trained = [cell for cell in cells if cell[1].trains and cell[1].start is None]
  if trained:
    cluster, arm = trained[0]
    print(f'\nthe first stage of {cluster}/{arm.name}:')
    bench.training.dry_run(cluster, arm)


def by_arm(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
  """Puts the cells of each arm together: of every cluster what the model says that did not see it.

  A cluster that only left with another one (FLAN's exclusion rules) is taken from that cell where it is not held out
  in its own right.
  """
  found: dict[str, list[Evaluation]] = {}
  for evaluation in evaluations:
    found.setdefault(evaluation.model, []).append(evaluation)
  own = {evaluation.origin.held_out for evaluation in evaluations if evaluation.origin}

  def kept(cells: Sequence[Evaluation], attribute: str) -> list[Any]:
    return [item for cell in cells for item in getattr(cell, attribute)
            if cell.origin and (item.cluster == cell.origin.held_out or item.cluster not in own)]

  return [
    Evaluation(label, cells[0].checkpoint, kept(cells, 'templates'), kept(cells, 'datasets'), kept(cells, 'clusters'),
               kept(cells, 'paired'))
    for label, cells in found.items()
  ]  # fmt: skip


def _write(folder: pathlib.Path, evaluations: list[Evaluation], config: Mapping[str, Any]) -> None:
  """Writes numbers, the picture and the report, and prints the tables."""
  results_file.write_results(folder / 'results.json', evaluations, config)
  shown = by_arm(evaluations)
  held_out = list(dict.fromkeys(evaluation.origin.held_out for evaluation in evaluations if evaluation.origin))
  measured = any(evaluation.paired for evaluation in shown)
  draw = plots.paired_bars if measured else plots.cluster_bars
  draw(folder / 'heldout.png', shown, title=f'Held out: {", ".join(held_out)}')
  page = protocol_report.write_protocol_report(folder)
  found = [tables.paired_table(shown)] if measured else []
  found.append(tables.cluster_table(shown))
  if len(held_out) == 1:
    found.append(tables.dataset_table(shown))
  for table in found:
    rich.print(table)
  print(f'the report: {page}')
