"""One cell of the held-out protocol, a held-out cluster and an arm: train, ask, write down; or find it done already."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import jax
import seqio
from flax import nnx

from flan_jax.data import contamination, registry
from flan_jax.data.contamination import Contamination
from flan_jax.data.dataset import Dataset
from flan_jax.data.roles import why_missing
from flan_jax.errors import UserError
from flan_jax.evaluation import choice, cuts, paired, results_file
from flan_jax.evaluation.results import Evaluation, Origin
from flan_jax.heldout import arms, training_sets
from flan_jax.heldout.arms import Arm, Stage
from flan_jax.models import T5, T5Config
from flan_jax.peft import Full, Method
from flan_jax.peft.digest import fingerprint
from flan_jax.peft.partition import make_blueprint, parameter_table
from flan_jax.runs import parts
from flan_jax.runs.finetune import finetune
from flan_jax.runs.judge import Judge, Questions
from flan_jax.training import initial, loop, losses
from flan_jax.training.checkpoints import checkpoint_folders, path_step
from flan_jax.work import claims
from flan_jax.work import configuration as work

RESULTS, PREDICTIONS, CONTAMINATION, CLAIM = 'results.json', 'predictions', 'contamination', 'claim'
SHARED = 'all'
State = Literal['done', 'held', 'waits']


@dataclasses.dataclass(frozen=True)
class Setting:
  """What all cells have in common.

  Attributes:
    model: the network of arms that name none.
    stages: of training, of arms that name none.
    method: what trains, in arms that name none.
    task_feature_lengths: lengths in tokens.
    batch_size: packed rows of a step.
    loss: what is minimised.
    initial_checkpoint_path: what arms without a start begin with; random weights where None.
    asked: the questions.
    extra_tasks: tasks or mixtures that every arm is asked beside the held-out cluster.
    pairs: datasets and the datasets that ask the opposite about the same rows.
    select_on: the split that the best template of each dataset is chosen on; None chooses none.
    select_examples: at most this many of its rows.
    watch_tasks: tasks that may be forgotten, scored before, along and after every training.
    watch_period: steps between two of these scores.
    ngram: words in a row that make a training row overlap with a question; None looks for no contamination.
    remove_contamination: leave out the training rows that were found.
    skip_unavailable: leave out datasets without rows on disk.
    seed: of everything.
  """

  model: T5Config
  stages: Sequence[Stage]
  method: Method
  task_feature_lengths: Mapping[str, int]
  batch_size: int
  loss: losses.LossConfig
  initial_checkpoint_path: str | None
  asked: Questions
  extra_tasks: Sequence[str] = ()
  pairs: Mapping[str, str] = dataclasses.field(default_factory=dict)
  select_on: str | None = None
  select_examples: int | None = None
  watch_tasks: Sequence[str] = ()
  watch_period: int = 1000
  ngram: int | None = None
  remove_contamination: bool = False
  skip_unavailable: bool = False
  seed: int = 0


@dataclasses.dataclass
class Bench:
  """What the cells of a process share: the setting, the arms, and the judge that asks.

  Attributes:
    folder: of the whole protocol.
    family: of the datasets.
    arms: by name, from `arms.in_order`.
    setting: of all cells.
    vocabulary: of the tasks.
    config_text: the operative configuration, for the run folders.
    show_progress: progress bars.
  """

  folder: pathlib.Path
  family: registry.Family
  arms: Mapping[str, Arm]
  setting: Setting
  vocabulary: seqio.Vocabulary
  config_text: str = ''
  show_progress: bool = True
  _known: dict[tuple[str, str, str], Any] = dataclasses.field(default_factory=dict, init=False, repr=False)

  def place(self, held_out: str, arm: Arm) -> pathlib.Path:
    """The folder of a cell."""
    return self.folder / held_out / arm.name

  def evaluation(self, held_out: str, arm: Arm) -> Evaluation | None:
    """What a cell found, without predictions; None where it is not done, or was asked otherwise."""
    path = self.place(held_out, arm) / RESULTS
    if not path.exists():
      return None
    record = results_file.read_record(path)
    return record.evaluations[0] if record.config == self._configuration(held_out, arm) else None

  def check(self, held_out: str, arm: Arm) -> None:
    """Raises UserError where an arm's training folder holds what another configuration made."""
    if arm.trains:
      work.check(self._training_folder(held_out, arm), self.training(held_out, arm))

  def settle(self, held_out: str, arm: Arm) -> State:
    """Sees to it that a cell is done, by this process or by the one that holds it.

    Returns:
      'done', 'held' where another process is at it, 'waits' where another process trains the arm that it starts from.

    Raises:
      KeyboardInterrupt: where a signal ended the training; a checkpoint is written, and the same command goes on.
    """
    name = f'{held_out}/{arm.name}'
    if self.evaluation(held_out, arm) is not None:
      return 'done'
    with claims.claimed(self.place(held_out, arm) / CLAIM) as holder:
      if holder is not None:
        print(f'{name}: {holder}')
        return 'held'
      if any(earlier.trains and not self._is_trained(held_out, earlier) for earlier in self._chain(arm)[1:]):
        print(f'{name}: waits for the arm that it starts from')
        return 'waits'
      if self.evaluation(held_out, arm) is None:  # nobody finished it in between
        print(f'\n{name}: {arm.label} [{self.place(held_out, arm)}]')
        if arm.trains and not self._is_trained(held_out, arm) and not self._train(held_out, arm):
          return 'held'
        self._ask(held_out, arm)
    return 'done'

  def training(self, held_out: str, arm: Arm) -> dict[str, Any]:
    """All that an arm's weights depend on, as JSON gives it back."""
    return self._once('training', held_out, arm, self._training)

  def _once(self, what: str, held_out: str, arm: Arm, find: Callable[[str, Arm], Any]) -> Any:
    """Finds something of a cell once: optimizers are traced for it, and data folders are looked into."""
    key = (what, held_out, arm.name)
    if key not in self._known:
      self._known[key] = find(held_out, arm)
    return self._known[key]

  def _training(self, held_out: str, arm: Arm) -> dict[str, Any]:
    root = self._chain(arm)[-1]
    start = self._base(root.name) if arm.start is None else work.digest(self.training(held_out, self.arms[arm.start]))
    found = {'start': start, 'seed': self.setting.seed, 'model': dataclasses.asdict(self._model(arm))}
    if arm.trains:
      stages = [
        {'tasks': tasks, 'train_steps': stage.train_steps, 'optimizer': work.optimizer_facts(stage.optimizer,
                                                                                           stage.train_steps)}
        for stage, tasks in zip(self._stages(arm), self._tasks(held_out, arm), strict=True)
      ]  # fmt: skip
      found |= {
        'stages': stages, 'max_rate': self.family.max_rate, 'method': self._method(arm).config,
        'task_feature_lengths': dict(self.setting.task_feature_lengths), 'batch_size': self.setting.batch_size,
        'loss': dataclasses.asdict(self.setting.loss), 'skip_unavailable': self.setting.skip_unavailable,
        'contamination_removed': self.setting.remove_contamination and arm.trains_on == 'rest' and self.setting.ngram,
      }  # fmt: skip
    return work.plain(found)

  def contamination(self, held_out: str) -> Contamination:
    """Looks for the held-out questions among all rows that may train; prints and writes what it finds."""
    return self._once('contamination', held_out, next(iter(self.arms.values())), self._find_contamination)

  def _find_contamination(self, held_out: str, arm: Arm) -> Contamination:
    del arm  # whatever an arm trains on is part of what is looked through
    asked = self.setting
    judged, training = training_sets.judged(self.family, held_out), list(self.family.without(held_out))
    if asked.skip_unavailable:
      judged, training = self._on_disk(judged, asked.asked.split), self._on_disk(training, 'train')
    found = contamination.find([self.family.task(dataset) for dataset in training],
                               [self.family.task(dataset) for dataset in judged], asked.asked.split,
                               asked.ngram or contamination.NGRAM)
    found = dataclasses.replace(found, removed=asked.remove_contamination)
    print(*found.lines(), sep='\n')
    found.write(self.folder / CONTAMINATION / held_out)
    return found

  def _look_for_contamination(self, held_out: str, arm: Arm) -> None:
    """Before the first training that leaves a cluster out; once, since nothing that is trained changes it."""
    written = (self.folder / CONTAMINATION / held_out / contamination.JSON).exists()
    if self.setting.ngram is not None and arm.trains_on == 'rest' and not written:
      self.contamination(held_out)

  def describe(self, held_out: str, arm: Arm) -> str:
    """One line on what a cell is about to do, for a dry run."""
    asked = f'asks {len(self._questions(held_out, arm))} tasks'
    if self.evaluation(held_out, arm) is not None:
      return f'{held_out}/{arm.name}: done already'
    if not arm.trains:
      return f'{held_out}/{arm.name}: weights of {arm.start or "the start"}; {asked}'
    steps = '+'.join(str(stage.train_steps) for stage in self._stages(arm))
    names = ', '.join(dataset.name for dataset in self._trained_on(held_out, arm))
    done = ' (trained already)' if self._is_trained(held_out, arm) else ''
    return f'{held_out}/{arm.name}: trains {steps} steps on {names}{done}; {asked}'

  def dry_run(self, held_out: str, arm: Arm) -> None:
    """Prints the plan of an arm's first stage."""
    self._finetune(held_out, arm, 0, self._root_path(arm), dry_run=True)

  def _chain(self, arm: Arm) -> list[Arm]:
    return arms.chain(arm, self.arms)

  def _model(self, arm: Arm) -> T5Config:
    return self._chain(arm)[-1].model or self.setting.model

  def _stages(self, arm: Arm) -> Sequence[Stage]:
    return self.setting.stages if arm.stages is None else arm.stages

  def _method(self, arm: Arm) -> Method:
    return (arm.method or self.setting.method).bound(self.vocabulary.encode)

  def _make_model(self, arm: Arm) -> Callable[[nnx.Rngs], T5]:
    return parts.model_maker(self._model(arm), self.vocabulary)

  def _tasks(self, held_out: str, arm: Arm) -> list[list[str]]:
    """The tasks of each stage."""
    chosen = self._trained_on(held_out, arm)
    return [training_sets.stage_tasks(stage, arm, self.family, chosen) for stage in self._stages(arm)]

  def _trained_on(self, held_out: str, arm: Arm) -> list[Dataset]:
    """The datasets that train an arm, of those that may be left out the ones with rows on disk."""
    chosen = training_sets.datasets(arm, self.family, held_out)
    return self._on_disk(chosen, 'train') if self.setting.skip_unavailable and chosen else chosen

  def _questions(self, held_out: str, arm: Arm) -> list[str]:
    """The single-template tasks that an arm is asked: those of the held-out datasets, and the extra ones."""
    return self._once('questions', held_out, arm, self._find_questions)

  def _find_questions(self, held_out: str, arm: Arm) -> list[str]:
    judged = training_sets.judged(self.family, held_out)
    if self.setting.skip_unavailable:
      judged = self._on_disk(judged, self.setting.asked.split)
    names = [self.family.task(dataset, arm.asked.nearest(dataset)) for dataset in judged]
    return [task for name in (*names, *self.setting.extra_tasks) for task in parts.evaluation_tasks(name)]

  def _on_disk(self, datasets: Sequence[Dataset], split: str) -> list[Dataset]:
    found, _ = parts.on_disk([self.family.task(dataset) for dataset in datasets], split)
    return [dataset for dataset in datasets if self.family.task(dataset) in found]

  def _configuration(self, held_out: str, arm: Arm) -> dict[str, Any]:
    """All that a cell's numbers depend on."""
    asked = {'tasks': self._questions(held_out, arm), 'pairs': dict(self.setting.pairs), 'label': arm.label,
             'point': arm.curve and [arm.curve, arm.x, arm.series], 'select_on': self.setting.select_on,
             'select_examples': self.setting.select_examples, **dataclasses.asdict(self.setting.asked)}
    return work.plain({'training': self.training(held_out, arm), 'asked': asked})

  def _root_path(self, arm: Arm) -> str | None:
    """The checkpoint behind the first of an arm's starts; one of the protocol's fits no other size than its own."""
    return None if self._chain(arm)[-1].model is not None else self.setting.initial_checkpoint_path

  def _base(self, name: str) -> str:
    path = self._root_path(self.arms[name])
    return 'random weights' if path is None else self._fingerprint

  @functools.cached_property
  def _fingerprint(self) -> str:
    """A word for the weights of the protocol's initial checkpoint: what lies at a path can change."""
    model = initial.restore_model(str(self.setting.initial_checkpoint_path),
                                  parts.model_maker(self.setting.model, self.vocabulary))
    return fingerprint(make_blueprint(model, nnx.Param).split(model)[0])

  def _training_folder(self, held_out: str, arm: Arm) -> pathlib.Path:
    """Where an arm's stages lie; an arm that trains on all clusters does so once, whatever is held out."""
    trained = [one for one in self._chain(arm) if one.trains]
    shared = all(one.trains_on == 'all' for one in trained)
    return self.folder / (SHARED if shared else held_out) / arm.name

  def _stage_folder(self, held_out: str, arm: Arm, stage: int) -> pathlib.Path:
    return self._training_folder(held_out, arm) / f'stage_{stage + 1}'

  def _is_trained(self, held_out: str, arm: Arm) -> bool:
    last = self._stage_folder(held_out, arm, len(self._stages(arm)) - 1)
    steps = [path_step(path) for path in checkpoint_folders(last)] if last.exists() else []
    return bool(steps) and max(steps) >= self._stages(arm)[-1].train_steps

  def _weights(self, held_out: str, arm: Arm) -> str | None:
    """Where an arm's weights lie once it is trained; None for random ones."""
    for one in self._chain(arm):
      if one.trains:
        return str(self._stage_folder(held_out, one, len(self._stages(one)) - 1))
    return self._root_path(arm)

  def _train(self, held_out: str, arm: Arm) -> bool:
    """Trains the stages that are not trained; False where another process is at it."""
    folder = self._training_folder(held_out, arm)
    with claims.claimed(folder / f'training.{CLAIM}') as holder:
      if holder is not None:
        print(f'{folder}: {holder}')
        return False
      work.begin(folder, self.training(held_out, arm))
      self._look_for_contamination(held_out, arm)
      start = self._root_path(arm) if arm.start is None else self._weights(held_out, self.arms[arm.start])
      for stage in range(len(self._stages(arm))):
        result = self._finetune(held_out, arm, stage, start)
        if isinstance(result, loop.TrainResult) and result.interrupted:
          raise KeyboardInterrupt
        start = str(self._stage_folder(held_out, arm, stage))
    return True

  def _finetune(self, held_out: str, arm: Arm, stage: int, start: str | None, *, dry_run: bool = False) -> Any:
    asked, settings = self.setting, self._stages(arm)[stage]
    mixture = registry.mixture_of(self._tasks(held_out, arm)[stage], self.family.max_rate)
    if asked.remove_contamination and arm.trains_on == 'rest' and not dry_run:
      names = {registry.task_info(task).dataset.name for task in registry.tasks_of(mixture)}
      gone = self.contamination(held_out).training_rows
      mixture = registry.without_rows(mixture, {name: rows for name, rows in gone.items() if name in names})
    return finetune(
      model_dir=str(self._stage_folder(held_out, arm, stage)), mixture_or_task_name=mixture,
      train_steps=settings.train_steps, optimizer=settings.optimizer, initial_checkpoint_path=start,
      model=self._model(arm), vocabulary=self.vocabulary, task_feature_lengths=asked.task_feature_lengths,
      batch_size=asked.batch_size, method=self._method(arm), loss=asked.loss, mixture_or_task_module=(),
      random_seed=asked.seed, skip_unavailable=asked.skip_unavailable, config_text=self.config_text,
      watch_tasks=asked.watch_tasks, watch_period=asked.watch_period,
      checkpoint_period=500, keep=1, show_progress=self.show_progress, dry_run=dry_run,
    )  # fmt: skip

  @functools.cached_property
  def _judge(self) -> Judge:
    arm = next(iter(self.arms.values()))
    return Judge(self._make_model(arm)(nnx.Rngs(params=jax.random.key(0))), self.setting.asked)

  def _restored(self, held_out: str, arm: Arm) -> T5:
    """An arm's model, adapters included."""
    path, make_model = self._weights(held_out, arm), self._make_model(arm)
    if path is None:
      return make_model(nnx.Rngs(params=jax.random.key(self.setting.seed)))
    return initial.restore_model(path, make_model)

  def _ask(self, held_out: str, arm: Arm) -> None:
    """Asks an arm's questions and writes what it answered; the numbers last, for they say that the cell is done."""
    config = self._configuration(held_out, arm)
    model = self._restored(held_out, arm)
    tasks = self._questions(held_out, arm)
    found = self._judge.evaluate(model, tasks, arm.label, self._weights(held_out, arm) or 'random weights')
    found = self._chosen(model, tasks, found)
    found = dataclasses.replace(found, paired=self._paired(found), origin=self._origin(held_out, arm, model, config))
    for line in cuts.lines(found):
      print(line)
    results_file.write_predictions(self.folder / PREDICTIONS, found)
    results_file.write_results(self.place(held_out, arm) / RESULTS, [found], config)

  def _chosen(self, model: T5, tasks: Sequence[str], found: Evaluation) -> Evaluation:
    """Chooses a template of each dataset that has several and rows to choose on; a line says of others why not."""
    asked = self.setting
    if asked.select_on is None:
      return found
    several = {result.dataset for result in found.datasets if len(result.by_template) > 1}
    names = [task for task in tasks if registry.task_info(task).dataset.name in several]
    missing = {registry.task_info(task).dataset.name: reason for task in names
               if (reason := why_missing(seqio.TaskRegistry.get(task).source, asked.select_on)) is not None}
    for reason in missing.values():
      print(f'no template is chosen: {reason}')
    names = [task for task in names if registry.task_info(task).dataset.name not in missing]
    if not names:
      return found
    other = dataclasses.replace(asked.asked, split=asked.select_on, examples=asked.select_examples)
    tried = self._judge.evaluate(model, names, found.model, found.checkpoint, other)
    able = [result for result in found.datasets if result.dataset in several - missing.keys()]
    chosen = choice.choose(dataclasses.replace(found, datasets=able), tried, asked.seed)
    by_name = {result.dataset: result for result in chosen.datasets}
    return dataclasses.replace(found, datasets=[by_name.get(result.dataset, result) for result in found.datasets])

  def _paired(self, evaluation: Evaluation) -> list[Any]:
    by_dataset: dict[str, list] = {}
    for template in evaluation.templates:
      by_dataset.setdefault(template.dataset, []).append(template)
    return [paired.paired_accuracy(by_dataset[plain], by_dataset[opposite], seed=self.setting.seed)
            for plain, opposite in self.setting.pairs.items() if plain in by_dataset and opposite in by_dataset]

  def _origin(self, held_out: str, arm: Arm, model: T5, config: Mapping[str, Any]) -> Origin:
    trained = [one for one in self._chain(arm) if one.trains]
    method = self._method(arm) if arm.trains else Full()
    counts = parameter_table(make_blueprint(model, method.trainable_filter()))
    names = [dataset.name for one in trained for dataset in self._trained_on(held_out, one)]
    folder = self._training_folder(held_out, trained[0]).relative_to(self.folder) if trained else ''
    return Origin(
      held_out=held_out, arm=arm.name, trained_on=list(dict.fromkeys(names)),
      steps=sum(stage.train_steps for one in trained for stage in self._stages(one)),
      method=method.config if arm.trains else {}, parameters=counts.total,
      trainable=counts.trainable if arm.trains else 0, seed=self.setting.seed, digest=work.digest(config),
      point=arm.point(counts.total), folder=str(folder),
    )  # fmt: skip


def check_extra(tasks: Sequence[str]) -> None:
  """Raises UserError where a task or mixture of EXTRA_TASKS does not exist."""
  for name in tasks:
    try:
      registry.get_mixture_or_task(name)
    except UserError as error:
      raise UserError(f'EXTRA_TASKS: {error}') from error
