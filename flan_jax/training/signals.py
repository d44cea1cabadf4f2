"""SIGTERM and Ctrl-C ask a run to stop after its step; a second one stops it at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopSignals:
  """While entered, turns the first SIGTERM or SIGINT into a request that the loop reads.

  Attributes:
    requested: the name of the signal that came, or None.
  """

  def __init__(self) -> None:
    self.requested: str | None = None
    self._previous: dict[int, Any] = {}

  def __enter__(self) -> 'StopSignals':
    if threading.current_thread() is threading.main_thread():
      for number in (signal.SIGTERM, signal.SIGINT):
        self._previous[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
               trace: TracebackType | None) -> None:
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def _handle(self, number: int, frame: FrameType | None) -> None:
    del frame
    if self.requested is not None:
      raise KeyboardInterrupt
    self.requested = signal.Signals(number).name
