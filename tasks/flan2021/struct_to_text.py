"""From structure to text: CommonGen, a sentence that uses all of a few given words (Lin et al. 2020)."""

import tensorflow as tf

from flan_jax.data.dataset import REFERENCES, Dataset, Fields, Row
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import STRUCT_TO_TEXT


def _concepts_and_sentences(row: Row) -> Fields:
  # Training rows have one sentence (the target), validation rows have several, of which the target is one; the test
  # rows' sentences are not published, so the validation rows serve as the test.
  target = tf.strings.strip(row['target'])
  sentences, _ = tf.unique(tf.concat([[target], tf.strings.strip(row['references'])], axis=0))
  return {
    'concepts': tf.strings.reduce_join(row['concepts'], separator=', '),
    ANSWER: target,
    REFERENCES: sentences,
  }


COMMON_GEN = Dataset(
  name='common_gen',
  cluster=STRUCT_TO_TEXT,
  source='gem/common_gen:1.1.0',
  fields=_concepts_and_sentences,
  metrics=('rouge', 'bleu'),
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

DATASETS: tuple[Dataset, ...] = (COMMON_GEN,)
