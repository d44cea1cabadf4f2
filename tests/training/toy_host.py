"""One host of a toy run: `python -m tests.training.toy_host <folder> <case> [flags of hosts]`."""

import argparse
import pathlib
import sys
import time

import numpy as np

from flan_jax import cli, cli_distributed
from flan_jax.peft import LoRA
from flan_jax.training import evaluators, hosts, sharding
from tests.training import toy

STEPS = 12


class Slow(toy.CountingBatches):
  """Says which batch it gives, so that a test can act in the middle of a run."""

  def __next__(self):
    print(self.position, file=sys.stderr, flush=True)
    time.sleep(0.1)
    return super().__next__()


class Odd(toy.CountingBatches):
  """Gives a host rows of its own from the fourth batch on."""

  def __next__(self):
    import jax

    batch = super().__next__()
    tokens = batch['decoder_target_tokens']
    return {**batch, 'decoder_target_tokens': np.roll(tokens, jax.process_index() * (self.position > 3), axis=1)}


class Own(toy.CountingBatches):
  """Reads half of every batch, and tells its rows apart by their provenance."""

  @property
  def own_rows(self):
    import jax

    half = self.rows // 2
    return hosts.OwnRows(slice(jax.process_index() * half, (jax.process_index() + 1) * half), self.rows)

  def __next__(self):
    batch = super().__next__()
    return {name: value[self.own_rows.rows] for name, value in
            {**batch, 'provenance': np.arange(self.rows, dtype=np.int32)[:, None]}.items()}  # fmt: skip


def meetings():
  """Counts from now on how often the hosts gather anything: none of them may do so at every step."""
  real, count = hosts.gather, [0]

  def counted(value):
    count[0] += 1
    return real(value)

  hosts.gather = counted
  return count


class Where:
  """Measures which host it runs on."""

  period = 4

  def __init__(self, name):
    self.name = name

  def __call__(self, step, model):
    import jax

    return {'host': float(jax.process_index())}


class Kept(Where):
  """The same from the start."""

  def begin(self, step):
    pass


def options(case):
  held_back = evaluators.LossEvaluator('training_eval/copy', toy.CountingBatches, period=4, eval_steps=2)
  measured = [Where('a'), held_back, Where('b'), Where('c'), Kept('kept')]
  spread = {'partitioner': sharding.Partitioner(num_devices=2), 'checkpoint_period': 4, 'log_period': 2,
            'config_text': case}
  cases = {
    # parameters split over all devices, so that no host has a whole one
    'split': {'partitioner': sharding.Partitioner(2, num_devices=2), 'evaluators': measured, 'method': LoRA(rank=2),
              'keep': 1, 'best_mode': 'min', 'best_metric': 'training_eval/copy/loss'},
    'slow': {'batches': Slow(), 'checkpoint_period': 2, 'config_text': None},
    'poisoned': {'batches': toy.CountingBatches(poison_at=6), 'partitioner': sharding.Partitioner(2, num_devices=2)},
    'poisoned_own': {'batches': Own(poison_at=6)},
    'odd': {'batches': Odd()},
    'few': {'partitioner': sharding.Partitioner(num_devices=1)},
  }  # fmt: skip
  return {**spread, **cases[case]}


def main(argv):
  parser = argparse.ArgumentParser()
  parser.add_argument('folder', type=pathlib.Path)
  parser.add_argument('case')
  cli_distributed.add_flags(parser)
  args = parser.parse_args(argv)

  def body():
    with cli_distributed.together(args):
      steps = 60 if args.case == 'slow' else STEPS
      count = meetings()
      result = toy.run(args.folder, steps, **options(args.case))
      print('meetings', *count, file=sys.stderr)
      print('ended at', result.step, result.interrupted, file=sys.stderr)

  return cli_distributed.leave(cli.run(body))


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
