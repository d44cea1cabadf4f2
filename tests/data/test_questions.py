"""Questions from rows in memory are those of the tasks' own pipelines."""

import dataclasses

import numpy as np

from flan_jax.data.questions import rows_of_tasks
from flan_jax.data.rows import rows

WAYS = {
  'flan2021.sst2': ('template_0', 'template_8', 'fields_only'),
  'flan2021.copa': ('template_1.no_options',),  # options of each row's own
  'flan2021.trec': ('first_2',),  # a draw keeps its pipeline
  'flan2021.natural_questions': ('template_0',),  # several references
  'flan2021.multirc': ('template_0',),  # groups
}


def plain(row):
  values = dataclasses.asdict(row)
  return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()
          if name != 'option_tokens'} | {'option_tokens': [tokens.tolist() for tokens in row.option_tokens]}


def test_rows_in_memory_are_those_of_each_tasks_pipeline(real_tfds):
  lengths = {'inputs': 24, 'targets': 8}
  names = [f'{dataset}.{way}' for dataset, ways in WAYS.items() for way in ways]
  found = dict(zip(names, rows_of_tasks(names, 'test', 150, 3, lengths), strict=True))
  for name in names:
    expected = rows(name, 'test', 150, 3, lengths)
    assert [plain(row) for row in found[name]] == [plain(row) for row in expected], name
    assert all(row.inputs.dtype == np.int32 for row in found[name])
