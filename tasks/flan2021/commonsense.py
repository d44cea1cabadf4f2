"""Commonsense: what everyday knowledge makes likely.

COPA, causes and effects (Roemmele et al. 2011); Story Cloze, the end of a story (Mostafazadeh et al. 2016); PIQA, ways
of getting physical things done (Bisk et al. 2020); HellaSwag, what happens next (Zellers et al. 2019).
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, OPTIONS, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tasks.flan2021.clusters import COMMONSENSE
from tasks.flan2021.texts import one_line


def _premise_and_choices(row: Row) -> Fields:
  return {
    'premise': tf.strings.strip(row['premise']),
    'relation': row['question'],  # 'cause' or 'effect'
    OPTIONS: tf.strings.strip(tf.stack([row['choice1'], row['choice2']])),
    LABEL: row['label'],
  }


COPA = Dataset(
  name='copa',
  cluster=COMMONSENSE,
  source='super_glue/copa:1.0.2',
  fields=_premise_and_choices,
  splits=Splits(train='train[:-50]', validation='train[-50:]'),
  templates=(
    Template('{premise}\n\nWhat was the {relation} of this?\n\n{options}'),
    Template(
      'Use your knowledge of everyday life to pick the likelier {relation}.\n\nEvent: {premise}\n\n{options}',
      option_style='letters',
    ),
    Template(
      '{options}\n\nOne of the sentences above is the {relation} of what is described here. Which one?\n\n{premise}'
    ),
    Template('Here is something that happened: "{premise}" Choose its most plausible {relation}.\n{options}\nChoice:'),
    Template(
      'A story contains the sentence below, and next to it there is a gap for its {relation}. '
      'Fill the gap with one of the sentences on offer.\n\nSentence: {premise}\n\n{options}',
      option_style='numbers',
    ),
    Template('Known: {premise}\nSought: its {relation}\n{options}'),
    Template(
      'Most people would agree on how these events hang together.\n\nThe event: {premise}\n'
      'Two candidates for its {relation}:\n\n{options}\n\nWhich candidate would most people choose?'
    ),
    Template('Consider this: {premise} Now name a {relation} that makes sense.'),
    Template(
      '{answer}\n\nThis is the {relation} of another event. Describe that other event in one short sentence.',
      targets='{premise}',
    ),
    Template(
      'Of the two sentences listed, only "{answer}" could well be the {relation} of a certain event.\n\n{options}\n\n'
      'What might the event be?',
      targets='{premise}',
    ),
  ),
)


def _story_and_endings(row: Row) -> Fields:
  # The row counts its endings from 1.
  return {'story': one_line(row['context']), OPTIONS: one_line(row['endings']), LABEL: row['label'] - 1}


STORY_CLOZE = Dataset(
  name='story_cloze',
  cluster=COMMONSENSE,
  source='story_cloze/2016:1.0.0',
  fields=_story_and_endings,
  splits=Splits(train='validation[:-200]', validation='validation[-200:]', test='test'),  # TFDS has no train split
  templates=(
    Template('{story}\n\nOnly one of these endings suits the story. Pick it.\n\n{options}'),
    Template(
      'A magazine receives a manuscript whose last line exists in two versions.\n\n{story}\n\n'
      'Versions of the last line:\n{options}\n\nWhich of them should go to print?',
      option_style='letters',
    ),
    Template(
      '{options}\n\nThe lines above compete for the place at the close of this little tale:\n\n{story}\n\n'
      'The winner, if the tale is to make sense:'
    ),
    Template(
      'Reading test. The passage lacks its fifth and final sentence. Mark the sentence that belongs there.\n\n'
      'Passage: {story}\n\n{options}',
      option_style='numbers',
    ),
    Template(
      'Somebody was telling you about this and dozed off halfway through.\n\n{story}\n\n'
      'How must it have turned out?\n{options}'
    ),
    Template('Four sentences so far: {story}\n\nA fifth, to be taken from the list:\n{options}'),
    Template('Round off this anecdote with one sentence that follows naturally.\n\n{story}'),
    Template('My niece has made up a story: "{story}" She wants me to end it in a sensible way. What shall I say?'),
    Template('Invent four sentences that lead up to this outcome: {answer}', targets='{story}'),
    Template(
      'Of the two closing lines listed here, it should be clear from your story that just one can be used.\n\n{options}'
      '\n\nThe one that can be used is: {answer}\n\nWrite the story, without its closing line.',
      targets='{story}',
    ),
  ),
)


def _goal_and_solutions(row: Row) -> Fields:
  return {
    'goal': one_line(row['goal']),
    OPTIONS: one_line(tf.stack([row['sol1'], row['sol2']])),
    LABEL: row['label'],
  }


# A goal may be a question, a phrase or the beginning of a sentence, so a template must not build a sentence around it.
PIQA = Dataset(
  name='piqa',
  cluster=COMMONSENSE,
  source='piqa:1.0.0',
  fields=_goal_and_solutions,
  splits=Splits(train='train[:-100]', validation='train[-100:]'),
  templates=(
    Template('{goal}\n\nTwo suggestions have been made, of which one would work in practice. Which one?\n\n{options}'),
    Template(
      'You are good with your hands, and a beginner comes to you with this on their mind:\n\n{goal}\n\n'
      'What do you advise?\n{options}',
      option_style='letters',
    ),
    Template(
      '{options}\n\nTry to picture both of the procedures above. Which of them achieves what is wanted here?\n\n'
      'Wanted: {goal}'
    ),
    Template('Everyday skills, multiple choice.\n\nAim: {goal}\n{options}\nSensible choice:'),
    Template(
      'Bear in mind how objects and materials behave.\n\nTask: {goal}\n\n{options}\n\nMethod that succeeds:',
      option_style='numbers',
    ),
    Template(
      'An index card in the kitchen drawer has the following heading.\n\n{goal}\n\nUnder it there are two sets of '
      'instructions, one of them sound and one of them flawed. Copy the sound one.\n\n{options}'
    ),
    Template('What somebody has in view: {goal}\nHow they may go about it:\n{options}\nSay which is better.'),
    Template('Give a short piece of practical advice on the following.\n\n{goal}'),
    Template('A bit of physical common sense is all that you need for this one: {goal}'),
    Template('What could a person be up to who is given these instructions?\n\n{answer}', targets='{goal}'),
  ),
)

_TAGS = r'(?:\s*\[(?:header|title|step|substeps)\])+\s*'


def _context_and_endings(row: Row) -> Fields:
  # Texts from WikiHow have tags before their headings and paragraphs. In the context each begins a new line; an ending
  # stays on one line, as an item of a list should.
  context = tf.strings.regex_replace(row['context'], _TAGS, '\n')
  return {
    'context': tf.strings.strip(tf.strings.regex_replace(context, ' +', ' ')),
    'activity': one_line(row['activity_label']),
    OPTIONS: one_line(tf.strings.regex_replace(row['endings'], _TAGS, ' ')),
    LABEL: row['label'],
  }


def _has_label(row: Row) -> tf.Tensor:
  return row['label'] >= 0


HELLASWAG = Dataset(
  name='hellaswag',
  cluster=COMMONSENSE,
  source='hellaswag:1.1.0',
  fields=_context_and_endings,
  keep=_has_label,  # TFDS gives -1 where a row's label is not published
  templates=(
    Template('The text below breaks off. Decide how it most plausibly goes on.\n\n{context}\n\n{options}'),
    Template(
      '{context}\n\nHere the page was torn. The other half must have said one of the following.\n{options}',
      option_style='letters',
    ),
    Template(
      'Subject: {activity}\n\nBeginning: {context}\n\n{options}\n\n'
      'Take the continuation that agrees with how the world works.',
      option_style='numbers',
    ),
    Template(
      '{options}\n\nThree of the passages above are nonsense as a sequel to the lines that follow, and one is not. '
      'Which?\n\n{context}'
    ),
    Template(
      'Captions of videos and how-to articles tell us things step by step. From what has been told already, predict '
      'what will be told next.\n\nTold already:\n{context}\n\nCandidates:\n{options}'
    ),
    Template(
      'Imagine that you watch this happen, or do it yourself:\n\n{context}\n\n'
      'Which of these developments would not surprise you?\n\n{options}'
    ),
    Template(
      'A machine wrote all but one of the listed continuations, and the author of the text wrote that one. Recognize '
      'the author.\n\nText: {context}\n\n{options}\n\nIn the words of the author:'
    ),
    Template('Keep writing from the point where this stops: {context}'),
    Template('{context}\n\nChoose with care, for a single choice keeps it all coherent:\n{options}'),
    Template(
      '"{answer}"\n\nThese are the last words of a passage filed under "{activity}". Supply what precedes them.',
      targets='{context}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (COPA, STORY_CLOZE, PIQA, HELLASWAG)
