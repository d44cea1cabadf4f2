"""One cell of the held-out protocol, a held-out cluster and an arm: train, ask, write down; or find it done already."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import seqio

from flan_jax.data import registry
from flan_jax.data.roles import why_missing
from flan_jax.errors import UserError
from flan_jax.evaluation import choice, cuts, paired, results_file
from flan_jax.evaluation.results import Evaluation, Origin
from flan_jax.heldout import training_sets
from flan_jax.heldout.arms import Arm
from flan_jax.models import T5
from flan_jax.peft import Full
from flan_jax.peft.partition import make_blueprint, parameter_table
from flan_jax.runs import parts
from flan_jax.runs.heldout_training import CLAIM, Setting, Training
from flan_jax.runs.judge import Judge
from flan_jax.work import claims
from flan_jax.work import configuration as work

RESULTS, PREDICTIONS = 'results.json', 'predictions'
State = Literal['done', 'held', 'waits']


@dataclasses.dataclass
class Bench:
  """What the cells of a process share: the training of all arms, and the judge that asks.

  Attributes:
    training: of the arms.
  """

  training: Training
  _asked: dict[tuple[str, str], list[str]] = dataclasses.field(default_factory=dict, init=False)

  @property
  def setting(self) -> Setting:
    """What all cells have in common."""
    return self.training.setting

  def place(self, held_out: str, arm: Arm) -> pathlib.Path:
    """The folder of a cell."""
    return self.training.folder / held_out / arm.name

  def evaluation(self, held_out: str, arm: Arm) -> Evaluation | None:
    """What a cell found, without predictions; None where it is not done, or was asked otherwise."""
    path = self.place(held_out, arm) / RESULTS
    if not path.exists():
      return None
    record = results_file.read_record(path)
    return record.evaluations[0] if record.config == self._configuration(held_out, arm) else None

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
      behind = self.training.chain(arm)[1:]
      if any(earlier.trains and not self.training.is_trained(held_out, earlier) for earlier in behind):
        print(f'{name}: waits for the arm that it starts from')
        return 'waits'
      if self.evaluation(held_out, arm) is None:  # nobody finished it in between
        print(f'\n{name}: {arm.label} [{self.place(held_out, arm)}]')
        if arm.trains and not self.training.is_trained(held_out, arm) and not self.training.train(held_out, arm):
          return 'held'
        self._ask(held_out, arm)
    return 'done'

  def describe(self, held_out: str, arm: Arm) -> str:
    """One line on what a cell is about to do, for a dry run."""
    asked = f'asks {len(self._questions(held_out, arm))} tasks'
    if self.evaluation(held_out, arm) is not None:
      return f'{held_out}/{arm.name}: done already'
    if not arm.trains:
      return f'{held_out}/{arm.name}: weights of {arm.start or "the start"}; {asked}'
    steps = '+'.join(str(stage.train_steps) for stage in self.training.stages(arm))
    names = ', '.join(dataset.name for dataset in self.training.trained_on(held_out, arm))
    done = ' (trained already)' if self.training.is_trained(held_out, arm) else ''
    return f'{held_out}/{arm.name}: trains {steps} steps on {names}{done}; {asked}'

  def _questions(self, held_out: str, arm: Arm) -> list[str]:
    """The single-template tasks that an arm is asked: those of the held-out datasets, and the extra ones."""
    key = (held_out, arm.name)
    if key not in self._asked:
      self._asked[key] = self._find_questions(held_out, arm)
    return self._asked[key]

  def _find_questions(self, held_out: str, arm: Arm) -> list[str]:
    judged = training_sets.judged(self.training.family, held_out)
    if self.setting.skip_unavailable:
      judged = self.training.on_disk(judged, self.setting.asked.split)
    names = [self.training.family.task(dataset, arm.asked.nearest(dataset)) for dataset in judged]
    return [task for name in (*names, *self.setting.extra_tasks) for task in parts.evaluation_tasks(name)]

  def _configuration(self, held_out: str, arm: Arm) -> dict[str, Any]:
    """All that a cell's numbers depend on."""
    asked = {'tasks': self._questions(held_out, arm), 'pairs': dict(self.setting.pairs), 'label': arm.label,
             'point': arm.curve and [arm.curve, arm.x, arm.series], 'select_on': self.setting.select_on,
             'select_examples': self.setting.select_examples, **dataclasses.asdict(self.setting.asked)}
    return work.plain({'training': self.training.configuration(held_out, arm), 'asked': asked})

  @functools.cached_property
  def _judge(self) -> Judge:
    return Judge(self.setting.asked)

  def _ask(self, held_out: str, arm: Arm) -> None:
    """Asks an arm's questions and writes what it answered; the numbers last, for they say that the cell is done."""
    config = self._configuration(held_out, arm)
    model = self.training.restored(held_out, arm)
    tasks = self._questions(held_out, arm)
    self._judge.forget(but=tasks)  # what only the last cluster was asked
    found = self._judge.evaluate(model, tasks, arm.label, self.training.weights(held_out, arm) or 'random weights')
    found = self._chosen(model, tasks, found)
    found = dataclasses.replace(found, paired=self._paired(found), origin=self._origin(held_out, arm, model, config))
    for line in cuts.lines(found):
      print(line)
    results_file.write_predictions(self.training.folder / PREDICTIONS, found)
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
    trained = [one for one in self.training.chain(arm) if one.trains]
    method = self.training.method(arm) if arm.trains else Full()
    counts = parameter_table(make_blueprint(model, method.trainable_filter()))
    names = [dataset.name for one in trained for dataset in self.training.trained_on(held_out, one)]
    folder = self.training.folder_of(held_out, trained[0]).relative_to(self.training.folder) if trained else ''
    return Origin(
      held_out=held_out, arm=arm.name, trained_on=list(dict.fromkeys(names)),
      steps=sum(stage.train_steps for one in trained for stage in self.training.stages(one)),
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
