"""Training on one accelerator against transformers + peft on it: PYTHONPATH=. python benchmarks/device.py.

T5 1.1 in bfloat16 over float32 parameters, full fine-tuning with Adafactor and LoRA (rank 8 on query and value) with
AdamW, on full rows of 512 and 128 tokens (what packing makes of a mixture). The card's bfloat16 matrix rate is measured
first, on a product of 8192 x 8192, and the shares are of that. Every case is a process of its own, the two sides of a
case follow each other in every round. Needs no TensorFlow; `--sides ours` needs no PyTorch.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import sides

SOURCE, TARGET = 512, 128
SHAPES = {
  'tiny': sides.SHAPES['tiny'],
  'base': {'vocab_size': 32128, 'emb_dim': 768, 'num_heads': 12, 'head_dim': 64, 'mlp_dim': 2048,
           'num_encoder_layers': 12, 'num_decoder_layers': 12},
  'large': {'vocab_size': 32128, 'emb_dim': 1024, 'num_heads': 16, 'head_dim': 64, 'mlp_dim': 2816,
            'num_encoder_layers': 24, 'num_decoder_layers': 24},
  'xl': {'vocab_size': 32128, 'emb_dim': 2048, 'num_heads': 32, 'head_dim': 64, 'mlp_dim': 5120,
         'num_encoder_layers': 24, 'num_decoder_layers': 24},
}  # fmt: skip
METHODS = ('full', 'lora')
Step = Callable[[], float]


def rows_of(shape: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns full rows of inputs and targets."""
  random, size = np.random.default_rng(0), SHAPES[shape]['vocab_size']
  return (random.integers(2, size, (rows, SOURCE)).astype(np.int32),
          random.integers(2, size, (rows, TARGET)).astype(np.int32))  # fmt: skip


def ours(args: argparse.Namespace) -> dict[str, Any]:
  """Runs our side and returns its figures."""
  import jax

  from flan_jax.models import T5, T5Config
  from flan_jax.peft import Full, LoRA
  from flan_jax.training import flops, losses, optimizers, sharding
  from flan_jax.training.state import plan_state
  from flan_jax.training.step import make_train_step

  config = T5Config(dtype='bfloat16', dropout_rate=0.0, attention=args.attention, remat_policy=args.remat,
                    scan_layers=args.scan, **SHAPES[args.shape])  # fmt: skip
  method = Full() if args.method == 'full' else LoRA(rank=8, alpha=16.0)
  optimizer = optimizers.adafactor(1e-3) if args.method == 'full' else optimizers.adamw(1e-3)
  plan = plan_state(lambda rngs: T5(config, rngs=rngs), method, optimizer, sharding.Partitioner(num_devices=1), 0)
  step = make_train_step(plan.blueprint, optimizer, losses.LossConfig())
  source, target = rows_of(args.shape, args.rows)
  batch = {'encoder_input_tokens': source, 'decoder_target_tokens': target,
           'decoder_input_tokens': np.pad(target[:, :-1], ((0, 0), (1, 0)))}  # fmt: skip
  batch = sharding.put_batch(batch, sharding.batch_sharding(plan.mesh))
  state = plan.init()

  def run() -> float:
    nonlocal state
    state, metrics = step(state, batch)
    return float(metrics['loss'])

  found = timed(run, args)
  device = jax.devices()[0]
  statistics_of = device.memory_stats() or {}
  return {**found, 'device': device.device_kind, 'flops': flops.step_flops(plan.blueprint, flops.Sizes.of(batch)).total,
          'peak_bytes': statistics_of.get('peak_bytes_in_use')}  # fmt: skip


def theirs(args: argparse.Namespace) -> dict[str, Any]:
  """Runs transformers + peft and returns its figures."""
  import torch
  import transformers

  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  model = sides.their_t5(SHAPES[args.shape])
  model.config.use_cache = False
  if args.method == 'lora':
    model = sides.with_their_lora(model)
  model = model.to(device).train()
  trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
  optimizer: Any = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
  if args.method == 'full':
    optimizer = transformers.optimization.Adafactor(trained, lr=1e-3, relative_step=False)
  source, target = (torch.tensor(part, dtype=torch.long, device=device) for part in rows_of(args.shape, args.rows))

  def run() -> float:
    with torch.autocast(device, dtype=torch.bfloat16):
      loss = model(input_ids=source, attention_mask=torch.ones_like(source), labels=target).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())

  found = timed(run, args)
  return {**found, 'peak_bytes': torch.cuda.max_memory_allocated() if device == 'cuda' else None}


def timed(run: Step, args: argparse.Namespace) -> dict[str, Any]:
  """Runs two steps that are not counted and the ones that are; reading the loss waits for the device."""
  began = time.perf_counter()
  losses = [run(), run()]
  first = time.perf_counter() - began
  seconds = []
  for _ in range(args.steps):
    began = time.perf_counter()
    losses.append(run())
    seconds.append(time.perf_counter() - began)
  if not np.isfinite(losses).all():
    raise SystemExit(f'the loss of {args.shape} {args.method} is not finite: {losses}')
  return {'first_seconds': first, 'seconds': seconds}


def matrix_rate(size: int = 8192) -> float:
  """Returns the card's bfloat16 FLOP/s on a large product."""
  import jax
  import jax.numpy as jnp

  if jax.default_backend() == 'cpu':
    size = 512
  one = jnp.ones((size, size), jnp.bfloat16)
  product = jax.jit(lambda a, b: a @ b)
  product(one, one).block_until_ready()
  rates = []
  for _ in range(10):
    began = time.perf_counter()
    product(one, one).block_until_ready()
    rates.append(2 * size**3 / (time.perf_counter() - began))
  return statistics.median(rates)


def case(side: str, shape: str, method: str, args: argparse.Namespace) -> dict[str, Any]:
  """Runs one case in a process of its own."""
  command = [sys.executable, __file__, '--case', side, '--shape', shape, '--method', method, '--rows', str(args.rows),
             '--steps', str(args.steps), '--attention', args.attention, '--remat', args.remat,
             *(['--scan'] if args.scan else [])]  # fmt: skip
  done = subprocess.run(command, text=True, capture_output=True, check=False)
  if done.returncode:  # out of memory is a result, too
    return {'failed': ' '.join(done.stderr.split())[-200:]}
  return json.loads(done.stdout.splitlines()[-1])


def line(side: str, shape: str, method: str, runs: list[dict[str, Any]], rows: int, rate: float, flops: float) -> str:
  """Returns a line of the table from all rounds of a case."""
  failed = [run['failed'] for run in runs if 'failed' in run]
  if failed:
    return f'{shape:<6}{method:<6}{side:<8} failed: {failed[0]}'
  seconds = [second for run in runs for second in run['seconds']]
  median, peak = statistics.median(seconds), runs[0]['peak_bytes']
  held = 'not known' if peak is None else f'{peak / 1e9:.1f} GB'
  return (f'{shape:<6}{method:<6}{side:<8}{1000 * median:>9.1f} ms ({1000 * min(seconds):.1f} to '
          f'{1000 * max(seconds):.1f}) {rows * (SOURCE + TARGET) / median:>12,.0f} tokens/s '
          f'{100 * flops / median / rate:>6.1f} % of the matrix rate  {held}')  # fmt: skip


def main() -> None:
  """Measures and prints a line for each case."""
  flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  flags.add_argument('--shapes', nargs='+', choices=SHAPES, default=['base', 'large', 'xl'])
  flags.add_argument('--methods', nargs='+', choices=METHODS, default=list(METHODS))
  flags.add_argument('--sides', nargs='+', choices=('ours', 'theirs'), default=['ours', 'theirs'])
  flags.add_argument('--rounds', type=int, default=2)
  flags.add_argument('--rows', type=int, default=16)
  flags.add_argument('--steps', type=int, default=10)
  flags.add_argument('--attention', default='fused')
  flags.add_argument('--remat', default='none')
  flags.add_argument('--scan', action='store_true')
  flags.add_argument('--json', help='a file for all figures')
  flags.add_argument('--case', help='internal: one side in this process')
  flags.add_argument('--shape', help='internal')
  flags.add_argument('--method', help='internal')
  args = flags.parse_args()
  if args.case:
    print(json.dumps({'ours': ours, 'theirs': theirs, 'rate': lambda _: {'rate': matrix_rate()}}[args.case](args)))
    return
  rate = case('rate', 'tiny', 'full', args)['rate']
  print(f'measured bfloat16 matrix rate: {rate / 1e12:.1f} TFLOP/s')
  results: dict[str, Any] = {'rate': rate}
  for shape in args.shapes:
    for method in args.methods:
      found: dict[str, list[dict[str, Any]]] = {side: [] for side in args.sides}
      for _ in range(args.rounds):
        for side, runs in found.items():
          runs.append(case(side, shape, method, args))
      flops = next((run['flops'] for runs in found.values() for run in runs if 'flops' in run), float('nan'))
      for side, runs in found.items():
        print(line(side, shape, method, runs, args.rows, rate, flops), flush=True)
      results[f'{shape} {method}'] = found
  if args.json:
    with open(args.json, 'w', encoding='utf-8') as file:  # noqa: PTH123
      json.dump(results, file, indent=2)


if __name__ == '__main__':
  main()
