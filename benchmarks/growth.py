"""How cost grows: time of a step, of its compilation, and memory, as one size of the model or the batch grows.

  python benchmarks/growth.py                                  # all sizes, from a small T5 1.1
  python benchmarks/growth.py --axes layers rank --rounds=3 --json=growth.json
  python benchmarks/growth.py --scan both                      # layers unrolled and scanned, side by side
  python benchmarks/growth.py --axes rank --values 0 8 --cache=DIR  # twice: what a cache leaves of compiling

Each line changes one size of the base (all of it by flags) and leaves the rest. `compile` is tracing and compiling a
program, without a cache unless --cache names one, `step` the median of the steps after the first, `program` what XLA
says that the compiled step needs on a device (state and batch, and in brackets what it needs meanwhile), `peak` the
most memory of the device while it ran, or on a CPU of the process, everything that it holds included. Options are
scored, not trained. Every step is timed by itself, so a busy machine shows in the range.
"""

import argparse
import dataclasses
import gc
import json
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from flan_jax import peft
from flan_jax.comparison.memory import Peak, compile_step, step_memory
from flan_jax.models import T5, T5Config, scoring
from flan_jax.peft.partition import make_blueprint
from flan_jax.training import flops, losses, optimizers, sharding
from flan_jax.training.state import plan_state

AXES: dict[str, tuple[int, ...]] = {
  'layers': (2, 4, 8, 16), 'width': (128, 256, 512, 1024), 'length': (64, 128, 256, 512), 'batch': (2, 4, 8, 16),
  'vocabulary': (4096, 32128, 131072, 250112), 'rank': (0, 4, 16, 64), 'options': (1, 2, 4, 8),
}  # fmt: skip
OPTIMIZERS: dict[str, Any] = {'adafactor': optimizers.adafactor, 'adamw': optimizers.adamw}


@dataclasses.dataclass(frozen=True)
class Case:
  """One measurement: the sizes, the length of the inputs (targets have a quarter of it), and what trains.

  Attributes:
    rank: of LoRA on queries and values; 0 trains everything.
    options: to score for each input; 0 trains.
    scan: whether layers are scanned.
  """

  layers: int
  width: int
  length: int
  batch: int
  vocabulary: int
  rank: int = 0
  options: int = 0
  scan: bool = False
  remat: str = 'none'
  dtype: str = 'float32'
  dropout: float = 0.1
  optimizer: str = 'adafactor'

  def config(self) -> T5Config:
    """The model."""
    return T5Config(vocab_size=self.vocabulary, emb_dim=self.width, num_heads=max(1, self.width // 64), head_dim=64,
                    mlp_dim=2 * self.width, num_encoder_layers=self.layers, num_decoder_layers=self.layers,
                    dropout_rate=self.dropout, dtype=self.dtype, scan_layers=self.scan, remat_policy=self.remat)

  def tokens(self, rows: int, length: int) -> np.ndarray:
    """Random ids, without padding."""
    return np.random.default_rng(0).integers(2, self.vocabulary, (rows, length)).astype(np.int32)

  def data(self) -> dict[str, np.ndarray]:
    """A batch to train on."""
    targets = self.tokens(self.batch, max(1, self.length // 4))
    return {'encoder_input_tokens': self.tokens(self.batch, self.length), 'decoder_target_tokens': targets,
            'decoder_input_tokens': np.pad(targets[:, :-1], ((0, 0), (1, 0)))}


def times(step: Callable[[], Any], rounds: int) -> list[float]:
  """Milliseconds of every run after the first."""
  found = []
  for _ in range(rounds + 1):
    began = time.perf_counter()
    jax.block_until_ready(step())
    found.append(1000.0 * (time.perf_counter() - began))
  return found[1:]


def train(case: Case, rounds: int) -> dict[str, Any]:
  """Measures a training step."""
  method: peft.Method = peft.LoRA(rank=case.rank) if case.rank else peft.Full()
  config, optimizer, loss = case.config(), OPTIMIZERS[case.optimizer](1e-3), losses.LossConfig()
  plan = plan_state(lambda rngs: T5(config, rngs=rngs), method, optimizer, sharding.Partitioner(num_devices=1), 0)
  began = time.perf_counter()
  compiled, arrays = compile_step(plan, method, optimizer, loss, case.data())
  took = time.perf_counter() - began
  state, peak = plan.init(), Peak()

  def step() -> Any:
    nonlocal state
    state, metrics = compiled(state, arrays)
    return metrics

  work = flops.of_step(plan.blueprint, arrays)
  return {**result(times(step, rounds), took, compiled, peak), 'model_flops': work}


def score(case: Case, rounds: int) -> dict[str, Any]:
  """Measures the scoring of the options of a batch, the encoder running once an input."""
  model = T5(case.config(), rngs=nnx.Rngs(0))
  blueprint = make_blueprint(model, nnx.Param)
  params, _ = blueprint.split(model)
  length = max(1, case.length // 4)
  inputs = jnp.asarray(case.tokens(case.batch, case.length))
  options = jnp.asarray(case.tokens(case.batch * case.options, length).reshape(case.batch, case.options, length))
  began = time.perf_counter()
  program = jax.jit(lambda params, inputs, options: scoring.option_log_likelihoods(blueprint.merge(params), inputs,
                                                                                    options))
  compiled = program.lower(params, inputs, options).compile()
  took, peak = time.perf_counter() - began, Peak()
  sizes = flops.Sizes(case.batch, case.length, case.batch * case.options, length)
  work = flops.forward_flops(blueprint, sizes)
  return {**result(times(lambda: compiled(params, inputs, options), rounds), took, compiled, peak),
          'model_flops': work}


def result(steps: list[float], compile_seconds: float, compiled: Any, peak: Peak) -> dict[str, Any]:
  """What both measurements tell."""
  memory = step_memory(compiled)
  return {'compile_s': compile_seconds, 'steps_ms': steps, 'argument_bytes': memory['argument'],
          'temp_bytes': memory['temp'], 'peak_bytes': peak.read()[0], 'peak_of': peak.read()[1]}


def cases(base: Case, axes: Sequence[str], values: Sequence[int] | None, scans: Sequence[bool]) -> Iterator[
    tuple[str, int, Case]]:
  """All lines of all tables, in their order."""
  for axis in axes:
    for value in values or AXES[axis]:
      for scan in scans:
        sizes: dict[str, Any] = {axis: value, 'scan': scan}
        yield axis, value, dataclasses.replace(base, **sizes)


def line(value: int, case: Case, found: dict[str, Any]) -> str:
  """One line of a table."""
  steps, megabytes = found['steps_ms'], 2.0**20
  median = statistics.median(steps)
  peak = '-' if found['peak_bytes'] is None else f'{found["peak_bytes"] / megabytes:,.0f}'
  scan = 'scanned' if case.scan else 'unrolled'
  program = f'{found["argument_bytes"] / megabytes:,.0f} ({found["temp_bytes"] / megabytes:,.0f})'
  rate = found['model_flops'] / median / 1e6
  spread = f'{min(steps):.1f} to {max(steps):.1f}'
  return (f'{value:>10}{scan:>10}{found["compile_s"]:>11.1f}{median:>10.1f}{spread:>20}'
          f'{program:>18}{peak:>12}{rate:>12.1f}')


def main() -> None:
  """Measures and prints a table for every size."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--axes', nargs='+', choices=AXES, default=list(AXES), help='what grows')
  parser.add_argument('--values', nargs='+', type=int, help='instead of those of the axes')
  parser.add_argument('--scan', choices=('on', 'off', 'both'), default='off', help='scan over layers')
  parser.add_argument('--remat', default='none', help='T5Config.remat_policy')
  parser.add_argument('--dropout', type=float, default=0.1)
  parser.add_argument('--optimizer', choices=OPTIMIZERS, default='adafactor')
  parser.add_argument('--cache', help='a folder of compiled programs to read and fill')
  for name, value in (('layers', 4), ('width', 256), ('length', 128), ('batch', 4), ('vocabulary', 32128)):
    parser.add_argument(f'--{name}', type=int, default=value, help='of the base (%(default)s)')
  parser.add_argument('--dtype', default='float32')
  parser.add_argument('--rounds', type=int, default=7, help='steps that count')
  parser.add_argument('--json', help='a file for the figures')
  args = parser.parse_args()
  jax.config.update('jax_enable_compilation_cache', args.cache is not None)
  jax.config.update('jax_compilation_cache_dir', args.cache)
  base = Case(args.layers, args.width, args.length, args.batch, args.vocabulary, remat=args.remat, dtype=args.dtype,
              dropout=args.dropout, optimizer=args.optimizer)  # fmt: skip
  scans = {'on': [True], 'off': [False], 'both': [False, True]}[args.scan]
  print(f'{base}\n{jax.devices()[0].device_kind}; jax {jax.__version__}')
  results, title = [], ''
  for axis, value, case in cases(base, args.axes, args.values, scans):
    if axis != title:
      title = axis
      print(f'\n{axis:>10}{"":>10}{"compile s":>11}{"step ms":>10}{"range":>20}{"program MiB":>18}{"peak MiB":>12}'
            f'{"GFLOP/s":>12}    load average {os.getloadavg()[0]:.1f}')
    found = score(case, args.rounds) if case.options else train(case, args.rounds)
    print(line(value, case, found), flush=True)
    results.append({'axis': axis, 'value': value, **dataclasses.asdict(case), **found})
    jax.clear_caches()
    gc.collect()
  if args.json:
    pathlib.Path(args.json).write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
  main()
