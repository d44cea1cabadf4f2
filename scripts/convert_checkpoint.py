"""Converts an adapter for T5 between Hugging Face's peft and flan_jax, whichever of the two it is.

  python -m scripts.convert_checkpoint --from runs/lora/adapter --to for_peft --base_model_name google/flan-t5-small
  python -m scripts.convert_checkpoint --from for_peft --to runs/lora/again

LoRA, rsLoRA, DoRA, IA3, soft prompts and norms can be converted; docs/peft_interop.md says what cannot. Neither peft
nor a model is needed. Whole models cannot be converted yet.
"""

import argparse
import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  args = parser().parse_args(argv)

  def body() -> None:
    from flan_jax.interop import peft_files  # imports JAX: not for --help

    report = peft_files.convert(args.source, args.target, args.base_model_name)
    for note in report.adapter.notes:
      print(f'note: {note}')
    print(f'{args.target}: {report}')

  return cli.run(body)


def parser() -> argparse.ArgumentParser:
  """Returns the parser of the flags."""
  result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   allow_abbrev=False)  # fmt: skip
  result.add_argument('--from', required=True, dest='source', metavar='DIR', help="a folder with an adapter of either")
  result.add_argument('--to', required=True, dest='target', metavar='DIR', help='the folder to write')
  result.add_argument('--base_model_name', metavar='NAME', help="the base model, peft's base_model_name_or_path "
                      '(default: what the config says)')  # fmt: skip
  return result


if __name__ == '__main__':
  sys.exit(main())
