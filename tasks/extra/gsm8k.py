"""GSM8K: word problems of school mathematics whose answer is a number (Cobbe et al. 2021).

`gsm8k` asks for the number at once; `gsm8k_cot` puts the first eight problems of the training file before the question,
solved step by step. In both, the last number that the model writes is its answer.
"""

import functools

from flan_jax.data.dataset import Dataset, Fields, Row
from flan_jax.data.gsm8k_files import read_test
from flan_jax.data.template import ANSWER, Template
from flan_jax.data.upstream import Upstream
from tasks.extra.bbh import ONLY_TEST

VARIABLE = 'FLAN_JAX_GSM8K'
FOLDER = 'the folder grade_school_math/data of github.com/openai/grade-school-math, with test.jsonl and train.jsonl'
SHOTS = 8


def _problem(row: Row) -> Fields:
  return {'question': row['question'], ANSWER: row['number']}


def _after_examples(row: Row) -> Fields:
  return {'solved': row['solved']} | _problem(row)


GSM8K = Dataset(
  name='gsm8k',
  cluster='gsm8k',
  source=Upstream(VARIABLE, FOLDER, 'test.jsonl', read_test),
  fields=_problem,
  splits=ONLY_TEST,
  metrics=('final_number',),
  templates=(
    Template('{question}'),
    Template('Solve this word problem.\n\n{question}\n\nGive the number only, without a unit.'),
    Template('Question: {question}\nAnswer (a number):'),
    Template('An exercise from a book of arithmetic for schools reads as follows.\n\n{question}\n\nIn the solutions at '
             'the back of the book, which number stands next to it?'),
  ),
)  # fmt: skip

GSM8K_COT = Dataset(
  name='gsm8k_cot',
  cluster='gsm8k_cot',
  source=Upstream(VARIABLE, FOLDER, 'test.jsonl', functools.partial(read_test, shots=SHOTS)),
  fields=_after_examples,
  splits=ONLY_TEST,
  metrics=('final_number',),
  templates=(Template('{solved}\n\nQuestion: {question}\nAnswer:'),),
)

DATASETS = (GSM8K, GSM8K_COT)
