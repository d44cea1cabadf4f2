"""From structure to text, all from the GEM benchmark (Gehrmann et al. 2021).

CommonGen, a sentence that uses all of a few given words (Lin et al. 2020); DART, tables as triples (Nan et al. 2021);
E2E, restaurants as attributes (Novikova et al. 2017, cleaned by Dusek et al. 2019); WebNLG, English, triples of DBpedia
(Gardent et al. 2017).
"""

from collections.abc import Callable

import tensorflow as tf

from flan_jax.data.dataset import REFERENCES, Dataset, Fields, Row
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import STRUCT_TO_TEXT
from tasks.flan2021.texts import one_line

_METRICS = ('rouge', 'bleu')

# What DART puts in the place of a subject for cells that describe the whole table, and of a relation for its title.
_TABLE_MARKS = r'\[(TABLECONTEXT|TITLE)\]'


def _text_and_references(row: Row, tidy: Callable[[tf.Tensor], tf.Tensor] = one_line) -> Fields:
  """The target, and every text that counts, each of them once."""
  # Training rows have one text, the target, and no references; validation rows name all texts, the target among them.
  # Validation rows are the test, as in FLAN: the sentences of CommonGen's test rows are not published.
  target = tidy(row['target'])
  references, _ = tf.unique(tf.concat([[target], tidy(row['references'])], axis=0))
  return {ANSWER: target, REFERENCES: references}


def _joined(items: tf.Tensor) -> tf.Tensor:
  return tf.strings.reduce_join(one_line(items), separator='; ')


def _concepts_and_sentences(row: Row) -> Fields:
  concepts = tf.strings.reduce_join(row['concepts'], separator=', ')
  return {'concepts': concepts, **_text_and_references(row, tidy=tf.strings.strip)}


def _table_triples_and_text(row: Row) -> Fields:
  triples = tf.strings.regex_replace(row['tripleset'], _TABLE_MARKS, '')
  return {'triples': _joined(triples), **_text_and_references(row)}


def _attributes_and_text(row: Row) -> Fields:
  # name[The Mill], area[riverside] becomes name = The Mill, area = riverside
  opened = tf.strings.regex_replace(row['meaning_representation'], r'\[', ' = ')
  return {'attributes': one_line(tf.strings.regex_replace(opened, r'\]', '')), **_text_and_references(row)}


def _dbpedia_triples_and_text(row: Row) -> Fields:
  # Names are those of Wikipedia's addresses: Aarhus_Airport | location | Tirstrup
  triples = tf.strings.regex_replace(tf.strings.regex_replace(row['input'], '_', ' '), r' \| ', ', ')
  return {'triples': _joined(triples), **_text_and_references(row)}


COMMON_GEN = Dataset(
  name='common_gen',
  cluster=STRUCT_TO_TEXT,
  source='gem/common_gen:1.1.0',
  fields=_concepts_and_sentences,
  metrics=_METRICS,
  templates=(
    Template('Write a sentence that uses all of these words: {concepts}.'),
    Template('Words: {concepts}\n\nCombine them into one plausible sentence about an everyday scene.'),
    Template('{concepts}\n\nWhat might be going on when all of the above are involved? Describe it in one sentence.'),
    Template(
      'A photographer labelled a picture with a handful of keywords and forgot to caption it.\n\n'
      'Keywords: {concepts}\nCaption:'
    ),
    Template('How could you mention {concepts} in a single short sentence?'),
    Template(
      'Language exercise. Inflect the following words as needed, put them in whatever order you like, and form '
      'a sentence that leaves none of them out.\n\n{concepts}'
    ),
    Template('Turn the list into a statement that a child would understand.\nList: {concepts}\nStatement:'),
    Template('Someone says only this to you: "{concepts}". Guess the full sentence they have in mind.'),
    Template('{answer}\n\nWhich key concepts does this sentence bring together?', targets='{concepts}'),
    Template(
      'Reduce the sentence to its important nouns and verbs, in their base form and separated by commas: {answer}',
      targets='{concepts}',
    ),
  ),
)

DART = Dataset(
  name='dart',
  cluster=STRUCT_TO_TEXT,
  source='gem/dart:1.1.0',
  fields=_table_triples_and_text,
  metrics=_METRICS,
  templates=(
    Template('Put the following facts into words: {triples}'),
    Template(
      'Rows of a table have been flattened into short entries, divided by semicolons. Write the text that a reader '
      'who never sees the table would want.\n\n{triples}'
    ),
    Template('{triples}\n\nExpress all of the above as running English.'),
    Template('Data: {triples}\nDescription:'),
    Template(
      'A graph stores what is known about the world: each edge leads from one thing by a relation to another. Given '
      'these edges, what does the graph say?\n\nEdges: {triples}\n\nAnswer in complete sentences.'
    ),
    Template(
      'I copied a few notes from a spreadsheet and now nobody else can make sense of them. Could you say the same '
      'thing properly? Here they are.\n{triples}'
    ),
    Template(
      'You are a sports and news reporter with nothing but raw entries at hand. Tell your audience in one or two '
      'sentences what they amount to, without adding anything of your own.\n\n{triples}'
    ),
    Template('What sentence conveys exactly this information, no more and no less?\n\n{triples}'),
    Template(
      'List what the text tells us as subject, relation and object, with a semicolon between one fact and the next.'
      '\n\n{answer}',
      targets='{triples}',
    ),
    Template(
      '{answer}\n\nA program generated that from structured data. What did the data look like?', targets='{triples}'
    ),
  ),
)

E2E_NLG = Dataset(
  name='e2e_nlg',
  cluster=STRUCT_TO_TEXT,
  source='gem/e2e_nlg:1.1.0',
  fields=_attributes_and_text,
  metrics=_METRICS,
  templates=(
    Template('Describe the establishment that has these properties: {attributes}.'),
    Template(
      'A city guide keeps a record of every restaurant and pub.\n\nRecord: {attributes}\n\n'
      'Print the record the way visitors would like to read it.'
    ),
    Template('{attributes}\n\nPresent this place to eat or drink in a sentence or two.'),
    Template('Venue details: {attributes}\nBlurb:'),
    Template(
      'You answer the telephone at a tourist office, and a caller asks about somewhere to go. Your screen shows '
      '"{attributes}". What do you say?'
    ),
    Template(
      'Compose a short text for a food website. Every detail of the line below has to be mentioned; further ones must '
      'not be made up.\n\n{attributes}'
    ),
    Template('Convert keys and values into natural language.\n\nInput: {attributes}\nOutput:'),
    Template(
      'Hi! My phone found a pub or cafe or something near here but it only gives me this: {attributes}. Can you put '
      'that into normal words?'
    ),
    Template(
      'Fill in a form from the review below. Its fields are name, eatType, food, priceRange, customer rating, area, '
      'familyFriendly and near; leave out those that the review does not touch.\n\n{answer}',
      targets='{attributes}',
    ),
    Template(
      '{answer}\n\nExtract the features of the place, each as "feature = value", and separate them by commas.',
      targets='{attributes}',
    ),
  ),
)

WEB_NLG_EN = Dataset(
  name='web_nlg_en',
  cluster=STRUCT_TO_TEXT,
  source='gem/web_nlg_en:1.1.0',
  fields=_dbpedia_triples_and_text,
  metrics=_METRICS,
  templates=(
    Template('Verbalize these RDF triples.\n\n{triples}'),
    Template(
      '{triples}\n\nSemicolons divide the items above, and each item has a subject, a property and a value. Write a '
      'short text that covers every item.'
    ),
    Template('Knowledge base: {triples}\nThe same in plain English:'),
    Template('Suppose you know the following and want to tell a friend. What do you tell them? {triples}'),
    Template('Infobox: {triples}\n\nFormulate the first lines of the article that this infobox belongs to.'),
    Template('Please make this readable: {triples}'),
    Template(
      'Examination in technical writing. From the statements given in linked-data notation, produce grammatical '
      'prose. Marks are lost for any statement that is left out and for any that is invented.\n\n'
      'Statements: {triples}'
    ),
    Template(
      'A voice assistant has found the answer to its user in a database.\n\nFound: {triples}\n\n'
      'How should it say this aloud?'
    ),
    Template(
      'Which triples (subject, property, value) would a writer have to be given in order to come up with this?'
      '\n\n{answer}',
      targets='{triples}',
    ),
    Template('Read the text into a knowledge graph.\n\nText: {answer}\nNew entries:', targets='{triples}'),
  ),
)

DATASETS: tuple[Dataset, ...] = (COMMON_GEN, DART, E2E_NLG, WEB_NLG_EN)
