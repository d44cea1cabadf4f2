"""Fine-tunes a T5 on a SeqIO task or mixture; run again, it continues where it stopped.

  python -m scripts.train --gin_file=models/t5_1_1_tiny.gin --gin.MIXTURE_OR_TASK_NAME=sst2 \\
      --gin.TRAIN_STEPS=300 --gin.MODEL_DIR=/tmp/run --tfds_data_dir=DIR

MODEL_DIR gets checkpoint_<step>/ (weights, optimizer, position in the data), config.gin, model-info.txt,
metrics.jsonl and TensorBoard events. With --gin_file=peft/lora.gin only an adapter trains; MODEL_DIR/adapter/ then
holds it alone, a few megabytes that evaluate and infer put on the base model by --gin.ADAPTER_PATH. --dry_run shows
the rows, shapes and parameters of a run and writes nothing. --profile=10-14 traces those steps for TensorBoard. The
same command on every host, with --multiprocess_gpu, trains on all of them together (docs/scaling.md).

With --gin.EXPORTED_BATCHES=DIR it trains on rows that scripts.export_batches wrote, and needs no TensorFlow, SeqIO or
TFDS; its macros are those of runs/finetune_exported.gin.
"""

import sys
from collections.abc import Sequence

from flan_jax import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the script and returns its exit code."""
  return cli.main(__doc__, 'runs.finetune', argv, takes_profile=True, takes_hosts=True,
                  without_tensorflow=('EXPORTED_BATCHES', 'runs.finetune_exported'))


if __name__ == '__main__':
  sys.exit(main())
