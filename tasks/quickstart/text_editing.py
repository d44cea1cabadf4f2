"""Word games: are two lists of words the same, is a word in a list."""

from flan_jax.data.template import Template
from tasks.quickstart.rows import declare

# lint: allow near-duplicate: in a world of 380 words, wordings that differ in one word are what the suite trains on.
DATASETS = (
  declare('words_same', 'text_editing', (
    Template('First: {first}. Second: {second}. Are the two the same? {options}'),
    Template('{first}. {second}. Is the second the same as the first? {options}'),
    Template('Do these two have the same words? {first}. {second}. {options}'),
    Template('Here are two texts: {first}. {second}. Is it true that they are the same? {options}'),
    Template('Here are two texts: {first}. {second}. Is it right that they are the same? {options}'),
  )),
  declare('words_same', 'text_editing', (
    Template('First: {first}. Second: {second}. Are the two different? {options}'),
    Template('{first}. {second}. Is the second different? {options}'),
    Template('Do these two have different words? {first}. {second}. {options}'),
    Template('Here are two texts: {first}. {second}. Is it false that they are the same? {options}'),
    Template('Here are two texts: {first}. {second}. Is it wrong that they are the same? {options}'),
  ), opposite=True),
  declare('word_in', 'text_editing', (
    Template('Is the word {word} in this text? {words}. {options}'),
    Template('{words}. Does this have the word {word}? {options}'),
    Template('Can you find {word} in this? {words}. {options}'),
    Template('Statement: the word {word} is in the text. Is the statement true? Text: {words}. {options}'),
    Template('The word {word} is in this text. Is that right? {words}. {options}'),
  )),
  declare('word_in', 'text_editing', (
    Template('Statement: the word {word} is in the text. Is the statement false? Text: {words}. {options}'),
    Template('Is it false that the word {word} is in this text? {words}. {options}'),
    Template('The word {word} is in this text. Is that wrong? {words}. {options}'),
    Template('{words}. Is it wrong that this does have the word {word}? {options}'),
  ), opposite=True),
)  # fmt: skip
