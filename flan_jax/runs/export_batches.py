"""A mixture as packed rows of tokens in files, for machines that train without TensorFlow."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import seqio

from flan_jax.data import iterator, provenance, registry
from flan_jax.data.vocabulary import identity_of, use_vocabulary
from flan_jax.errors import UserError
from flan_jax.exported import format, writer
from flan_jax.peft import Full, Method
from flan_jax.runs import mixing, parts, plan
from flan_jax.runs.example_counter import counter_of
from flan_jax.runs.tokenizer_kept import tokenizer_files
from flan_jax.training import example_counts
from flan_jax.versions import package_versions

_ROWS = 64  # that tf.data hands over at once


def export_batches(
  *,
  export_dir: str,
  mixture_or_task_name: str | Sequence[str],
  task_feature_lengths: Mapping[str, int],
  vocabulary: seqio.Vocabulary,
  method: Method | None = None,
  mixture_or_task_module: str | Sequence[str] = parts.TASK_MODULES,
  split: str = 'train',
  num_rows: int | None = None,
  rows_per_shard: int = 8192,
  pack: bool = True,
  use_cached_tasks: bool = False,
  skip_unavailable: bool = False,
  random_seed: int = 0,
  dry_run: bool = False,
) -> format.Index | None:
  """Writes the rows that training on a task or mixture would see, from its beginning.

  Args:
    export_dir: the folder; it appears when all of it is written.
    mixture_or_task_name: a task, a mixture, or several, which are mixed examples-proportionally.
    task_feature_lengths: lengths of `inputs` and `targets` in tokens.
    vocabulary: of the tasks; its files are kept beside the rows.
    method: leave room for its soft prompts in packed rows.
    mixture_or_task_module: modules to import, which register the tasks.
    split: which rows.
    num_rows: how many (packed) rows; None writes examples until the first of the tasks has given all its rows: a
      whole task, and of a mixture as much as there is without repeating a row.
    rows_per_shard: of a file.
    pack: several examples to a row.
    use_cached_tasks: read SeqIO's offline caches.
    skip_unavailable: leave out tasks without rows on disk, a line for each.
    random_seed: of templates and order.
    dry_run: say what would be written, and write nothing.

  Returns:
    The index; None of a dry run.
  """
  for name, value in (('EXPORT_ROWS', 1 if num_rows is None else num_rows), ('ROWS_PER_SHARD', rows_per_shard)):
    if value < 1:
      raise UserError(f'{name} must be at least 1, not {value}.')
  parts.use_tasks(mixture_or_task_module)
  use_vocabulary(vocabulary)
  parts.vocabulary_size(vocabulary)  # reads its file, or says why it cannot
  prompts = dict((method or Full()).prompt_lengths) if pack else {}
  named = [mixture_or_task_name] if isinstance(mixture_or_task_name, str) else mixture_or_task_name
  mixture, left_out = parts.mixture_of(named, split, skip_unavailable=skip_unavailable)
  if use_cached_tasks:
    parts.check_cached(mixture)
  parts.check_split([mixture], split)
  print(f'exporting {mixture} ({split}):', *plan.training_rows(mixture, split, brief=True), *left_out, sep='\n')
  examples = None if num_rows is not None else _one_pass(mixture, split)
  print(f'{num_rows:,} rows' if examples is None else f'rows of {examples:,} examples', 'to', export_dir)
  if dry_run:
    return None
  stream = iterator.batches(mixture, task_feature_lengths, _ROWS, seed=random_seed, split=split, pack=pack,
                            use_cached=use_cached_tasks, prompts=prompts)
  facts = {
    'lengths': dict(task_feature_lengths), 'packed': pack, 'prompts': prompts, 'mixture': mixture, 'split': split,
    'tasks': registry.tasks_of(mixture), 'seed': random_seed, 'versions': package_versions(),
    'vocabulary': format.Vocabulary(type(vocabulary).__name__, vocabulary.vocab_size, identity_of(vocabulary)),
  }  # fmt: skip
  files, not_kept = tokenizer_files(vocabulary)
  index = writer.write(export_dir, _until(stream, num_rows, examples), rows_per_shard=rows_per_shard,
                       count=counter_of(registry.tasks_of(mixture)), facts=facts,
                       files={mixing.FILE: mixing.text(mixture, split, left_out), **files})
  print(*summary(index), *not_kept, sep='\n')
  return index


def summary(index: format.Index) -> list[str]:
  """Says what an export holds, in lines."""
  size = sum(shard.bytes for shard in index.shards)
  examples, truncated = (index.counts.get(name, 0) for name in (example_counts.EXAMPLES, example_counts.TRUNCATED))
  padding = ', '.join(f'{100 * share:.1f} % of {side}' for side, share in index.padding.items())
  return [f'{index.rows:,} rows in {len(index.shards):,} files, {size / 1e6:,.1f} MB; {examples:,} examples, '
          f'{truncated:,} of them cut; padding: {padding}',
          *example_counts.tell(example_counts.by_task(index.counts))]


def _one_pass(mixture: str, split: str) -> int:
  """The examples after which the first of the tasks has given all its rows, and would begin again."""
  return math.ceil(min(part.rows / part.share for part in mixing.mixed(mixture, split)))


def _until(stream: Iterator[dict[str, np.ndarray]], rows: int | None, examples: int | None
           ) -> Iterator[dict[str, np.ndarray]]:  # fmt: skip
  """Ends an endless stream after so many rows, or with the row that completes so many examples."""
  for batch in stream:
    size = len(batch[provenance.FEATURE])
    if rows is not None:
      take, rows = min(size, rows), rows - size
      last = rows <= 0
    else:
      assert examples is not None
      records = batch[provenance.FEATURE].reshape(size, -1, provenance.WIDTH)
      held = np.cumsum(np.count_nonzero(records[:, :, 0], axis=1))
      last = bool(held[-1] >= examples)
      take = int(np.searchsorted(held, examples)) + 1 if last else size
      examples -= int(held[-1])
    yield {name: values[:take] for name, values in batch.items()}
    if last:
      return
