"""The embedded world: its names, things and feelings, and the seven relations that facts are made of."""

import dataclasses

WOMEN = ('Anna', 'Mary', 'Lucy', 'Emma', 'Sara', 'Kate', 'Julia', 'Rose')
MEN = ('Tom', 'John', 'Peter', 'Sam', 'David', 'Mark', 'Paul', 'Henry')
PEOPLE = WOMEN + MEN
PLACES = ('kitchen', 'garden', 'park', 'school', 'office', 'bedroom', 'library', 'market', 'station', 'beach')
THINGS = ('ball', 'hat', 'book', 'key', 'cup', 'lamp', 'bag', 'coat', 'phone', 'box')
COLOURS = ('red', 'blue', 'green', 'yellow', 'black', 'white', 'pink', 'brown')
ANIMALS = ('dog', 'cat', 'horse', 'cow', 'bird', 'rabbit', 'mouse', 'duck')
FOODS = ('bread', 'soup', 'rice', 'cake', 'cheese', 'apples', 'pizza', 'salad')
JOBS = ('teacher', 'doctor', 'cook', 'farmer', 'driver', 'singer', 'painter', 'nurse')
GLAD = ('happy', 'glad', 'cheerful', 'proud')
SORRY = ('sad', 'upset', 'angry', 'afraid')
FEELINGS = GLAD + SORRY
PRAISE = ('great', 'good', 'lovely', 'wonderful', 'excellent', 'nice', 'perfect', 'amazing')
BLAME = ('bad', 'awful', 'terrible', 'poor', 'horrible', 'boring', 'nasty', 'dull')
REVIEWED = ('food', 'room', 'film', 'book', 'music', 'place', 'service', 'story')
NUMBERS = ('one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten')

CATEGORIES = {
  'animal': ANIMALS, 'food': FOODS, 'place': PLACES, 'colour': COLOURS, 'job': JOBS, 'thing': THINGS,
  'feeling': FEELINGS, 'number': NUMBERS,
}  # fmt: skip

SYNONYMS = (
  ('big', 'large'), ('small', 'little'), ('happy', 'glad'), ('fast', 'quick'), ('begin', 'start'), ('end', 'finish'),
  ('sad', 'unhappy'), ('great', 'excellent'), ('awful', 'terrible'), ('good', 'nice'), ('likes', 'enjoys'),
  ('holds', 'has'), ('home', 'house'), ('road', 'street'), ('speak', 'talk'), ('shut', 'close'),
)  # fmt: skip
OPPOSITES = (
  ('big', 'small'), ('happy', 'sad'), ('fast', 'slow'), ('begin', 'end'), ('good', 'bad'), ('hot', 'cold'),
  ('open', 'shut'), ('old', 'new'), ('up', 'down'), ('day', 'night'), ('yes', 'no'), ('true', 'false'),
  ('right', 'wrong'), ('same', 'different'), ('man', 'woman'), ('first', 'last'), ('like', 'dislike'),
  ('great', 'awful'),
)  # fmt: skip

WORDS = PEOPLE + PLACES + THINGS + COLOURS + ANIMALS + FOODS  # what word games are played with


@dataclasses.dataclass(frozen=True)
class Relation:
  """A kind of fact about a subject and a value, with the ways of stating, denying, asking and naming it.

  Every pattern has `{s}` for the subject and `{v}` for the value. A value belongs to one relation's pool only, so that
  a wrong value is always of the right kind.
  """

  subjects: tuple[str, ...]
  values: tuple[str, ...]
  statements: tuple[str, ...]
  denials: tuple[str, ...]
  open_questions: tuple[str, ...]
  closed_questions: tuple[str, ...]
  title: str
  topic: str | None = None


RELATIONS = {
  'in': Relation(
    PEOPLE, PLACES,
    ('{s} is in the {v}', '{s} went to the {v}', 'you can find {s} in the {v}'),
    ('{s} is not in the {v}', '{s} did not go to the {v}'),
    ('where is {s}', 'in what place is {s}', 'where did {s} go'),
    ('is {s} in the {v}', 'did {s} go to the {v}', 'can you find {s} in the {v}'),
    '{s} in the {v}', 'places',
  ),
  'has': Relation(
    PEOPLE, THINGS,
    ('{s} has the {v}', '{s} took the {v}', 'the {v} belongs to {s}'),
    ('{s} does not have the {v}', '{s} did not take the {v}'),
    ('what does {s} have', 'what did {s} take', 'what belongs to {s}'),
    ('does {s} have the {v}', 'did {s} take the {v}', 'does the {v} belong to {s}'),
    '{s} with the {v}',
  ),
  'likes': Relation(
    PEOPLE, FOODS,
    ('{s} likes {v}', '{s} enjoys {v}', 'the favourite food of {s} is {v}'),
    ('{s} does not like {v}', '{s} does not enjoy {v}'),
    ('what does {s} like', 'what food does {s} enjoy', 'what is the favourite food of {s}'),
    ('does {s} like {v}', 'does {s} enjoy {v}', 'is {v} the favourite food of {s}'),
    '{s} and {v}', 'food',
  ),
  'colour': Relation(
    THINGS, COLOURS,
    ('the {s} is {v}', 'the colour of the {s} is {v}', 'there is a {v} {s}'),
    ('the {s} is not {v}',),
    ('what colour is the {s}', 'what is the colour of the {s}'),
    ('is the {s} {v}', 'is {v} the colour of the {s}', 'is there a {v} {s}'),
    'the {v} {s}', 'colours',
  ),
  'job': Relation(
    PEOPLE, JOBS,
    ('{s} is a {v}', '{s} works as a {v}', 'the job of {s} is {v}'),
    ('{s} is not a {v}', '{s} does not work as a {v}'),
    ('what is the job of {s}', 'what does {s} work as'),
    ('is {s} a {v}', 'does {s} work as a {v}'),
    '{s} the {v}', 'jobs',
  ),
  'pet': Relation(
    PEOPLE, ANIMALS,
    ('{s} owns a {v}', '{s} has a pet {v}', 'the pet of {s} is a {v}'),
    ('{s} does not own a {v}',),
    ('what animal does {s} own', 'what is the pet of {s}', 'what pet does {s} have'),
    ('does {s} own a {v}', 'does {s} have a pet {v}', 'is the pet of {s} a {v}'),
    '{s} and the {v}', 'animals',
  ),
  'feels': Relation(
    PEOPLE, FEELINGS,
    ('{s} is {v}', '{s} feels {v}', '{s} looks {v}'),
    ('{s} is not {v}', '{s} does not feel {v}'),
    ('how does {s} feel', 'how is {s}'),
    ('is {s} {v}', 'does {s} feel {v}'),
    '{s} is {v}', 'feelings',
  ),
}  # fmt: skip

TOPICS = {relation.topic: name for name, relation in RELATIONS.items() if relation.topic}

# A liked and a disliked way of every review: {a} and {b} are judgements, {x} and {y} the things judged, {f} a feeling.
REVIEWS = (
  ('The {x} was {a} and the {y} was {b}.', 'The {x} was {a} and the {y} was {b}.'),
  ('I liked the {x}. It was {a}.', 'I disliked the {x}. It was {a}.'),
  ('What a {a} {x}. I will come again.', 'What a {a} {x}. I will not come again.'),
  ('The {x} was {a}. I was {f}.', 'The {x} was {a}. I was {f}.'),
  ('So {a} was the {x}, so {b} was the {y}.', 'So {a} was the {x}, so {b} was the {y}.'),
)
ANSWERS = ('yes', 'no')
