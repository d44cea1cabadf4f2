"""What JAX compiles is kept on disk for the next run: a folder for each kind of host, bounded in size, and locked.

Importing this imports no JAX: a script that only prints its help pays nothing, and JAX reads what is set here when it
is imported.
"""

import contextlib
import hashlib
import os
import pathlib
import platform
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from flan_jax.errors import UserError

SWITCH = 'FLAN_JAX_COMPILATION_CACHE'
DIRECTORY = 'JAX_COMPILATION_CACHE_DIR'
# The size limit also makes JAX lock the folder: without one, a process reads what another is still writing, or was
# writing when it was killed. Compilations that take less than the shortest one are not worth a file.
DEFAULTS: Mapping[str, Any] = {
  'JAX_COMPILATION_CACHE_MAX_SIZE': 4 * 2**30,
  'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': 0.2,
}
_CPUINFO = pathlib.Path('/proc/cpuinfo')
_FEATURES = ('flags', 'features', 'model name', 'cpu implementer', 'cpu part')


def enable() -> pathlib.Path | None:
  """Turns the cache on for this process and its children.

  A folder that the user or the cluster named by JAX_COMPILATION_CACHE_DIR is left to them, limit included. Whatever
  keeps our own folder from being used is told in one line, and the run goes on without it.

  Returns:
    The folder; None where there is none, or where it is not ours.

  Raises:
    UserError: where FLAN_JAX_COMPILATION_CACHE is neither 'on' nor 'off'.
  """
  wanted = os.environ.get(SWITCH, 'on').strip().lower() or 'on'
  if wanted not in ('on', 'off'):
    raise UserError(f'{SWITCH} must be on or off, not {wanted!r}; a folder is named by {DIRECTORY}.')
  if wanted == 'off' or DIRECTORY in os.environ:
    return None
  try:
    import filelock  # JAX locks by it
    made = folder()
    made.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryFile(dir=made):
      pass
    remove_unfinished(made, filelock)
  except (OSError, RuntimeError, ImportError) as error:
    print(f'no compilation cache: {error}. {DIRECTORY} names another folder, {SWITCH}=off turns it off.',
          file=sys.stderr)
    return None
  _set({DIRECTORY: str(made), **DEFAULTS})
  return made


def folder() -> pathlib.Path:
  """Our folder for this kind of host.

  XLA compiles for the very CPU that it runs on, and JAX's key of an entry does not say which that was: on another host
  that shares this home, the entry might end in an illegal instruction. So hosts share a folder where their CPUs have
  the same name and features, and only there.

  Raises:
    RuntimeError: where there is no home.
  """
  base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(base) / 'flan_jax' / 'compiled' / host_kind()


def host_kind(cpuinfo: str | None = None) -> str:
  """A name for hosts that can run each other's compiled code, such as 'x86_64-1f3870be27'.

  Args:
    cpuinfo: the text of /proc/cpuinfo; read where None. A system without that file is told apart by its own words.
  """
  if cpuinfo is None:
    cpuinfo = _CPUINFO.read_text(encoding='utf-8', errors='replace') if _CPUINFO.exists() else ''
  first = cpuinfo.strip().partition('\n\n')[0].splitlines()  # of several processors
  lines = [' '.join(sorted(value.split())) for key, _, value in (line.partition(':') for line in first)
           if key.strip().lower() in _FEATURES]
  told = '\n'.join([platform.system(), platform.machine(), platform.processor(), *lines])
  return f'{platform.machine() or "unknown"}-{hashlib.sha256(told.encode()).hexdigest()[:10]}'


def remove_unfinished(cache: pathlib.Path, filelock: Any) -> None:
  """Removes entries that a killed process left half written, which JAX would neither read nor replace.

  JAX writes an entry and then its time stamp, both under the lock; so under the lock an entry without a stamp is one
  whose writer has died.
  """
  with contextlib.suppress(filelock.Timeout), filelock.FileLock(cache / '.lockfile', timeout=1):
    for entry in cache.glob('*-cache'):
      if not entry.with_name(entry.name.removesuffix('-cache') + '-atime').exists():
        entry.unlink(missing_ok=True)


def _set(options: Mapping[str, Any]) -> None:
  """Sets JAX's options by the environment, which children inherit, and in a JAX that has read it already."""
  for name, value in options.items():
    if name in os.environ:
      continue
    os.environ[name] = str(value)
    if 'jax' in sys.modules:
      sys.modules['jax'].config.update(name.lower(), value)
