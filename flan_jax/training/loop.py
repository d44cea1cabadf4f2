"""The training loop, top to bottom: plan, start or resume, step, log, evaluate, checkpoint."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from flan_jax.errors import UserError
from flan_jax.models import logical
from flan_jax.peft.base import Method
from flan_jax.peft.full import Full
from flan_jax.peft.io import save_adapter
from flan_jax.peft.partition import ParameterTable, parameter_table
from flan_jax.training import (
  example_counts,
  faults,
  first_step,
  hosts,
  losses,
  metrics_log,
  placement,
  profiling,
  run_folder,
  sharding,
)
from flan_jax.training.checkpoints import Checkpointer, checkpoint_folders
from flan_jax.training.evaluators import Evaluator, FromStart, is_due, owned
from flan_jax.training.example_counts import CountExamples
from flan_jax.training.initial_rules import Rules
from flan_jax.training.initial_state import Source, open_source
from flan_jax.training.optimizers import Optimizer
from flan_jax.training.progress import Progress
from flan_jax.training.signals import StopSignals
from flan_jax.training.speed import Work
from flan_jax.training.state import MakeModel, StatePlan, TrainState, plan_state
from flan_jax.training.step import TrainStep, make_train_step
from flan_jax.training.window import LOW_ACCURACY, Window

PROVENANCE = 'provenance'
ADAPTER = 'adapter'


class Batches(Protocol):
  """An iterator of numpy batches under seqio's names whose position can be saved; 'provenance' stays on the host.

  Every host iterates the same batches, unless an attribute `own_rows` (`hosts.OwnRows`) says which rows it has.
  """

  def __next__(self) -> dict[str, np.ndarray]:
    """The next batch."""
    ...

  def get_state(self) -> bytes:
    """The position."""
    ...

  def set_state(self, state: bytes) -> None:
    """Moves to a position."""
    ...


@dataclasses.dataclass
class TrainResult:
  """How a run ended.

  Attributes:
    step: number of updates done.
    plan: shapes, shardings and the blueprint.
    state: the final state, on the devices.
    metrics: the last metrics of every split.
    interrupted: name of the signal that ended the run early, or None.
  """

  step: int
  plan: StatePlan
  state: TrainState
  metrics: dict[str, dict[str, float]]
  interrupted: str | None = None

  def model(self) -> Any:
    """The trained module, adapters attached."""
    return self.plan.blueprint.merge(self.state.params)

  @property
  def table(self) -> ParameterTable:
    """The parameter table."""
    return parameter_table(self.plan.blueprint)


@dataclasses.dataclass(frozen=True)
class Schedule:
  """When things happen, in steps."""

  train_steps: int
  log_period: int
  checkpoint_period: int

  def __post_init__(self) -> None:
    """Raises UserError for a period that cannot be meant."""
    for name, value in dataclasses.asdict(self).items():
      if value < 1:
        raise UserError(f'{name} must be at least 1, not {value}')

  def logs(self, step: int) -> bool:
    """Whether metrics are fetched after this many updates."""
    return step % self.log_period == 0 or step == self.train_steps

  def saves(self, step: int) -> bool:
    """Whether a checkpoint is written after this many updates."""
    return step % self.checkpoint_period == 0 or step == self.train_steps


def train(
    *,
    model_dir: str | pathlib.Path,
    make_model: MakeModel,
    batches: Batches,
    optimizer: Optimizer,
    train_steps: int,
    method: Method | None = None,
    loss: losses.LossConfig | None = None,
    initial_checkpoint_path: str | None = None,
    initial_checkpoint_rules: Rules | None = None,
    initial_optimizer_state: bool = False,
    evaluators: Sequence[Evaluator] = (),
    checkpoint_period: int = 1000,
    log_period: int = 50,
    keep: int = 3,
    best_metric: str | None = None,
    best_mode: str = 'max',
    num_microbatches: int = 1,
    partitioner: sharding.Partitioner | None = None,
    seed: int = 0,
    config_text: str | None = None,
    describe_provenance: faults.Describe | None = None,
    count_examples: CountExamples | None = None,
    notes: Iterable[str] = (),
    metadata: Mapping[str, Any] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    show_progress: bool = True,
    profile: str | int | None = None,
) -> TrainResult:
  """Trains until `train_steps` updates are done, from scratch, from other weights, or from where this run stopped.

  Args:
    model_dir: the run folder. If it holds checkpoints the run continues from the newest, bit for bit. A method that
      attaches adapters leaves them alone in `adapter/` as well, however the run ends.
    make_model: builds the base model from `nnx.Rngs`.
    batches: endless, see `Batches`.
    optimizer: see `optimizers`.
    train_steps: updates of this run; steps of the initial checkpoint do not count.
    method: what is attached and what trains; full fine-tuning if None.
    loss: what is minimised.
    initial_checkpoint_path: whose parameters a fresh run starts from, see `initial.open_weights`.
    initial_checkpoint_rules: what may differ from that checkpoint, see `initial_rules`.
    initial_optimizer_state: go on with the optimizer state of T5X's Adafactor, where that checkpoint is T5X's.
    evaluators: run at their periods and at the end; those that are `FromStart` before the first update, too.
    checkpoint_period: steps between checkpoints; one more is written at the end.
    log_period: steps between looks at the metrics; in between the host never waits for the device.
    keep: how many of the latest checkpoints stay.
    best_metric: '<evaluator name>/<metric>' whose best checkpoint stays as well.
    best_mode: 'max' or 'min'.
    num_microbatches: gradient accumulation.
    partitioner: devices; data parallel over all of them if None.
    seed: of initial weights and dropout.
    config_text: text of config.gin, written to the run folder.
    describe_provenance: turns a batch into a list of readable origins, for error messages.
    count_examples: what happened to a batch's examples, see `example_counts`; logged, and told at the end.
    notes: lines to show before the first step, asked for when everything is checked.
    metadata: JSON-able facts to write into every checkpoint.
    files: more files for the run folder, by name.
    show_progress: False prints only messages.
    profile: steps to trace, such as '10-14', see `profiling`; the trace goes to `profile/` in the run folder.

  Returns:
    The result; `interrupted` is set if a signal ended the run, after a checkpoint.

  Raises:
    UserError: for what a user can mend; `NonFiniteLoss` names the step and the batch.
  """
  method, loss = method or Full(), loss or losses.LossConfig()
  schedule = Schedule(train_steps, log_period, checkpoint_period)
  check_best_metric(best_metric, evaluators, schedule)
  traced = profiling.parse(profile, train_steps)
  plan = plan_state(make_model, method, optimizer, partitioner or sharding.Partitioner(), seed)
  hosts.check_mesh(plan.mesh)
  hosts.agree('configuration', config_text or '')
  table = parameter_table(plan.blueprint)
  source = None
  if not checkpoint_folders(pathlib.Path(model_dir)):
    # Before the run folder is made.
    source = open_source(plan, initial_checkpoint_path, initial_checkpoint_rules, initial_optimizer_state)
  saver = Checkpointer(model_dir, keep=keep, best_metric=best_metric, best_mode=best_mode)
  state, start = start_or_resume(plan, saver, batches, source)
  for evaluator in evaluators:
    if isinstance(evaluator, FromStart):
      evaluator.begin(start)
  if hosts.is_first():
    run_folder.describe_run(model_dir, config=config_text, model_info=str(table), more=files)
  step_fn = make_train_step(plan.blueprint, optimizer, loss, num_microbatches,
                            method.learning_rate_scales(plan.blueprint.trainable), plan.placement)
  log = hosts.open_log(model_dir, start)
  describe = describe_provenance or getattr(batches, 'origins', None)
  count = count_examples or getattr(batches, 'count_examples', None)
  shown = Progress(train_steps, start, visible=show_progress and hosts.is_first(), console=hosts.console())
  with hosts.stop_signals() as signals, shown as progress:
    started = [] if source is None else source.lines()
    for line in (*notes, *started, *table.modules, f'{table.summary}; step {start} of {train_steps}'):
      progress.message(line)
    facts = {'method': method.config, **(metadata or {})}
    trace = profiling.Trace(model_dir, traced, progress.message)
    run = _Run(plan, schedule, loss, facts, saver, log, progress, evaluators, batches, model_dir, describe, count,
               trace)
    try:
      state, step = run.steps(state, start, step_fn, signals)
    finally:
      trace.close()
      log.close()
      saver.close()  # also after a fault: a checkpoint that is being written is finished, not left half done
  result = TrainResult(step, plan, state, run.latest, signals.requested if step < train_steps else None)
  if method.name != Full.name:
    trained = plan.blueprint.merge(hosts.local(state.params))
    if hosts.is_first():
      save_adapter(trained, saver.directory / ADAPTER, method)
    progress.message(f'the adapter alone is in {saver.directory / ADAPTER}')
  if hosts.is_first():
    run.last_words(step, signals.requested)
  return result


def check_best_metric(best_metric: str | None, evaluators: Sequence[Evaluator], schedule: Schedule) -> None:
  """Raises UserError if the best metric is not measured at every checkpoint."""
  if best_metric is None:
    return
  owners = [evaluator for evaluator in evaluators if best_metric.startswith(f'{evaluator.name}/')]
  if not owners:
    names = ', '.join(evaluator.name for evaluator in evaluators) or 'none'
    raise UserError(f"best_metric {best_metric!r} must be '<evaluator>/<metric>'; the evaluators are: {names}")
  if schedule.checkpoint_period % max(1, owners[0].period):
    raise UserError(f'best_metric {best_metric!r} is measured every {owners[0].period} steps, which must divide the '
                    f'checkpoint period of {schedule.checkpoint_period}')


def start_or_resume(plan: StatePlan, saver: Checkpointer, batches: Batches,
                    source: Source | None) -> tuple[TrainState, int]:
  """The state to go on from, and its step: this run's newest checkpoint, or other weights, or fresh ones."""
  restored = saver.restore_latest(plan.abstract)
  if restored is not None:
    batches.set_state(restored.data_state)
    return restored.state, int(restored.state.step)
  return (plan.init() if source is None else source.start(plan)), 0


@dataclasses.dataclass
class _Run:
  """What one call of `train` holds on to; `steps` is the loop proper."""

  plan: StatePlan
  schedule: Schedule
  loss: losses.LossConfig
  facts: Mapping[str, Any]
  saver: Checkpointer
  log: hosts.Log
  progress: Progress
  evaluators: Sequence[Evaluator]
  batches: Batches
  model_dir: str | pathlib.Path
  describe: faults.Describe | None
  count: CountExamples | None
  trace: profiling.Trace
  work: Work = dataclasses.field(default_factory=Work)
  latest: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)

  @property
  def own_rows(self) -> hosts.OwnRows | None:
    """Which rows of each batch this host reads; None where every host reads all."""
    return getattr(self.batches, 'own_rows', None)

  def steps(self, state: TrainState, start: int, step_fn: TrainStep, signals: StopSignals) -> tuple[TrainState, int]:
    """Runs from `start` to the end of the run or the first signal."""
    placement = sharding.batch_sharding(self.plan.mesh)
    window, seen, step = Window(), hosts.RowsSeen(self.own_rows), start
    if step == 0:
      self.evaluate(step, state)
    while step < self.schedule.train_steps and signals.requested is None:
      with window.waiting():
        batch = next(self.batches)
      arrays = sharding.put_batch({k: v for k, v in batch.items() if k != PROVENANCE}, placement, self.own_rows)
      if step == start:
        self.begin(step_fn, state, arrays)
        window.begin()
      with self.trace.step(step + 1):
        state, metrics = step_fn(state, arrays)
      step += 1
      self.trace.after(step, metrics)
      window.add(step, metrics, batch)
      seen.add(batch)
      signals.look(step)
      stopping = signals.requested is not None
      if self.schedule.logs(step) or self.schedule.saves(step) or self.evaluates(step) or stopping:
        seen.compare()
        self.report(step, window, state)
      results = self.evaluate(step, state)
      if self.schedule.saves(step) or stopping:
        self.save(step, state, results)
    return state, step

  def begin(self, step_fn: TrainStep, state: TrainState, arrays: Mapping[str, jax.Array]) -> None:
    """Compiles the step, and finds out how much work one is."""
    line = first_step.compile_step(step_fn, state, arrays)
    if line:
      self.progress.message(line)
    self.work = Work.of(self.plan.blueprint, arrays, self.plan.mesh.devices.flat)

  def evaluates(self, step: int) -> bool:
    """Whether any evaluator runs now."""
    return any(is_due(evaluator, step, self.schedule.train_steps) for evaluator in self.evaluators)

  def report(self, step: int, window: Window, state: TrainState) -> None:
    """Fetches the window's metrics, stops at a fault, and writes and shows the rest."""
    fetched = window.fetch()
    fault = fetched.first_fault()
    if fault is not None:
      at, values, batch = fault
      raise faults.stop(self.model_dir, at, values, hosts.whole_batch(batch, self.own_rows), state, self.describe)
    # What every host counts of its own rows is added up; of the same rows, one count is enough.
    combine = hosts.summed if self.own_rows else None
    measured = fetched.metrics(self.loss, self.count, self.work, combine)
    metrics, told = example_counts.overall(measured), example_counts.by_task(measured)
    self.latest['train'] = metrics
    if told:
      self.log.write(step, example_counts.SPLIT, told)
    self.log.write(step, 'train', metrics)
    self.progress.update(step, metrics)

  def evaluate(self, step: int, state: TrainState) -> dict[str, float]:
    """Runs what is due, each evaluator on one host; returns '<evaluator>/<metric>' -> value on all hosts."""
    results: dict[str, float] = {}
    if not self.evaluates(step):
      return results
    due = [(owner, evaluator) for owner, evaluator in owned(self.evaluators)
           if is_due(evaluator, step, self.schedule.train_steps)]
    params = hosts.local(state.params)

    def measure(evaluator: Evaluator) -> Mapping[str, float]:
      return evaluator(step, self.plan.blueprint.merge(params))

    measured = hosts.shared_out([(owner, functools.partial(measure, evaluator)) for owner, evaluator in due])
    for (_, evaluator), metrics in zip(due, measured, strict=True):
      self.latest[evaluator.name] = metrics
      self.log.write(step, evaluator.name, metrics)
      shown = '  '.join(f'{name} {value:.4g}' for name, value in metrics.items())
      self.progress.message(f'step {step}  {evaluator.name}: {shown}')
      results.update({f'{evaluator.name}/{name}': value for name, value in metrics.items()})
    return results

  def save(self, step: int, state: TrainState, results: Mapping[str, float]) -> None:
    """Starts a checkpoint of weights, optimizer, dropout key, step and data position."""
    self.log.flush()
    self.saver.save(step, state, self.batches.get_state(), self.facts, results)

  def last_words(self, step: int, signal_name: str | None) -> None:
    """Says how the run ended, and warns of examples that were cut and of a model that has not learned its tasks."""
    totals = metrics_log.totals(self.model_dir, 'train')
    cut, examples = totals.get(example_counts.TRUNCATED), totals.get(example_counts.EXAMPLES, 0)
    if cut:
      self.progress.message(f'{cut:,.0f} of {examples:,.0f} examples were cut to TASK_FEATURE_LENGTHS; greater lengths '
                            'keep more of them whole')
    for line in example_counts.tell(metrics_log.totals(self.model_dir, example_counts.SPLIT)):
      self.progress.message(line)
    if signal_name is not None and step < self.schedule.train_steps:
      self.progress.message(f'{signal_name}: saved step {step} and stopped; the same command continues from there')
      return
    accuracy = self.latest.get('train', {}).get('accuracy', 1.0)
    if accuracy < LOW_ACCURACY:
      self.progress.message(f'warning: the accuracy on training tokens is only {100 * accuracy:.1f} % at the end; '
                            'train longer, raise the learning rate, or begin with fewer tasks')
    self.progress.message(f'finished step {step}; checkpoints are in {self.saver.directory}')


@dataclasses.dataclass(frozen=True)
class DryRun:
  """What a run would do, from shapes only.

  Attributes:
    plan: shapes, shardings and the blueprint.
    table: the parameters.
    metrics: names of the step's metrics.
    placed: lines on how the state lies on the devices; none on one device.
  """

  plan: StatePlan
  table: ParameterTable
  metrics: tuple[str, ...]
  placed: tuple[str, ...]


def dry_run(*, make_model: MakeModel, batch: Mapping[str, np.ndarray], optimizer: Optimizer,
            method: Method | None = None, loss: losses.LossConfig | None = None, num_microbatches: int = 1,
            partitioner: sharding.Partitioner | None = None, seed: int = 0,
            initial_checkpoint_path: str | None = None, initial_checkpoint_rules: Rules | None = None,
            initial_optimizer_state: bool = False) -> DryRun:
  """Builds everything and traces one step on shapes: no weights, no memory, no run folder.

  Args:
    make_model: as for `train`.
    batch: one batch, or ShapeDtypeStructs like one.
    optimizer: as for `train`.
    method: as for `train`.
    loss: as for `train`.
    num_microbatches: as for `train`.
    partitioner: as for `train`.
    seed: as for `train`.
    initial_checkpoint_path: as for `train`; names and shapes are checked, nothing is read.
    initial_checkpoint_rules: as for `train`.
    initial_optimizer_state: as for `train`.

  Returns:
    The plan of the run.
  """
  plan = plan_state(make_model, method or Full(), optimizer, partitioner or sharding.Partitioner(), seed)
  open_source(plan, initial_checkpoint_path, initial_checkpoint_rules, initial_optimizer_state)
  step = make_train_step(plan.blueprint, optimizer, loss or losses.LossConfig(), num_microbatches,
                         placement=plan.placement)
  shapes = {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in batch.items() if k != PROVENANCE}
  with logical.noted() as missed:
    _, metrics = jax.eval_shape(step, plan.abstract, shapes)
  placed = placement.describe(plan.blueprint, plan.placement.layout, plan.abstract, missed)
  return DryRun(plan, parameter_table(plan.blueprint), tuple(metrics), tuple(placed))
