"""Paraphrase: do two sentences say the same?

MRPC, pairs from news reports (Dolan and Brockett 2005); PAWS-Wiki, pairs that share nearly all words (Zhang et al.
2019); QQP, questions that were put to Quora (Iyer et al. 2017); STS-B, degrees of similarity (Cer et al. 2017).
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.splits import OWN_TEST, Splits
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
  metrics=('accuracy', 'binary_f1'),
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

PAWS_WIKI = Dataset(
  name='paws_wiki',
  cluster=PARAPHRASE,
  source='paws_wiki:1.1.0',
  fields=_sentences,
  options=('no', 'yes'),  # different_meaning, paraphrase
  splits=OWN_TEST,
  templates=(
    Template('Nearly the same words, but the same meaning as well?\n\n{sentence1}\n\n{sentence2}\n\n{options}'),
    Template(
      'Wikipedia says: {sentence1}\n\nA pupil, told not to copy, writes: {sentence2}\n\n'
      'Has the pupil reported precisely what Wikipedia says?\n{options}',
      option_style='letters',
    ),
    Template('X: {sentence1}\nY: {sentence2}\nDo X and Y express one thought? {options}', option_style='inline'),
    Template(
      '{options}\n\nThese are the possible answers to a question: somebody has moved the words of a sentence around; '
      'is its message intact?\n\nBefore: {sentence1}\nAfter: {sentence2}'
    ),
    Template('Is "{sentence2}" just another way of putting "{sentence1}"? Please respond with a yes or a no.'),
    Template(
      'In a writing course the task is to restate a sentence without saying anything new or false.\n\n'
      'Task: {sentence1}\nSolution handed in: {sentence2}\n\nShould the teacher accept the solution?\n{options}',
      option_style='numbers',
    ),
    Template(
      'Check carefully who does what, to whom, where and when.\n\nStatement one: {sentence1}\n'
      'Statement two: {sentence2}\n\nAre both statements true under exactly the same circumstances?\n\n{options}'
    ),
    Template(
      'A translator rendered a foreign sentence first as\n\n{sentence1}\n\nand then as\n\n{sentence2}\n\n'
      'Can both versions be faithful?\n\n{options}\n\nAnswer:'
    ),
    Template(
      'Shuffle the sentence, changing a word here and there if you need to: {sentence1}\n\n'
      'Is the meaning supposed to stay as it is? {answer}',
      targets='{sentence2}',
    ),
    Template(
      'Detectors of paraphrases are easily misled by pairs with many words in common. Think of a sentence that makes '
      'such a pair with the one below, given the correct decision of the detector.\n\n'
      'One sentence: {sentence2}\nParaphrases: {answer}\nOther sentence:',
      targets='{sentence1}',
    ),
  ),
)


def _unquoted(text: tf.Tensor) -> tf.Tensor:
  """Undoes the CSV quoting that GLUE's copy of QQP has kept: `"Is ""art"" it?"` becomes `Is 'art' it?`.

  FLAN turns each doubled quotation mark into an apostrophe, too, but leaves the pair around the whole question.
  """
  inside = tf.strings.regex_replace(tf.strings.strip(text), r'^"((?:[^"]|"")*)"$', r'\1')
  return tf.strings.strip(tf.strings.regex_replace(inside, '""', "'"))


def _questions(row: Row) -> Fields:
  return {'question1': _unquoted(row['question1']), 'question2': _unquoted(row['question2']), LABEL: row['label']}


def _has_two_questions(row: Row) -> tf.Tensor:
  # Two training rows have an empty second question (https://github.com/huggingface/datasets/issues/277).
  lengths = [tf.strings.length(tf.strings.strip(row[name])) for name in ('question1', 'question2')]
  return tf.reduce_all(tf.stack(lengths) > 0)


QQP = Dataset(
  name='qqp',
  cluster=PARAPHRASE,
  source='glue/qqp:2.0.0',
  fields=_questions,
  options=('no', 'yes'),  # not_duplicate, duplicate
  metrics=('accuracy', 'binary_f1'),
  keep=_has_two_questions,
  templates=(
    Template('Two users wrote to a forum.\n\n{question1}\n{question2}\n\nIs it one and the same question?\n{options}'),
    Template('Q1: {question1}\nQ2: {question2}\nDuplicates? {options}', option_style='inline'),
    Template(
      'A moderator merges threads when a good reply to either would satisfy both of those who started them.\n\n'
      'Thread: {question1}\n\nLater thread: {question2}\n\nWill these be merged?\n\n{options}',
      option_style='letters',
    ),
    Template(
      '{options}\n\nWhich is it?\nAsked: {question1}\nAnswered elsewhere: {question2}\n'
      'Would the answers found elsewhere fully serve whoever asks?'
    ),
    Template(
      'Before I post my question I am supposed to check that it is not there yet.\n\nMine: {question1}\n'
      'Already there: {question2}\n\nHas mine been asked? Just say yes or no.'
    ),
    Template(
      'Whatever their wording, do the following come down to the same request?\n\nFirst request: {question1}\n'
      'Second request: {question2}\n{options}',
      option_style='numbers',
    ),
    Template(
      'A visitor types "{question1}" and the search box proposes "{question2}" instead. '
      'Is this proposal equivalent to what was typed?\n\n{options}'
    ),
    Template(
      'Definition: two questions are duplicates if their intents coincide. Apply it.\n\n'
      '"{question1}"\n"{question2}"\n\n{options}\n\nDuplicates by this definition:'
    ),
    Template(
      '{question1}\n\nPut another question to the community that resembles this one. '
      'Is it meant to be a duplicate? {answer}',
      targets='{question2}',
    ),
    Template(
      'A table of question pairs has lost a cell. Restore it.\n\nsecond question | same intent | first question\n'
      '{question2} | {answer} |',
      targets='{question1}',
    ),
  ),
)


def _sentences_and_score(row: Row) -> Fields:
  # As FLAN rounds: 2.5 becomes 2 and 3.5 becomes 4, the even score in both cases.
  score = tf.cast(tf.round(row['label']), tf.int64)
  return {'sentence1': row['sentence1'], 'sentence2': row['sentence2'], LABEL: score}


STSB = Dataset(
  name='stsb',
  cluster=PARAPHRASE,
  source='glue/stsb:2.0.0',
  fields=_sentences_and_score,
  options=('0', '1', '2', '3', '4', '5'),
  metrics=('accuracy', 'pearson_corrcoef', 'spearman_corrcoef'),
  splits=Splits(train='train[:-100]', validation='train[-100:]'),
  # No template numbers its options: "1. 0" would be hard to read.
  templates=(
    Template(
      'On a scale from 0 (nothing in common) to 5 (equivalent), how close in meaning are these two?\n\n'
      '{sentence1}\n{sentence2}\n\n{options}'
    ),
    Template(
      '"{sentence1}" versus "{sentence2}": how many points out of five for sameness of content?\n{options}',
      option_style='inline',
    ),
    Template(
      'Rate the pair as a human judge would. Five points mean that nothing of substance differs, three that the gist '
      'agrees but something important does not, one that only the topic is shared, and none that not even the topic '
      'is.\n\nFirst: {sentence1}\nSecond: {sentence2}\n\n{options}\n\nRating:'
    ),
    Template(
      '{options}\n\nThe higher the number, the better two texts match in what they say. Which number suits '
      'these?\n\nText A: {sentence1}\nText B: {sentence2}'
    ),
    Template(
      'Give a whole number between 0 and 5 that expresses the semantic similarity of the sentences.\n\n'
      '{sentence1}\n\n{sentence2}'
    ),
    Template(
      'An app hides whatever repeats what its user has just read. To decide, it measures overlap in meaning: 0 is '
      'none, 5 is complete.\n\nJust read: {sentence1}\nNext in line: {sentence2}\n\n'
      'Which measurement should it get?\n{options}',
      option_style='letters',
    ),
    Template(
      'Two friends told me something.\n\nAda: {sentence1}\nBen: {sentence2}\n\n'
      'If 5 were for the very same thing and 0 for two different stories, what would you give them?\n\n{options}'
    ),
    Template('Sentence pair: {sentence1} | {sentence2}\nSimilarity (0 to 5):'),
    Template(
      'Write a sentence that scores {answer} out of 5 for similarity in meaning to this one: {sentence1}',
      targets='{sentence2}',
    ),
    Template(
      'Judges compared a sentence with "{sentence2}" and agreed on the score {answer}, where 0 stands for unrelated '
      'and 5 for interchangeable. What may the sentence have been?',
      targets='{sentence1}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (MRPC, PAWS_WIKI, QQP, STSB)
