"""Natural language inference: does one text follow from another?

Here are RTE (Dagan et al. 2006 and the challenges after it) and CommitmentBank (de Marneffe et al. 2019) as in
SuperGLUE, and two datasets that GLUE recast (Wang et al. 2018): QNLI, from questions of SQuAD (Rajpurkar et al. 2016),
and WNLI, from Winograd schemas (Levesque et al. 2012). `nli_anli` and `nli_snli_mnli` have the others.
"""

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tasks.flan2021.clusters import NLI
from tasks.flan2021.nli_anli import ANLI
from tasks.flan2021.nli_snli_mnli import MNLI_MATCHED, MNLI_MISMATCHED, SNLI


def _premise_and_hypothesis(row: Row) -> Fields:
  return {'premise': row['premise'], 'hypothesis': row['hypothesis'], LABEL: row['label']}


RTE = Dataset(
  name='rte',
  cluster=NLI,
  source='super_glue/rte:1.0.2',
  fields=_premise_and_hypothesis,
  options=('yes', 'no'),  # entailment, not_entailment
  templates=(
    Template(
      'Read the passage and decide whether the claim below it must be true.\n\n'
      'Passage: {premise}\n\nClaim: {hypothesis}\n\n{options}'
    ),
    Template('{premise}\n\nDoes it follow from this that "{hypothesis}"?\n{options}', option_style='inline'),
    Template(
      '{premise}\n\nA colleague sums this up as follows: {hypothesis}\n'
      'Is the summary backed by the text?\n\n{options}\n\nAnswer:'
    ),
    Template(
      '{options}\n\nPick the option that answers the question.\n'
      'Question: going only by the text, is "{hypothesis}" correct?\nText: {premise}'
    ),
    Template(
      'Statement: {hypothesis}\n\nEvidence: {premise}\n\nIs this enough evidence to accept the statement?\n{options}'
    ),
    Template(
      'Fact checkers compare what is said with what a source reports.\n\nSource: {premise}\nSaid: {hypothesis}\n\n'
      'Does the source bear out what is said?\n\n{options}',
      option_style='letters',
    ),
    Template('{premise} Based on the foregoing, may a reader conclude the following? {hypothesis} Reply yes or no.'),
    Template(
      'Suppose somebody believes every word of this:\n"{premise}"\n\nWould they also have to believe this?\n'
      '"{hypothesis}"\n\n{options}',
      option_style='numbers',
    ),
    Template(
      'Here is a short text:\n\n{premise}\n\n'
      'Write a sentence for which "{answer}" is the right answer to the question "Does the text entail it?"',
      targets='{hypothesis}',
    ),
    Template(
      'A news desk needs an item. The reply to "Can readers infer from it that the following holds?" should be '
      '{answer}.\n\nTo be inferred or not: {hypothesis}\n\nNews item:',
      targets='{premise}',
    ),
  ),
)

CB = Dataset(
  name='cb',
  cluster=NLI,
  source='super_glue/cb:1.0.2',
  fields=_premise_and_hypothesis,
  options=('Yes', 'No', "It's impossible to say"),  # entailment, contradiction, neutral
  metrics=('accuracy', 'macro_f1'),
  splits=Splits(train='train[:-50]', validation='train[-50:]'),
  templates=(
    Template(
      '{premise}\n\nJudging by the words of the last speaker or author, is it the case that {hypothesis}?\n\n{options}'
    ),
    Template(
      'Extract: {premise}\n\nHypothesis: {hypothesis}\n\n'
      'Does the extract commit its author to the hypothesis?\n{options}',
      option_style='letters',
    ),
    Template(
      'Take the text below at its word. Is the sentence after it true?\n\n{premise}\n\n"{hypothesis}"\n\n{options}'
    ),
    Template('Is it true that {hypothesis}? Here is all that we know:\n\n{premise}\n\n{options}\n\nYour verdict:'),
    Template(
      '{options}\n\nWhich of these fits? Someone wrote or said: "{premise}" '
      'A listener asks whether this means that {hypothesis}.'
    ),
    Template('{premise}\n\nQ: Can we tell from this that {hypothesis}?\n{options}\nA:', option_style='inline'),
    Template(
      'You are marking a comprehension exercise.\n\nText:\n{premise}\n\n'
      'A pupil writes: {hypothesis}.\n\nIs the pupil right?\n\n{options}',
      option_style='numbers',
    ),
    Template(
      'Compare the two.\n\nFirst: {premise}\nSecond: {hypothesis}\n\nIf the first holds, does the second? '
      "Say Yes, No or It's impossible to say."
    ),
    Template(
      'Context: {premise}\n\nThe question "Is that so?" about a certain statement would get the answer "{answer}". '
      'Give such a statement.',
      targets='{hypothesis}',
    ),
    Template(
      'Compose a few lines of dialogue or prose. After reading them, a careful reader who is asked whether '
      '{hypothesis} should reply: {answer}.',
      targets='{premise}',
    ),
  ),
)


def _question_and_sentence(row: Row) -> Fields:
  return {'question': row['question'], 'sentence': row['sentence'], LABEL: row['label']}


QNLI = Dataset(
  name='qnli',
  cluster=NLI,
  source='glue/qnli:2.0.0',
  fields=_question_and_sentence,
  options=('yes', 'no'),  # entailment, not_entailment: the sentence answers the question, or does not
  templates=(
    Template(
      'I would like to know: {question}\nAll I could find is this: {sentence}\n\n'
      'Does that tell me what I would like to know?\n{options}'
    ),
    Template(
      'Search query: {question}\nSnippet: {sentence}\nIs the query answered by the snippet? {options}',
      option_style='inline',
    ),
    Template(
      'A contestant may look at one sentence from an encyclopedia before replying.\n\nSentence: {sentence}\n\n'
      'The quizmaster asks: {question}\n\nIs one look enough to get it right?\n\n{options}',
      option_style='letters',
    ),
    Template(
      '{options}\n\nSay which. Could the answer to "{question}" be underlined somewhere in the line below?\n\n'
      '{sentence}'
    ),
    Template(
      'Reply with yes if the text states what is asked for, and with no if it does not.\n\n'
      'Text: {sentence}\nAsked for: {question}'
    ),
    Template(
      'You grade a system that looks up sentences for questions. Sentences that are on the topic but miss the point '
      'must not pass.\n\nQuestion: {question}\nSentence found: {sentence}\n\nDoes it pass?\n{options}',
      option_style='numbers',
    ),
    Template(
      '{sentence}\n\nThat is all a child has read today. Somebody asks the child:\n\n{question}\n\n'
      'Did the reading give the child the answer?\n\n{options}'
    ),
    Template(
      'Many sentences touch upon a subject without resolving a given question about it. What about the following '
      'pair: is the question resolved?\n\n"{question}"\n"{sentence}"\n\n{options}\n\nResolved:'
    ),
    Template(
      '{sentence}\n\nPose a question that has to do with this. The verdict on whether the sentence by itself answers '
      'your question has to be "{answer}".',
      targets='{question}',
    ),
    Template(
      'Compose a sentence, in the manner of a reference work, on the subject of a question.\n\n'
      'Question: {question}\nDoes your sentence have to contain the answer? {answer}',
      targets='{sentence}',
    ),
  ),
)


def _sentences(row: Row) -> Fields:
  return {'sentence1': row['sentence1'], 'sentence2': row['sentence2'], LABEL: row['label']}


WNLI = Dataset(
  name='wnli',
  cluster=NLI,
  source='glue/wnli:2.0.0',
  fields=_sentences,
  options=('no', 'yes'),  # not_entailment, entailment: the other way round than RTE and QNLI
  splits=Splits(train='train[:-30]', validation='train[-30:]'),
  templates=(
    Template(
      'Mind whom or what each pronoun refers to.\n\n{sentence1}\n\nDoes that mean the following?\n{sentence2}\n\n'
      '{options}'
    ),
    Template('{sentence1}\nIn other words: {sentence2}\nIs that what was meant? {options}', option_style='inline'),
    Template(
      'Story: {sentence1}\n\nA listener retells a part of it: {sentence2}\n\n'
      'Has the listener understood the story properly?\n\n{options}',
      option_style='letters',
    ),
    Template(
      '{options}\n\nReply with one of these words. Would a sensible reader of "{sentence1}" take it to imply '
      '"{sentence2}"?'
    ),
    Template(
      'The second line spells out what a word such as "he", "she" or "it" stands for in the first. Has that word been '
      'understood correctly, yes or no?\n\n{sentence1}\n{sentence2}'
    ),
    Template(
      'An actor goes over the script with the director.\n\nScript: {sentence1}\n'
      'Actor: So this is what happens? {sentence2}\n\nWhat should the director say?\n{options}',
      option_style='numbers',
    ),
    Template(
      'Language leaves some things to common sense, for example here:\n"{sentence1}"\n\n'
      'Somebody has filled in what was left open:\n"{sentence2}"\n\nIs this the natural reading?\n{options}'
    ),
    Template(
      'Grounds: {sentence1}\nConclusion: {sentence2}\n\nMay one draw the conclusion on these grounds?\n\n{options}\n\n'
      'Answer:'
    ),
    Template(
      '{sentence1}\n\nPut a part of this in a sentence that no longer leaves open who or what is meant. '
      'Is your version faithful to the original? {answer}',
      targets='{sentence2}',
    ),
    Template(
      'To test whether machines understand pronouns, we show them a text and a claim; the key says if the text implies '
      'the claim. Supply the missing text.\n\nClaim: {sentence2}\nKey: {answer}\nText:',
      targets='{sentence1}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (
  RTE,
  CB,
  *ANLI,
  MNLI_MATCHED,
  MNLI_MISMATCHED,
  QNLI,
  WNLI,
  SNLI,
)
