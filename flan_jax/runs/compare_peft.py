"""Fine-tuning methods side by side: one row a method and seed, on one base, task and budget; then their speed in turns.

Levers: `entries` (methods, their optimizers, what is mixed in), `train_rows` (how little of the new task there is),
`seeds`, `examples` (how many questions), `timing_rounds` (0 for none). Run again, it goes on where it stopped; several
processes may run the same command and share the rows.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import rich
import seqio

from flan_jax.comparison import costs, report, rows
from flan_jax.comparison.entries import Entry, Setting, configuration
from flan_jax.comparison.rows import Row
from flan_jax.data import registry
from flan_jax.errors import UserError
from flan_jax.models import T5Config
from flan_jax.runs import parts
from flan_jax.runs.compare_costs import Timing, costs_config, measure
from flan_jax.runs.compare_row import Bench
from flan_jax.runs.judge import folder_for
from flan_jax.training import losses, sharding
from flan_jax.work import claims
from flan_jax.work import configuration as work

ROWS = 'rows'
CLAIM = 'claim'


def compare_peft(
  *,
  model_dir: str,
  checkpoint_path: str,
  new_task: str,
  old_tasks: Sequence[str],
  entries: Sequence[Entry],
  train_steps: int,
  model: T5Config,
  vocabulary: seqio.Vocabulary,
  task_feature_lengths: Mapping[str, int],
  batch_size: int = 128,
  loss: losses.LossConfig | None = None,
  train_rows: int | None = None,
  seeds: Sequence[int] = (0,),
  split: str = 'test',
  examples: int | None = None,
  timing_rounds: int = 5,
  timing_steps: int = 10,
  timing_examples: int = 64,
  partitioner: sharding.Partitioner | None = None,
  mixture_or_task_module: str | Sequence[str] = parts.TASK_MODULES,
  config_text: str = '',
  show_progress: bool = True,
  dry_run: bool = False,
) -> list[Row]:
  """Fine-tunes a checkpoint on one new task by several methods, and sets side by side what each costs and does.

  Args:
    model_dir: gets rows/ with a folder for each method and seed, and comparison.json, .md and .png.
    checkpoint_path: the run folder or checkpoint that every row starts from.
    new_task: the task to learn.
    old_tasks: tasks that the checkpoint can do; what is forgotten of them is measured against the untouched checkpoint.
    entries: what is compared.
    train_steps: updates of every row.
    model: the network.
    vocabulary: of the tasks.
    task_feature_lengths: lengths in tokens.
    batch_size: packed rows of a step.
    loss: see `training.losses`.
    train_rows: the new task trains on its first so many rows; None takes all.
    seeds: of adapters, dropout and the order of examples; a row for each.
    split: the rows that are asked.
    examples: at most this many rows of each task are asked.
    timing_rounds: how often every method is timed; 0 times none.
    timing_steps: updates of one turn.
    timing_examples: answers of one turn.
    partitioner: devices.
    mixture_or_task_module: modules that register tasks.
    config_text: the operative configuration, for comparison.json.
    show_progress: progress bars.
    dry_run: plan the training of every entry and stop.

  Returns:
    The rows that are done, in order; none for a dry run.

  Raises:
    UserError: where a row was made with another configuration, among what else a user can mend.
  """
  parts.use_tasks(mixture_or_task_module)
  make_model = parts.model_maker(model, vocabulary)
  work.check_names('runs.Entry', [entry.name for entry in entries], 'ENTRIES')
  for name, given in (('OLD_TASKS', old_tasks), ('SEEDS', seeds)):
    if not given:
      raise UserError(f'{name} is empty: a comparison needs at least one.')
  for task in (new_task, *old_tasks):
    registry.get_mixture_or_task(task)
  setting = Setting(new_task, old_tasks, train_steps, task_feature_lengths, batch_size, model,
                    loss or losses.LossConfig(), train_rows, split, examples)
  entries = [dataclasses.replace(entry, method=entry.method.bound(vocabulary.encode)) for entry in entries]
  bench = Bench(setting, checkpoint_path, make_model, vocabulary, partitioner or sharding.Partitioner(), show_progress)
  if dry_run:
    for entry in entries:
      print(f'\n{entry.name}:')
      bench.dry_run(entry, model_dir)
    return []
  folder = folder_for(model_dir)
  wanted = {
    folder / ROWS / f'{entry.name}.seed_{seed}': (entry, configuration(entry, seed, setting, bench.fingerprint))
    for seed in seeds for entry in entries
  }  # fmt: skip
  for place, (_, config) in wanted.items():
    work.check(place, config)  # before anything trains
  for place, (entry, config) in wanted.items():
    _settle(bench, place, entry, config)
  done = [row for place in wanted if (row := rows.read_row(place)) is not None]
  timing = Timing(timing_rounds, timing_steps, timing_examples)
  speed = _speed(bench, folder, entries, [config for _, config in wanted.values()], timing, len(done) == len(wanted))
  missing = [place.name for place in wanted if not (place / rows.ROW).exists()]
  if done:
    about = {'checkpoint': str(checkpoint_path), 'base': bench.fingerprint, 'config': config_text}
    rich.print(report.write(folder, setting, [entry.name for entry in entries], done, speed, missing, about))
  if missing:
    print(f'{len(done)} of {len(wanted)} rows are done; missing: {", ".join(missing)}')
  return done


def _settle(bench: Bench, place: pathlib.Path, entry: Entry, config: Mapping[str, Any]) -> None:
  """Sees to it that a row is made, by this process or by the one that holds it."""
  if rows.read_row(place) is not None:
    print(f'{place.name}: done already')
    return
  with claims.claimed(place / CLAIM) as holder:
    if holder is not None:
      print(f'{place.name}: {holder}')
    elif rows.read_row(place) is None:  # nobody finished it in between
      work.begin(place, config)
      print(f'\n{place.name} [{place}]')
      rows.write_row(place, bench.row(entry, config['seed'], place))


def _speed(bench: Bench, folder: pathlib.Path, entries: Sequence[Entry], configurations: Sequence[Mapping[str, Any]],
           timing: Timing, complete: bool) -> costs.Costs | None:
  """What was measured of the methods' speed; measured now if all rows are done and nobody else is at it."""
  if timing.rounds < 1:
    return None
  config = costs_config(configurations[: len(entries)], timing, bench.partitioner)
  found = costs.read(folder, config)
  if found is not None or not complete:
    return found
  with claims.claimed(folder / f'{costs.FILE}.{CLAIM}') as holder:
    if holder is not None:
      print(f'{costs.FILE}: {holder}')
      return None
    print(f'\ntiming {len(entries)} methods in turns, {timing.rounds} rounds')
    found = measure(bench, entries, timing, config)
    costs.write(folder, found)
  return found
