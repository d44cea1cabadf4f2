"""Paraphrase: do two sentences say the same? MRPC, pairs from news reports (Dolan and Brockett 2005)."""

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.template import Template
from tasks.flan2021.clusters import PARAPHRASE


def _sentences(row: Row) -> Fields:
  return {'sentence1': row['sentence1'], 'sentence2': row['sentence2'], LABEL: row['label']}


MRPC = Dataset(
  name='mrpc',
  cluster=PARAPHRASE,
  source='glue/mrpc:2.0.0',
  fields=_sentences,
  options=('no', 'yes'),  # not_equivalent, equivalent
  templates=(
    Template('Do these two sentences mean the same thing?\n\n1. {sentence1}\n2. {sentence2}\n\n{options}'),
    Template(
      '{sentence1}\n\n{sentence2}\n\nIs the second line a paraphrase of the first?\n{options}', option_style='letters'
    ),
    Template(
      'Two newspapers covered one event.\n\nThe first wrote: {sentence1}\nThe other wrote: {sentence2}\n\n'
      'Do their reports agree in all that matters?\n\n{options}',
    ),
    Template(
      '{options}\n\nAnswer the question with one of the words above. Could an editor swap "{sentence1}" for '
      '"{sentence2}" without changing what readers learn?'
    ),
    Template('Original: {sentence1}\nRewritten: {sentence2}\nMeaning kept? {options}', option_style='inline'),
    Template('Compare "{sentence1}" with "{sentence2}". Are they equivalent, yes or no?'),
    Template(
      'I am removing duplicates from a collection of quotations. Should I treat the following entries as '
      'duplicates, that is, as one piece of information in different words?\n\n'
      'Entry A: {sentence1}\n\nEntry B: {sentence2}\n\n{options}\n\nDecision:'
    ),
    Template(
      'Someone who knows only this:\n{sentence1}\n\nhears this:\n{sentence2}\n\n'
      'Have they been told exactly what they knew already?\n{options}',
      option_style='numbers',
    ),
    Template(
      'Sentence: {sentence1}\n\nWrite another sentence on the same subject. Asked whether it is equivalent to the one '
      'above, a judge should say {answer}.',
      targets='{sentence2}',
    ),
    Template(
      'The label of a pair is "yes" when both halves convey the same and "no" when they differ. '
      'Complete the pair so that its label is "{answer}".\n\nGiven half: {sentence2}\nMissing half:',
      targets='{sentence1}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (MRPC,)
