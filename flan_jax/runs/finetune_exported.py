"""Fine-tuning on rows that were written beforehand: what `runs.finetune` does, without TensorFlow, SeqIO or TFDS."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.errors import UserError
from flan_jax.exported.format import INDEX, Index
from flan_jax.exported.reader import ExportedBatches, ExportedRows
from flan_jax.models import T5, T5Config
from flan_jax.peft import Full, Method
from flan_jax.runs import plan_lines
from flan_jax.runs.example_counter import counter_of
from flan_jax.training import example_counts, hosts, loop, losses, profiling, sharding
from flan_jax.training.evaluators import Evaluator, LossEvaluator
from flan_jax.training.initial_rules import Rules
from flan_jax.training.optimizers import Optimizer

COPY = 'exported_batches.json'  # the index, in the run folder


def finetune_exported(
  *,
  model_dir: str,
  exported_batches: str,
  train_steps: int,
  model: T5Config,
  optimizer: Optimizer,
  task_feature_lengths: Mapping[str, int] | None = None,
  batch_size: int = 128,
  initial_checkpoint_path: str | None = None,
  initial_checkpoint_rules: Rules | None = None,
  initial_optimizer_state: bool = False,
  method: Method | None = None,
  loss: losses.LossConfig | None = None,
  exported_eval_batches: str | None = None,
  eval_period: int = 1000,
  eval_steps: int = 20,
  checkpoint_period: int = 1000,
  keep: int = 3,
  best_metric: str | None = None,
  log_period: int = 50,
  num_microbatches: int = 1,
  partitioner: sharding.Partitioner | None = None,
  random_seed: int = 0,
  config_text: str | None = None,
  show_progress: bool = True,
  dry_run: bool = False,
  profile: str | int | None = None,
) -> loop.TrainResult | loop.DryRun:
  """Trains a model on exported rows; run again, it continues where it stopped.

  Args:
    model_dir: the run folder.
    exported_batches: a folder of `scripts.export_batches`.
    train_steps: updates of this run; those behind the initial checkpoint do not count.
    model: the network.
    optimizer: see `training.optimizers`.
    task_feature_lengths: what the rows must have been cut to; None takes them as they are.
    batch_size: rows of a step.
    initial_checkpoint_path: what to start from, see `runs.finetune`.
    initial_checkpoint_rules: what may differ from that checkpoint, see `training.initial_rules`.
    initial_optimizer_state: go on with the second moments of T5X's Adafactor, where that checkpoint is T5X's.
    method: what trains; everything where None.
    loss: see `training.losses`.
    exported_eval_batches: another such folder, whose loss is followed.
    eval_period: steps between evaluations.
    eval_steps: batches of each of them.
    checkpoint_period: steps between checkpoints.
    keep: how many of the latest checkpoints stay.
    best_metric: `training_eval/<mixture>/loss`, say: the best checkpoint by it stays too.
    log_period: steps between looks at the metrics.
    num_microbatches: gradient accumulation.
    partitioner: devices.
    random_seed: of weights, dropout and the order of rows.
    config_text: the operative configuration, for the run folder.
    show_progress: a progress bar.
    dry_run: build everything, run one step on shapes only.
    profile: steps to trace, such as '10-14', see `training.profiling`.

  Returns:
    The result of training, or the plan of a dry run.
  """
  partitioner = partitioner or sharding.Partitioner()
  loop.Schedule(train_steps, log_period, checkpoint_period)  # raises where one of them cannot be meant
  profiling.parse(profile, train_steps)  # so does this
  for name, value in (('EVAL_PERIOD', eval_period), ('EVAL_STEPS', eval_steps)):
    if value < 1:
      raise UserError(f'{name} must be at least 1, not {value}.')
  sharding.check_rows(batch_size, partitioner.mesh(), num_microbatches)
  rows = ExportedRows(exported_batches)
  method = (method or Full()).bound(_no_vocabulary)
  check(rows, model, method, task_feature_lengths)

  def batches(source: ExportedRows, *, ordered: bool) -> ExportedBatches:
    # One host runs an evaluation, so that it reads all of what is evaluated.
    own = None if ordered else hosts.own_rows(sharding.batch_sharding(partitioner.mesh()), batch_size)
    return ExportedBatches(source, batch_size, random_seed, own=own, ordered=ordered)

  stream, index = batches(rows, ordered=False), rows.index
  shared: dict[str, Any] = {
    'make_model': lambda rngs: T5(model, rngs=rngs), 'optimizer': optimizer, 'method': method, 'loss': loss,
    'num_microbatches': num_microbatches, 'partitioner': partitioner, 'seed': random_seed,
    'initial_checkpoint_path': initial_checkpoint_path, 'initial_checkpoint_rules': initial_checkpoint_rules,
    'initial_optimizer_state': initial_optimizer_state,
  }  # fmt: skip
  told = described(index, exported_batches)
  if dry_run:
    batch = next(stream)
    planned = loop.dry_run(batch=batch, **shared)
    print(*plan_lines.lines(planned, batch, told, train_steps=train_steps, method=method, model_dir=model_dir,
                            initial_checkpoint_path=initial_checkpoint_path), sep='\n')
    return planned
  evaluators: list[Evaluator] = []
  if exported_eval_batches:
    held_back = ExportedRows(exported_eval_batches)
    check(held_back, model, method, task_feature_lengths, macro='EXPORTED_EVAL_BATCHES')
    evaluators.append(LossEvaluator(f'training_eval/{held_back.index.mixture}',
                                    lambda: batches(held_back, ordered=True), period=eval_period,
                                    eval_steps=eval_steps))
  return loop.train(
    model_dir=pathlib.Path(model_dir), batches=stream, train_steps=train_steps, evaluators=evaluators,
    checkpoint_period=checkpoint_period, log_period=log_period, keep=keep, best_metric=best_metric,
    config_text=config_text, show_progress=show_progress, count_examples=counter_of(index.tasks), notes=told,
    metadata={'model': dataclasses.asdict(model)}, files=_kept(rows), profile=profile, **shared,
  )  # fmt: skip


def check(rows: ExportedRows, model: T5Config, method: Method, lengths: Mapping[str, int] | None,
          macro: str = 'EXPORTED_BATCHES') -> None:
  """Raises UserError where exported rows do not fit a model, its method or the lengths that were asked for."""
  index = rows.index
  place = f'{macro} ({rows.folder})'
  if index.vocabulary.size > model.vocab_size:
    raise UserError(f'{place} holds tokens of a vocabulary of {index.vocabulary.size} ids and the model embeds '
                    f'{model.vocab_size}: set models.T5Config.vocab_size to at least {index.vocabulary.size}.')
  if lengths is not None and dict(lengths) != dict(index.lengths):
    raise UserError(f'{place} holds rows of {dict(index.lengths)}, and TASK_FEATURE_LENGTHS asks for {dict(lengths)}: '
                    'leave the macro out, or export the batches again.')
  wanted, room = dict(method.prompt_lengths), dict(index.prompts)
  if index.packed and wanted != room:
    raise UserError(f'{place} leaves room for soft prompts of {room or "no"} positions in its packed rows, and METHOD '
                    f'{method.name!r} needs {wanted or "none"}: export the batches again with the --gin_file and '
                    'bindings of this METHOD.')


def described(index: Index, folder: str) -> list[str]:
  """Says what trains, in lines."""
  counts = index.counts
  lines = [f'training on {index.rows:,} exported rows of {index.mixture} ({index.split}) in {folder}, '
           f'{counts.get(example_counts.EXAMPLES, 0):,} examples of {len(index.tasks):,} tasks:']
  told = example_counts.tell(example_counts.by_task(counts))
  return [*lines, *(told or ['  none of them is cut, and no row between them left out'])]


def _kept(rows: ExportedRows) -> dict[str, str | bytes]:
  """The index and what lies beside the rows (the mixture's shares, the tokenizer), for the run folder."""
  shards = {shard.name for shard in rows.index.shards}
  beside = {path.relative_to(rows.folder).as_posix(): path for path in sorted(rows.folder.rglob('*')) if path.is_file()}
  return {COPY: json.dumps({'folder': str(rows.folder.resolve()), 'digest': rows.index.digest}, indent=2) + '\n',
          **{name: path.read_bytes() for name, path in beside.items() if name not in shards and name != INDEX}}


def _no_vocabulary(text: str) -> Sequence[int]:
  raise UserError(f'Training from EXPORTED_BATCHES has no vocabulary to encode {text!r} with: give the soft prompt '
                  "another init, such as 'vocabulary', or train with MIXTURE_OR_TASK_NAME.")
