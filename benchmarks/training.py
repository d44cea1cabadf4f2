"""A training step against transformers + peft on PyTorch: PYTHONPATH=. python benchmarks/training.py.

Full fine-tuning with AdamW, LoRA (rank 8 on query and value) and prompt tuning (100 positions before the encoder's
tokens), in float32 without dropout, on batches of 8 inputs of 128 tokens and targets of 32. Both programs have the same
weights, run on the same threads, in turn in every round, and must agree on the losses of the first steps before
anything is timed (adapters start apart: of LoRA's, the first loss is compared, of prompts none). Peak memory is the
resident set of a process of its own for each side, which does five steps.
"""

import pathlib
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import sides

ROWS, SOURCE, TARGET = 8, 128, 32
METHODS = ('full', 'lora', 'prompt')
AGREE = {'full': 2e-4, 'lora': 2e-4}  # relative, of the losses of three steps
STEPS_OF_PEAK = 5


def batch(vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns inputs and targets without padding."""
  random = np.random.default_rng(0)
  return random.integers(2, vocab_size, (ROWS, SOURCE)), random.integers(2, vocab_size, (ROWS, TARGET))


def our_step(shape: str, method: str, params: dict[str, Any] | None = None) -> Callable[[], float]:
  """Returns a function that does one more update and returns the loss before it."""
  import jax

  from flan_jax.models import T5, T5Config
  from flan_jax.peft import Full, LoRA, PromptTuning
  from flan_jax.training import losses, optimizers, sharding
  from flan_jax.training.state import plan_state
  from flan_jax.training.step import make_train_step

  config = T5Config(dtype='float32', dropout_rate=0.0, **sides.SHAPES[shape])
  methods = {'full': Full(), 'lora': LoRA(rank=8, alpha=16.0), 'prompt': PromptTuning(length=100)}
  optimizer = optimizers.adamw(1e-3, clip_norm=None)
  plan = plan_state(lambda rngs: T5(config, rngs=rngs), methods[method], optimizer,
                    sharding.Partitioner(num_devices=1), 0)  # fmt: skip
  step = make_train_step(plan.blueprint, optimizer, losses.LossConfig(z_loss=0.0))
  # `start` takes its argument's buffers over, so it gets copies.
  state = plan.init() if params is None else plan.start(jax.tree.map(lambda value: value.copy(), params))
  source, target = (part.astype(np.int32) for part in batch(config.vocab_size))
  rows = {'encoder_input_tokens': source, 'decoder_target_tokens': target,
          'decoder_input_tokens': np.pad(target[:, :-1], ((0, 0), (1, 0)))}  # fmt: skip
  rows = sharding.put_batch(rows, sharding.batch_sharding(plan.mesh))

  def run() -> float:
    nonlocal state
    state, metrics = step(state, rows)
    return float(metrics['loss']) / (ROWS * TARGET)

  return run


def their_step(shape: str, method: str, model: Any) -> Callable[[], float]:
  """The same of transformers and peft."""
  import peft
  import torch

  if method == 'lora':
    model = sides.with_their_lora(model)
  elif method == 'prompt':
    model = peft.get_peft_model(model, peft.PromptTuningConfig(
      num_virtual_tokens=100, task_type='SEQ_2_SEQ_LM', num_transformer_submodules=1))  # fmt: skip
  model.eval()  # which is only to say without dropout
  model.config.use_cache = False  # a training step needs none, and it costs time
  trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
  optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
  source, target = (torch.tensor(part) for part in batch(sides.SHAPES[shape]['vocab_size']))
  seen = torch.ones_like(source)

  def run() -> float:
    loss = model(input_ids=source, attention_mask=seen, labels=target).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())

  return run


def ways(shape: str, method: str) -> dict[str, Callable[[], float]]:
  """Returns both sides, checked to lose the same."""
  from flan_jax.interop.huggingface import base_parameters

  ours, theirs = sides.pair(**sides.SHAPES[shape])
  theirs.requires_grad_(True)
  steps = {'flan_jax': our_step(shape, method, dict(base_parameters(ours))),
           'transformers + peft': their_step(shape, method, theirs)}  # fmt: skip
  found = {name: [step() for _ in range(3)] for name, step in steps.items()}
  if method in AGREE:
    one, other = found.values()
    np.testing.assert_allclose(one[:1], other[:1], rtol=AGREE[method])
    if method == 'full':  # the adapters start apart: PEFT draws its own
      np.testing.assert_allclose(one, other, rtol=AGREE[method])
  return steps


def peak(side: str, shape: str, method: str, threads: int) -> float:
  """Returns the peak resident set of a process that does a few steps, in MB."""
  command = [sys.executable, __file__, '--peak_of', side, '--shapes', shape, '--methods', method,
             '--threads', str(threads)]  # fmt: skip
  done = subprocess.run(command, check=True, text=True, capture_output=True)
  return float(done.stdout.split()[-1])


def run_for_peak(side: str, shape: str, method: str) -> None:
  """Does the steps of one side in this process and prints the peak."""
  step = our_step(shape, method) if side == 'ours' else their_step(shape, method, sides.their_t5(sides.SHAPES[shape]))
  for _ in range(STEPS_OF_PEAK):
    step()
  # Not `ru_maxrss`, which begins at what the parent process had.
  status = pathlib.Path('/proc/self/status').read_text(encoding='ascii')
  print(int(re.search(r'VmHWM:\s+(\d+)', status)[1]) / 1024)  # type: ignore[index]


def main() -> None:
  """Measures and prints a table for each shape and method."""
  flags = sides.parser(__doc__)
  flags.add_argument('--methods', nargs='+', choices=METHODS, default=list(METHODS))
  flags.add_argument('--peak_of', choices=('ours', 'theirs'), help='internal: one side, for its memory')
  args = flags.parse_args()
  if args.peak_of == 'theirs':
    sides.use_threads(args.threads)
  if args.peak_of:
    run_for_peak(args.peak_of, args.shapes[0], args.methods[0])
    return
  sides.use_threads(args.threads)
  results: dict[str, Any] = {}
  for shape in args.shapes:
    for method in args.methods:
      found = sides.in_turns(ways(shape, method), args.rounds)
      sides.show(f'{shape}, {method}: {ROWS} x {SOURCE} / {TARGET} tokens, {args.threads} threads', found,
                 ROWS * (SOURCE + TARGET), 'tokens')  # fmt: skip
      memory = {side: peak(side, shape, method, args.threads) for side in ('ours', 'theirs')}
      print(f'peak resident set: {memory["ours"]:,.0f} MB, theirs {memory["theirs"]:,.0f} MB, '
            f'ratio {memory["ours"] / memory["theirs"]:.2f}', flush=True)
      results[f'{shape} {method}'] = {'times': found, 'peak_mb': memory}
  sides.write(args.json, results)


if __name__ == '__main__':
  main()
