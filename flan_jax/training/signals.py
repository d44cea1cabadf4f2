"""SIGTERM and Ctrl-C ask a run to stop after its step; a second one stops it at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopSignals:
  """While entered, turns the first SIGTERM or SIGINT into a request that the loop reads.

  Attributes:
    handled: the signals.
    came: the name of the signal that came, or None.
    requested: the same, from the moment on when the loop takes notice by `look`.
  """

  handled: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)

  def __init__(self) -> None:
    self.came: str | None = None
    self.requested: str | None = None
    self._previous: dict[int, Any] = {}

  def look(self, step: int) -> None:
    """Takes notice after a step: what comes later waits for the next one, so that every stop has its checkpoint."""
    del step
    self.requested = self.came

  def __enter__(self) -> 'StopSignals':
    if threading.current_thread() is threading.main_thread():
      for number in self.handled:
        self._previous[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
               trace: TracebackType | None) -> None:
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def _handle(self, number: int, frame: FrameType | None) -> None:
    del frame
    if self.came is not None:
      raise KeyboardInterrupt
    self.came = signal.Signals(number).name
