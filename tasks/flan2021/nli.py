"""Natural language inference: does one text follow from another? RTE and CommitmentBank (both of SuperGLUE)."""

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tasks.flan2021.clusters import NLI


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

DATASETS: tuple[Dataset, ...] = (RTE, CB)
