"""A small export, made without TensorFlow: rows of two examples each, told apart by their numbers."""

import numpy as np

from flan_jax.data import provenance
from flan_jax.exported import format, writer
from flan_jax.runs.example_counter import counter_of

TASKS = ('copying', 'counting')
LENGTHS = {'inputs': 8, 'targets': 6}


def row(number):
  """Row `number` of an export: two examples of two tokens and EOS, and padding."""
  tokens = np.array([number % 20 + 2, number // 20 + 2, 1] * 2, np.int32)
  segments, positions = np.repeat([1, 2], 3).astype(np.int32), np.tile(np.arange(3), 2).astype(np.int32)
  records = [[provenance.task_id(task), *(field + provenance.SHIFT for field in (0, 0, number, flags, 0, 0))]
             for task, flags in zip(TASKS, (0, provenance.INPUTS_TRUNCATED), strict=True)]
  targets = {'target_tokens': tokens, 'input_tokens': np.where(positions == 0, 0, np.roll(tokens, 1)),
             'loss_weights': np.ones(6, np.int32), 'segment_ids': segments, 'positions': positions}
  encoder = {'input_tokens': tokens, 'segment_ids': segments, 'positions': positions}
  return {**{f'decoder_{name}': values.astype(np.int32) for name, values in targets.items()},
          **{f'encoder_{name}': np.pad(values, (0, 2)).astype(np.int32) for name, values in encoder.items()},
          provenance.FEATURE: np.array(records, np.int32).reshape(-1)}


def batches(rows, size=7):
  """Rows in batches, the last one short."""
  for start in range(0, rows, size):
    found = [row(number) for number in range(start, min(start + size, rows))]
    yield {name: np.stack([values[name] for values in found]) for name in found[0]}


def export(folder, rows=40, rows_per_shard=16, source=None, **changes):
  """Writes it; returns its index."""
  facts = {'lengths': LENGTHS, 'packed': True, 'prompts': {}, 'mixture': 'made', 'tasks': list(TASKS), 'split': 'train',
           'seed': 0, 'versions': {}, 'vocabulary': format.Vocabulary('WordVocabulary', 30, 'abc'), **changes}
  return writer.write(folder, source or batches(rows), rows_per_shard=rows_per_shard, count=counter_of(TASKS),
                      facts=facts, files={'tokenizer/words.txt': 'of the vocabulary'})


def numbers(batch):
  """Which rows a batch holds."""
  return [int(first) - 2 + 20 * (int(second) - 2) for first, second, *_ in batch['encoder_input_tokens']]
