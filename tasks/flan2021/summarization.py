"""Summarization of mail, guides, opinions and chats; `summarization_news` has what is made of news.

AESLC, the subject line of an e-mail (Zhang and Tetreault 2019), WikiLingua, how-to guides (Ladhak et al. 2020), reviews
of films and arguments in debates (Wang and Ling 2016), and SAMSum, chats (Gliwa et al. 2019).
"""

import tensorflow as tf

from flan_jax.data.dataset import Dataset, Fields, Row
from flan_jax.data.splits import HELD_BACK, OWN_TEST, Splits
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import SUMMARIZATION
from tasks.flan2021.summarization_news import NEWS
from tasks.flan2021.texts import filled, numbered, one_line, written

_MOST_OPINIONS = 10
_ONE_SPLIT_ONLY = Splits(train='train[:-600]', validation='train[-600:-500]', test='train[-500:]')
# Attachments: <file_photo>, <file_gif>, <link>. Anything wider would reach from "<3" in one message to a later ">".
_TAG = r'<[A-Za-z][\w ]{0,30}>'


def _body_and_subject(row: Row) -> Fields:
  return {'body': one_line(row['email_body']), ANSWER: one_line(row['subject_line'])}


AESLC = Dataset(
  name='aeslc',
  cluster=SUMMARIZATION,
  source='aeslc:1.0.0',
  fields=_body_and_subject,
  keep=filled(_body_and_subject),
  splits=Splits(train='train', validation=f'validation[-{HELD_BACK}:]', test='test'),
  metrics=('rouge',),
  templates=(
    Template('Write a subject line for this e-mail.\n\n{body}'),
    Template('{body}\n\nWhat is this message about? Answer in the style of a subject line.'),
    Template('E-mail: {body}\nSubject:'),
    Template(
      'Your inbox shows nothing but the beginnings of messages, which is a nuisance. Give the one below a short '
      'title that tells its receiver what to expect.\n\nMessage:\n{body}\n\nTitle:'
    ),
    Template('Sum up the mail in a handful of words: {body}'),
    Template(
      'Somebody forgot to fill in the "Subject" field before sending the following. Fill it in for them.\n\n"{body}"'
    ),
    Template('{body}\n\nGenerate a concise heading for the text above, as it would stand at the top of an e-mail.'),
    Template('Mail body: {body}\n\nWhich words would its author most likely have put in the subject line?'),
    Template('Draft the e-mail that goes with the subject "{answer}".', targets='{body}'),
    Template(
      'An office worker opens a message headed as follows.\n\n{answer}\n\nWhat does the message itself say?',
      targets='{body}',
    ),
  ),
)


def _guide_and_steps(row: Row) -> Fields:
  return {'guide': one_line(row['source']), ANSWER: one_line(row['target'])}


WIKI_LINGUA_ENGLISH_EN = Dataset(
  name='wiki_lingua_english_en',
  cluster=SUMMARIZATION,
  source='gem/wiki_lingua_english_en:1.1.0',
  fields=_guide_and_steps,
  keep=filled(_guide_and_steps),
  splits=OWN_TEST,
  metrics=('rouge',),
  templates=(
    Template('This is an extract from a how-to guide. Reduce it to its bare steps.\n\n{guide}'),
    Template('{guide}\n\nWhat should one do, according to this advice? Reply with short commands.'),
    Template('Instructions in detail: {guide}\nInstructions in brief:'),
    Template('I want a note on the fridge with the essence of these tips. What do I put on it?\n\n{guide}'),
    Template(
      'In a manual, every paragraph has a short imperative as its heading. A printer lost the headings and joined the '
      'paragraphs. Give the headings back, in their order.\n\nManual: {guide}\n\nHeadings:'
    ),
    Template('Abridge the tutorial below for those who did it once and only need a reminder.\n\n{guide}'),
    Template('Condense each part of the guidance to one simple sentence. {guide}'),
    Template('{guide}\n\nAn instructor has just said all this. Name the recommendations without the reasons for them.'),
    Template(
      'Elaborate on the outline, point by point, as a website for practical questions would.\n\nOutline: {answer}',
      targets='{guide}',
    ),
    Template('{answer}\n\nA beginner finds this checklist too terse. Explain how and why.', targets='{guide}'),
  ),
)


def _reviews_and_consensus(row: Row) -> Fields:
  reviews = written(row['_critics']['value'])[:_MOST_OPINIONS]
  return {
    'movie': one_line(tf.strings.regex_replace(row['_movie_name'], '_', ' ')),
    'reviews': numbered(reviews),
    'first_review': tf.strings.reduce_join(reviews[:1]),
    ANSWER: one_line(row['_critic_consensus']),
  }


OPINION_ABSTRACTS_ROTTEN_TOMATOES = Dataset(
  name='opinion_abstracts_rotten_tomatoes',
  cluster=SUMMARIZATION,
  source='opinion_abstracts/rotten_tomatoes:1.0.0',
  fields=_reviews_and_consensus,
  keep=filled(_reviews_and_consensus),
  splits=_ONE_SPLIT_ONLY,
  metrics=('rouge',),
  templates=(
    Template('The press has seen "{movie}".\n\n{reviews}\n\nState the general verdict in a sentence or two.'),
    Template('{reviews}\n\nOn what do these people agree?'),
    Template('Film: {movie}\nQuotations:\n{reviews}\nOn the whole:'),
    Template(
      'A website digests the opinions on every new release. Write its entry for "{movie}", using nothing but what you '
      'find here.\n\n{reviews}'
    ),
    Template(
      'Should I go and see {movie}? Tell me briefly how it went down with those who write for a living:\n{reviews}'
    ),
    Template('Merge several remarks on a motion picture into one balanced judgement.\n\n{reviews}\n\nJudgement:'),
    Template(
      'Suppose that the authors of the following lines sat on one jury. In which words would the jury give its reasons '
      'for the mark it awards?\n\n{reviews}'
    ),
    Template(
      'Collected criticism:\n{reviews}\n\nWhich impression does it leave of "{movie}"? Name the praise as well as '
      'the blame.'
    ),
    Template(
      'Opinion about the film {movie} amounts to this: {answer}\n\nQuote a few critics, numbered, who could have '
      'contributed to it.',
      targets='{reviews}',
    ),
    Template(
      '"{answer}" So much for the critics as a body. What may one of them have written about "{movie}"?',
      targets='{first_review}',
    ),
  ),
)


def _arguments_and_claim(row: Row) -> Fields:
  return {
    'debate': one_line(row['_debate_name']),
    'arguments': numbered(written(row['_argument_sentences']['value'])[:_MOST_OPINIONS]),
    ANSWER: one_line(row['_claim']),
  }


OPINION_ABSTRACTS_IDEBATE = Dataset(
  name='opinion_abstracts_idebate',
  cluster=SUMMARIZATION,
  source='opinion_abstracts/idebate:1.0.0',
  fields=_arguments_and_claim,
  keep=filled(_arguments_and_claim),
  splits=_ONE_SPLIT_ONLY,
  metrics=('rouge',),
  templates=(
    Template('Debate: {debate}\n\nArguments:\n{arguments}\n\nWhich claim do they support?'),
    Template('{arguments}\n\nPut the point of these sentences into a single assertion.'),
    Template(
      'In a debate entitled "{debate}", a speaker brings this forward:\n\n{arguments}\n\n'
      'What is the speaker trying to establish?'
    ),
    Template(
      'You chair a panel and note every contribution on the blackboard, one line each. A member of the audience has '
      'just said:\n\n{arguments}\n\nOn the blackboard you write:'
    ),
    Template('Find the thesis.\n\n{arguments}\n\nThesis:'),
    Template('What is all this meant to prove?\n{arguments}'),
    Template(
      'Rhetoric, question 3. The statements listed lead to one conclusion about the motion "{debate}". Formulate it.'
      '\n\n{arguments}'
    ),
    Template(
      'I took notes at a discussion but came in late and missed the sentence with which the argument began. What was '
      'it, roughly?\n\nTopic: {debate}\n\nNotes:\n{arguments}'
    ),
    Template('Topic: {debate}\n\nDefend what follows with a numbered list of reasons: {answer}', targets='{arguments}'),
    Template('{answer}\n{arguments}\n\nName a debate in which somebody may argue like this.', targets='{debate}'),
  ),
)


def _dialogue_and_summary(row: Row) -> Fields:
  # A message that was nothing but an attachment stays as an empty one, since others answer it.
  dialogue = tf.strings.regex_replace(row['dialogue'], _TAG, '')
  dialogue = tf.strings.regex_replace(dialogue, r'[ \t]*\r?\n', '\n')
  return {
    'dialogue': tf.strings.strip(tf.strings.regex_replace(dialogue, r'[ \t]+', ' ')),
    ANSWER: one_line(row['summary']),
  }


SAMSUM = Dataset(
  name='samsum',
  cluster=SUMMARIZATION,
  source='samsum:1.0.0',
  fields=_dialogue_and_summary,
  keep=filled(_dialogue_and_summary),
  splits=OWN_TEST,
  metrics=('rouge',),
  templates=(
    Template('{dialogue}\n\nWhat were they talking about?'),
    Template('Report on the chat in one to three sentences.\n\n{dialogue}'),
    Template(
      'Somebody was offline while the messages below were sent. Bring them up to date.\n\n{dialogue}\n\nUpdate:'
    ),
    Template('Log:\n{dialogue}\n\nMinutes:'),
    Template('Retell the conversation in the third person and leave out the small talk.\n\n{dialogue}'),
    Template(
      'You were copied into a group on your phone, and the person beside you asks what is going on there. Be quick, '
      'you are busy typing.\n\nIn the group:\n\n{dialogue}\n\nYour reply:'
    ),
    Template('{dialogue}\n---\nFrom the exchange above, who wants, does or decides what?'),
    Template(
      'Make a record of the outcome of this dialogue that can be understood by readers who have not seen a word of it.'
      '\n\n{dialogue}'
    ),
    Template('Invent a chat from which one could gather the following: {answer}', targets='{dialogue}'),
    Template(
      'Scriptwriting, first lesson: turn a synopsis into dialogue. Each message takes a line of its own and follows '
      'the name of whoever sends it.\n\nSynopsis: {answer}\n\nDialogue:',
      targets='{dialogue}',
    ),
  ),
)

DATASETS: tuple[Dataset, ...] = (
  AESLC,
  *NEWS,
  WIKI_LINGUA_ENGLISH_EN,
  OPINION_ABSTRACTS_ROTTEN_TOMATOES,
  OPINION_ABSTRACTS_IDEBATE,
  SAMSUM,
)
