"""What words mean, asked with no text to look it up in."""

from flan_jax.data.template import Template
from tasks.quickstart.rows import declare

# lint: allow near-duplicate: in a world of 380 words, wordings that differ in one word are what the suite trains on.
DATASETS = (
  declare('kind', 'closed_book_qa', (
    Template('Is it true that {word} is {kind}? {options}'),
    Template('Is it right that {word} is {kind}? {options}'),
    Template('Statement: {word} is {kind}. Is the statement true? {options}'),
    Template('Statement: {word} is {kind}. Is the statement right? {options}'),
    Template('{word} is {kind}. Is that true? {options}'),
    Template('{word} is {kind}. Is that right? {options}'),
    Template('Is {word} {kind}? {options}'),
    Template('Can we say that {word} is {kind}? {options}'),
    Template('Tell me, is {word} {kind}? {options}'),
    Template('Does the word {word} mean {kind}? {options}'),
  )),
  declare('kind', 'closed_book_qa', (
    Template('Is it false that {word} is {kind}? {options}'),
    Template('Is it wrong that {word} is {kind}? {options}'),
    Template('Statement: {word} is {kind}. Is the statement false? {options}'),
    Template('Statement: {word} is {kind}. Is the statement wrong? {options}'),
    Template('{word} is {kind}. Is that false? {options}'),
    Template('{word} is {kind}. Is that wrong? {options}'),
  ), opposite=True),
  declare('synonym', 'closed_book_qa', (
    Template('Do the words {first} and {second} mean the same thing? {options}'),
    Template('Does {first} mean the same as {second}? {options}'),
    Template('Is the meaning of {first} the same as the meaning of {second}? {options}'),
    Template('First word: {first}. Second word: {second}. Same meaning? {options}'),
    Template('Can we use {first} in place of {second}? {options}'),
    Template('{first} means {second}. Is that right? {options}'),
  )),
  declare('synonym', 'closed_book_qa', (
    Template('Do the words {first} and {second} mean different things? {options}'),
    Template('Is the meaning of {first} different? {second}. {options}'),
    Template('First word: {first}. Second word: {second}. Different meaning? {options}'),
    Template('{first} means {second}. Is that wrong? {options}'),
    Template('Statement: the words {first} and {second} mean the same thing. Is the statement false? {options}'),
  ), opposite=True),
)  # fmt: skip
