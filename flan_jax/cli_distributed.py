"""Several processes, one run: T5X's flags for `jax.distributed`, and how a process leaves a run that has failed."""

import argparse
import contextlib
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

from flan_jax.errors import UserError

HEARTBEAT = 100  # seconds; JAX's own
PATIENCE = 300  # seconds until process 0 must have started; JAX's own
LEAVE = 10  # seconds that a process which failed waits for others that fail alike
_EXPLICIT = ('coordinator_address', 'process_count', 'process_index')
_EXAMPLE = '--coordinator_address=10.0.0.1:8476 --process_count=2 --process_index=0'
# What the runtimes write into their errors when the other end of a collective is gone.
_LOST = ('gloo', 'connection closed', 'connection reset', 'unavailable', 'heartbeat', 'nccl', 'barrier')


def add_flags(parser: argparse.ArgumentParser) -> None:
  """Adds the flags; the same command with another --process_index runs on every host."""
  group = parser.add_argument_group('many hosts (docs/scaling.md)')
  group.add_argument('--multiprocess_gpu', '--multiprocess', action='store_true', dest='multiprocess',
                     help='one process of several that train together, on any kind of device; without the next three '
                          'flags JAX asks SLURM, GKE, the TPU pod or MPI')
  group.add_argument('--coordinator_address', metavar='HOST:PORT', help='where process 0 can be reached')
  group.add_argument('--process_count', type=int, metavar='N', help='how many processes there are')
  group.add_argument('--process_index', type=int, metavar='I', help='which one this is, from 0 on')
  group.add_argument('--heartbeat_timeout_seconds', type=int, metavar='S',
                     help=f'after how long a silent process counts as dead and ends all others (default: {HEARTBEAT})')


def check(args: argparse.Namespace) -> None:
  """Checks that the flags go together.

  Raises:
    UserError: naming the flag and what would be right.
  """
  given = [name for name in _EXPLICIT if getattr(args, name) is not None]
  alone = [*given, *(['heartbeat_timeout_seconds'] if args.heartbeat_timeout_seconds is not None else [])]
  if alone and not args.multiprocess:
    raise UserError(f'--{alone[0]} is for a run of several processes: add --multiprocess_gpu, or leave it out.')
  if given and len(given) < len(_EXPLICIT):
    missing = ' and '.join(f'--{name}' for name in _EXPLICIT if name not in given)
    raise UserError(f'--{given[0]} needs {missing} beside it, e.g. {_EXAMPLE}; give none of the three where JAX can '
                    'ask the cluster.')
  if given:
    _check_explicit(args)
  if args.heartbeat_timeout_seconds is not None and args.heartbeat_timeout_seconds < 1:
    raise UserError(f'--heartbeat_timeout_seconds must be at least 1, not {args.heartbeat_timeout_seconds}.')


def _check_explicit(args: argparse.Namespace) -> None:
  host, _, port = args.coordinator_address.rpartition(':')
  if not host or not port.isdigit() or not 0 < int(port) < 2**16:
    raise UserError(f'--coordinator_address must be HOST:PORT, e.g. 10.0.0.1:8476, not {args.coordinator_address!r}.')
  if args.process_count < 1:
    raise UserError(f'--process_count must be at least 1, not {args.process_count}.')
  if not 0 <= args.process_index < args.process_count:
    raise UserError(f'--process_index must be from 0 to {args.process_count - 1} where --process_count is '
                    f'{args.process_count}, not {args.process_index}.')


def reach(address: str, within: float = PATIENCE) -> None:
  """Waits until something listens at the coordinator's address; JAX would end the process without a word of ours.

  Raises:
    UserError: where nothing does.
  """
  host, _, port = address.rpartition(':')
  deadline = time.monotonic() + within
  while True:
    try:
      socket.create_connection((host.strip('[]'), int(port)), timeout=5).close()
      return
    except OSError as error:
      if isinstance(error, socket.gaierror) or time.monotonic() > deadline:
        raise UserError(f'--coordinator_address: nothing answers at {address} ({error}); it must be where process 0 '
                        f'runs, reachable from here, and process 0 must start within {within:.0f} s.') from error
      time.sleep(0.2)


def join(args: argparse.Namespace) -> None:
  """Joins the other processes, if the flags say that there are any; before JAX looks at its devices.

  Standard output is process 0's alone from then on: what is printed is about the whole run.

  Raises:
    UserError: where the flags do not go together, no cluster is found, or the others cannot be reached.
  """
  check(args)
  if not args.multiprocess:
    return
  import jax

  where = args.coordinator_address
  if args.process_index:
    reach(where)
  try:
    jax.distributed.initialize(where, args.process_count, args.process_index,
                               heartbeat_timeout_seconds=args.heartbeat_timeout_seconds or HEARTBEAT)
  except (ValueError, TypeError) as error:
    raise UserError(f'--multiprocess_gpu: JAX found no cluster to ask ({error}); say where it is, e.g. {_EXAMPLE}.'
                    ) from error
  except RuntimeError as error:
    raise UserError(f'--multiprocess_gpu: process {args.process_index if where else ""} could not join the others at '
                    f'{where or "the address that the cluster gave"} ({_short(error)}); all processes need the same '
                    '--coordinator_address and --process_count, a free port, and a start within five minutes.'
                    ) from error
  if jax.process_index():
    sys.stdout.flush()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # the descriptor: native code prints too
    os.close(silence)


@contextlib.contextmanager
def together(args: argparse.Namespace) -> Iterator[None]:
  """Does the body as one process of however many the flags name.

  Raises:
    UserError: where another process was lost, or `join` says so.
  """
  join(args)
  try:
    yield
  except (UserError, KeyboardInterrupt, SystemExit):
    raise
  except Exception as error:
    if not _joined():
      raise
    if type(error).__name__ == 'JaxRuntimeError' and any(word in str(error).lower() for word in _LOST):
      raise UserError(f'another process of this run stopped answering ({_short(error)}). Start the same command again '
                      'on all hosts, as many as there are now: it continues from the last checkpoint.') from error
    traceback.print_exc()
    leave(1)


def leave(code: int) -> int:
  """Ends a process of several that has failed, at once; otherwise hands the exit code on.

  Left to itself, Python would wait at its end for all other processes, and these for this one.
  """
  if code and _joined():
    sys.stdout.flush()
    sys.stderr.flush()
    _take_leave()
    os._exit(code)
  return code


def _take_leave() -> None:
  """Waits a little for the others: where all fail alike, each has its say before the coordinator is gone."""
  from jax._src import distributed  # what Orbax uses too: the public API has no barrier that can be given up

  client: Any = distributed.global_state.client
  with contextlib.suppress(Exception):  # whatever it is, this process has told its own error and leaves
    client.wait_at_barrier('flan_jax_leaves', 1000 * LEAVE)


def _joined() -> bool:
  jax = sys.modules.get('jax')
  return jax is not None and jax.distributed.is_initialized()


def _short(error: BaseException) -> str:
  return ' '.join(str(error).split())[:200]
