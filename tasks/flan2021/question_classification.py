"""Question classification: what kind of thing would answer it? TREC's six coarse types (Li and Roth 2002)."""

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tasks.flan2021.clusters import QUESTION_CLASSIFICATION


def _question(row: Row) -> Fields:
  return {'question': row['text'], LABEL: row['label-coarse']}


TREC = Dataset(
  name='trec',
  cluster=QUESTION_CLASSIFICATION,
  source='trec:1.0.0',
  fields=_question,
  options=('description', 'entity', 'abbreviation', 'human', 'numeric', 'location'),  # DESC ENTY ABBR HUM NUM LOC
  splits=Splits(test='test'),
  templates=(
    Template('What type of answer does this question call for?\n\n{question}\n\n{options}'),
    Template('Question: {question}\nAnswer type: {options}', option_style='inline'),
    Template(
      'A search engine sorts incoming questions by what is being asked for. Into which of its bins does "{question}" '
      'go?\n\n{options}',
      option_style='letters',
    ),
    Template('{options}\n\nUnder which of these headings would you file the question "{question}"?'),
    Template(
      'Do not answer the question. Say only whether a good answer would be a description, an entity, an abbreviation, '
      'a human, a number or a place.\n\n{question}\n\n{options}'
    ),
    Template(
      '{question}\n\nThe reply to this would name or give one of the following. Which?\n{options}',
      option_style='numbers',
    ),
    Template(
      'Librarians note the category of each enquiry before they look anything up.\n\n'
      'Enquiry: {question}\n\nCategories\n{options}\n\nCategory noted:'
    ),
    Template(
      'Put the question into a category: description, entity, abbreviation, human, numeric or location.\n"{question}"'
    ),
    Template('Write a question whose answer is of the type "{answer}".', targets='{question}'),
    Template(
      'You are preparing a pub quiz and still lack a question about one kind of thing.\n\n'
      'Kinds covered by the quiz\n{options}\n\nKind still lacking: {answer}\nYour question:',
      targets='{question}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (TREC,)
