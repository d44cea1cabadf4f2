"""The two large corpora of natural language inference: SNLI, about photographs (Bowman et al. 2015), and MultiNLI, from
ten genres of speech and writing (Williams et al. 2018), tested on genres that are in training and on others.
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.splits import OWN_TEST, Splits
from flan_jax.data.template import Template
from tasks.flan2021.clusters import NLI


def _premise_and_hypothesis(row: Row) -> Fields:
  # Annotators typed the hypotheses; some of MultiNLI's end in a space.
  return {
    'premise': tf.strings.strip(row['premise']),
    'hypothesis': tf.strings.strip(row['hypothesis']),
    LABEL: row['label'],
  }


def _has_label(row: Row) -> tf.Tensor:
  # SNLI's pairs on which the annotators found no majority are labelled -1.
  return row['label'] >= 0


_OPTIONS = ('yes', 'it is not possible to tell', 'no')  # entailment, neutral, contradiction

SNLI = Dataset(
  name='snli',
  cluster=NLI,
  source='snli:1.1.0',
  fields=_premise_and_hypothesis,
  options=_OPTIONS,
  keep=_has_label,
  splits=OWN_TEST,
  templates=(
    Template(
      'The caption of a photo says: {premise}\n\nIs this a true description of the same photo?\n{hypothesis}\n\n'
      '{options}'
    ),
    Template(
      'Picture the following scene.\n\n{premise}\n\nWould "{hypothesis}" be true of it?\n{options}',
      option_style='letters',
    ),
    Template(
      'You cannot see the picture, but you have been told what it shows:\n{premise}\n\n'
      'A stranger says about the picture:\n{hypothesis}\n\nIs the stranger right?\n\n{options}'
    ),
    Template(
      'Three answers are allowed.\n{options}\n\nWhat the camera caught: {premise}\n'
      'What a visitor to the exhibition claims to see: {hypothesis}\nDoes the visitor see correctly?'
    ),
    Template('Image: {premise}\nTrue of the image? {hypothesis}\n{options}', option_style='inline'),
    Template(
      'Words printed below a snapshot: {premise}\nRemark about it: {hypothesis}\n\nDo the words confirm the remark? '
      'Write yes if they do, no if they rule the remark out, and "it is not possible to tell" if they do neither.'
    ),
    Template(
      'My daughter and I play a game over the phone. I describe a drawing and she guesses what else is true of it.\n\n'
      'I: "{premise}"\nShe: "{hypothesis}"\n\nIs her guess a hit?\n{options}',
      option_style='numbers',
    ),
    Template(
      "With nothing but the caption to go by, state whether the annotator's sentence is correct.\n\n"
      "Annotator's sentence: {hypothesis}\nCaption: {premise}\n\n{options}\n\nCorrect:"
    ),
    Template(
      '{premise}\n\nThis is all that is known about a photograph. Say something about the photograph for which the '
      'question "Is that right?" would have to be answered as follows: {answer}',
      targets='{hypothesis}',
    ),
    Template(
      'Two people talk about a snapshot.\nFirst: "{hypothesis}"\n'
      'Second: "I can only go by the caption. Is it as you say? My answer: {answer}."\n\nWhat may the caption be?',
      targets='{premise}',
    ),
  ),
)

_MNLI_TEMPLATES = (
  Template('Assume that this is the case:\n{premise}\n\nIs this the case, too?\n{hypothesis}\n\n{options}'),
  Template('"{premise}"\n\nThat being so, what about "{hypothesis}"? Is it true?\n{options}', option_style='inline'),
  Template(
    'You come across these words in a letter, a book or the record of a telephone call:\n\n{premise}\n\n'
    'Taking them as accurate, how do you answer a friend who wants to know whether the next sentence is accurate?\n\n'
    '{hypothesis}\n\n{options}',
    option_style='letters',
  ),
  Template(
    '{options}\n\nOne of the answers above belongs here.\n\nSentence A: {premise}\nSentence B: {hypothesis}\n'
    'Granted A, is B true?'
  ),
  Template(
    'Knowing no more than "{premise}", how do you judge "{hypothesis}"? Respond with yes if it is right, with no if it '
    'is wrong, and otherwise with: it is not possible to tell.'
  ),
  Template(
    'In a logic class the teacher writes a fact on the board.\n\n{premise}\n\nUnder it she writes:\n\n{hypothesis}\n\n'
    'She turns round: "Now that we have the fact, is the other sentence correct?" Which reply earns the point?\n'
    '{options}',
    option_style='numbers',
  ),
  Template(
    'Hypothesis: {hypothesis}\nBasis: {premise}\n\nAssess whether the hypothesis is true on this basis.\n\n'
    '{options}\n\nAssessment:'
  ),
  Template(
    'A witness states: {premise}\nA lawyer later tells the court: {hypothesis}\n\n'
    'The witness has told the truth. Has the lawyer?\n{options}'
  ),
  Template(
    '{premise}\n\nAdd a sentence of your own. When people who trust the above are asked whether what you added is '
    'true, their answer should be "{answer}".',
    targets='{hypothesis}',
  ),
  Template(
    'Entry of an inference corpus\nHypothesis: {hypothesis}\nTrue in the light of the premise? {answer}\n'
    'Premise (lost, please reconstruct):',
    targets='{premise}',
  ),
)

MNLI_MATCHED = Dataset(
  name='mnli_matched',
  cluster=NLI,
  source='glue/mnli:2.0.0',
  fields=_premise_and_hypothesis,
  options=_OPTIONS,
  splits=Splits(test='validation_matched'),
  templates=_MNLI_TEMPLATES,
)

MNLI_MISMATCHED = Dataset(
  name='mnli_mismatched',
  cluster=NLI,
  source='glue/mnli:2.0.0',
  fields=_premise_and_hypothesis,
  options=_OPTIONS,
  splits=Splits(test='validation_mismatched'),
  templates=_MNLI_TEMPLATES,
)
