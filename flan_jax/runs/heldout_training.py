"""The training behind the cells of the held-out protocol: where it lies, what made it, and doing it once."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import seqio
from flax import nnx

from flan_jax.data import contamination, registry
from flan_jax.data.contamination import Contamination
from flan_jax.data.dataset import Dataset
from flan_jax.heldout import arms, training_sets
from flan_jax.heldout.arms import Arm, Stage
from flan_jax.models import T5, T5Config
from flan_jax.peft import Method
from flan_jax.peft.digest import fingerprint
from flan_jax.peft.partition import make_blueprint
from flan_jax.runs import parts
from flan_jax.runs.finetune import finetune
from flan_jax.runs.judge import Questions
from flan_jax.training import initial, loop, losses, sharding
from flan_jax.training.checkpoints import checkpoint_folders, path_step
from flan_jax.work import claims
from flan_jax.work import configuration as work

CONTAMINATION, CLAIM = 'contamination', 'claim'
SHARED = 'all'


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
class Training:
  """The training of all arms with any cluster held out.

  Attributes:
    folder: of the whole protocol.
    family: of the datasets.
    arms: by name, from `arms.in_order`.
    setting: of all cells.
    vocabulary: of the tasks.
    config_text: the operative configuration, for the run folders.
    show_progress: progress bars.
    partitioner: devices that train; no part of the configuration, since a mesh changes no number beyond rounding.
  """

  folder: pathlib.Path
  family: registry.Family
  arms: Mapping[str, Arm]
  setting: Setting
  vocabulary: seqio.Vocabulary
  config_text: str = ''
  show_progress: bool = True
  partitioner: sharding.Partitioner | None = None
  _configurations: dict[tuple[str, str], dict[str, Any]] = dataclasses.field(default_factory=dict, init=False)
  _found: dict[str, Contamination] = dataclasses.field(default_factory=dict, init=False)

  def configuration(self, held_out: str, arm: Arm) -> dict[str, Any]:
    """All that an arm's weights depend on, as JSON gives it back."""
    key = (held_out, arm.name)
    if key not in self._configurations:  # optimizers are traced for it, and data folders are looked into
      self._configurations[key] = self._configuration(held_out, arm)
    return self._configurations[key]

  def _configuration(self, held_out: str, arm: Arm) -> dict[str, Any]:
    root = self.chain(arm)[-1]
    behind = None if arm.start is None else self.configuration(held_out, self.arms[arm.start])
    start = self._base(root) if behind is None else work.digest(behind)
    found = {'start': start, 'seed': self.setting.seed, 'model': dataclasses.asdict(self._model(arm))}
    if arm.trains:
      stages = [
        {'tasks': tasks, 'train_steps': stage.train_steps, 'optimizer': work.optimizer_facts(stage.optimizer,
                                                                                           stage.train_steps)}
        for stage, tasks in zip(self.stages(arm), self._tasks(held_out, arm), strict=True)
      ]  # fmt: skip
      found |= {
        'stages': stages, 'max_rate': self.family.max_rate, 'method': self.method(arm).config,
        'task_feature_lengths': dict(self.setting.task_feature_lengths), 'batch_size': self.setting.batch_size,
        'loss': dataclasses.asdict(self.setting.loss), 'skip_unavailable': self.setting.skip_unavailable,
        'contamination_removed': self.setting.remove_contamination and arm.trains_on == 'rest' and self.setting.ngram,
      }  # fmt: skip
    return work.plain(found)

  def check(self, held_out: str, arm: Arm) -> None:
    """Raises UserError where an arm's folder holds what another configuration made."""
    if arm.trains:
      work.check(self.folder_of(held_out, arm), self.configuration(held_out, arm))

  def dry_run(self, held_out: str, arm: Arm) -> None:
    """Prints the plan of an arm's first stage."""
    self._finetune(held_out, arm, 0, self._root_path(arm), dry_run=True)

  def contamination(self, held_out: str) -> Contamination:
    """Looks for the held-out questions among all rows that may train; prints and writes what it finds."""
    if held_out not in self._found:
      self._found[held_out] = self._find_contamination(held_out)
    return self._found[held_out]

  def _find_contamination(self, held_out: str) -> Contamination:
    asked = self.setting
    judged, training = training_sets.judged(self.family, held_out), list(self.family.without(held_out))
    if asked.skip_unavailable:
      judged, training = self.on_disk(judged, asked.asked.split), self.on_disk(training, 'train')
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

  def chain(self, arm: Arm) -> list[Arm]:
    """An arm, the one that it starts from, and so on."""
    return arms.chain(arm, self.arms)

  def _model(self, arm: Arm) -> T5Config:
    return self.chain(arm)[-1].model or self.setting.model

  def stages(self, arm: Arm) -> Sequence[Stage]:
    """The stages of an arm: its own, or the protocol's."""
    return self.setting.stages if arm.stages is None else arm.stages

  def method(self, arm: Arm) -> Method:
    """What trains in an arm."""
    return (arm.method or self.setting.method).bound(self.vocabulary.encode)

  def make_model(self, arm: Arm) -> Callable[[nnx.Rngs], T5]:
    """The constructor of an arm's network."""
    return parts.model_maker(self._model(arm), self.vocabulary)

  def _tasks(self, held_out: str, arm: Arm) -> list[list[str]]:
    """The tasks of each stage."""
    chosen = self.trained_on(held_out, arm)
    return [training_sets.stage_tasks(stage, arm, self.family, chosen) for stage in self.stages(arm)]

  def trained_on(self, held_out: str, arm: Arm) -> list[Dataset]:
    """The datasets that train an arm, of those that may be left out the ones with rows on disk."""
    chosen = training_sets.datasets(arm, self.family, held_out)
    return self.on_disk(chosen, 'train') if self.setting.skip_unavailable and chosen else chosen

  def on_disk(self, datasets: Sequence[Dataset], split: str) -> list[Dataset]:
    """The datasets that have rows of a role on disk."""
    found, _ = parts.on_disk([self.family.task(dataset) for dataset in datasets], split)
    return [dataset for dataset in datasets if self.family.task(dataset) in found]

  def _root_path(self, arm: Arm) -> str | None:
    """The checkpoint behind the first of an arm's starts; one of the protocol's fits no other size than its own."""
    return None if self.chain(arm)[-1].model is not None else self.setting.initial_checkpoint_path

  def _base(self, root: Arm) -> str:
    return 'random weights' if self._root_path(root) is None else self._fingerprint

  @functools.cached_property
  def _fingerprint(self) -> str:
    """A word for the weights of the protocol's initial checkpoint: what lies at a path can change."""
    model = initial.restore_model(str(self.setting.initial_checkpoint_path),
                                  parts.model_maker(self.setting.model, self.vocabulary))
    return fingerprint(make_blueprint(model, nnx.Param).split(model)[0])

  def folder_of(self, held_out: str, arm: Arm) -> pathlib.Path:
    """Where an arm's stages lie; an arm that trains on all clusters does so once, whatever is held out."""
    trained = [one for one in self.chain(arm) if one.trains]
    shared = all(one.trains_on == 'all' for one in trained)
    return self.folder / (SHARED if shared else held_out) / arm.name

  def _stage_folder(self, held_out: str, arm: Arm, stage: int) -> pathlib.Path:
    return self.folder_of(held_out, arm) / f'stage_{stage + 1}'

  def is_trained(self, held_out: str, arm: Arm) -> bool:
    """Whether an arm's last stage has its last checkpoint."""
    last = self._stage_folder(held_out, arm, len(self.stages(arm)) - 1)
    steps = [path_step(path) for path in checkpoint_folders(last)] if last.exists() else []
    return bool(steps) and max(steps) >= self.stages(arm)[-1].train_steps

  def weights(self, held_out: str, arm: Arm) -> str | None:
    """Where an arm's weights lie once it is trained; None for random ones."""
    for one in self.chain(arm):
      if one.trains:
        return str(self._stage_folder(held_out, one, len(self.stages(one)) - 1))
    return self._root_path(arm)

  def train(self, held_out: str, arm: Arm) -> bool:
    """Trains the stages that are not trained.

    Returns:
      False where another process is at it.

    Raises:
      KeyboardInterrupt: where a signal ended the training; a checkpoint is written, and the same command goes on.
    """
    folder = self.folder_of(held_out, arm)
    with claims.claimed(folder / f'training.{CLAIM}') as holder:
      if holder is not None:
        print(f'{folder}: {holder}')
        return False
      work.begin(folder, self.configuration(held_out, arm))
      self._look_for_contamination(held_out, arm)
      start = self._root_path(arm) if arm.start is None else self.weights(held_out, self.arms[arm.start])
      for stage in range(len(self.stages(arm))):
        result = self._finetune(held_out, arm, stage, start)
        if isinstance(result, loop.TrainResult) and result.interrupted:
          raise KeyboardInterrupt
        start = str(self._stage_folder(held_out, arm, stage))
    return True

  def _finetune(self, held_out: str, arm: Arm, stage: int, start: str | None, *, dry_run: bool = False) -> Any:
    asked, settings = self.setting, self.stages(arm)[stage]
    mixture = registry.mixture_of(self._tasks(held_out, arm)[stage], self.family.max_rate)
    if asked.remove_contamination and arm.trains_on == 'rest' and not dry_run:
      names = {registry.task_info(task).dataset.name for task in registry.tasks_of(mixture)}
      gone = self.contamination(held_out).training_rows
      mixture = registry.without_rows(mixture, {name: rows for name, rows in gone.items() if name in names})
    return finetune(
      model_dir=str(self._stage_folder(held_out, arm, stage)), mixture_or_task_name=mixture,
      train_steps=settings.train_steps, optimizer=settings.optimizer, initial_checkpoint_path=start,
      model=self._model(arm), vocabulary=self.vocabulary, task_feature_lengths=asked.task_feature_lengths,
      batch_size=asked.batch_size, method=self.method(arm), loss=asked.loss, mixture_or_task_module=(),
      random_seed=asked.seed, skip_unavailable=asked.skip_unavailable, config_text=self.config_text,
      watch_tasks=asked.watch_tasks, watch_period=asked.watch_period,
      checkpoint_period=500, keep=1, partitioner=self.partitioner, show_progress=self.show_progress, dry_run=dry_run,
    )  # fmt: skip

  def restored(self, held_out: str, arm: Arm) -> T5:
    """An arm's model, adapters included."""
    path, make_model = self.weights(held_out, arm), self.make_model(arm)
    if path is None:
      return make_model(nnx.Rngs(params=jax.random.key(self.setting.seed)))
    return initial.restore_model(path, make_model)
