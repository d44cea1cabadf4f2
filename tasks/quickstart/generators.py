"""Procedures that draw one row of each dataset of the embedded suite from a random stream.

A row holds sentences as a person would write them. `text` and `sentence` fields are whole sentences; the others are
phrases that a template sets into a sentence of its own.
"""

import dataclasses
import random
from collections.abc import Callable, Sequence

from tasks.quickstart import lexicon
from tasks.quickstart.lexicon import RELATIONS

Row = dict[str, str | list[str]]
Generator = Callable[[random.Random], Row]


@dataclasses.dataclass(frozen=True)
class Fact:
  """A relation between a subject and a value, e.g. (in, Anna, kitchen)."""

  relation: str
  subject: str
  value: str

  def put(self, pattern: str) -> str:
    """Fills a pattern of the relation."""
    return pattern.format(s=self.subject, v=self.value)


def sentence(phrase: str, end: str = '.') -> str:
  """Makes a phrase a sentence: a capital first and a stop last."""
  return phrase[0].upper() + phrase[1:] + end


def draw_fact(draw: random.Random, relation: str | None = None) -> Fact:
  """Draws a fact, of one relation or of any."""
  name = relation or draw.choice(list(RELATIONS))
  return Fact(name, draw.choice(RELATIONS[name].subjects), draw.choice(RELATIONS[name].values))


def statement(draw: random.Random, fact: Fact) -> str:
  """States a fact in one of its ways."""
  return fact.put(draw.choice(RELATIONS[fact.relation].statements))


def other(draw: random.Random, pool: Sequence[str], *taken: str) -> str:
  """Draws a word of a pool that is none of the taken ones."""
  return draw.choice([word for word in pool if word not in taken])


def wrong_value(draw: random.Random, fact: Fact) -> Fact:
  """The same subject with another value."""
  return dataclasses.replace(fact, value=other(draw, RELATIONS[fact.relation].values, fact.value))


def nearly(draw: random.Random, fact: Fact) -> Fact:
  """A fact that differs in its value or in its subject."""
  if draw.random() < 0.5:
    return wrong_value(draw, fact)
  return dataclasses.replace(fact, subject=other(draw, RELATIONS[fact.relation].subjects, fact.subject))


def shuffled(draw: random.Random, words: Sequence[str]) -> list[str]:
  """A shuffled copy."""
  return draw.sample(list(words), len(words))


def _yes_no(draw: random.Random, yes: bool, **fields: str) -> Row:
  return {**fields, 'answer': 'yes' if yes else 'no', 'options': shuffled(draw, lexicon.ANSWERS)}


def boolean_qa(draw: random.Random) -> Row:
  """A text of one fact and a yes/no question about it."""
  fact = draw_fact(draw)
  yes = draw.random() < 0.5
  asked = fact if yes else wrong_value(draw, fact)
  question = asked.put(draw.choice(RELATIONS[fact.relation].closed_questions))
  return _yes_no(draw, yes, text=sentence(statement(draw, fact)), question=question)


def reading(draw: random.Random) -> Row:
  """A text of one fact and an open question about it; three rows in five offer options."""
  fact = draw_fact(draw)
  relation = RELATIONS[fact.relation]
  wrong = draw.sample([value for value in relation.values if value != fact.value], 2)
  return {
    'text': sentence(statement(draw, fact)),
    'question': fact.put(draw.choice(relation.open_questions)),
    'answer': fact.value,
    'options': shuffled(draw, [fact.value, *wrong]) if draw.random() < 0.6 else [],
  }


def words_same(draw: random.Random) -> Row:
  """Two short lists of words, the same or with one word changed."""
  first = draw.sample(lexicon.WORDS, draw.choice([2, 3]))
  second = list(first)
  yes = draw.random() < 0.5
  if not yes:
    second[draw.randrange(len(second))] = other(draw, lexicon.WORDS, *first)
  return _yes_no(draw, yes, first=' '.join(first), second=' '.join(second))


def word_in(draw: random.Random) -> Row:
  """A list of words, and a word that is in it or not."""
  words = draw.sample(lexicon.WORDS, draw.choice([3, 4]))
  yes = draw.random() < 0.5
  word = draw.choice(words) if yes else other(draw, lexicon.WORDS, *words)
  return _yes_no(draw, yes, words=' '.join(words), word=word)


def kind(draw: random.Random) -> Row:
  """A word and the kind of thing that it names, or does not."""
  category = draw.choice(list(lexicon.CATEGORIES))
  yes = draw.random() < 0.5
  named = category if yes else other(draw, list(lexicon.CATEGORIES), category)
  article = 'an' if named[0] in 'aeiou' else 'a'
  return _yes_no(draw, yes, word=draw.choice(lexicon.CATEGORIES[category]), kind=f'{article} {named}')


def synonym(draw: random.Random) -> Row:
  """Two words that mean the same, or opposite words, or two that have nothing to do with each other."""
  yes = draw.random() < 0.5
  pair: tuple[str, ...]
  if yes:
    pair = draw.choice(lexicon.SYNONYMS)
  elif draw.random() < 0.6:
    pair = draw.choice(lexicon.OPPOSITES)
  else:
    pair = tuple(choice[0] for choice in draw.sample(lexicon.SYNONYMS, 2))
  first, second = shuffled(draw, pair)
  return _yes_no(draw, yes, first=first, second=second)


def topic(draw: random.Random) -> Row:
  """A sentence and a topic that is its own or another's."""
  own = draw.choice(list(lexicon.TOPICS))
  yes = draw.random() < 0.5
  named = own if yes else other(draw, list(lexicon.TOPICS), own)
  return _yes_no(draw, yes, text=sentence(statement(draw, draw_fact(draw, lexicon.TOPICS[own]))), topic=named)


def title(draw: random.Random) -> Row:
  """A sentence and a short title that says the same, or nearly."""
  fact = draw_fact(draw)
  yes = draw.random() < 0.5
  titled = fact if yes else nearly(draw, fact)
  return _yes_no(draw, yes, text=sentence(statement(draw, fact)), title=titled.put(RELATIONS[fact.relation].title))


def review(draw: random.Random) -> Row:
  """A short review; the question is whether its writer liked it."""
  yes = draw.random() < 0.5
  a, b = draw.sample(lexicon.PRAISE if yes else lexicon.BLAME, 2)
  x, y = draw.sample(lexicon.REVIEWED, 2)
  f = draw.choice(lexicon.GLAD if yes else lexicon.SORRY)
  liked, disliked = draw.choice(lexicon.REVIEWS)
  text = (liked if yes else disliked).format(a=a, b=b, x=x, y=y, f=f)
  return _yes_no(draw, yes, text=text)


def nli(draw: random.Random) -> Row:
  """A text of one fact and a claim that it bears out or contradicts."""
  fact = draw_fact(draw)
  yes = draw.random() < 0.5
  claim = statement(draw, fact if yes else wrong_value(draw, fact))
  return _yes_no(draw, yes, text=sentence(statement(draw, fact)), claim=claim)


def nli_negated(draw: random.Random) -> Row:
  """As `nli`, with a claim that may be a denial: the task that the quickstart learns with LoRA."""
  fact = draw_fact(draw)
  same, denied = draw.random() < 0.5, draw.random() < 0.5
  claimed = fact if same else wrong_value(draw, fact)
  claim = claimed.put(draw.choice(RELATIONS[fact.relation].denials)) if denied else statement(draw, claimed)
  return _yes_no(draw, same != denied, text=sentence(statement(draw, fact)), claim=claim)


def paraphrase(draw: random.Random) -> Row:
  """Two sentences that state the same fact in two ways, or two facts that differ in one word's place."""
  fact = draw_fact(draw)
  yes = draw.random() < 0.5
  ways = draw.sample(RELATIONS[fact.relation].statements, 2)
  if not yes:
    ways[1] = draw.choice(RELATIONS[fact.relation].statements)
  second = fact if yes else nearly(draw, fact)
  return _yes_no(draw, yes, first=fact.put(ways[0]), second=second.put(ways[1]))


GENERATORS: dict[str, Generator] = {
  'boolean_qa': boolean_qa,
  'reading': reading,
  'words_same': words_same,
  'word_in': word_in,
  'kind': kind,
  'synonym': synonym,
  'topic': topic,
  'title': title,
  'review': review,
  'nli': nli,
  'nli_negated': nli_negated,
  'paraphrase': paraphrase,
}
