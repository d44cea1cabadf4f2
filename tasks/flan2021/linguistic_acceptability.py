"""Linguistic acceptability: is it English? CoLA, sentences from the literature (Warstadt et al. 2019)."""

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.template import Template
from tasks.flan2021.clusters import LINGUISTIC_ACCEPTABILITY


def _sentence(row: Row) -> Fields:
  return {'sentence': row['sentence'], LABEL: row['label']}


COLA = Dataset(
  name='cola',
  cluster=LINGUISTIC_ACCEPTABILITY,
  source='glue/cola:2.0.0',
  fields=_sentence,
  options=('unacceptable', 'acceptable'),
  metrics=('accuracy', 'matthews_correlation'),
  templates=(
    Template('Is this sentence acceptable English?\n\n{sentence}\n\n{options}'),
    Template(
      '"{sentence}"\n\nHow would a native speaker judge the grammar of the above?\n{options}', option_style='letters'
    ),
    Template(
      'Linguists collect example sentences and mark the ones that nobody would say. '
      'What should the mark of the following example be?\n\nExample: {sentence}\n\n{options}\n\nMark:'
    ),
    Template(
      '{options}\n\nOne of these labels belongs to each sentence in a grammar exercise. Label this one: {sentence}'
    ),
    Template('{sentence}\nGrammaticality: {options}', option_style='inline'),
    Template(
      'Decide if the string of words below is well formed; reply with acceptable or unacceptable.\n\n{sentence}'
    ),
    Template(
      'My first language is not English. I would like to write "{sentence}" in a letter. '
      'Would that be all right?\n\n{options}',
      option_style='numbers',
    ),
    Template('Proofread: {sentence}\n\nMind word order, agreement and missing words, not what is said.\n\n{options}'),
    Template(
      'For a textbook on syntax, invent a sentence that readers find grammatically {answer}.',
      targets='{sentence}',
    ),
    Template(
      'Judgement: {answer}\nGive a sentence that has received this judgement of its grammar.', targets='{sentence}'
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (COLA,)
