"""What benchmarks against transformers share: the same weights in both programs, the same threads, sides in turn."""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
  from flan_jax.models import T5

Ways = Mapping[str, Callable[[], object]]
SHAPES = {
  'tiny': {'vocab_size': 1000, 'emb_dim': 128, 'num_heads': 4, 'head_dim': 32, 'mlp_dim': 256,
           'num_encoder_layers': 2, 'num_decoder_layers': 2},
  'small': {'vocab_size': 32128, 'emb_dim': 512, 'num_heads': 6, 'head_dim': 64, 'mlp_dim': 1024,
            'num_encoder_layers': 8, 'num_decoder_layers': 8},
}  # fmt: skip


def parser(description: str | None) -> argparse.ArgumentParser:
  """Returns a parser with the flags that all of them have."""
  made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
  made.add_argument('--shapes', nargs='+', choices=SHAPES, default=list(SHAPES))
  made.add_argument('--rounds', type=int, default=7, help='that count; one before them compiles and does not')
  made.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)), help='of both programs')
  made.add_argument('--json', help='a file for the figures of every round')
  return made


def use_threads(count: int) -> None:
  """Gives both programs so many threads; to be called before JAX computes anything."""
  import torch

  os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])  # XLA takes a thread a core
  torch.set_num_threads(count)


def pair(**sizes: Any) -> tuple['T5', Any]:
  """Returns our T5 1.1 in float32 and that of transformers, with one set of random weights."""
  from flan_jax.models import T5Config
  from tests.interop.reference import reference, torch, with_weights_of

  threads = torch.get_num_threads()
  config = T5Config(dtype='float32', dropout_rate=0.0, **sizes)
  theirs = reference(config, 't5')
  torch.set_num_threads(threads)  # `reference` is of the tests, which take one
  return with_weights_of(theirs, config), theirs


def their_t5(sizes: Mapping[str, Any]) -> Any:
  """Returns transformers' T5 1.1 with random weights and a head of its own, in a process that need not see JAX."""
  import torch
  import transformers

  model = transformers.T5ForConditionalGeneration(transformers.T5Config(
    vocab_size=sizes['vocab_size'], d_model=sizes['emb_dim'], d_kv=sizes['head_dim'], d_ff=sizes['mlp_dim'],
    num_layers=sizes['num_encoder_layers'], num_decoder_layers=sizes['num_decoder_layers'],
    num_heads=sizes['num_heads'], feed_forward_proj='gated-gelu', dropout_rate=0.0,
    decoder_start_token_id=0))  # fmt: skip
  model.config.tie_word_embeddings = False  # transformers 5 ties it whatever the config says
  model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
  return model


def with_their_lora(model: Any) -> Any:
  """Returns their model with peft's LoRA of rank 8 on query and value."""
  import peft

  return peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, target_modules=['q', 'v'], lora_dropout=0.0,
                                                    task_type='SEQ_2_SEQ_LM'))  # fmt: skip


def in_turns(ways: Ways, rounds: int) -> dict[str, dict[str, Any]]:
  """Runs all ways in turn in every round.

  Returns:
    For each way, the wall seconds of the first run (`first`, compilation included) and of the counted ones (`seconds`).
  """
  found: dict[str, dict[str, Any]] = {name: {'seconds': []} for name in ways}
  for round_number in range(rounds + 1):
    print(f'round {round_number} of {rounds}', file=sys.stderr, flush=True)
    for name, way in ways.items():
      began = time.perf_counter()
      way()
      took = time.perf_counter() - began
      if round_number:
        found[name]['seconds'].append(took)
      else:
        found[name]['first'] = took
  return found


def show(title: str, found: Mapping[str, Mapping[str, Any]], amount: int, unit: str) -> None:
  """Prints a line for each way: its time, its speed, and how many times the first way's time it took in a round.

  Args:
    title: of the table.
    found: from `in_turns`.
    amount: what one run works off.
    unit: of the amount.
  """
  ours = next(iter(found.values()))['seconds']
  print(f'\n{title}; load average {os.getloadavg()[0]:.1f}')
  print(f'{"":<28}{"first s":>9}{"median s":>10}{"range":>18}{unit + "/s":>12}{"ratio":>8}{"range":>15}')
  for name, figures in found.items():
    seconds = figures['seconds']
    ratios = [theirs / own for theirs, own in zip(seconds, ours, strict=True)]
    median = statistics.median(seconds)
    print(f'{name:<28}{figures["first"]:>9.2f}{median:>10.3f}{f"{min(seconds):.3f} to {max(seconds):.3f}":>18}'
          f'{amount / median:>12.1f}{statistics.median(ratios):>8.2f}{f"{min(ratios):.2f} to {max(ratios):.2f}":>15}',
          flush=True)


def write(path: str | None, results: Mapping[str, Any]) -> None:
  """Writes all figures, where a file was asked for."""
  if path:
    pathlib.Path(path).write_text(json.dumps(results, indent=2) + '\n')
