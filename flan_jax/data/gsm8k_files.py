"""The files of GSM8K (Cobbe et al. 2021): a JSON object a line, whose answer is a solution and, after '####', a number.

Solutions carry annotations such as <<48/2=24>> for a calculator, which are no part of the text.
"""

import re
from collections.abc import Mapping
from typing import Any

from flan_jax.data.columns import Records
from flan_jax.data.files import TRAIN, Jsonl
from flan_jax.errors import UserError

_ANNOTATION = re.compile(r'<<[^<>]*>>')
_SOLUTION = re.compile(r'(?P<solution>.*)\n#### *(?P<number>-?[\d.,]+)\s*', re.DOTALL)


def read_test(folder: str, shots: int = 0) -> Records:
  """Reads the test problems.

  Args:
    folder: holds `test.jsonl` and, where problems are to be solved before the question, `train.jsonl`.
    shots: how many solved problems every row carries as `solved`, the first ones of `train.jsonl`.

  Returns:
    Rows of `question`, `number` (without commas), `solution` (without annotations) and, where asked for, `solved`.

  Raises:
    UserError: where a file is missing or is written otherwise.
  """
  test = _read(f'{folder}/test.jsonl')
  if not shots:
    return test
  train = _read(f'{folder}/train.jsonl')
  if len(train.rows) < shots:
    raise UserError(f'{train.origin} has {len(train.rows)} problems; {shots} are needed as solved examples.')
  solved = '\n\n'.join(map(_solved, train.rows[:shots]))
  return Records(test.origin, [{**row, 'solved': solved} for row in test.rows], test.lines)


def _read(path: str) -> Records:
  read = Jsonl(path).records(TRAIN)
  return Records(path, [_row(row, read.place(index)) for index, row in enumerate(read.rows)], read.lines)


def _row(row: Mapping[str, Any], place: str) -> dict[str, str]:
  if row.keys() != {'question', 'answer'}:
    raise UserError(f'{place} has the fields {", ".join(row)}; a problem of GSM8K is a question and an answer.')
  parts = _SOLUTION.fullmatch(_ANNOTATION.sub('', str(row['answer'])))
  if parts is None:
    raise UserError(f'{place}: the answer does not end in a line "#### " and a number.')
  number = parts['number'].replace(',', '')
  return {'question': str(row['question']).strip(), 'number': number, 'solution': parts['solution'].strip()}


def _solved(row: Mapping[str, str]) -> str:
  return f'Question: {row["question"]}\nAnswer: {row["solution"]}\nThe answer is {row["number"]}.'
