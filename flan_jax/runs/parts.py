"""What several runs need: a vocabulary in force, task modules imported, a model that fits, evaluation rows."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import seqio
from flax import nnx

from flan_jax.data import registry
from flan_jax.data.questions import rows_of_tasks
from flan_jax.data.roles import why_missing
from flan_jax.data.rows import EvalRow, rows
from flan_jax.data.vocabulary import use_vocabulary
from flan_jax.errors import UserError
from flan_jax.evaluation import baselines
from flan_jax.evaluation.rank import rank
from flan_jax.models import T5, Scorer, T5Config

TASK_MODULES = ('tasks.flan2021', 'tasks.quickstart')


def use_tasks(modules: str | Sequence[str] = TASK_MODULES, flag: str = 'MIXTURE_OR_TASK_MODULE') -> None:
  """Imports the modules that register tasks.

  Args:
    modules: their names.
    flag: what the user set them by, for the message.

  Raises:
    UserError: where there is no such module, or Python cannot read it.
  """
  for module in (modules,) if isinstance(modules, str) else modules:
    try:
      importlib.import_module(module)
    except (ImportError, SyntaxError) as error:
      raise UserError(f'{flag}: cannot import {module!r} ({error}).') from error


def model_maker(config: T5Config, vocabulary: seqio.Vocabulary) -> Callable[[nnx.Rngs], T5]:
  """Puts a vocabulary in force and returns the constructor of the model for it.

  Raises:
    UserError: where the vocabulary cannot be read, or has more ids than the model has embeddings.
  """
  use_vocabulary(vocabulary)
  size = vocabulary_size(vocabulary)
  if size > config.vocab_size:
    raise UserError(
      f'The vocabulary has {size} ids and the model embeds {config.vocab_size}: '
      f'set models.T5Config.vocab_size to at least {size}.'
    )
  return lambda rngs: T5(config, rngs=rngs)


def vocabulary_size(vocabulary: seqio.Vocabulary) -> int:
  """The number of ids; the first look at a vocabulary, which reads its file."""
  try:
    return vocabulary.vocab_size
  except UserError:
    raise
  except Exception as error:  # TensorFlow's, protobuf's and SentencePiece's errors have no base class in common
    file = getattr(vocabulary, 'sentencepiece_model_file', None)
    cause = ' '.join(str(error).split())[:200]
    raise UserError(f'VOCABULARY_FILE: cannot read a vocabulary from {file!r} ({cause}).') from error


def evaluation_tasks(name: str) -> list[str]:
  """Returns the single-template tasks behind a name: a mixture's or dataset's answerable templates, or one task."""
  found = []
  for task in registry.tasks_of(name):
    info = registry.task_info(task)
    if info.variant.prompting == 'instructions' and len(info.templates) > 1:
      found += [info.alone(index) for index in info.templates if not info.dataset.templates[index].inverted]
    else:
      found.append(task)
  return found


def on_disk(names: Sequence[str], split: str) -> tuple[list[str], dict[str, list[str]]]:
  """Leaves out the tasks that have no rows of a role on disk; none are fetched.

  Args:
    names: tasks or mixtures.
    split: the role.

  Returns:
    The tasks that have rows, or the names themselves where all have; and for each dataset left out a line that says
    why, with its tasks.

  Raises:
    UserError: where no task remains.
  """
  found: list[str] = []
  left_out: dict[str, list[str]] = {}
  for task in dict.fromkeys(task for name in names for task in registry.tasks_of(name)):
    reason = why_missing(seqio.TaskRegistry.get(task).source, split)
    if reason is None:
      found.append(task)
    else:
      left_out.setdefault(f'left out: {reason}', []).append(task)  # one line for all templates of a dataset
  if not found:
    raise UserError(f'SKIP_UNAVAILABLE leaves nothing of {", ".join(names)}. {next(iter(left_out))}')
  return (found if left_out else list(names)), left_out


def mixture_of(names: Sequence[str], split: str, *, skip_unavailable: bool) -> tuple[str, dict[str, list[str]]]:
  """Returns the one mixture of tasks or mixtures, and what `on_disk` left out where that is wished."""
  mixture = registry.mixture_of(names)
  if not skip_unavailable:
    return mixture, {}
  found, left_out = on_disk(names, split)
  return (registry.reduced(mixture, found) if left_out else mixture), left_out


def check_split(names: Sequence[str], split: str) -> None:
  """Raises UserError, naming what there is, where a task has no rows of a role; reads none of them.

  The tasks of a mixture are asked one by one: SeqIO leaves out those that declare no such role, and counts the others.
  """
  for task in dict.fromkeys(task for name in names for task in registry.tasks_of(name)):
    seqio.TaskRegistry.get(task).num_input_examples(split)


def check_cached(name: str) -> None:
  """Raises UserError where a task has no offline cache."""
  for task in registry.tasks_of(name):
    if seqio.TaskRegistry.get(task).cache_dir is None:
      raise UserError(f'USE_CACHED_TASKS: {task!r} is in none of the cache folders; name more of them by '
                      '--seqio_additional_cache_dirs, or leave the macro False.')


def read_tasks(
  names: Sequence[str], split: str, limit: int | None, lengths: Mapping[str, int] | None, seed: int = 0
) -> Iterator[list[EvalRow]]:
  """Reads the rows of tasks as they are needed; every template of a dataset is asked about the same rows."""
  return rows_of_tasks(names, split, limit, seed, lengths)


class RankEvaluator:
  """Accuracy by rank classification beside training, each row under a template of its own (see `training.evaluators`).

  Attributes:
    name: `rank/<task>`.
    period: in steps.
  """

  def __init__(self, task: str, *, period: int, split: str = 'validation', limit: int | None = 200,
               lengths: Mapping[str, int] | None = None, batch_size: int = 64):
    """Reads the rows once.

    Args:
      task: a task whose rows have options.
      period: in steps.
      split: which rows.
      limit: at most this many.
      lengths: token limits.
      batch_size: rows scored at once.

    Raises:
      UserError: where no row has options and an answer among them.
    """
    self.name, self.period, self._batch_size = f'rank/{task}', period, batch_size
    found = rows(task, split, limit, 0, lengths)
    self._rows = [row for row in found if row.answer_index >= 0 and not row.inverted]
    if not self._rows:
      raise UserError(f'{task!r} has no {split} row with options and an answer among them: it cannot be ranked.')
    self._scorer: Scorer | None = None

  def __call__(self, step: int, model: T5) -> dict[str, float]:
    """Returns accuracy and that of always giving the most frequent answer (percent), and the number of rows."""
    del step
    if self._scorer is None:
      self._scorer = Scorer(model, batch_size=self._batch_size)
    self._scorer.update(model)
    credits = [prediction.credit or 0.0 for prediction in rank(self._rows, self._scorer)]
    majority = baselines.majority(self._rows) or 0.0
    return {'accuracy': 100.0 * float(np.mean(credits)), 'majority': majority, 'rows': float(len(self._rows))}
