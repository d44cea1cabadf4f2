"""A trace of named steps, for TensorBoard's profiler and for Perfetto."""

import contextlib
import pathlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from flan_jax.errors import UserError

FOLDER = 'profile'


class Steps(NamedTuple):
  """Which steps are traced, counted from 1, both ends included."""

  first: int
  last: int

  def __str__(self) -> str:
    return f'{self.first}-{self.last}'


def parse(text: str | int | None, train_steps: int) -> Steps | None:
  """Reads '10-14', or '10' for one step.

  Args:
    text: what the user gave; None for no trace.
    train_steps: of the run.

  Raises:
    UserError: for what is no range of steps of the run.
  """
  if text is None:
    return None
  found = re.fullmatch(r'\s*(\d+)\s*(?:-\s*(\d+)\s*)?', str(text))
  if not found:
    raise UserError(f"--profile (PROFILE): {str(text)!r} names no steps: give the first and the last, as in '10-14'.")
  steps = Steps(int(found[1]), int(found[2] or found[1]))
  if not 1 <= steps.first <= steps.last <= train_steps:
    raise UserError(f'--profile (PROFILE): {str(text)!r} must be steps of this run in their order, from 1 to '
                    f'TRAIN_STEPS ({train_steps}).')
  return steps


class Trace:
  """Traces the steps of a run that it is told of; the trace is in the run folder when the last of them is done."""

  def __init__(self, model_dir: str | pathlib.Path, steps: Steps | None, say: Callable[[str], Any]):
    """Starts nothing yet.

    Args:
      model_dir: the run folder.
      steps: which; None for none.
      say: shows a line.
    """
    self._folder, self._steps, self._say = pathlib.Path(model_dir) / FOLDER, steps, say
    self._running = self._done = False

  def step(self, number: int) -> contextlib.AbstractContextManager[Any]:
    """What to run a step in, by the number that it has when it is done."""
    if self._steps is None or not self._steps.first <= number <= self._steps.last:
      return contextlib.nullcontext()
    if not self._running:
      options = jax.profiler.ProfileOptions()
      options.python_tracer_level = 0  # every Python call: many times the size, and it slows what is measured
      jax.profiler.start_trace(str(self._folder), profiler_options=options)
      self._running = True
    return jax.profiler.StepTraceAnnotation('train', step_num=number)

  def after(self, number: int, results: Any) -> None:
    """Ends the trace when the last of its steps is done.

    Args:
      number: of the step that was dispatched.
      results: of it, which are waited for.
    """
    if self._running and self._steps is not None and number >= self._steps.last:
      jax.block_until_ready(results)
      self._stop()

  def close(self) -> None:
    """Ends a trace that is still running, and says so where there was nothing to trace."""
    if self._running:
      self._stop()
    elif self._steps is not None and not self._done:
      self._say(f'--profile: steps {self._steps} were not among the steps of this process: nothing was traced')

  def _stop(self) -> None:
    jax.profiler.stop_trace()
    self._running, self._done = False, True
    self._say(f'the trace of steps {self._steps} is in {self._folder}')
