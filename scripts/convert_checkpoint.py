"""Converts a model or an adapter between Hugging Face's, T5X's and our files, whichever of them it is.

  python -m scripts.convert_checkpoint --from runs/tuned --to exported                     # a run, for transformers
  python -m scripts.convert_checkpoint --from runs/tuned --to t5x/checkpoint_0 --format=t5x
  python -m scripts.convert_checkpoint --from hf://google/flan-t5-small --to small --format=t5x --dtype=bfloat16
  python -m scripts.convert_checkpoint --from base --adapter runs/lora/adapter --to merged # an adapter, merged
  python -m scripts.convert_checkpoint --from runs/lora/adapter --to for_peft              # an adapter alone, to peft
  python -m scripts.convert_checkpoint --from for_peft --to ours                           # and back

Arrays pass one at a time, are read back and compared, and the folder gets its name when all of it is there. A run that
trained an adapter is merged, which holds it in memory. Training and evaluation read all of these as they are: nothing
has to be converted to start from it. docs/checkpoints.md says what maps to what, docs/peft_interop.md which adapters.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from flan_jax import cli

OF_ADAPTERS, OF_MODELS = ('base_model_name',), ('format', 'dtype', 'adapter', 'model_type', 'vocabulary', 'force')


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  args = parser().parse_args(argv)

  def body() -> None:
    alone = (pathlib.Path(args.source) / 'adapter_config.json').is_file()
    _refuse_useless(args, OF_MODELS if alone else OF_ADAPTERS, 'an adapter' if alone else 'a model')
    (_convert_adapter if alone else _convert_model)(args)

  return cli.run(body)


def _refuse_useless(args: argparse.Namespace, flags: Sequence[str], what: str) -> None:
  from flan_jax.errors import UserError

  given = [f'--{flag}' for flag in flags if getattr(args, flag) is not None]
  if given:
    raise UserError(f'{", ".join(given)} means nothing where {what} is converted, which {args.source} is')


def _convert_adapter(args: argparse.Namespace) -> None:
  from flan_jax.interop import peft_files  # imports JAX: not for --help

  report = peft_files.convert(args.source, args.target, args.base_model_name)
  for note in report.adapter.notes:
    print(f'note: {note}')
  print(f'{args.target}: {report}')


def _convert_model(args: argparse.Namespace) -> None:
  from flan_jax.runs import convert  # imports JAX: not for --help

  done = convert.convert(
    args.source, args.target, format=args.format, dtype=args.dtype, adapter=args.adapter, model_type=args.model_type,
    vocabulary=args.vocabulary, force_adapter=bool(args.force),
  )  # fmt: skip
  for note in done.notes:
    print(f'note: {note}')
  print(done)


def parser() -> argparse.ArgumentParser:
  """Returns the parser of the flags."""
  result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   allow_abbrev=False)  # fmt: skip
  result.add_argument('--from', required=True, dest='source', metavar='PATH', help='a run or checkpoint of ours, a '
                      'model folder of transformers, hf://OWNER/NAME[@REVISION], a checkpoint of T5X, or a folder with '
                      "an adapter of peft's or ours")  # fmt: skip
  result.add_argument('--to', required=True, dest='target', metavar='DIR', help='the folder to write')
  model = result.add_argument_group('for a model')
  model.add_argument('--format', metavar='NAME', help='huggingface, t5x or flan_jax (default: huggingface)')
  model.add_argument('--dtype', metavar='NAME', help='float32, bfloat16 or float16 (default: as stored)')
  model.add_argument('--adapter', metavar='DIR', help='an adapter of ours to merge into the model')
  model.add_argument('--force', action='store_const', const=True, help='merge an adapter into a base other than the '
                     'one it was trained on')  # fmt: skip
  model.add_argument('--model_type', metavar='NAME', help='t5, mt5 or umt5: what a folder of transformers calls itself '
                     '(default: as the source, or by the shape)')  # fmt: skip
  model.add_argument('--vocabulary', metavar='PATH', help='the tokenizer for a folder of transformers: a model folder, '
                     "or a SentencePiece file (default: what the source has)")  # fmt: skip
  adapter = result.add_argument_group('for an adapter')
  adapter.add_argument('--base_model_name', metavar='NAME', help="the base model, peft's base_model_name_or_path "
                       '(default: what the config says)')  # fmt: skip
  return result


if __name__ == '__main__':
  sys.exit(main())
