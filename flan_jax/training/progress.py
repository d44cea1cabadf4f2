"""What a person sees while a run trains: a bar in a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType

from rich import console as rich_console
from rich import progress as rich_progress

WORTH_TELLING = 0.1  # share of the time that is spent waiting for data


def duration(seconds: float) -> str:
  """Hours, minutes and seconds, as '1:02:03' or '2:03'."""
  whole = max(0, round(seconds))
  minutes, rest = divmod(whole, 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours}:{minutes:02}:{rest:02}' if hours else f'{minutes}:{rest:02}'


class Progress:
  """Shows step, loss, accuracy, tokens per second and the time that is left."""

  def __init__(self, total: int, start: int = 0, *, visible: bool = True, console: rich_console.Console | None = None):
    """Prepares the display.

    Args:
      total: the step at which the run ends.
      start: the step at which this process began.
      visible: False shows nothing but messages.
      console: where to; standard error by default, so that standard output stays for results.
    """
    self._console = console or rich_console.Console(stderr=True)
    self._total, self._start, self._visible = total, start, visible
    self._began = time.monotonic()
    columns = (rich_progress.TextColumn('step {task.completed}/{task.total}'), rich_progress.BarColumn(),
               rich_progress.TextColumn('{task.description}'), rich_progress.TimeElapsedColumn(),
               rich_progress.TextColumn('left'), rich_progress.TimeRemainingColumn())
    self._bar = rich_progress.Progress(*columns, console=self._console) if self._console.is_terminal else None

  def __enter__(self) -> 'Progress':
    if self._bar is not None and self._visible:
      self._bar.start()
      self._task = self._bar.add_task('compiling the step', total=self._total, completed=self._start)
    return self

  def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
               trace: TracebackType | None) -> None:
    if self._bar is not None and self._visible:
      self._bar.stop()

  def message(self, text: str) -> None:
    """Prints a sentence above the bar."""
    self._console.print(text, markup=False, highlight=False, soft_wrap=True)

  def update(self, step: int, metrics: Mapping[str, float]) -> None:
    """Shows the state of the run at a log point.

    Args:
      step: number of updates done.
      metrics: needs loss, accuracy and tokens_per_second; the share of the peak is shown where it is known, that of
        waiting for data where it is large.
    """
    if not self._visible:
      return
    text = (f'loss {metrics["loss"]:.4f}  accuracy {100 * metrics["accuracy"]:.1f} %  '
            f'{metrics["tokens_per_second"]:,.0f} tokens/s')
    if 'model_flops_share_of_peak' in metrics:
      text += f'  {100 * metrics["model_flops_share_of_peak"]:.0f} % of peak'
    if metrics.get('data_wait_share', 0.0) > WORTH_TELLING:
      text += f'  waits for data {100 * metrics["data_wait_share"]:.0f} %'
    if self._bar is not None:
      self._bar.update(self._task, completed=step, description=text)
      return
    pace = (time.monotonic() - self._began) / max(1, step - self._start)
    self.message(f'step {step}/{self._total}  {text}  left {duration(pace * (self._total - step))}')
