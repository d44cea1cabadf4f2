"""The main job on embedded data, with no network: build the suite, tune with clusters held out, judge, adapt by LoRA.

  python -m scripts.quickstart --model_dir runs/quickstart

Run again, it continues where it stopped. It is experiments/quickstart.gin and then experiments/quickstart_lora.gin.
"""

import argparse
import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from flan_jax import cli

TUNED = 'nli/tuned/stage_2'  # where experiments/quickstart.gin leaves the instruction-tuned model


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--model_dir', default='runs/quickstart', help='where everything goes (default: %(default)s)')
  parser.add_argument('--seed', type=int, default=0, help='of weights and of the order of examples (default: 0)')
  cli.add_no_compilation_cache(parser)
  args = parser.parse_args(argv)
  # At this size one thread trains as fast as two, and leaves the other core to the input pipeline.
  os.environ.setdefault('XLA_FLAGS', '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1')
  return cli.run(lambda: run(pathlib.Path(args.model_dir), args.seed), cache=args.compilation_cache)


def run(model_dir: pathlib.Path, seed: int) -> None:
  """Builds the suite, runs both experiments, and says where everything lies."""
  began = time.monotonic()
  data_dir, folder = model_dir / 'tfds', model_dir / f'seed_{seed}'
  build_suite(data_dir)
  print(f'\nInstruction tuning with NLI and paraphrase held out, then the same without instructions [{folder}]')
  experiment('zero_shot', 'quickstart', data_dir, seed, MODEL_DIR=folder)
  print(f'\nOne new task, negated NLI, by LoRA on the tuned model [{folder / "lora"}]')
  experiment('adapt', 'quickstart_lora', data_dir, seed, MODEL_DIR=folder / 'lora', CHECKPOINT_PATH=folder / TUNED)
  print(_last_words(folder, time.monotonic() - began))


def build_suite(data_dir: pathlib.Path) -> None:
  """Generates the datasets that the data dir lacks."""
  with cli.quiet_imports():
    from tasks.quickstart import builder
  began = time.monotonic()
  try:
    data_dir.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise cli.UserError(f'--model_dir: cannot write to {data_dir}: {error.strerror}.') from error
  made = builder.prepare(data_dir)
  made_now = f'{len(made)} datasets generated' if made else 'nothing to generate, all datasets are there'
  print(f'The embedded suite: {made_now} [{data_dir}, {time.monotonic() - began:.0f} s]')


def experiment(run_name: str, name: str, data_dir: pathlib.Path, seed: int, **macros: Any) -> Any:
  """Does what the script of a run would do with an experiment's file and these macros."""
  flags = [f'--gin_file=experiments/{name}.gin', f'--tfds_data_dir={data_dir}', f'--gin.RANDOM_SEED={seed}',
           *(f'--gin.{macro}={value}' for macro, value in macros.items())]
  args = cli.parse_args(cli.parser(None, f'runs/{run_name}.gin'), flags)
  cli.load_gin(args)
  return cli.call(f'runs.{run_name}', args)


def _last_words(folder: pathlib.Path, seconds: float) -> str:
  return f"""
Done in {seconds / 60:.1f} minutes.
  report        {folder}/report.html (tables, picture and configuration in one file)
  picture       {folder}/heldout.png
  numbers       {folder}/results.json, {folder}/lora/adaptation.json; every answer in {folder}/predictions/
  checkpoints   {folder}/{TUNED} and the adapter alone in {folder}/lora/run/adapter
Next:
  ask the model yourself:
    echo "Text: Anna is in the park. Statement: Anna is in the kitchen. Is the statement false? OPTIONS: - yes - no" \\
      > prompts.txt
    python -m scripts.infer --gin_file=models/quickstart.gin --gin.CHECKPOINT_PATH={folder}/{TUNED} \\
      --gin.INPUT_FILE=prompts.txt --gin.INFER_OUTPUT_DIR={folder}/infer
  another seed: python -m scripts.quickstart --seed=1
  real datasets and T5's own sizes: docs/real_data.md"""


if __name__ == '__main__':
  sys.exit(main())
