"""Fine-tuning: a mixture, a model and a method become a trained run folder."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import rich
import seqio

from flan_jax.data import contamination, iterator
from flan_jax.errors import UserError
from flan_jax.evaluation import forgetting
from flan_jax.models import T5Config
from flan_jax.peft import Full, Method
from flan_jax.runs import cleaning, first_look, mixing, parts, plan, watch
from flan_jax.runs.tokenizer_kept import tokenizer_files
from flan_jax.training import loop, losses, profiling, sharding
from flan_jax.training.checkpoints import checkpoint_folders
from flan_jax.training.evaluators import Evaluator, LossEvaluator
from flan_jax.training.initial_rules import Rules
from flan_jax.training.optimizers import Optimizer


def finetune(
  *,
  model_dir: str,
  mixture_or_task_name: str | Sequence[str],
  task_feature_lengths: Mapping[str, int],
  train_steps: int,
  model: T5Config,
  vocabulary: seqio.Vocabulary,
  optimizer: Optimizer,
  batch_size: int = 128,
  initial_checkpoint_path: str | None = None,
  initial_checkpoint_rules: Rules | None = None,
  initial_optimizer_state: bool = False,
  method: Method | None = None,
  loss: losses.LossConfig | None = None,
  mixture_or_task_module: str | Sequence[str] = parts.TASK_MODULES,
  eval_tasks: str | Sequence[str] = (),
  eval_period: int = 1000,
  eval_examples: int = 200,
  eval_steps: int = 0,
  checkpoint_period: int = 1000,
  keep: int = 3,
  best_metric: str | None = None,
  watch_tasks: str | Sequence[str] = (),
  watch_period: int = 1000,
  watch_examples: int | None = 200,
  contamination_tasks: str | Sequence[str] = (),
  contamination_split: str = 'test',
  contamination_ngram: int = contamination.NGRAM,
  remove_contamination: bool = False,
  log_period: int = 50,
  num_microbatches: int = 1,
  partitioner: sharding.Partitioner | None = None,
  pack: bool = True,
  use_cached_tasks: bool = False,
  skip_unavailable: bool = False,
  random_seed: int = 0,
  profile: str | int | None = None,
  config_text: str | None = None,
  show_progress: bool = True,
  dry_run: bool = False,
) -> loop.TrainResult | loop.DryRun:
  """Trains a model on a task or mixture; run again, it continues where it stopped.

  Args:
    model_dir: the run folder (T5X's MODEL_DIR).
    mixture_or_task_name: what to train on: a task, a mixture, or several, which are mixed examples-proportionally.
    task_feature_lengths: lengths of `inputs` and `targets` in tokens.
    train_steps: updates of this run; those behind the initial checkpoint do not count (unlike T5X).
    model: the network.
    vocabulary: of the tasks.
    optimizer: see `training.optimizers`.
    batch_size: packed rows of a step.
    initial_checkpoint_path: what to start from: a run of ours or one of its checkpoints, a model folder of
      transformers, hf://OWNER/NAME, a checkpoint of T5X; random weights where None.
    initial_checkpoint_rules: what may differ from that checkpoint, see `training.initial_rules`.
    initial_optimizer_state: go on with the second moments of T5X's Adafactor, where that checkpoint is T5X's.
    method: what trains; everything where None.
    loss: see `training.losses`.
    mixture_or_task_module: modules to import, which register the tasks.
    eval_tasks: tasks whose accuracy by rank classification is followed on validation rows.
    eval_period: steps between evaluations.
    eval_examples: validation rows of each of them.
    eval_steps: batches of the mixture's validation split whose loss is followed; 0 for none.
    checkpoint_period: steps between checkpoints.
    keep: how many of the latest checkpoints stay.
    best_metric: `rank/<task>/accuracy`, say: the best checkpoint by it stays too.
    watch_tasks: tasks or mixtures that may be forgotten: scored on validation rows before the first update, along the
      run and at the end, see `runs.watch`.
    watch_period: steps between two of these scores.
    watch_examples: validation rows of each of these tasks; None takes all.
    contamination_tasks: tasks or mixtures whose rows are looked for among those that train, see `data.contamination`.
    contamination_split: which of their rows.
    contamination_ngram: words in a row that make an overlap.
    remove_contamination: leave out the training rows that were found.
    log_period: steps between looks at the metrics.
    num_microbatches: gradient accumulation.
    partitioner: devices.
    pack: several examples to a row.
    use_cached_tasks: read SeqIO's offline caches (T5X's default is True, ours False).
    skip_unavailable: leave out tasks without training rows on disk, a line for each, rather than fetch them or stop;
      the others keep their rates, so that all shares grow alike.
    random_seed: of weights, dropout, order and templates (T5X's default is None, ours is fixed).
    profile: steps to trace, such as '10-14', see `training.profiling`.
    config_text: the operative configuration, for the run folder.
    show_progress: a progress bar.
    dry_run: build everything, run one step on shapes only.

  Returns:
    The result of training, or the plan of a dry run.
  """
  parts.use_tasks(mixture_or_task_module)
  make_model = parts.model_maker(model, vocabulary)
  method = (method or Full()).bound(vocabulary.encode)
  partitioner = partitioner or sharding.Partitioner()
  followed, watched = _names(eval_tasks), _names(watch_tasks)
  loop.Schedule(train_steps, log_period, checkpoint_period)  # raises where one of them cannot be meant
  profiling.parse(profile, train_steps)  # so does this
  for name, period in (('EVAL_PERIOD', eval_period), ('WATCH_PERIOD', watch_period)):
    if period < 1:
      raise UserError(f'{name} must be at least 1, not {period}.')
  sharding.check_rows(batch_size, partitioner.mesh(), num_microbatches)
  parts.check_split([*followed, *watched], 'validation')
  mixture, left_out = parts.mixture_of(_names(mixture_or_task_name), 'train', skip_unavailable=skip_unavailable)
  clean = cleaning.clean(mixture, _names(contamination_tasks), contamination_split, contamination_ngram,
                         remove=remove_contamination, cached=use_cached_tasks, skip_unavailable=skip_unavailable)
  mixture = clean.mixture

  def batches(split: str, seed: int) -> iterator.BatchIterator:
    return iterator.batches(mixture, task_feature_lengths, batch_size, seed=seed, split=split, pack=pack,
                            use_cached=use_cached_tasks, prompts=method.prompt_lengths)

  if use_cached_tasks:
    parts.check_cached(mixture)
  parts.check_split([mixture], 'train')
  stream = batches('train', random_seed)
  shared: dict[str, Any] = {'make_model': make_model, 'optimizer': optimizer, 'method': method, 'loss': loss,
            'num_microbatches': num_microbatches, 'partitioner': partitioner, 'seed': random_seed,
            'initial_checkpoint_path': initial_checkpoint_path,
            'initial_checkpoint_rules': initial_checkpoint_rules,
            'initial_optimizer_state': initial_optimizer_state}
  if dry_run:
    batch = next(stream)
    planned = loop.dry_run(batch=batch, **shared)
    print(plan.describe(planned, mixture, batch, train_steps=train_steps, method=method, model_dir=model_dir,
                        initial_checkpoint_path=initial_checkpoint_path), *left_out, *clean.lines, sep='\n')
    return planned
  evaluators: list[Evaluator] = [
    parts.RankEvaluator(task, period=eval_period, limit=eval_examples, lengths=task_feature_lengths)
    for task in followed
  ]
  evaluators += watch.watch(watched, model_dir, period=watch_period, examples=watch_examples,
                            lengths=task_feature_lengths)
  if eval_steps:
    evaluators.append(LossEvaluator(f'training_eval/{mixture}', lambda: batches('validation', 0),
                                    period=eval_period, eval_steps=eval_steps))
  count = first_look.counter(mixture)
  tokenizer, not_kept = tokenizer_files(vocabulary)

  def notes() -> Iterator[str]:
    yield from (f'training on {mixture}:', *plan.training_rows(mixture, brief=True), *left_out, *clean.lines, *not_kept)
    if not checkpoint_folders(pathlib.Path(model_dir)):
      yield from first_look.look(batches('train', random_seed), count)

  result = loop.train(
    model_dir=pathlib.Path(model_dir), batches=stream, train_steps=train_steps, evaluators=evaluators,
    checkpoint_period=checkpoint_period, log_period=log_period, keep=keep, best_metric=best_metric,
    config_text=config_text, show_progress=show_progress, count_examples=count, notes=notes(),
    profile=profile,
    metadata={'model': dataclasses.asdict(model)},
    files={mixing.FILE: mixing.text(mixture, 'train', left_out), **clean.files, **tokenizer},
    **shared,
  )  # fmt: skip
  if watched and result.interrupted is None:
    rich.print(forgetting.table(forgetting.read(model_dir)))
  return result


def _names(given: str | Sequence[str]) -> Sequence[str]:
  return [given] if isinstance(given, str) else given
