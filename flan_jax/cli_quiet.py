"""Keeps the start-up chatter of the libraries off the screen: named lines only, so that no real error is lost."""

import contextlib
import functools
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator

from flan_jax.hidden import hidden

# What native code writes to file descriptor 2 while TensorFlow is imported, whatever TF_CPP_MIN_LOG_LEVEL says.
NATIVE = ('All log messages before absl::InitializeLog()', 'cudart_stub.cc', 'Could not find cuda drivers',
          'Unable to register cu', 'oneDNN custom operations are on', 'rebuild TensorFlow with the appropriate',
          'optimized to use available CPU instructions')
# What Python code logs: each is either harmless or told by us in another way.
LOGGED = ('CounterV2 (from tensorflow', 'Variant folder', 'will be removed during packing', 'Retrying (Retry(')

_FILTER = """
import sys
for line in sys.stdin.buffer:
  if not any(word in line for word in {words!r}):
    sys.stderr.buffer.write(line)
    sys.stderr.buffer.flush()
"""


class _NotChatter(logging.Filter):
  """Refuses the records of LOGGED."""

  def filter(self, record: logging.LogRecord) -> bool:
    """Says whether a record is shown."""
    message = record.getMessage()
    return not any(words in message for words in LOGGED)


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
  """Silences what can be silenced before the libraries are imported, unless the user asked for it."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  from absl import logging as absl_logging  # the logger must be of absl's own class

  loggers = [absl_logging.get_absl_logger(), *map(logging.getLogger, ('tensorflow', 'urllib3.connectionpool'))]
  chatter = _NotChatter()
  for logger in loggers:
    logger.addFilter(chatter)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore', DeprecationWarning)
      yield
  finally:
    for logger in loggers:
      logger.removeFilter(chatter)


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
  """Imports TensorFlow, and whatever the body imports, without the native chatter.

  What is written to file descriptor 2 meanwhile goes through a process of its own, line by line: if an import brings
  this process down, its last words still arrive.
  """
  if 'tensorflow' in sys.modules:
    _quiet_generation()
    yield
    return
  sys.stderr.flush()
  saved = os.dup(2)
  words = tuple(word.encode() for word in NATIVE)
  sieve = subprocess.Popen([sys.executable, '-S', '-E', '-c', _FILTER.format(words=words)], stdin=subprocess.PIPE)
  assert sieve.stdin is not None
  os.dup2(sieve.stdin.fileno(), 2)
  sieve.stdin.close()
  try:
    _import_tensorflow()
    _quiet_generation()
    yield
  finally:
    sys.stderr.flush()
    os.dup2(saved, 2)
    os.close(saved)
    sieve.wait()


def _import_tensorflow() -> None:
  """Imports TensorFlow without what Keras, which comes along, would take into its own plots and wrappers.

  TensorFlow and Keras do not require these packages; they are a third of the CPU time of the import.
  """
  with hidden('matplotlib', 'pandas', 'scipy', 'sklearn'):
    import tensorflow_text  # noqa: F401


@functools.cache
def _quiet_generation() -> None:
  """TFDS announces what it prepares: nothing is shown where it knows no size, and no bar where nobody looks."""
  import tensorflow_datasets as tfds

  if not sys.stderr.isatty():
    tfds.disable_progress_bar()
  builder = tfds.core.DatasetBuilder
  for name in ('_log_download_bytes', '_log_download_done'):
    said = getattr(builder, name, None)
    if said is not None:
      setattr(builder, name, lambda self, said=said: said(self) if self.info.download_size else None)
