"""What a person sees while rows are answered: a bar in a terminal, now and then a line elsewhere."""

import time
from types import TracebackType

from rich import console as rich_console
from rich import progress as rich_progress

from flan_jax.training.progress import duration


class RowProgress:
  """Shows how many rows are done, how many a second, and the time that is left; used as a context."""

  def __init__(
    self, name: str, total: int, start: int = 0, *, every: int = 1000, console: rich_console.Console | None = None
  ):
    """Prepares the display.

    Args:
      name: of what is answered.
      total: rows.
      start: rows that were done before this process began.
      every: rows between two lines where no terminal is.
      console: where to; standard error by default, so that standard output stays for results.
    """
    self._console = console or rich_console.Console(stderr=True)
    self._name, self._total, self._start, self._done, self._every = name, total, start, start, every
    self._began = time.monotonic()
    columns = (rich_progress.TextColumn(name, markup=False), rich_progress.BarColumn(),
               rich_progress.MofNCompleteColumn(), rich_progress.TextColumn('{task.description}'),
               rich_progress.TimeElapsedColumn(), rich_progress.TextColumn('left'),
               rich_progress.TimeRemainingColumn())
    self._bar = rich_progress.Progress(*columns, console=self._console) if self._console.is_terminal else None

  def __enter__(self) -> 'RowProgress':
    self._began = time.monotonic()
    if self._bar is not None:
      self._bar.start()
      self._task = self._bar.add_task('compiling', total=self._total, completed=self._start)
    return self

  def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
               trace: TracebackType | None) -> None:
    if self._bar is not None:
      self._bar.stop()

  def message(self, text: str) -> None:
    """Prints a sentence above the bar."""
    self._console.print(text, markup=False, highlight=False, soft_wrap=True)

  def advance(self) -> None:
    """Counts one row more."""
    self._done += 1
    if self._bar is not None:
      self._bar.update(self._task, advance=1, description=f'{self.rate:,.1f} rows/s')
    elif self._done % self._every == 0 and self._done < self._total:
      left = duration((self._total - self._done) / self.rate)
      self.message(f'{self._name}: {self._done:,} of {self._total:,} rows  {self.rate:,.1f} rows/s  left {left}')

  @property
  def rate(self) -> float:
    """Rows a second of this process."""
    return (self._done - self._start) / max(self.elapsed, 1e-9)

  @property
  def elapsed(self) -> float:
    """Seconds since this process began to answer."""
    return time.monotonic() - self._began
