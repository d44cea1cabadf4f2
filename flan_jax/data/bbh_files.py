"""The files of BIG-Bench-Hard (Suzgun et al. 2022): a JSON file a task, and three solved examples in a text file.

`bbh/snarks.json` has `examples`, each an `input` and a `target`. Where an answer is to be chosen, the input ends in a
list under "Options:", whose entries are called (A), (B) and so on; the target is then such a label.
`cot-prompts/snarks.txt` has a canary line, a rule, a description of the task, and three examples "Q: ... A: ..." whose
answers reason step by step and end in "So the answer is (A)."
"""

import json
import re
import string
from typing import Any, Literal

from flan_jax.data.columns import Records
from flan_jax.data.files import read_text
from flan_jax.errors import UserError

Shots = Literal['none', 'answers', 'reasoning']

STEPS = "Let's think step by step."  # begins every answer of the files that reason
_RULE = '-----\n'
_LISTED = '\nOptions:\n'
_LABEL = re.compile(r'^(\([A-Z]\)) ', re.MULTILINE)
_QUESTION = re.compile(r'^Q: ', re.MULTILINE)
_ANSWER = re.compile(r'^A: ', re.MULTILINE)
_CONCLUSION = re.compile(r'\bthe answer is (.+?)\.?\s*\Z')


def read_task(folder: str, name: str, shots: Shots = 'none') -> Records:
  """Reads a task.

  Args:
    folder: a copy of the authors' repository, which holds `bbh` and `cot-prompts`.
    name: the task's, such as 'snarks'.
    shots: which solved examples every row carries as `solved`: none, three with answers only, or three that reason.

  Returns:
    Rows of `input` and `target` as they stand in the file, `options` (labels such as '(A)', none where the input lists
    none) and, where asked for, `solved`.

  Raises:
    UserError: where a file is missing or is written otherwise.
  """
  path = f'{folder}/bbh/{name}.json'
  rows = [_row(example, f'{path}, example {index}') for index, example in enumerate(_examples(path))]
  if shots != 'none':
    solved = solved_examples(f'{folder}/cot-prompts/{name}.txt', reasoning=shots == 'reasoning')
    rows = [row | {'solved': solved} for row in rows]
  return Records(path, rows)


def solved_examples(path: str, *, reasoning: bool) -> str:
  """Reads the description of a task and its solved examples, ready to stand before "Q: ".

  Args:
    path: a file of `cot-prompts`.
    reasoning: whether the answers keep their reasoning; otherwise only what comes after "the answer is" is left.

  Raises:
    UserError: where the file has no examples, or one without an answer.
  """
  text = read_text(path)
  _, rule, body = text.partition(_RULE)
  if not rule:
    raise UserError(f'{path} has no line "-----" between its canary and its examples.')
  description, *examples = _QUESTION.split(body.strip())
  if not examples:
    raise UserError(f'{path} has no solved example: none of its lines begins with "Q: ".')
  written = [_solved(example, f'{path}, example {index}', reasoning) for index, example in enumerate(examples)]
  return '\n\n'.join([description.strip(), *written])


def _solved(example: str, place: str, reasoning: bool) -> str:
  question, *answers = _ANSWER.split(example)
  concluded = _CONCLUSION.search(answers[-1]) if len(answers) == 1 else None
  if concluded is None:
    raise UserError(f'{place}: one answer is expected, a line that begins with "A: " and text that ends in "So the '
                    'answer is ...".')
  return f'Q: {question.strip()}\nA: {answers[-1].strip() if reasoning else concluded[1]}'


def _examples(path: str) -> list[Any]:
  try:
    found = json.loads(read_text(path))
  except json.JSONDecodeError as error:
    raise UserError(f'{path} is not JSON ({error.msg}, line {error.lineno}, column {error.colno}).') from error
  examples = found.get('examples') if isinstance(found, dict) else None
  if not isinstance(examples, list):
    raise UserError(f'{path} has no list "examples"; a task of BIG-Bench-Hard has one.')
  return examples


def _row(example: Any, place: str) -> dict[str, Any]:
  if not isinstance(example, dict) or example.keys() != {'input', 'target'}:
    raise UserError(f'{place} is not an "input" and a "target".')
  _, _, listed = str(example['input']).partition(_LISTED)
  labels = _LABEL.findall(listed)
  if labels != [f'({letter})' for letter in string.ascii_uppercase[: len(labels)]]:
    raise UserError(f'{place}: its options are called {", ".join(labels)}, which is not (A), (B) and so on in order.')
  return {**example, 'options': labels}
