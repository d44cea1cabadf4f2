"""Watching tasks while another one is learned: scored on the base before the first update, and along the run."""

import os
import pathlib
from collections.abc import Mapping, Sequence

from flan_jax.data import registry
from flan_jax.data.rows import rows
from flan_jax.errors import UserError
from flan_jax.evaluation import results_file
from flan_jax.evaluation.averages import over_datasets, over_templates
from flan_jax.evaluation.change import change
from flan_jax.evaluation.forgetting import FILE, Watched
from flan_jax.evaluation.results import Evaluation, TemplateResult
from flan_jax.models import T5
from flan_jax.peft.targets import detach
from flan_jax.runs.judge import Judge, Questions
from flan_jax.training import hosts
from flan_jax.training.metrics_log import drop_after

BASE = 'forgetting_base'  # in a run folder: what the base answered
LABEL = 'base'


def watch(tasks: Sequence[str], model_dir: str | pathlib.Path, *, period: int, examples: int | None,
          lengths: Mapping[str, int]) -> list['WatchEvaluator']:
  """Returns an evaluator for each task that names stand for; all share what is compiled.

  Args:
    tasks: tasks or mixtures.
    model_dir: the run folder, which gets `forgetting.jsonl` and `forgetting_base/`.
    period: steps between two scores.
    examples: validation rows of each task; None takes all.
    lengths: token limits.

  Raises:
    UserError: where a task has no validation rows, or none that asks for the answer.
  """
  judge = Judge(Questions(split='validation', examples=examples, lengths=lengths))
  named = dict.fromkeys(task for name in tasks for task in registry.tasks_of(name))
  return [WatchEvaluator(task, pathlib.Path(model_dir), judge, period) for task in named]


class WatchEvaluator:
  """One watched task beside training (see `training.evaluators.FromStart`).

  Each row has a template of its own, the same at every step. At step 0 adapters that were just attached are taken off:
  some change the model before they have learned anything. Of several hosts the first runs it, and writes.

  Attributes:
    name: `watch/<task>`.
    period: in steps.
  """

  def __init__(self, task: str, folder: pathlib.Path, judge: Judge, period: int):
    """Reads the rows once."""
    self.name, self.period = f'watch/{task}', period
    self._task, self._folder, self._judge = task, folder, judge
    self._dataset = registry.task_info(task).dataset
    asked = judge.questions
    self._rows = rows(task, asked.split, asked.examples, asked.seed, asked.lengths)
    self._prompts = [row.inputs_pretokenized for row in self._rows if not row.inverted]
    self._base: TemplateResult | None = None
    if not self._prompts:
      raise UserError(f'WATCH_TASKS: no {asked.split} row of {task!r} asks for its answer, so that there is nothing to '
                      'watch; choose another template.')

  def begin(self, step: int) -> None:
    """Gets ready for the updates after a step: forgets later scores, which come again, and knows the base's.

    Args:
      step: where the run begins; 0 for a new one.

    Raises:
      UserError: where a run that goes on never asked the base, or asked something else.
    """
    # A run that begins anew measures its base anew as well.
    if hosts.is_first():
      drop_after(self._folder / FILE, step or -1)
    if not step:
      return
    if not self._results.exists():
      raise UserError(f'WATCH_TASKS: {self._task!r} was not scored before the first update of {self._folder}, which is '
                      f'at step {step} now; watch it in another MODEL_DIR, or leave it out.')
    evaluation = results_file.with_predictions(self._folder / BASE, results_file.read_results(self._results)[0])
    self._base = evaluation.templates[0]
    if [prediction.inputs for prediction in self._base.predictions] != self._prompts:
      raise UserError(f'WATCH_TASKS: the rows of {self._task!r} are not those that were scored before the first update '
                      f'of {self._folder}; WATCH_EXAMPLES, templates and data must stay as they were.')

  def __call__(self, step: int, model: T5) -> dict[str, float]:
    """Scores the model, writes a line, and returns the score, its change with both ends, and the number of rows."""
    if step == 0:
      detach(model)
    result = self._judge.answer(model, self._rows, self._dataset.metrics)
    difference = None
    if step == 0:
      self._keep(result)
    else:
      if self._base is None:
        raise RuntimeError(f'{self.name} was scored at step {step} and never before the first update')
      difference = change([result], [self._base], self._judge.questions.seed)
    self._write(Watched(step, self._task, result.dataset, result.metric, result.score, difference))
    told = {result.metric: result.score.value, 'rows': float(result.rows)}
    if difference is not None:
      told |= {'change': difference.value}
      ends = {'change_low': difference.low, 'change_high': difference.high}
      told |= {name: end for name, end in ends.items() if end is not None}
    return told

  @property
  def _results(self) -> pathlib.Path:
    return self._folder / BASE / f'{self._task}.json'

  def _keep(self, result: TemplateResult) -> None:
    """Keeps what the base answered, the numbers last: where they are, all is there."""
    averages = over_templates([result], result.seed), over_datasets([result], result.seed)
    evaluation = Evaluation(LABEL, '', [result], *averages)
    results_file.write_predictions(self._folder / BASE, evaluation)
    results_file.write_results(self._results, [evaluation])
    self._base = result

  def _write(self, watched: Watched) -> None:
    with (self._folder / FILE).open('a', encoding='utf-8') as file:
      file.write(watched.line())
      file.flush()
      os.fsync(file.fileno())
